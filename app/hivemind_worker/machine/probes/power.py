"""Mains or battery, its charge, and whether the system saves power."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hivemind_worker.machine.probes.bus import Bus

SUPPLIES = Path("/sys/class/power_supply")
PLATFORM_PROFILE = Path("/sys/firmware/acpi/platform_profile")
PROFILES = (
    ("net.hadess.PowerProfiles", "/net/hadess/PowerProfiles"),
    ("org.freedesktop.UPower.PowerProfiles", "/org/freedesktop/UPower/PowerProfiles"),
)


class Power(NamedTuple):
    """None where it cannot be told; a computer without a battery is not on battery."""

    on_battery: bool | None = None
    percent: float | None = None


def from_upower(system: Bus) -> Power | None:
    """UPower, which knows uninterruptible supplies as well; None when it is not there."""
    service = "org.freedesktop.UPower"
    on_battery = system.get(service, "/org/freedesktop/UPower", service, "OnBattery")
    if on_battery is None:
        return None
    device = (service, "/org/freedesktop/UPower/devices/DisplayDevice", "org.freedesktop.UPower.Device")
    percent = system.get(*device, "Percentage") if system.get(*device, "IsPresent") else None
    return Power(bool(on_battery), None if percent is None else float(percent))


def from_sysfs(root: Path = SUPPLIES) -> Power | None:
    """The kernel's own list; batteries of mice and keyboards do not count. None when there is no list."""
    try:
        supplies = [each for each in sorted(root.iterdir()) if _line(each / "scope") != "device"]
    except OSError:
        return None
    mains = [_line(each / "online") for each in supplies if _line(each / "type") in ("mains", "usb")]
    batteries = [each for each in supplies if _line(each / "type") == "battery"]
    levels = [float(text) for each in batteries if (text := _line(each / "capacity")).isdigit()]
    empties = any(_line(each / "status") == "discharging" for each in batteries)
    return Power(empties and "1" not in mains, sum(levels) / len(levels) if levels else None)


def from_psutil(read: Callable[[], Any] | None = None) -> Power | None:
    """Windows and macOS."""
    if read is None:
        import psutil  # noqa: PLC0415

        read = getattr(psutil, "sensors_battery", lambda: None)
    assert read is not None
    found = read()
    if found is None:
        return Power(False)
    return Power(None if found.power_plugged is None else not found.power_plugged, float(found.percent))


def power(system: Bus, platform: str = sys.platform, supplies: Path = SUPPLIES) -> Power:
    """The first source that can tell."""
    if platform != "linux":
        return from_psutil() or Power()
    return from_upower(system) or from_sysfs(supplies) or Power()


# --- saving power ----------------------------------------------------------------------------------


def power_saver(system: Bus, platform: str = sys.platform, profile: Path = PLATFORM_PROFILE) -> bool | None:
    """Whether the owner has asked the system to save power."""
    if platform == "win32":
        return windows_saver()
    if platform == "darwin":
        return macos_saver()
    for service, path in PROFILES:
        if (active := system.get(service, path, service, "ActiveProfile")) is not None:
            return bool(active == "power-saver")
    text = _line(profile)
    return text == "low-power" if text else None


def windows_saver(kernel32: Any = None) -> bool | None:
    """The battery saver's flag of GetSystemPowerStatus."""
    import ctypes  # noqa: PLC0415

    class Status(ctypes.Structure):
        _fields_ = [
            ("line", ctypes.c_byte), ("flag", ctypes.c_byte), ("percent", ctypes.c_byte),
            ("saver", ctypes.c_byte), ("life", ctypes.c_ulong), ("full", ctypes.c_ulong),
        ]  # fmt: skip

    status = Status()
    kernel: Any = kernel32 or getattr(ctypes, "windll").kernel32  # noqa: B009 - absent elsewhere
    return bool(status.saver) if kernel.GetSystemPowerStatus(ctypes.byref(status)) else None


def _pmset() -> str:
    command = ["/usr/bin/pmset", "-g"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=2).stdout


def macos_saver(read: Callable[[], str] = _pmset) -> bool | None:
    """The low power mode of `pmset -g`."""
    try:
        lines = read().splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    for line in lines:
        words = line.split()
        if words[:1] == ["lowpowermode"] and len(words) > 1:
            return words[1] == "1"
    return None


def _line(file: Path) -> str:
    try:
        return file.read_text().strip().lower()
    except OSError:
        return ""
