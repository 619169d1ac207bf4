"""Every rule through its real source, in a whole worker: X11, D-Bus, /proc, a tree like /sys, the API.

What happens outside is really done; then the rule's verdict is the first, the task is frozen (or no new one
is taken), and the command that the verdict names lets work go on.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from hivemind_worker.core.policy import objection
from hivemind_worker.machine.probes.facts import Sources
from hivemind_worker.machine.probes.heat import processor_celsius
from hivemind_worker.model.events import ConditionReported, PauseAsked, ResumeAsked
from hivemind_worker.model.facts import Condition
from hivemind_worker.model.rules import DAYS
from hivemind_worker.model.task import TaskState
from hivemind_worker.presentation.health import verdicts
from hivemind_worker.worker_node import WorkerNode
from hivemind_worker.worker_node import rules as rules_room
from tests.contract.stage import session_sandbox
from tests.e2e.test_guest import offer, states, until, worker
from tests.machine.desk import Person, Town, missing_desk, town, x_server
from tests.machine.test_probes import lay

pytestmark = [
    pytest.mark.release,
    pytest.mark.skipif(sys.platform != "linux", reason="X11, D-Bus, /proc and /sys are matters of Linux"),
]
UPOWER = ("org.freedesktop.UPower", "/org/freedesktop/UPower")
BATTERY = (UPOWER[0], f"{UPOWER[1]}/devices/DisplayDevice", f"{UPOWER[0]}.Device")
SAVER = ("net.hadess.PowerProfiles", "/net/hadess/PowerProfiles", "net.hadess.PowerProfiles")
NETWORK = (
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
)
QUIET = {
    "idle_on": False, "load_on": False, "heat_on": False, "programs_on": False, "full_screen_on": False,
    "battery_on": False, "battery_low_on": False, "power_saver_on": False, "metered_on": False,
    "disk_on": False, "memory_on": False,
}  # fmt: skip


class Desk:
    """A worker in surroundings that can be changed."""

    def __init__(self, node: WorkerNode, services: Town, display_name: str, folder: Path) -> None:
        self.node, self.services, self.display_name, self.folder = node, services, display_name, folder

    async def rules(self, **changes: object) -> None:
        """These rules, all others off."""
        assert await self.node.rules.change({**QUIET, **changes}) == ()

    def battery(self, percent: float, on_battery: bool = True) -> None:
        self.services.set(*BATTERY, "IsPresent", ("b", True))
        self.services.set(*BATTERY, "Percentage", ("d", percent))
        self.services.set(*UPOWER, UPOWER[0], "OnBattery", ("b", on_battery))

    def first(self) -> str:
        return verdicts(self.node.snapshot())[0].code


@contextmanager
def program(folder: Path, name: str) -> Iterator[None]:
    """A process of this name."""
    copy = Path(shutil.copy(shutil.which("sleep") or "/bin/sleep", folder / name))
    with subprocess.Popen([copy, "60"]) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def busy() -> Iterator[None]:
    """A program that takes a processor."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def full_screen(display_name: str) -> Iterator[None]:
    """A window manager says that the active window fills the screen."""
    from Xlib import X, Xatom, display

    manager = display.Display(display_name)
    root = manager.screen().root
    window = root.create_window(0, 0, 100, 100, 0, X.CopyFromParent)
    state, full = (manager.intern_atom(f"_NET_WM_STATE{end}") for end in ("", "_FULLSCREEN"))
    root.change_property(manager.intern_atom("_NET_ACTIVE_WINDOW"), Xatom.WINDOW, 32, [window.id])
    window.change_property(state, Xatom.ATOM, 32, [full])
    manager.sync()
    try:
        yield
    finally:
        manager.close()


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    if missing_desk():
        pytest.skip(missing_desk())
    heat = lay(tmp_path / "hwmon", {"hwmon0/name": "coretemp", "hwmon0/temp1_input": "52000"})
    usual = rules_room.usual_sources

    def with_heat(*given: Any) -> Sources:
        return replace(usual(*given), heat=partial(processor_celsius, heat, "linux"))

    monkeypatch.setattr(rules_room, "usual_sources", with_heat)
    monkeypatch.setenv("HIVEMIND_SANDBOX", str(session_sandbox()))
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    with x_server() as display_name, town(tmp_path, monkeypatch) as services:
        services.template("upower", UPOWER[0], '{"OnBattery": false}')
        services.template("power_profiles_daemon", SAVER[0])
        services.template("networkmanager", NETWORK[0])
        services.add(*NETWORK, "Metered", ("u", 2))
        services.set(*SAVER, "ActiveProfile", ("s", "balanced"))
        monkeypatch.setenv("DISPLAY", display_name)
        async with worker(tmp_path / "home") as node:
            await offer(node, 0)
            await until(lambda: states(node) == {TaskState.RUNNING})
            yield Desk(node, services, display_name, tmp_path)


async def holds(desk: Desk, code: str, *, freezes: bool = True) -> None:
    """The rule's verdict comes first; its task is frozen, or goes on while no new one is taken."""
    await until(lambda: code in [each.code for each in verdicts(desk.node.snapshot())])
    if freezes:
        await until(lambda: states(desk.node) == {TaskState.PAUSED})
        assert desk.first() == code
    else:
        assert states(desk.node) == {TaskState.RUNNING}
        assert objection(desk.node.parts.engine.state) is not None


async def lets_go(desk: Desk) -> None:
    """The rule is switched off, as its verdict's command does."""
    await desk.rules()
    await until(lambda: states(desk.node) == {TaskState.RUNNING})


async def test_each_rule_acts_by_its_real_source_and_lets_go(desk: Desk) -> None:
    person = Person(desk.display_name)
    person.move()
    await desk.rules(idle_on=True, idle_start_after_min=1.0)
    await holds(desk, "in_use")
    await lets_go(desk)
    person.close()

    with full_screen(desk.display_name):
        await desk.rules(full_screen_on=True)
        await holds(desk, "full_screen")
    await lets_go(desk)

    with program(desk.folder, "hm-a-game"):
        await desk.rules(programs_on=True, programs="hm-a-game")
        await holds(desk, "program_running")
    await lets_go(desk)

    with busy():
        await desk.rules(load_on=True, load_percent=2, load_for_s=0)
        await holds(desk, "other_programs")
    await lets_go(desk)

    desk.battery(80.0)
    await desk.rules(battery_on=True)
    await holds(desk, "on_battery")
    await lets_go(desk)
    desk.battery(12.0)
    await desk.rules(battery_low_on=True)
    await holds(desk, "battery_low")
    await lets_go(desk)

    desk.services.set(*SAVER, "ActiveProfile", ("s", "power-saver"))
    await desk.rules(power_saver_on=True)
    await holds(desk, "power_saver")
    await lets_go(desk)

    desk.services.set(*NETWORK, "Metered", ("u", 1))
    await desk.rules(metered_on=True)
    await holds(desk, "metered_network", freezes=False)
    desk.services.set(*NETWORK, "Metered", ("u", 2))

    await desk.rules(heat_on=True)
    lay(desk.folder / "hwmon", {"hwmon0/temp1_input": "96000"})
    await holds(desk, "too_hot")
    await lets_go(desk)

    await desk.rules(disk_on=True, disk_free_gb=65536)
    await holds(desk, "disk_low")
    await lets_go(desk)

    used = psutil.virtual_memory().percent
    if used > 12:  # the lowest mark that the rule takes is 10 %
        await desk.rules(memory_on=True, memory_accept_percent=10, memory_pause_percent=10)
        await holds(desk, "memory_pausing")
        await desk.rules()

    now_s = time.time()
    solar = Condition(name="solar", ok=False, reason="clouds", since_s=now_s, ends_at_s=now_s + 60)
    await desk.rules(conditions_on=True)
    await desk.node.ask(ConditionReported(at_s=now_s, condition=solar))
    await holds(desk, "outside_condition")
    await desk.node.ask(ConditionReported(at_s=now_s, condition=replace(solar, ok=True)))
    await lets_go(desk)

    await desk.rules(**dict.fromkeys(DAYS, "0" * 48))
    await holds(desk, "schedule_off")
    await desk.rules(**dict.fromkeys(DAYS, "3" * 48))
    await until(lambda: states(desk.node) == {TaskState.RUNNING})


async def test_a_source_that_blocks_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts are asked in a thread of their own: a service that hangs makes the worker no slower."""
    monkeypatch.setenv("HIVEMIND_SANDBOX", str(session_sandbox()))
    monkeypatch.delenv("DISPLAY", raising=False)
    usual, hangs, goes_on = rules_room.usual_sources, threading.Event(), threading.Event()
    goes_on.set()

    def stuck(*given: Any) -> Sources:
        made = usual(*given)

        def look() -> float | None:
            if not goes_on.is_set():
                hangs.set()
                goes_on.wait(60)
            return made.others_load()

        return replace(made, others_load=look)

    monkeypatch.setattr(rules_room, "usual_sources", stuck)
    async with worker(tmp_path) as node:
        assert await node.rules.change({"load_on": True}) == ()
        goes_on.clear()
        await until(hangs.is_set)
        async with asyncio.timeout(30):
            for _ in range(3):
                await node.sample()
                await node.ask(PauseAsked(at_s=time.time()))
                await node.ask(ResumeAsked(at_s=time.time()))
        assert not goes_on.is_set()
        goes_on.set()
