"""Processes of a container stand still at once, before the engine's freezer has them, and go on after it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import pytest

from hivemind_worker.runtimes.docker.halting import Halt
from hivemind_worker.runtimes.docker.processes import processes_of
from hivemind_worker.runtimes.docker.runtime import DockerRuntime
from tests.contract.docker_engine import docker_sandbox, shared_engine
from tests.contract.stage import Played, Stage
from tests.contract.test_docker_adoption import Lives, counts

FAMILY = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
held = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
os.kill(held.pid, signal.SIGSTOP)
print("on", flush=True)
while True:
    time.sleep(0.01)
"""
LIMIT_S = 20.0


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    runtime = docker_sandbox(shared_engine(), tmp_path / "docker")
    assert (await runtime.view()).ready
    stage = Stage(runtime, tmp_path)
    yield stage
    await stage.clear()


def state_of(pid: int) -> str:
    """R, S, T for stopped …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def states(pids: Iterable[int]) -> str:
    return "".join(map(state_of, pids))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(0.01)


async def family(stage: Stage) -> tuple[Played, list[int]]:
    """A program with two children, one stopped by itself; once the runtime knows its processes."""
    played = await stage.start(stage.order({"main.py": FAMILY}))
    await played.hears(b"on")
    runtime = stage.runtime
    assert isinstance(runtime, DockerRuntime)
    await until(lambda: runtime.process(played.order.key, 1) is not None)
    run = runtime._runs[(played.order.key, 1)]
    pids = list(processes_of(run._pid, run._full_id))
    await until(lambda: states(pids[-1:]) == "T")  # a signal takes effect when its process has its turn
    assert "T" not in states(pids[:-1])
    return played, pids


async def test_what_runs_stands_still_while_the_engine_hangs_and_goes_on_at_a_word(stage: Stage) -> None:
    played, pids = await family(stage)
    engine, key = shared_engine(), played.order.key
    engine.freeze()
    try:
        pausing = asyncio.ensure_future(stage.runtime.pause(key, 1))
        await until(lambda: set(states(pids)) == {"T"})
        resuming = asyncio.ensure_future(stage.runtime.resume(key, 1))
        await until(lambda: "T" not in states(pids[:-1]))
    finally:
        engine.thaw()
    await asyncio.gather(pausing, resuming)
    await until(lambda: engine.docker("inspect", "-f", "{{.State.Status}}", played.where[0]) == "running")
    await until(lambda: "T" not in states(pids[:-1]))


@pytest.mark.release
async def test_what_a_program_has_stopped_itself_stays_so(stage: Stage) -> None:
    played, pids = await family(stage)
    for _ in range(2):
        await stage.runtime.pause(played.order.key, 1)
        assert shared_engine().docker("inspect", "-f", "{{.State.Status}}", played.where[0]) == "paused", (
            "the engine's freezer holds it as well"
        )
        await stage.runtime.resume(played.order.key, 1)
        await until(lambda: "T" not in states(pids[:-1]))
        assert state_of(pids[-1]) == "T"


async def test_what_a_killed_worker_had_stopped_goes_on_in_the_next_life(tmp_path: Path) -> None:
    lives = Lives(shared_engine(), tmp_path)
    try:
        played = await lives.begin(counts(60))
        await played.hears(b"out 10\n")
        known, mark = bytes(played.output), played.mark
        pid = int(lives.engine.docker("inspect", "-f", "{{.State.Pid}}", played.where[0]))
        full_id = lives.engine.docker("inspect", "-f", "{{.Id}}", played.where[0])
        for each in processes_of(pid, full_id):
            os.kill(each, signal.SIGSTOP)
        outcome, _whole = await lives.adopted(played, known, mark)
        assert outcome is not None
        assert outcome.exit_code == 0
    finally:
        await lives.close()


@pytest.mark.skipif(sys.platform != "linux", reason="processes of containers are seen on Linux")
def test_no_process_outside_the_container_is_ever_stopped() -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        halt = Halt()
        halt.sees(other.pid, "0" * 64)
        halt.stop()
        assert state_of(other.pid) != "T"
        os.kill(other.pid, signal.SIGSTOP)
        os.waitpid(other.pid, os.WUNTRACED)  # until it stands still
        halt._held.add(other.pid)  # its number was a task's once
        halt.go_on()
        assert state_of(other.pid) == "T"
    finally:
        other.kill()
        other.wait()
