"""Whether the network is metered, as far as the system tells; the owner may say it by a rule instead.

Linux: NetworkManager's word. Windows: the cost that the system gives the connection. macOS tells it to
programs of its own frameworks alone; what can be read is whether the network is a phone's.
The ways of Windows and macOS are tested by their recorded behaviour: they have run on neither.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hivemind_worker.machine.probes.bus import Bus

YES, GUESS_YES, UNKNOWN = 1, 3, 0


def metered(system: Bus, platform: str = sys.platform) -> bool | None:
    """Whether what passes may cost the owner; None where it cannot be told."""
    if platform == "win32":
        return windows_metered()
    if platform == "darwin":
        return macos_metered()
    service = "org.freedesktop.NetworkManager"
    found = system.get(service, "/org/freedesktop/NetworkManager", service, "Metered")
    if not isinstance(found, int) or found == UNKNOWN:
        return None
    return found in (YES, GUESS_YES)


# --- Windows: INetworkCostManager of the network list manager ---------------------------------------

LIST_MANAGER = uuid.UUID("DCB00C01-570F-4A9B-8D69-199FDBA5723B")
COST_MANAGER = uuid.UUID("DCB00008-570F-4A9B-8D69-199FDBA5723B")
ANY_CONTEXT, MULTITHREADED = 0x17, 0
RELEASE, GET_COST = 2, 3
"""Places in the interface's table: the three of every COM object come first."""
UNRESTRICTED, FIXED, VARIABLE = 0x1, 0x2, 0x4
OVER_LIMIT, ROAMING = 0x10000, 0x40000


def windows_metered(ole32: Any = None) -> bool | None:
    """The cost of the connection in use: fixed and variable plans, roaming and a limit passed are metered."""
    try:
        library: Any = ole32 or getattr(ctypes, "windll").ole32  # noqa: B009 - absent elsewhere
        with _com(library), _cost_manager(library) as manager:
            cost = ctypes.c_uint32()
            get_cost = _method(manager, GET_COST, ctypes.c_void_p, ctypes.c_void_p)
            if get_cost(manager, ctypes.addressof(cost), None) < 0:
                return None
            return _is_costly(cost.value)
    except (OSError, AttributeError):
        return None


def _is_costly(cost: int) -> bool | None:
    if cost & (FIXED | VARIABLE | OVER_LIMIT | ROAMING):
        return True
    return False if cost & UNRESTRICTED else None


@contextlib.contextmanager
def _com(library: Any) -> Iterator[None]:
    """COM in this thread; one that others have begun in another way serves as well."""
    began = library.CoInitializeEx(None, MULTITHREADED) >= 0
    try:
        yield
    finally:
        if began:
            library.CoUninitialize()


@contextlib.contextmanager
def _cost_manager(library: Any) -> Iterator[ctypes.c_void_p]:
    manager = ctypes.c_void_p()
    made, face = (ctypes.create_string_buffer(each.bytes_le, 16) for each in (LIST_MANAGER, COST_MANAGER))
    result = library.CoCreateInstance(made, None, ANY_CONTEXT, face, ctypes.byref(manager))
    if result < 0 or not manager.value:
        raise OSError(f"no network cost manager ({result:#x})")
    try:
        yield manager
    finally:
        _method(manager, RELEASE)(manager)


def _method(manager: ctypes.c_void_p, place: int, *takes: Any) -> Any:
    kind: Any = getattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE)
    table = ctypes.cast(manager, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
    return kind(ctypes.c_int32, ctypes.c_void_p, *takes)(table[place])


# --- macOS -------------------------------------------------------------------------------------------

HOTSPOT = ipaddress.ip_network("172.20.10.0/28")
"""What every iPhone gives out, by Wi-Fi, cable and Bluetooth."""
ANDROID_MARK = b"ANDROID_METERED"
"""What Android's hotspots write into the vendor's option of their address offers."""


def _said(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=2).stdout


def macos_metered(read: Callable[[Sequence[str]], str] = _said) -> bool | None:
    """True in the network of a phone; else None: another plan that costs, or Low Data Mode, is not told."""
    try:
        route = _fields(read(["/sbin/route", "-n", "get", "default"]), ":")
        offer = read(["/usr/sbin/ipconfig", "getpacket", route.get("interface", "")])
    except (OSError, subprocess.SubprocessError):
        return None
    address = _fields(offer, "=").get("yiaddr", "")
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(address) in HOTSPOT:
            return True
    marks = (ANDROID_MARK.decode(), ANDROID_MARK.hex())
    return True if any(mark in offer.replace(" ", "") for mark in marks) else None


def _fields(text: str, sign: str) -> dict[str, str]:
    pairs = (line.partition(sign) for line in text.splitlines())
    return {name.strip(): value.strip() for name, found, value in pairs if found}
