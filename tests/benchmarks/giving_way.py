"""From a person's first input to all of four tasks frozen, in a whole worker, each time looked up outside it.

Three ways: real synthetic input (XTEST) in a real X11 session, with children of the sandbox and with
containers of a real engine; and a desktop on Wayland, which must be polled over D-Bus.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import docker
import docker.errors
import psutil
import pytest

from hivemind_worker.model.events import RulesChanged
from hivemind_worker.model.task import TaskState
from hivemind_worker.worker_node import WorkerNode
from tests.benchmarks.report import Report
from tests.contract.docker_engine import IMAGE, TestEngine
from tests.core.test_rules import ALL
from tests.e2e.test_guest import frozen as children_frozen
from tests.e2e.test_guest import offer, states, until, worker
from tests.machine.desk import Person, Town, town

TIMES = 15
TASKS = 4
OFF = replace(ALL, idle_on=False, load_on=False)
ON = replace(ALL, load_on=False, idle_start_after_min=0.05)
WATCH = ("org.gnome.Mutter.IdleMonitor", "/org/gnome/Mutter/IdleMonitor/Core")
Frozen = Callable[[WorkerNode], Awaitable[bool]]


class Somebody(Protocol):
    """A person at the computer; `act` gives the steady time just before the input."""

    rest_s: float
    """After which the next input is told of."""
    tells_at_once: bool

    def rested_s(self) -> float: ...

    def act(self) -> float: ...


class AtTheScreen:
    """Moves the mouse and presses keys, in turns."""

    rest_s, tells_at_once = 3.5, True

    def __init__(self, display_name: str) -> None:
        self._person, self._count = Person(display_name), 0
        self.rested_s = self._person.rested_s
        self.close = self._person.close

    def act(self) -> float:
        self._count += 1
        return self._person.move() if self._count % 2 else self._person.press()


class OnWayland:
    """A file's time stands for the last input; the desktop that is played answers by it."""

    rest_s, tells_at_once = 3.5, False

    def __init__(self, file: Path, services: Town) -> None:
        self._file = file
        file.touch()
        says = f"import os; ret = max(0, int((time.time() - os.stat({str(file)!r}).st_mtime) * 1000))"
        services.service(*WATCH, WATCH[0], "GetIdletime", "t", says)

    def rested_s(self) -> float:
        return time.time() - self._file.stat().st_mtime

    def act(self) -> float:
        before = time.monotonic()
        os.utime(self._file)
        return before


@contextmanager
def surroundings(**variables: str) -> Iterator[pytest.MonkeyPatch]:
    """Environment for a worker in this process; "" takes a variable away."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value) if value else patch.delenv(name, raising=False)
        yield patch


async def in_x11(report: Report, folder: Path, display_name: str, engine: TestEngine | None) -> None:
    """Events tell of the input: the sandbox's children, or containers where an engine is given."""
    docker = {"DOCKER_HOST": engine.url} if engine else {}
    with surroundings(DISPLAY=display_name, WAYLAND_DISPLAY="", XDG_SESSION_TYPE="", **docker):
        person = AtTheScreen(display_name)
        what, most = ("containers", 120.0) if engine else ("sandbox tasks", 50.0)
        await measured(report, f"input to {TASKS} {what} frozen", folder, person, most, engine)
        person.close()


async def polled(report: Report, folder: Path, engine: TestEngine | None) -> None:
    """A desktop that tells when it is asked: the input comes at any moment between two looks."""
    with surroundings(WAYLAND_DISPLAY="wayland-0", DISPLAY="") as patch, town(folder, patch) as services:
        if engine:
            patch.setenv("DOCKER_HOST", engine.url)
        what = "containers" if engine else "sandbox tasks"
        person = OnWayland(folder / "last-input", services)
        await measured(report, f"polled input to {TASKS} {what} frozen", folder, person, 1200.0, engine)


async def measured(
    report: Report, name: str, folder: Path, person: Somebody, most: float, engine: TestEngine | None
) -> None:
    """Somebody comes back `TIMES` times while tasks run."""
    changes = {"runtime": "docker", "task_image": IMAGE, "pull_images": False} if engine else {}
    frozen = in_containers(engine) if engine else children_frozen
    async with worker(folder / name.replace(" ", "-"), **changes) as node:
        for number in range(TASKS):
            await offer(node, number)
        await until(lambda: states(node) == {TaskState.RUNNING})
        taken, bare = [], []
        for _ in range(TIMES):  # in turns, so that both meet the same machine
            taken.append(await once(node, person, frozen))
            bare.append(await alone(node, engine))
        times = await node.rules.yield_times()
    assert times.count == TIMES
    note = f"{TIMES} times; told by the worker itself: {times.p95_ms or 0:.1f} ms"
    report.add(f"{name}, p95", p95(taken), "ms", most=most, note=note)
    note = f"suspending the same four alone: {statistics.median(bare):.2f} ms, p95 {p95(bare):.2f} ms"
    report.add(f"{name}, median", statistics.median(taken), "ms", note=note)
    if engine and person.tells_at_once:  # both beside busy tasks; the worker stops them before it asks
        ratio = statistics.median(taken) / statistics.median(bare)
        report.add(f"{name}, median / the engine alone", ratio, "x", most=1.0)


async def once(node: WorkerNode, person: Somebody, frozen: Frozen) -> float:
    """Milliseconds from the input until the last task stands still."""
    engine = node.parts.engine
    await engine.tell(RulesChanged(at_s=time.time(), rules=OFF))
    await until(lambda: states(node) == {TaskState.RUNNING} and person.rested_s() > person.rest_s)
    await engine.tell(RulesChanged(at_s=time.time(), rules=ON))
    await asyncio.sleep(1.1 + random.random())
    assert states(node) == {TaskState.RUNNING}
    keys, performer = [task.key for task in node.snapshot().tasks], node.parts.performer
    acted_s = person.act()
    await until(lambda: None not in [performer.frozen_s([key]) for key in keys])
    taken_ms = ((performer.frozen_s(keys) or 0.0) - acted_s) * 1000
    await until(lambda: states(node) == {TaskState.PAUSED})
    assert await frozen(node)
    return taken_ms


async def alone(node: WorkerNode, engine: TestEngine | None) -> float:
    """Milliseconds that the system needs for the same suspension of busy tasks, with no worker around it."""
    tasks = node.snapshot().tasks
    wheres = [task.where for task in tasks]
    if engine:
        firsts = [node.parts.runtime.process(task.key, task.attempt) or 0 for task in tasks]
        return await asyncio.to_thread(paused_by_the_engine, engine, wheres, firsts)
    began = time.monotonic()
    for where in wheres:
        os.kill(int(where.partition(":")[0]), signal.SIGSTOP)
    return (time.monotonic() - began) * 1000


def paused_by_the_engine(engine: TestEngine, names: Sequence[str], firsts: Sequence[int]) -> float:
    """All at once, by calls of the engine's own interface, a second after they have gone on."""
    clients = [docker.APIClient(base_url=engine.url, version="auto") for _ in names]
    for client, name in zip(clients, names, strict=True):
        client.unpause(name)
    for first in map(psutil.Process, firsts):
        for process in (first, *first.children(recursive=True)):
            process.resume()
    time.sleep(1.0)
    with ThreadPoolExecutor(len(names)) as threads:
        began = time.monotonic()
        for done in [threads.submit(paused, each, name) for each, name in zip(clients, names, strict=True)]:
            done.result()
        taken_ms = (time.monotonic() - began) * 1000
    for client in clients:
        client.close()
    return taken_ms


def paused(client: docker.APIClient, name: str) -> None:
    """Until it works: runc cannot freeze at every moment."""
    for _ in range(20):
        with suppress(docker.errors.APIError):
            client.pause(name)
            return


def in_containers(engine: TestEngine) -> Frozen:
    """Whether the engine has every container frozen."""

    async def frozen(_node: WorkerNode) -> bool:
        said = await asyncio.to_thread(engine.docker, "ps", "--format", "{{.State}}")
        return said.split() == ["paused"] * TASKS

    return frozen


def p95(values: Sequence[float]) -> float:
    """The smallest value that 95 of 100 do not exceed."""
    return sorted(values)[max(0, -int(-0.95 * len(values) // 1) - 1)]
