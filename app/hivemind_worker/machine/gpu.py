"""Graphics cards: NVML in the process first, nvidia-smi through GPUtil second, none third.

Both may block for a third of a second or more: use the probe thread. A card that is there but cannot
work is reported with the reason, never left out. Counterpart: presentation.gpu, which has the words.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hivemind_worker.model.machine import Gpu, GpuProcess, GpuTrouble

log = logging.getLogger(__name__)
GIB = 1024**3
MIB_A_GIB, MILLIWATTS = 1024, 1000
WINDOW_S = 2.0
"""The driver takes a sample of each process up to once a second."""
TRY_AGAIN_S = 60.0
"""A computer without a card is not asked every second."""

PCI = Path("/sys/bus/pci/devices")
DISPLAY_CLASS = "0x03"
VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}


class GpuProbe:
    """Looks at the cards. Keep one: NVML stays open between looks. Fakes may stand in for the libraries."""

    def __init__(
        self, *, nvml: Callable[[], Any] | None = None, gputil: Callable[[], Any] | None = None,
        pci: Path = PCI, steady: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._nvml = nvml or _import_nvml
        self._gputil = gputil or _import_gputil
        self._pci = pci
        self._steady = steady
        self._open: Any = None
        self._last: tuple[Gpu, ...] = ()
        self._ask_from_s = -TRY_AGAIN_S

    def look(self) -> tuple[Gpu, ...]:
        """The cards now; while none works, at most one real look a minute. Never raises."""
        if self._steady() < self._ask_from_s:
            return self._last
        self._last, works = self._cards()
        if not works:
            self._ask_from_s = self._steady() + TRY_AGAIN_S
        return self._last

    def _cards(self) -> tuple[tuple[Gpu, ...], bool]:
        trouble: GpuTrouble | None = None
        try:
            return tuple(self._by_nvml()), True
        except Exception as error:  # the library's classes are made at run time; any failure means "not so"
            trouble = _trouble(error)
            self._close()
        with contextlib.suppress(Exception):
            if found := tuple(self._by_gputil()):
                return found, True
        return tuple(self._from_bus(trouble)), False

    def _by_nvml(self) -> Iterable[Gpu]:
        if self._open is None:
            library = self._nvml()
            library.nvmlInit()
            self._open = library
        for number in range(self._open.nvmlDeviceGetCount()):
            yield _nvml_card(self._open, self._open.nvmlDeviceGetHandleByIndex(number))

    def _by_gputil(self) -> Iterable[Gpu]:
        for card in self._gputil().getGPUs():
            yield Gpu(
                name=str(card.name), driver=str(card.driver), percent=_number(card.load * 100),
                memory_gb=card.memoryTotal / MIB_A_GIB, memory_used_gb=_number(card.memoryUsed / MIB_A_GIB),
                celsius=_number(card.temperature),
            )  # fmt: skip

    def _from_bus(self, nvidia_trouble: GpuTrouble | None) -> Iterable[Gpu]:
        """Cards that no library speaks for, with the reason; virtual displays are no cards."""
        with contextlib.suppress(OSError):
            for device in sorted(self._pci.iterdir()):
                vendor = VENDORS.get(_line(device / "vendor"), "")
                if not vendor or not _line(device / "class").startswith(DISPLAY_CLASS):
                    continue
                own = nvidia_trouble or GpuTrouble.NO_DRIVER
                yield Gpu(name=vendor, trouble=own if vendor == "NVIDIA" else GpuTrouble.OTHER_MAKER)

    def _close(self) -> None:
        if self._open is not None:
            with contextlib.suppress(Exception):
                self._open.nvmlShutdown()
            self._open = None


def _processes(library: Any, handle: Any) -> tuple[GpuProcess, ...] | None:
    """What is on a card; None where the driver does not tell (no permission, a card that is cut in parts)."""
    try:
        found = [
            *library.nvmlDeviceGetComputeRunningProcesses(handle),
            *library.nvmlDeviceGetGraphicsRunningProcesses(handle),
        ]
    except Exception:
        return None
    percents, memory = _percents(library, handle), dict[int, float | None]()
    for one in found:  # a process that draws and computes is in both lists, with the same memory
        known = None if one.usedGpuMemory is None else one.usedGpuMemory / GIB  # WDDM tells none
        memory[int(one.pid)] = known if known is not None else memory.get(int(one.pid))
    return tuple(
        GpuProcess(pid=pid, memory_gb=used, percent=None if percents is None else percents.get(pid, 0.0))
        for pid, used in memory.items()
    )


def _percents(library: Any, handle: Any) -> dict[int, float] | None:
    """The mean use of the last seconds by process; those that used nothing are not named."""
    since_us = round((time.time() - WINDOW_S) * 1e6)
    try:
        samples = library.nvmlDeviceGetProcessUtilization(handle, since_us)
    except Exception as error:
        # "not found" is how it says that nothing was used; so is, in pynvml, success without a sample
        return {} if "NotFound" in type(error).__name__ or getattr(error, "value", None) == 0 else None
    found: dict[int, list[float]] = {}
    for sample in samples:
        if sample.timeStamp >= since_us:  # old entries of the driver's ring come along
            found.setdefault(int(sample.pid), []).append(float(sample.smUtil))
    return {pid: min(100.0, sum(values) / len(values)) for pid, values in found.items()}


def usable(cards: Iterable[Gpu]) -> tuple[Gpu, ...]:
    """The cards that work."""
    return tuple(card for card in cards if card.trouble is None)


def _nvml_card(library: Any, handle: Any) -> Gpu:
    memory = library.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        name=_text(library.nvmlDeviceGetName(handle)),
        driver=_text(library.nvmlSystemGetDriverVersion()),
        memory_gb=memory.total / GIB,
        memory_used_gb=memory.used / GIB,
        percent=_known(lambda: float(library.nvmlDeviceGetUtilizationRates(handle).gpu)),
        celsius=_known(lambda: float(library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU))),
        processes=_processes(library, handle),
        watts=_known(lambda: float(library.nvmlDeviceGetPowerUsage(handle)) / MILLIWATTS),
    )


def _known(ask: Callable[[], float]) -> float | None:
    """A figure, or None: not every card tells every figure."""
    try:
        return ask()
    except Exception:
        return None


def _trouble(error: Exception) -> GpuTrouble:
    """Why NVML does not work, by the library's own names for its errors."""
    name = type(error).__name__
    for part, trouble in TROUBLES:
        if part in name:
            return trouble
    log.debug("NVML: %r", error)
    return GpuTrouble.NO_DRIVER


TROUBLES = (
    ("LibRmVersionMismatch", GpuTrouble.DRIVER_CHANGED),
    ("NoPermission", GpuTrouble.NO_PERMISSION),
    ("GpuIsLost", GpuTrouble.LOST),
    ("DriverNotLoaded", GpuTrouble.DRIVER_NOT_LOADED),
)


def _number(value: float) -> float | None:
    return None if value != value else float(value)  # noqa: PLR0124 - NaN: nvidia-smi wrote [N/A]


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _line(file: Path) -> str:
    try:
        return file.read_text().strip().lower()
    except OSError:
        return ""


def _import_nvml() -> Any:
    import pynvml  # noqa: PLC0415 - only where somebody looks

    return pynvml


def _import_gputil() -> Any:
    before = [*sys.path]
    try:
        import GPUtil  # noqa: PLC0415
    finally:
        sys.path[:] = before  # it asks for distutils, with which setuptools adds packages of its own
    return GPUtil
