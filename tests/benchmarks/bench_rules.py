"""The good guest: one judgement, a day simulated, the cost of looking, and from an input to all tasks frozen.

The last is measured in a whole worker in a real X11 session, with real synthetic input (XTEST); beside it
stands how fast the raw event alone arrives, and a bare suspension of four processes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hivemind_worker.core.judge import Memory, judge
from hivemind_worker.core.simulate import simulate, usual_day
from hivemind_worker.machine.benchmark import measure
from hivemind_worker.machine.probes.facts import FactProbe, usual
from hivemind_worker.machine.probes.x11 import X11Session
from hivemind_worker.model.events import RulesChanged
from hivemind_worker.model.preview import Moment
from hivemind_worker.model.task import TaskState
from tests.benchmarks.report import Report
from tests.contract.stage import session_sandbox
from tests.core.test_rules import ALL, FREE, MONDAY_S
from tests.e2e.test_guest import offer, states, until, worker
from tests.machine.desk import Person, missing_desk, x_server

TIMES = 25
PROCESSES = 300
LOOKS_S = 20


async def run(report: Report, folder: Path) -> None:
    judging(report)
    scores = [measure(1).one_core for _ in range(5)]
    report.add(
        "processor's score, five times: largest to smallest", max(scores) / min(scores), "times", most=1.05
    )
    looking(report, folder)
    if missing_desk():
        print(f"not measured: first input to all frozen ({missing_desk()})")
        return
    with x_server() as name:
        arrival = await events(name)
        report.add("raw input event arrives, p95", p95(arrival), "ms", most=4.0)
        await giving_way(report, folder, name)


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


def looking(report: Report, folder: Path) -> None:
    """A look a second, every source of this computer, with many processes and programs to look for."""
    crowd = [subprocess.Popen(["sleep", "600"]) for _ in range(PROCESSES)]
    try:
        probe = FactProbe(usual(folder, lambda: [crowd[0].pid], lambda at_s: None))
        rules = replace(ALL, programs="blender,obs,steam")
        spent: list[float] = []

        def look() -> None:
            probe.look(rules)
            began = time.thread_time()
            for _ in range(LOOKS_S):
                time.sleep(1.0)
                probe.look(rules)
            spent.append(time.thread_time() - began)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        probe.close()
    finally:
        for process in crowd:
            process.kill()
        for process in crowd:
            process.wait()
    report.add(
        f"looking, of a core, {PROCESSES} processes",
        spent[0] / LOOKS_S * 100,
        "%",
        most=0.3,
        note="own thread",
    )


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


async def giving_way(report: Report, folder: Path, display_name: str) -> None:
    os.environ |= {"DISPLAY": display_name, "HIVEMIND_SANDBOX": str(session_sandbox())}
    os.environ.pop("WAYLAND_DISPLAY", None)
    person = Person(display_name)
    async with worker(folder / "home") as node:
        for number in range(4):
            await offer(node, number)
        await until(lambda: states(node) == {TaskState.RUNNING})
        off, on = (
            replace(ALL, idle_on=False, load_on=False),
            replace(ALL, load_on=False, idle_start_after_min=0.02),
        )
        whole: list[float] = []
        for number in range(TIMES):
            await node.parts.engine.tell(RulesChanged(at_s=time.time(), rules=off))
            await until(lambda: states(node) == {TaskState.RUNNING} and person.rested_s() > 3.2)
            await node.parts.engine.tell(RulesChanged(at_s=time.time(), rules=on))
            await asyncio.sleep(1.1)
            acted_s = person.move() if number % 2 else person.press()
            await until(lambda: states(node) == {TaskState.PAUSED})
            await node.parts.performer.controlled([task.key for task in node.snapshot().tasks])
            whole.append((time.monotonic() - acted_s) * 1000)
        times = await node.rules.yield_times()
        pids = [int(task.where.partition(":")[0]) for task in node.snapshot().tasks]
        bare = suspended(pids)
    person.close()
    note = (
        f"{TIMES} times; told by the worker itself: {times.p95_ms or 0:.1f} ms, bare suspension {bare:.2f} ms"
    )
    report.add("input to 4 sandbox tasks frozen, p95", p95(whole), "ms", most=50.0, note=note)
    report.add("input to 4 sandbox tasks frozen, median", statistics.median(whole), "ms")


def suspended(pids: Sequence[int]) -> float:
    began = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return (time.monotonic() - began) * 1000


def p95(values: Sequence[float]) -> float:
    return sorted(values)[max(0, -int(-0.95 * len(values) // 1) - 1)]
