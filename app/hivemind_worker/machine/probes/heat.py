"""Temperature of the processor: the kernel's sensors, the driver for it first."""

from __future__ import annotations

import sys
from pathlib import Path

from hivemind_worker.machine.sampler import CPU_SENSORS, cpu_celsius

HWMON = Path("/sys/class/hwmon")


def processor_celsius(root: Path = HWMON, platform: str = sys.platform) -> float | None:
    """The hottest reading of the best driver that has one; None without a sensor."""
    if platform != "linux":
        return cpu_celsius()
    chips = {_text(chip / "name"): chip for chip in _children(root)}
    for name in CPU_SENSORS:
        if name in chips and (found := _readings(chips[name])):
            return max(found)
    return None


def _readings(chip: Path) -> list[float]:
    found = []
    for file in chip.glob("temp*_input"):
        text = _text(file)
        if text.lstrip("-").isdigit() and int(text):
            found.append(int(text) / 1000)
    return found


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
