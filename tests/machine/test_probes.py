"""Every source of facts through the real thing: X server, D-Bus services, prepared /sys and /proc trees."""

from __future__ import annotations

import ctypes
import queue
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest

from hivemind_worker.machine.probes import load as load_room
from hivemind_worker.machine.probes import power as power_room
from hivemind_worker.machine.probes.bus import Bus
from hivemind_worker.machine.probes.facts import FactProbe, Sources, steady_s, usual
from hivemind_worker.machine.probes.heat import processor_celsius
from hivemind_worker.machine.probes.idle import (
    Asked,
    FirstThatTells,
    logind,
    macos,
    mutter,
    own_x_session,
    screen_saver,
    usual_sources,
    windows,
)  # fmt: skip
from hivemind_worker.machine.probes.load import OthersLoad, OwnWork
from hivemind_worker.machine.probes.network import macos_metered, metered, windows_metered
from hivemind_worker.machine.probes.power import Power, from_psutil, from_sysfs, from_upower, power
from hivemind_worker.machine.probes.programs import from_proc, running_names
from hivemind_worker.machine.probes.x11 import X11Session
from hivemind_worker.machine.probes.zone import zone_at
from hivemind_worker.model.rules import Rules
from tests.machine.burning import Share
from tests.machine.desk import Person, Town, missing_desk, town, until, x_server

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has X11, D-Bus, /proc and /sys")


def lay(folder: Path, files: dict[str, str]) -> Path:
    """A tree of small files, as the kernel shows them."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text + "\n")
    return folder


# --- X11 -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def display_name() -> Iterator[str]:
    if missing_desk():
        pytest.skip(missing_desk())
    with x_server() as name:
        yield name


@linux
@pytest.mark.slow
def test_the_first_input_after_a_rest_is_told_at_once_and_only_once(display_name: str) -> None:
    touches: queue.Queue[float] = queue.Queue()
    session, person = X11Session(display_name, touches.put), Person(display_name)
    session.start()
    try:
        for act in (person.move, person.press):
            until(lambda: session.is_listening)
            acted_s = act()
            touched_s = touches.get(timeout=5)
            assert 0 <= touched_s - acted_s < 2.0
            idle_s = session.idle_s()
            assert idle_s is not None
            assert idle_s < 2.0
            for _ in range(50):  # a hand on the mouse sends many
                person.move()
            assert touches.empty()
        until(lambda: (session.idle_s() or 0) > 1.0)
    finally:
        person.close()
        session.close()
    assert not session._thread.is_alive()


@linux
def test_a_window_that_fills_the_screen_is_seen(display_name: str) -> None:
    from Xlib import X, Xatom, display

    session = X11Session(display_name, lambda at_s: None)
    manager = display.Display(display_name)  # plays the window manager
    root = manager.screen().root
    window = root.create_window(0, 0, 100, 100, 0, X.CopyFromParent)
    atoms = {
        name: manager.intern_atom(f"_NET_{name}")
        for name in ("ACTIVE_WINDOW", "WM_STATE", "WM_STATE_FULLSCREEN")
    }
    session.start()
    try:
        until(lambda: session.idle_s() is not None)
        assert session.full_screen() is None
        root.change_property(atoms["ACTIVE_WINDOW"], Xatom.WINDOW, 32, [window.id])
        manager.sync()
        until(lambda: session.full_screen() is False)
        window.change_property(atoms["WM_STATE"], Xatom.ATOM, 32, [atoms["WM_STATE_FULLSCREEN"]])
        manager.sync()
        until(session.full_screen)
        window.destroy()
        manager.sync()
        until(lambda: session.full_screen() is False)
    finally:
        session.close()
        manager.close()


@linux
def test_a_server_that_is_gone_means_cannot_tell() -> None:
    if missing_desk():
        pytest.skip(missing_desk())
    with x_server() as name:
        session = X11Session(name, lambda at_s: None)
        session.start()
        until(lambda: session.idle_s() is not None)
    until(lambda: session.idle_s() is None)
    session.close()


def test_x11_counts_only_where_it_sees_all_input() -> None:
    assert own_x_session({"DISPLAY": ":0"})
    assert not own_x_session({})
    assert not own_x_session({"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"})
    assert not own_x_session({"DISPLAY": ":0", "XDG_SESSION_TYPE": "wayland"})


# --- D-Bus -----------------------------------------------------------------------------------------


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    if missing_desk():
        pytest.skip(missing_desk())
    with town(tmp_path, monkeypatch) as found:
        yield found


@linux
def test_desktops_on_wayland_tell_how_long_nobody_was_there(services: Town) -> None:
    monitor = (
        "org.gnome.Mutter.IdleMonitor",
        "/org/gnome/Mutter/IdleMonitor/Core",
        "org.gnome.Mutter.IdleMonitor",
    )
    saver = ("org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver")
    services.service(*monitor, "GetIdletime", "t", "ret = 61500")
    services.service(*saver, "GetSessionIdleTime", "u", "ret = 4200")
    session, system = Bus("SESSION"), Bus("SYSTEM")
    assert (mutter(session).idle_s(), screen_saver(session).idle_s()) == (61.5, 4.2)
    first = FirstThatTells(usual_sources(session, system, None, platform="linux"))
    assert first.look() == (61.5, "Mutter")
    session.close()
    system.close()


@linux
def test_logind_tells_by_its_hint_where_no_desktop_does(services: Town) -> None:
    services.template("logind", "org.freedesktop.login1")
    manager = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
    session, system = Bus("SESSION"), Bus("SYSTEM")
    first = FirstThatTells(usual_sources(session, system, None, platform="linux"))
    services.set(*manager, "IdleHint", ("b", False))
    assert first.look() == (0.0, "logind")
    services.set(*manager, "IdleHint", ("b", True))
    services.set(*manager, "IdleSinceHint", ("t", int((time.time() - 300) * 1e6)))
    idle_s, name = first.look()
    assert idle_s is not None
    assert 300 <= idle_s < 330
    assert name == "logind"
    session.close()
    system.close()


@linux
def test_nobody_there_to_ask_is_said_as_cannot_tell(services: Town) -> None:
    session, system = Bus("SESSION"), Bus("SYSTEM")
    assert FirstThatTells(usual_sources(session, system, None, platform="linux")).look() == (None, "")
    assert (from_upower(system), metered(system)) == (None, None)
    session.close()
    system.close()


@linux
def test_no_bus_at_all_is_said_as_cannot_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    assert logind(Bus("SYSTEM")).idle_s() is None


@linux
def test_upower_tells_mains_battery_and_charge(services: Town) -> None:
    services.template("upower", "org.freedesktop.UPower", '{"OnBattery": true}')
    bus = Bus("SYSTEM")
    assert from_upower(bus) == Power(True, None)
    upower = ("org.freedesktop.UPower", "/org/freedesktop/UPower")
    device = (upower[0], f"{upower[1]}/devices/DisplayDevice", f"{upower[0]}.Device")
    services.set(*device, "IsPresent", ("b", True))
    services.set(*device, "Percentage", ("d", 41.0))
    assert power(bus, platform="linux") == Power(True, 41.0)
    services.set(*upower, upower[0], "OnBattery", ("b", False))
    assert from_upower(bus) == Power(False, 41.0)
    bus.close()


@linux
def test_the_power_saver_and_a_metered_network_are_heard_of(services: Town) -> None:
    services.template("power_profiles_daemon", "net.hadess.PowerProfiles")
    services.template("networkmanager", "org.freedesktop.NetworkManager")
    bus = Bus("SYSTEM")
    profiles = ("net.hadess.PowerProfiles", "/net/hadess/PowerProfiles", "net.hadess.PowerProfiles")
    services.set(*profiles, "ActiveProfile", ("s", "balanced"))
    assert power_room.power_saver(bus, platform="linux") is False
    services.set(*profiles, "ActiveProfile", ("s", "power-saver"))
    assert power_room.power_saver(bus, platform="linux") is True
    manager = (
        "org.freedesktop.NetworkManager",
        "/org/freedesktop/NetworkManager",
        "org.freedesktop.NetworkManager",
    )
    services.add(*manager, "Metered", ("u", 0))
    for value, expected in ((1, True), (3, True), (2, False), (4, False), (0, None)):
        services.set(*manager, "Metered", ("u", value))
        assert metered(bus, platform="linux") is expected
    bus.close()


@linux
def test_a_service_that_does_not_answer_costs_half_a_second_once(services: Town) -> None:
    services.service(
        "org.sleepy", "/org/sleepy", "org.sleepy", "Nap", "u", "import time; time.sleep(3); ret = 1"
    )
    bus = Bus("SESSION")
    began = time.monotonic()
    assert bus.call("org.sleepy", "/org/sleepy", "org.sleepy", "Nap") is None
    asked_s = time.monotonic() - began
    assert asked_s < 2.5
    assert bus.call("org.sleepy", "/org/sleepy", "org.sleepy", "Nap") is None
    assert time.monotonic() - began < asked_s + 0.4
    bus.close()


# --- Windows and macOS, by their recorded behaviour ---------------------------------------------------


def test_windows_idle_time_survives_the_wrap_of_its_counter() -> None:
    def last_input(at_ms: int) -> Any:
        def fill(pointer: Any) -> int:
            pointer._obj.dwTime = at_ms
            return 1

        return SimpleNamespace(GetLastInputInfo=fill)

    kernel = SimpleNamespace(GetTickCount=lambda: 5_000)
    assert windows(last_input(2_000), kernel).idle_s() == 3.0
    assert windows(last_input(2**32 - 1_000), kernel).idle_s() == 6.0
    signed = SimpleNamespace(GetTickCount=lambda: ctypes.c_int(2**31 + 5_000).value)  # ctypes' usual type
    assert windows(last_input(2**31), signed).idle_s() == 5.0
    refuses = SimpleNamespace(GetLastInputInfo=lambda pointer: 0)
    assert windows(refuses, kernel).idle_s() is None


IOREG = """+-o Root  <class IORegistryEntry, id 0x100000100, retain 28>
  +-o J314sAP  <class IOPlatformExpertDevice, id 0x100000242, registered>
    +-o IOHIDSystem  <class IOHIDSystem, id 0x10000050f, registered>
        {
          "HIDIdleTime" = 83421708542
        }
"""


def test_macos_idle_time_and_power_come_from_its_own_commands() -> None:
    assert macos(lambda: IOREG).idle_s() == pytest.approx(83.42, abs=0.01)
    assert macos(lambda: "").idle_s() is None

    def absent() -> str:
        raise FileNotFoundError

    assert macos(absent).idle_s() is None
    assert power_room.macos_saver(lambda: "Currently in use:\n lowpowermode         1\n sleep 1\n") is True
    assert power_room.macos_saver(lambda: " lowpowermode 0\n") is False
    assert power_room.macos_saver(lambda: " sleep 1\n") is None
    assert power_room.macos_saver(absent) is None


class CostManager:
    """Windows' network cost manager as COM shows it: a table of functions in memory, behind an interface."""

    def __init__(self, cost: int, *, created: int = 0, answers: int = 0, com: int = 0) -> None:
        self.calls: list[str] = []
        self._cost, self._created, self._answers, self._com = cost, created, answers, com
        kinds = [ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, *more)
                 for more in ((), (), (), (ctypes.POINTER(ctypes.c_uint32), ctypes.c_void_p))]  # fmt: skip
        does = (lambda this: 0, lambda this: 1, self._release, self._get_cost)
        self._functions = [kind(do) for kind, do in zip(kinds, does, strict=True)]
        pointers = [ctypes.cast(each, ctypes.c_void_p).value for each in self._functions]
        self._table = (ctypes.c_void_p * 4)(*pointers)
        self._object = ctypes.pointer(self._table)

    def _release(self, this: int) -> int:
        self.calls.append("Release")
        return 0

    def _get_cost(self, this: int, cost: Any, where: int | None) -> int:
        assert where is None  # of this computer as a whole
        cost[0] = self._cost
        return self._answers

    def CoInitializeEx(self, reserved: None, mode: int) -> int:
        return self._com

    def CoUninitialize(self) -> None:
        self.calls.append("CoUninitialize")

    def CoCreateInstance(self, made: Any, outer: None, context: int, face: Any, place: Any) -> int:
        assert uuid.UUID(bytes_le=made.raw) == uuid.UUID("DCB00C01-570F-4A9B-8D69-199FDBA5723B")
        assert uuid.UUID(bytes_le=face.raw) == uuid.UUID("DCB00008-570F-4A9B-8D69-199FDBA5723B")
        place._obj.value = ctypes.addressof(self._object)
        return self._created


def test_windows_tells_the_cost_of_the_connection_through_com() -> None:
    for cost, expected in (
        (0x1, False), (0x2, True), (0x4, True), (0x40001, True), (0x10002, True), (0x80001, False), (0, None)
    ):  # fmt: skip
        library = CostManager(cost)
        assert windows_metered(library) is expected
        assert library.calls == ["Release", "CoUninitialize"]
    assert windows_metered(CostManager(1, answers=-1)) is None
    absent = CostManager(1, created=-2147221164)  # REGDB_E_CLASSNOTREG
    assert windows_metered(absent) is None
    assert absent.calls == ["CoUninitialize"]
    other_way = CostManager(2, com=-2147417850)  # RPC_E_CHANGED_MODE: somebody else has begun COM here
    assert windows_metered(other_way) is True
    assert other_way.calls == ["Release"]


ROUTE = """   route to: default
destination: default
       mask: default
    gateway: 172.20.10.1
  interface: en0
      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>
"""


def test_macos_knows_the_network_of_a_phone_and_says_of_others_that_it_cannot_tell() -> None:
    def mac(offer: str) -> Any:
        asked: list[list[str]] = []

        def read(command: list[str]) -> str:
            asked.append(command)
            if "route" in command[0]:
                return ROUTE
            assert command[-1] == "en0"
            return offer

        return read

    iphone = "op = BOOTREPLY\nyiaddr = 172.20.10.3\nsiaddr = 172.20.10.1\n"
    android = (
        "yiaddr = 192.168.43.7\nvendor_specific (opaque): \n"
        "0000  41 4e 44 52 4f 49 44 5f  4d 45 54 45 52 45 44     ANDROID_METERED\n"
    )
    home = "yiaddr = 192.168.1.20\nrouter (ip_mult): {192.168.1.1}\n"
    assert macos_metered(mac(iphone)) is True
    assert macos_metered(mac(android)) is True
    assert macos_metered(mac(home)) is None
    assert macos_metered(mac("")) is None

    def absent(command: list[str]) -> str:
        raise subprocess.CalledProcessError(1, command)

    assert macos_metered(absent) is None  # type: ignore[arg-type]


def test_windows_battery_saver_is_a_flag_of_its_power_status() -> None:
    def status(flag: int) -> Any:
        def fill(pointer: Any) -> int:
            pointer._obj.saver = flag
            return 1

        return SimpleNamespace(GetSystemPowerStatus=fill)

    assert power_room.windows_saver(status(1)) is True
    assert power_room.windows_saver(status(0)) is False


def test_the_battery_of_windows_and_macos_comes_through_psutil() -> None:
    assert from_psutil(lambda: None) == Power(False)
    assert from_psutil(lambda: SimpleNamespace(percent=55, power_plugged=False)) == Power(True, 55.0)
    assert from_psutil(lambda: SimpleNamespace(percent=55, power_plugged=None)) == Power(None, 55.0)


# --- /sys and /proc ------------------------------------------------------------------------------------

SUPPLIES: list[tuple[str, dict[str, str], Power]] = [
    ("desktop", {}, Power(False)),
    ("laptop on battery", {"AC/type": "Mains", "AC/online": "0", "BAT0/type": "Battery",
                           "BAT0/status": "Discharging", "BAT0/capacity": "64"}, Power(True, 64.0)),
    ("laptop on mains", {"AC/type": "Mains", "AC/online": "1", "BAT0/type": "Battery",
                         "BAT0/status": "Charging", "BAT0/capacity": "64"}, Power(False, 64.0)),
    ("two batteries", {"BAT0/type": "Battery", "BAT0/status": "Unknown", "BAT0/capacity": "20",
                       "BAT1/type": "Battery", "BAT1/status": "Discharging", "BAT1/capacity": "80"},
     Power(True, 50.0)),
    ("desktop with a mouse", {"hidpp/type": "Battery", "hidpp/scope": "Device",
                              "hidpp/status": "Discharging", "hidpp/capacity": "5"}, Power(False)),
    ("battery that tells no charge", {"BAT0/type": "Battery", "BAT0/status": "Discharging"}, Power(True)),
]  # fmt: skip


@pytest.mark.parametrize("name,files,expected", SUPPLIES, ids=[row[0] for row in SUPPLIES])
def test_the_kernel_tells_mains_and_battery(
    tmp_path: Path, name: str, files: dict[str, str], expected: Power
) -> None:
    assert from_sysfs(lay(tmp_path, files)) == expected
    assert from_sysfs(tmp_path / "absent") is None


def test_the_processors_own_sensor_is_found_and_lies_are_left_to_the_rules(tmp_path: Path) -> None:
    lay(tmp_path, {"hwmon0/name": "nvme", "hwmon0/temp1_input": "71000"})
    assert processor_celsius(tmp_path, "linux") is None
    lay(tmp_path, {"hwmon1/name": "k10temp", "hwmon1/temp1_input": "55250", "hwmon1/temp3_input": "61000",
                   "hwmon1/temp9_input": "soon"})  # fmt: skip
    assert processor_celsius(tmp_path, "linux") == 61.0
    lay(tmp_path, {"hwmon2/name": "coretemp", "hwmon2/temp1_input": "-273000"})
    assert processor_celsius(tmp_path, "linux") == -273.0
    assert processor_celsius(tmp_path / "absent", "linux") is None


@linux
def test_named_programs_are_found_among_real_processes() -> None:
    with subprocess.Popen(["sleep", "60"]) as program:
        try:
            until(lambda: "sleep" in from_proc())
            assert running_names(frozenset({"sleep", "no-such-program"})) == {"sleep"}
        finally:
            program.kill()


def test_program_names_are_compared_as_the_system_cuts_and_writes_them(tmp_path: Path) -> None:
    lay(tmp_path, {"1/comm": "a-very-long-pro", "2/comm": "OBS", "self/comm": "x"})
    wanted = Rules(programs="A-Very-Long-Program-Name, obs.exe, blender").program_names
    assert running_names(wanted, lambda: from_proc(tmp_path)) == {"a-very-long-program-name", "obs"}
    assert running_names(frozenset()) == frozenset()
    assert running_names(wanted, lambda: from_proc(tmp_path / "absent")) is None


@linux
def test_load_of_others_is_seen_and_that_of_tasks_is_not() -> None:
    burn = [sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(burn) as program:
        try:
            own, others = OthersLoad(lambda: OwnWork(pids=(program.pid,))), OthersLoad(OwnWork)
            assert (own.look(), others.look()) == (None, None)
            share = Share(program.pid)
            time.sleep(1.0)
            its_percent = share.percent()
            with_it, without_it = others.look(), own.look()
        finally:
            program.kill()
    assert with_it is not None
    assert without_it is not None
    assert with_it - without_it > its_percent / 2 > 0


@pytest.mark.parametrize(
    "group,file,text",
    [
        (
            "0::/system.slice/docker-abc.scope",
            "system.slice/docker-abc.scope/cpu.stat",
            "usage_usec {}000000",
        ),
        ("4:cpu,cpuacct:/docker/abc", "cpuacct/docker/abc/cpuacct.usage", "{}000000000"),
    ],
)
def test_a_container_is_counted_as_a_whole_by_its_control_group(
    tmp_path: Path, group: str, file: str, text: str
) -> None:
    proc, cgroups = lay(tmp_path / "proc", {"77/cgroup": group}), tmp_path / "cgroups"
    lay(cgroups, {file: text.format(10)})
    moments, busy = iter((0.0, 10.0)), iter((100.0, 120.0))
    load = OthersLoad(
        lambda: OwnWork(pids=(77,)),
        proc=proc,
        cgroups=cgroups,
        steady=lambda: next(moments),
        busy=lambda: next(busy),
    )
    load._cores = 4
    assert load.look() is None
    lay(cgroups, {file: text.format(26)})
    shown = load.look()
    assert shown is not None
    assert shown == pytest.approx(100 * (20 - 16) / 40, abs=1.0)


def test_a_task_at_low_priority_hides_nothing_of_what_others_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system counts such work in a column of its own, which must be in what is taken it from."""
    whole = iter((100.0, 110.0))  # 10 s of a program of the owner's, 10 s of the task
    times = lambda: SimpleNamespace(user=(n := next(whole)), nice=n, system=0.0)  # noqa: E731
    task = iter((50.0, 60.0))
    monkeypatch.setattr(psutil, "cpu_times", times)
    monkeypatch.setattr(load_room, "_process_s", lambda pid: next(task))
    moments = iter((0.0, 10.0))
    load = OthersLoad(lambda: OwnWork(pids=(77,)), proc=Path("/absent"), steady=lambda: next(moments))
    load._cores = 2
    assert load.look() is None
    assert load.look() == pytest.approx(50.0, abs=1.0)


def test_what_tasks_use_in_a_virtual_machine_is_not_that_of_others(tmp_path: Path) -> None:
    moments, busy = iter((0.0, 10.0)), iter((100.0, 120.0))
    load = OthersLoad(
        lambda: OwnWork(unseen_cores=1.5), steady=lambda: next(moments), busy=lambda: next(busy)
    )
    load._cores = 4
    assert load.look() is None
    assert load.look() == pytest.approx(100 * (20 - 15) / 40, abs=1.0)


@linux
@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
def test_the_zone_and_its_next_change_are_the_systems(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TZ", name)
    try:
        for month, day in ((3, 27), (4, 3), (10, 23), (10, 30), (7, 1)):
            at_s = datetime(2026, month, day, 12, tzinfo=ZoneInfo(name)).timestamp()
            zone = zone_at(at_s)
            for hours in range(0, 7 * 24):
                then = datetime.fromtimestamp(at_s + hours * 3600, ZoneInfo(name)).utcoffset()
                assert then is not None
                assert zone.offset_at(at_s + hours * 3600) == then.total_seconds()
    finally:
        monkeypatch.undo()
        time.tzset()


# --- all of it -----------------------------------------------------------------------------------------


def test_a_source_that_vanishes_gives_way_to_the_next_and_comes_back() -> None:
    now_s, better = [0.0], [5.0]
    first = FirstThatTells(
        [Asked("better", lambda: better[0]), Asked("worse", lambda: 9.0)], steady=lambda: now_s[0]
    )
    assert first.look() == (5.0, "better")
    better[0] = float("nan")
    assert first.look() == (9.0, "worse")
    better[0] = 6.0
    assert first.look() == (9.0, "worse")
    now_s[0] = 61.0
    assert first.look() == (6.0, "better")


def test_programs_are_listed_only_when_a_rule_asks_and_at_most_every_five_seconds(tmp_path: Path) -> None:
    asked: list[frozenset[str]] = []
    sources = Sources(
        idle=lambda: (None, ""), power=Power, power_saver=lambda: None, others_load=lambda: None,
        programs=lambda names: asked.append(names) or names, metered=lambda: None, disk_free_gb=lambda: 9.0,
    )  # fmt: skip
    probe = FactProbe(sources)
    assert probe.look(Rules()).programs is None
    on = replace(Rules(), programs_on=True, programs="blender")
    assert [probe.look(on).programs for _ in range(20)] == [{"blender"}] * 20
    assert len(asked) == 1
    assert probe.look(replace(on, programs="obs")).programs == {"obs"}


def test_this_computers_own_facts_are_gathered_without_an_error(tmp_path: Path) -> None:
    probe = FactProbe(usual(tmp_path, OwnWork, lambda at_s: None))
    facts = [probe.look(replace(Rules(), programs_on=True, programs="x")) for _ in range(3)][-1]
    probe.close()
    assert facts.disk_free_gb
    assert facts.memory_percent
    assert facts.programs == frozenset()
    assert abs(facts.steady_s - steady_s()) < 60
