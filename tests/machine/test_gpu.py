"""Graphics cards: which library is asked, what is known of a card, and why one cannot be used.

The libraries are stood in for here: no machine of the tests has a card. The real ones are asked once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hivemind_worker.machine.gpu import TRY_AGAIN_S, GpuProbe
from hivemind_worker.model.machine import Gpu, GpuTrouble


class NVMLError(Exception):
    """As the library has one class an error, made at run time."""


def failing(name: str) -> Callable[[], Any]:
    error = type(f"NVMLError_{name}", (NVMLError,), {})

    def init() -> None:
        raise error()

    return lambda: SimpleNamespace(nvmlInit=init, nvmlShutdown=lambda: None)


class Library:
    """One RTX 3060 that does not tell its temperature."""

    NVML_TEMPERATURE_GPU = 0

    def __init__(self) -> None:
        self.inits = 0
        self.lost = False

    def nvmlInit(self) -> None:
        self.inits += 1

    def nvmlShutdown(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        if self.lost:
            raise type("NVMLError_GpuIsLost", (NVMLError,), {})()
        return 1

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetName(self, _handle: int) -> str:
        return "NVIDIA GeForce RTX 3060"

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"550.54"

    def nvmlDeviceGetMemoryInfo(self, _handle: int) -> Any:
        return SimpleNamespace(total=12 << 30, used=3 << 30)

    def nvmlDeviceGetUtilizationRates(self, _handle: int) -> Any:
        return SimpleNamespace(gpu=61)

    def nvmlDeviceGetTemperature(self, _handle: int, _sensor: int) -> int:
        raise type("NVMLError_NotSupported", (NVMLError,), {})()


def no_cards() -> Any:
    return SimpleNamespace(getGPUs=list)


def put_card(bus: Path, vendor: str, kind: str = "0x030000", slot: str = "0000:01:00.0") -> None:
    (bus / slot).mkdir(parents=True)
    (bus / slot / "vendor").write_text(f"{vendor}\n")
    (bus / slot / "class").write_text(f"{kind}\n")


def test_nvml_is_asked_first_and_opened_once(tmp_path: Path) -> None:
    library = Library()

    def never() -> Any:
        raise AssertionError("GPUtil is asked although NVML works")

    probe = GpuProbe(nvml=lambda: library, gputil=never, pci=tmp_path)
    card = Gpu(
        name="NVIDIA GeForce RTX 3060",
        driver="550.54",
        memory_gb=12,
        memory_used_gb=3,
        percent=61,
        celsius=None,
    )
    assert (probe.look(), probe.look()) == ((card,), (card,))
    assert library.inits == 1


def test_gputil_is_asked_where_nvml_does_not_work(tmp_path: Path) -> None:
    card = SimpleNamespace(
        name="RTX", driver="470", load=0.5, memoryTotal=8192.0, memoryUsed=1024.0, temperature=float("nan")
    )
    probe = GpuProbe(
        nvml=failing("Uninitialized"), gputil=lambda: SimpleNamespace(getGPUs=lambda: [card]), pci=tmp_path
    )
    (found,) = probe.look()
    assert (found.percent, found.memory_gb, found.memory_used_gb, found.celsius) == (50, 8, 1, None)
    assert found.trouble is None


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        ("LibraryNotFound", GpuTrouble.NO_DRIVER),
        ("DriverNotLoaded", GpuTrouble.DRIVER_NOT_LOADED),
        ("LibRmVersionMismatch", GpuTrouble.DRIVER_CHANGED),
        ("NoPermission", GpuTrouble.NO_PERMISSION),
        ("SomethingNew", GpuTrouble.NO_DRIVER),
    ],
)
def test_a_card_that_cannot_work_is_reported_with_its_reason(
    tmp_path: Path, error: str, trouble: GpuTrouble
) -> None:
    put_card(tmp_path, "0x10de")
    put_card(tmp_path, "0x10de", kind="0x040300", slot="0000:01:00.1")  # its sound
    probe = GpuProbe(nvml=failing(error), gputil=no_cards, pci=tmp_path)
    assert probe.look() == (Gpu(name="NVIDIA", trouble=trouble),)


def test_a_card_of_another_maker_is_named_and_a_virtual_display_is_none(tmp_path: Path) -> None:
    put_card(tmp_path, "0x1002")
    put_card(tmp_path, "0x1af4", slot="0000:00:02.0")
    probe = GpuProbe(nvml=failing("LibraryNotFound"), gputil=no_cards, pci=tmp_path)
    assert probe.look() == (Gpu(name="AMD", trouble=GpuTrouble.OTHER_MAKER),)


def test_a_card_that_is_lost_while_running_is_told_and_asked_for_again_a_minute_later(tmp_path: Path) -> None:
    put_card(tmp_path, "0x10de")
    library, now = Library(), [0.0]
    probe = GpuProbe(nvml=lambda: library, gputil=no_cards, pci=tmp_path, steady=lambda: now[0])
    assert probe.look()[0].trouble is None
    library.lost = True
    assert probe.look()[0].trouble is GpuTrouble.LOST
    library.lost = False
    assert probe.look()[0].trouble is GpuTrouble.LOST, "not asked again at once"
    now[0] += TRY_AGAIN_S
    assert probe.look()[0].trouble is None


def test_a_computer_without_a_card_is_asked_once_a_minute_at_most(tmp_path: Path) -> None:
    asked = []

    def gputil() -> Any:
        asked.append(1)
        return no_cards()

    probe = GpuProbe(nvml=failing("LibraryNotFound"), gputil=gputil, pci=tmp_path, steady=lambda: 5.0)
    assert [probe.look() for _ in range(3)] == [(), (), ()]
    assert len(asked) == 1


def test_the_real_libraries_answer_on_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    """With or without a card: a tuple, in which every card has a name."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # GPUtil asks for distutils, which brings its own folder
    assert all(card.name for card in GpuProbe().look())
