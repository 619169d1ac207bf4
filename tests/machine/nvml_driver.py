"""NVIDIA's library as pynvml calls it, one function a name: real pynvml runs on it, structures and all.

Answers as recorded: the first call asks for the count with no place for rows and is told that it is too
small; a process list under Windows (WDDM) has "not available" for memory; without a sample the use of
processes is "not found".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from ctypes import Array
from dataclasses import dataclass
from typing import Any

import pynvml
import pytest

GIB = 1 << 30
NOT_AVAILABLE = 2**64 - 1
SUCCESS, NOT_SUPPORTED, NOT_FOUND, TOO_SMALL = 0, 3, 6, 7


@dataclass(slots=True)
class Driver:
    """One card. `computing` and `drawing`: bytes by process; `used`: percent by process. None: not told."""

    computing: Mapping[int, int] | None = None
    drawing: Mapping[int, int] | None = None
    used: Mapping[int, int] | None = None
    ago_s: float = 0.5

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have pynvml find this instead of the system's library."""
        monkeypatch.setattr(pynvml, "nvmlLib", self)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    def __getattr__(self, name: str) -> Callable[..., int]:
        short = name.split("_v", maxsplit=1)[0].removeprefix("nvml")
        return getattr(type(self), f"_{short}").__get__(self)  # type: ignore[no-any-return]

    def _InitWithFlags(self, _flags: object) -> int:
        return SUCCESS

    def _Shutdown(self) -> int:
        return SUCCESS

    def _DeviceGetCount(self, count: Any) -> int:
        count._obj.value = 1
        return SUCCESS

    def _DeviceGetHandleByIndex(self, _index: object, _handle: Any) -> int:
        return SUCCESS

    def _DeviceGetName(self, _handle: Any, name: Any, _length: Any) -> int:
        name.value = b"NVIDIA RTX 3060"
        return SUCCESS

    def _SystemGetDriverVersion(self, version: Any, _length: Any) -> int:
        version.value = b"550.54"
        return SUCCESS

    def _DeviceGetMemoryInfo(self, _handle: Any, memory: Any) -> int:
        memory._obj.total, memory._obj.used = 12 * GIB, 5 * GIB
        return SUCCESS

    def _DeviceGetUtilizationRates(self, _handle: Any, rates: Any) -> int:
        rates._obj.gpu = 65
        return SUCCESS

    def _DeviceGetTemperature(self, _handle: Any, _sensor: Any, degrees: Any) -> int:
        degrees._obj.value = 64
        return SUCCESS

    def _DeviceGetPowerUsage(self, _handle: Any, _watts: Any) -> int:
        return NOT_SUPPORTED

    def _DeviceGetComputeRunningProcesses(self, _handle: Any, count: Any, rows: Any) -> int:
        return self._listed(self.computing, count, rows)

    def _DeviceGetGraphicsRunningProcesses(self, _handle: Any, count: Any, rows: Any) -> int:
        return self._listed(self.drawing, count, rows)

    def _listed(self, found: Mapping[int, int] | None, count: Any, rows: Array[Any] | None) -> int:
        if found is None:
            return NOT_SUPPORTED
        count._obj.value = len(found)
        if rows is None:
            return TOO_SMALL if found else SUCCESS
        for row, (pid, used_bytes) in zip(rows, found.items(), strict=False):
            row.pid, row.usedGpuMemory = pid, used_bytes
        return SUCCESS

    def _DeviceGetProcessUtilization(self, _handle: Any, rows: Any, count: Any, _since: Any) -> int:
        if self.used is None:
            return NOT_SUPPORTED
        count._obj.value = len(self.used)
        if rows is None:
            return TOO_SMALL if self.used else NOT_FOUND
        for row, (pid, percent) in zip(rows, self.used.items(), strict=False):
            row.pid, row.smUtil, row.timeStamp = pid, percent, round((time.time() - self.ago_s) * 1e6)
        return SUCCESS
