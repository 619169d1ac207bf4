"""The good guest: one judgement, a day simulated, the cost of looking, and from an input to all tasks frozen.

The last is in `giving_way`; beside it stands how fast the raw event alone arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hivemind_worker.core.judge import Memory, judge
from hivemind_worker.core.simulate import simulate, usual_day
from hivemind_worker.machine.probes.facts import FactProbe, usual
from hivemind_worker.machine.probes.load import OwnWork
from hivemind_worker.machine.probes.x11 import X11Session
from hivemind_worker.model.preview import Moment
from tests.benchmarks.giving_way import in_x11, p95, polled, surroundings
from tests.benchmarks.report import Report
from tests.contract.docker_engine import session_engine, why_not
from tests.contract.stage import session_sandbox
from tests.core.test_rules import ALL, FREE, MONDAY_S
from tests.e2e.test_guest import until
from tests.machine.desk import Person, missing_desk, town, x_server

PROCESSES = 300
LOOKS_S = 20
SCORES = 10


async def run(report: Report, folder: Path) -> None:
    judging(report)
    scores = [await asyncio.to_thread(score) for _ in range(SCORES)]
    note = f"by the command: {', '.join(f'{each:.1f}' for each in scores)}"
    spread = max(scores) / min(scores)
    report.add("processor's score, ten times: largest to smallest", spread, "times", most=1.05, note=note)
    if missing_desk():
        print(f"not measured: looking, first input to all frozen ({missing_desk()})")
        return
    with x_server() as name:
        await asyncio.to_thread(looking, report, folder, name)
        report.add("raw input event arrives, p95", p95(await events(name)), "ms", most=4.0)
        await giving_way(report, folder, name)


def score() -> float:
    """By the command, so that each has a process of its own."""
    words = [sys.executable, "-m", "hivemind_worker", "benchmark", "--json"]
    told = subprocess.run(words, capture_output=True, check=True, timeout=120).stdout
    return float(json.loads(told)["one_core"])


async def giving_way(report: Report, folder: Path, display_name: str) -> None:
    with surroundings(HIVEMIND_SANDBOX=str(session_sandbox())):
        await in_x11(report, folder, display_name, None)
        if why_not():
            print(f"not measured: containers ({why_not()})")
            await polled(report, folder, None)
            return
        engine = await asyncio.to_thread(session_engine)
        await in_x11(report, folder, display_name, engine)
        await polled(report, folder, engine)


def judging(report: Report) -> None:
    """All rules switched on, 17 of them."""
    memory = Memory()
    facts = [replace(FREE, steady_s=float(n), idle_s=n * 7.0 % 900) for n in range(2000)]
    began = time.process_time()
    for number, each in enumerate(facts):
        _, memory = judge(ALL, each, memory, at_s=MONDAY_S + number)
    report.add(
        "one judgement of all rules", (time.process_time() - began) / len(facts) * 1000, "ms", most=0.2
    )
    now = Moment(at_s=MONDAY_S, facts=FREE)
    history = [replace(now, at_s=MONDAY_S - 7 * 86400 + n * 300) for n in range(2016)]
    day = usual_day(history, now)
    began = time.process_time()
    simulate(ALL, day)
    report.add("24 hours simulated", (time.process_time() - began) * 1000, "ms", most=100.0)


def looking(report: Report, folder: Path, display_name: str) -> None:
    """A look a second at a whole desktop: X11, D-Bus services, many processes and programs to look for.

    The thread that waits for input counts as well.
    """
    rules = replace(ALL, programs="blender,obs,steam")
    with desktop(folder, display_name), crowd() as pid:
        probe = FactProbe(usual(folder, lambda: OwnWork(pids=(pid,)), lambda at_s: None))
        probe.look(rules)
        [waits] = [each.ident for each in threading.enumerate() if each.name == "idle-events"]
        clock = time.pthread_getcpuclockid(waits or 0)
        began, waited = time.thread_time(), time.clock_gettime(clock)
        for _ in range(LOOKS_S):
            time.sleep(1.0)
            facts = probe.look(rules)
        spent, waited = time.thread_time() - began, time.clock_gettime(clock) - waited
        probe.close()
    assert None not in (facts.idle_s, facts.on_battery, facts.power_saver, facts.metered, facts.programs)
    share = (spent + waited) / LOOKS_S * 100
    note = f"facts {spent / LOOKS_S * 100:.2f}, waiting for input {waited / LOOKS_S * 100:.2f}"
    report.add(f"looking, of a core, {PROCESSES} processes", share, "%", most=0.3, note=note)


@contextlib.contextmanager
def desktop(folder: Path, display_name: str) -> Iterator[None]:
    """Every source that a desktop has."""
    plain = {"WAYLAND_DISPLAY": "", "XDG_SESSION_TYPE": ""}
    with surroundings(DISPLAY=display_name, **plain) as patch, town(folder, patch) as services:
        services.template("upower", "org.freedesktop.UPower", '{"OnBattery": true}')
        services.template("power_profiles_daemon", "net.hadess.PowerProfiles")
        services.template("networkmanager", "org.freedesktop.NetworkManager")
        manager = ("org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager")
        services.add(*manager, manager[0], "Metered", ("u", 1))
        profiles = ("net.hadess.PowerProfiles", "/net/hadess/PowerProfiles")
        services.set(*profiles, profiles[0], "ActiveProfile", ("s", "balanced"))
        yield


@contextlib.contextmanager
def crowd() -> Iterator[int]:
    """As many processes as a desktop has; the number of one."""
    made = [subprocess.Popen(["sleep", "600"]) for _ in range(PROCESSES)]
    try:
        yield made[0].pid
    finally:
        for process in made:
            process.kill()
        for process in made:
            process.wait()


async def events(display_name: str) -> list[float]:
    """Milliseconds from a synthetic input to the call in the worker's thread."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Queue[float]()
    session = X11Session(
        display_name, lambda at_s: loop.call_soon_threadsafe(arrived.put_nowait, at_s) and None
    )
    person, taken = Person(display_name), list[float]()
    session.start()
    for _ in range(10):
        await until(lambda: session.is_listening)
        acted_s = person.move()
        taken.append((await arrived.get() - acted_s) * 1000)
    session.close()
    person.close()
    return taken
