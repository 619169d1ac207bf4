"""A container outlives its worker: another life goes on with it, without a gap and without a line twice.

The earlier life is a runtime that still listens but whose word counts no more: what it had handed over
at one moment is all that the later life knows. Real kills: tests/e2e/test_docker_worker.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Outcome, TaskId, key_of
from hivemind_worker.runtimes.docker.hardening import LABEL_ATTEMPT, LABEL_HOME, LABEL_KEY
from hivemind_worker.runtimes.docker.position import read_mark
from hivemind_worker.runtimes.docker.runtime import DockerRuntime
from tests.contract.docker_engine import IMAGE, TestEngine, docker_sandbox, shared_engine
from tests.contract.stage import Played, Stage

COUNTS = """
import sys, time
for n in range(LAST):
    sys.stdout.write(f"out {n}\\n")  # each in one piece: two streams meet wherever a piece ends
    sys.stderr.write(f"err {n}\\n")
    time.sleep(GAP)
"""


def counts(last: int, gap: float = 0.01) -> str:
    return COUNTS.replace("LAST", str(last)).replace("GAP", str(gap))


class Lives:
    """Two runtimes of one home."""

    def __init__(self, engine: TestEngine, folder: Path, **rules: Any) -> None:
        self.engine, self.folder, self._rules = engine, folder, rules
        self.first = Stage(self._runtime(), folder)
        self.first.runtime._remove_soon = self._leave  # type: ignore[attr-defined]
        self.later: list[DockerRuntime] = []

    def _runtime(self) -> DockerRuntime:
        return docker_sandbox(self.engine, self.folder / "docker", is_open=True, **self._rules)

    def _leave(self, run: object, making: object = None) -> None:
        """A killed worker takes nothing away."""

    async def begin(self, source: str, **changes: Any) -> Played:
        assert (await self.first.runtime.view()).ready
        return await self.first.start(self.first.order({"main.py": source}, **changes))

    async def next(self) -> DockerRuntime:
        runtime = self._runtime()
        self.later.append(runtime)
        await runtime.view()
        return runtime

    async def adopted(self, played: Played, known: bytes, mark: bytes) -> tuple[Outcome | None, bytes]:
        """What the later life makes of it: the end, and all output of both lives."""
        heard = bytearray(known)

        async def output(chunk: bytes, _mark: bytes = b"", /) -> None:
            heard.extend(chunk)

        runtime = await self.next()
        async with asyncio.timeout(60):
            return await runtime.adopt(played.order, played.where[0], mark, output), bytes(heard)

    async def close(self) -> None:
        for played in self.first.played:
            self.engine.docker("rm", "-f", *played.where, check=False)
        for runtime in self.later:
            await runtime.close()
        await self.first.clear()


@pytest.fixture
async def lives(tmp_path: Path) -> AsyncIterator[Lives]:
    made = Lives(shared_engine(), tmp_path)
    yield made
    await made.close()


def streams(output: bytes) -> tuple[list[int], list[int]]:
    """The numbers of each stream, in order."""
    words = [line.split() for line in output.decode().splitlines()]
    return [int(n) for kind, n in words if kind == "out"], [int(n) for kind, n in words if kind == "err"]


async def test_a_later_life_hears_exactly_what_the_earlier_one_had_not(lives: Lives) -> None:
    played = await lives.begin(counts(150))
    await played.hears(b"out 60\n")
    outcome, whole = await lives.adopted(played, bytes(played.output), played.mark)
    assert outcome is not None
    assert (outcome.exit_code, outcome.problem) == (0, None)
    assert streams(whole) == (list(range(150)), list(range(150)))


async def test_a_program_that_ended_while_nobody_was_there_is_heard_to_its_end(lives: Lives) -> None:
    played = await lives.begin("print('one', flush=True)\nprint('two')\nraise SystemExit(4)")
    await played.outcome()
    mark = read_mark(b"")
    mark.take([(0, b"one\n")])
    outcome, whole = await lives.adopted(played, b"one\n", mark.mark())
    assert outcome is not None
    assert outcome.exit_code == 4
    assert whole == b"one\ntwo\n"


async def test_without_a_mark_everything_is_heard(lives: Lives) -> None:
    played = await lives.begin("print('all of it')")
    await played.outcome()
    outcome, whole = await lives.adopted(played, b"", b"")
    assert (outcome and outcome.exit_code, whole) == (0, b"all of it\n")


async def test_what_was_written_down_as_started_and_never_was_starts_now(lives: Lives) -> None:
    played = await lives.begin("print('hello')")
    await played.outcome()
    lives.engine.docker("rm", "-f", played.where[0])
    order = lives.first.order({"main.py": "print('first time')"}, task_id="made and not started")
    runtime = await lives.next()
    run = runtime._new_run(order)
    assert await run.launch.prepare() is None
    assert run._listener is not None
    run._listener.break_off()  # the earlier life is over
    outcome, whole = await lives.adopted(Played(order, where=[run.launch.name]), b"", b"")
    assert (outcome and outcome.exit_code, whole) == (0, b"first time\n")


async def test_a_container_that_is_gone_is_said_to_be(lives: Lives) -> None:
    played = await lives.begin("print('hello')")
    await played.outcome()
    lives.engine.docker("rm", "-f", played.where[0])
    assert await lives.adopted(played, b"", b"") == (None, b"")


async def test_a_frozen_program_stays_so_until_it_is_resumed(lives: Lives) -> None:
    played = await lives.begin(counts(60))
    await played.hears(b"out 10\n")
    await lives.first.runtime.pause(played.order.key, 1)
    await asyncio.sleep(0.3)
    known, mark = bytes(played.output), played.mark
    adopting = asyncio.ensure_future(lives.adopted(played, known, mark))
    await asyncio.sleep(1.0)
    assert not adopting.done()
    assert lives.engine.docker("inspect", "-f", "{{.State.Status}}", played.where[0]) == "paused"
    await lives.later[0].resume(played.order.key, 1)
    outcome, whole = await adopting
    assert outcome is not None
    assert outcome.exit_code == 0
    assert streams(whole) == (list(range(60)), list(range(60)))


@pytest.mark.slow
async def test_an_adopted_program_can_be_stopped_and_is_held_to_what_is_left_of_its_time(
    lives: Lives,
) -> None:
    played = await lives.begin(counts(5000), time_limit_s=4.0)
    await played.hears(b"out 50\n")
    began = time.monotonic()
    outcome, _ = await lives.adopted(played, bytes(played.output), played.mark)
    assert outcome is not None
    assert outcome.problem is not None
    assert outcome.problem.code is FaultCode.TIMED_OUT
    assert time.monotonic() - began < 4.5
    other = await lives.begin(counts(5000))
    await other.hears(b"out 5\n")
    adopting = asyncio.ensure_future(lives.adopted(other, bytes(other.output), other.mark))
    while len(lives.later) < 2 or not lives.later[1]._runs:
        await asyncio.sleep(0.05)
    await lives.later[1].stop(other.order.key, 1)
    stopped, _ = await adopting
    assert stopped is not None
    assert (stopped.exit_code, stopped.problem) == (None, None)


async def test_lines_longer_than_the_engine_keeps_in_one_piece_do_not_lose_the_place(lives: Lives) -> None:
    source = (
        "import time\nfor n in range(40):\n    print('x' * 20_000, n, flush=True)\n"
        "    print(n, flush=True)\n    time.sleep(0.03)\n"
    )
    played = await lives.begin(source)
    await played.hears(b" 15\n15\n")
    outcome, whole = await lives.adopted(played, bytes(played.output), played.mark)
    assert outcome is not None
    assert outcome.exit_code == 0
    expected = "".join(f"{'x' * 20_000} {n}\n{n}\n" for n in range(40))
    assert whole.decode() == expected


FLOOD = """
import time
for n in range(60_000):
    print("out", n, "." * 80)
    if n == 50_000:
        open("late", "w").close()
        time.sleep(1.5)
"""


@pytest.mark.slow
async def test_the_place_is_found_in_a_log_whose_beginning_is_gone(tmp_path: Path) -> None:
    lives = Lives(shared_engine(), tmp_path, log_bytes=1 << 20)
    try:
        played = await lives.begin(FLOOD)
        async with asyncio.timeout(30):
            while not (played.order.workspace / "late").exists():
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        outcome, whole = await lives.adopted(played, bytes(played.output), played.mark)
        assert outcome is not None
        assert [int(line.split()[1]) for line in whole.decode().splitlines()] == list(range(60_000))
    finally:
        await lives.close()


@pytest.mark.slow
async def test_what_is_lost_for_good_leaves_a_mark(tmp_path: Path) -> None:
    lives = Lives(shared_engine(), tmp_path, log_bytes=1 << 20)
    try:
        played = await lives.begin(FLOOD)
        await played.outcome()
        mark = read_mark(b"")
        known = "".join(f"out {n} {'.' * 80}\n" for n in range(10)).encode()
        mark.take([(0, known)])
        outcome, whole = await lives.adopted(played, known, mark.mark())
        assert outcome is not None
        assert outcome.exit_code == 0
        text = whole.decode()
        assert text.count("some output is missing here") == 1
        after = text.partition("for too long]\n")[2]
        numbers = [int(line.split()[1]) for line in after.splitlines() if line.startswith("out ")]
        assert numbers == list(range(numbers[0], 60_000))
    finally:
        await lives.close()


async def test_what_was_left_behind_goes_and_containers_of_others_stay(lives: Lives) -> None:
    engine, key = lives.engine, key_of(TaskId("left"))
    await lives.first.runtime.view()
    home = (await lives.next())._home
    labels = {LABEL_KEY: key, LABEL_ATTEMPT: "1"}

    def made(name: str, **more: str) -> str:
        marks = [word for pair in (labels | more).items() for word in ("--label", "=".join(pair))]
        engine.docker("create", "--name", name, "--network", "none", *marks, IMAGE, "python3")
        return name

    ours = made("task-left-1", **{LABEL_HOME: home})
    others = [
        made("task-other-1", **{LABEL_HOME: "another home"}),
        made("nobodys"),
        made("xx", **{LABEL_HOME: home + "0"}),
    ]
    try:
        later = docker_sandbox(engine, lives.folder / "docker")
        lives.later.append(later)
        await later.view()
        async with asyncio.timeout(10):
            while ours in engine.containers():
                await asyncio.sleep(0.1)
        await later._sweep()
        assert set(others) <= set(engine.containers())
    finally:
        engine.docker("rm", "-f", ours, *others, check=False)


async def test_what_an_earlier_life_left_goes_once_its_task_is_known_to_have_ended(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that died while it packed a result: the first look may come before the journal is read."""
    monkeypatch.setattr("hivemind_worker.runtimes.docker.runtime.SWEEP_EVERY_S", 0.1)
    engine, looked = lives.engine, asyncio.Event()
    later = await lives.next()
    marks = {LABEL_KEY: key_of(TaskId("packed")), LABEL_ATTEMPT: "1", LABEL_HOME: later._home}
    labels = [word for pair in marks.items() for word in ("--label", "=".join(pair))]
    engine.docker("create", "--name", "task-packed-1", "--network", "none", *labels, IMAGE, "python3")
    still_open = True

    def is_open(*_pair: object) -> bool:
        looked.set()
        return still_open

    try:
        later = docker_sandbox(engine, lives.folder / "docker")
        lives.later.append(later)
        later._is_open = is_open
        await later.view()
        await asyncio.wait_for(looked.wait(), 10)
        assert "task-packed-1" in engine.containers()
        still_open = False
        async with asyncio.timeout(10):
            while "task-packed-1" in engine.containers():
                await asyncio.sleep(0.1)
    finally:
        engine.docker("rm", "-f", "task-packed-1", check=False)


async def test_a_name_that_somebody_else_has_is_left_to_them(lives: Lives) -> None:
    order = lives.first.order({"main.py": "print('mine')"}, task_id="a common name")
    name = f"task-{order.key}-1"
    lives.engine.docker("create", "--name", name, "--network", "none", IMAGE, "python3")
    try:
        assert (await lives.first.runtime.view()).ready
        played = await lives.first.start(order)
        assert (await played.outcome()).exit_code == 0
        assert played.where[0].startswith(f"{name}-")
        assert name in lives.engine.containers()
    finally:
        lives.engine.docker("rm", "-f", name)
