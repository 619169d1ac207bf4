"""The contract of `Runtime`, on every implementation: the same programs, as scripts and as Python."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.engine.ports import Runtime
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Outcome, Problem, TaskKey
from tests.contract.docker_engine import docker_sandbox, shared_engine
from tests.contract.stage import MIB, Played, Stage, small_sandbox
from tests.fakes.runtime import Break, FakeRuntime, Grow, Keep, Leave, Nap, Say, Step


@dataclass(frozen=True)
class Program:
    """One behaviour, in both tongues."""

    source: str
    steps: tuple[Step, ...]


HELLO = Program("print('hello')", (Say(b"hello\n"),))
FAILS = Program("import sys; print('no'); sys.exit(3)", (Say(b"no\n"), Leave(3)))
TALKS = Program(
    "import time\nprint('first')\ntime.sleep(0.4)\nprint('second')",
    (Say(b"first\n"), Nap(0.4), Say(b"second\n")),
)
SLEEPS = Program("import time\nprint('on')\ntime.sleep(60)", (Say(b"on\n"), Nap(60)))
COUNTS = Program(
    "import time\nfor n in range(400):\n    print(n)\n    time.sleep(0.02)",
    tuple(step for n in range(400) for step in (Say(b"%d\n" % n), Nap(0.02))),
)
EATS = Program("x = bytearray(400 << 20)", (Grow(400 * MIB),))
FILLS = Program(
    "import time\nopen('big', 'wb').write(bytes(20 << 20))\ntime.sleep(60)", (Keep("big", 20 * MIB), Nap(60))
)
WRITES = Program("open('out.bin', 'wb').write(bytes(10))", (Keep("out.bin", 10),))
FLOODS = Program(
    "for n in range(20000): print('line', n)", tuple(Say(b"line %d\n" % n) for n in range(20000))
)


LONG_BEFORE_ITS_END_S = 10.0
"""For a stopped program that would go on for a minute; how soon it ends a benchmark tells."""


@pytest.fixture(params=["fake", "wasm", "docker"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    runtime: Runtime
    if request.param == "fake":
        programs = {
            program.source: program.steps for program in globals().values() if isinstance(program, Program)
        }
        runtime = FakeRuntime(lambda order: programs[(order.workspace / "main.py").read_text()])
    elif request.param == "wasm":
        runtime = small_sandbox()
    else:
        runtime = docker_sandbox(shared_engine(), tmp_path / "docker")
        assert (await runtime.view()).ready
    stage = Stage(runtime, tmp_path)
    yield stage
    await stage.clear()


async def play(stage: Stage, program: Program, **changes: Any) -> tuple[Outcome, Played]:
    return await stage.play(program.source, **changes)


async def begin(stage: Stage, program: Program, **changes: Any) -> Played:
    return await stage.start(stage.order({"main.py": program.source}, **changes))


async def test_a_program_that_ends_well_has_code_0_no_problem_and_all_its_output(stage: Stage) -> None:
    outcome, played = await play(stage, HELLO)
    assert (outcome.exit_code, outcome.problem, played.text) == (0, None, "hello\n")
    assert len(played.where) == 1
    assert outcome.usage.wall_s >= 0


async def test_another_exit_code_is_a_problem_of_the_task(stage: Stage) -> None:
    outcome, played = await play(stage, FAILS)
    assert outcome.exit_code == 3
    assert outcome.problem == Problem(code=FaultCode.EXIT_CODE, about="3")
    assert played.text == "no\n"


async def test_output_comes_while_the_program_runs(stage: Stage) -> None:
    played = await begin(stage, TALKS)
    await played.hears(b"first\n")
    assert b"second" not in played.output
    assert (await played.outcome()).exit_code == 0
    assert played.text == "first\nsecond\n"


async def test_a_flood_of_output_is_whole_and_in_order_when_run_returns(stage: Stage) -> None:
    outcome, played = await play(stage, FLOODS)
    assert outcome.problem is None
    assert played.text.splitlines() == [f"line {n}" for n in range(20000)]


async def test_a_slow_listener_holds_the_program_up_and_loses_nothing(stage: Stage) -> None:
    heard = bytearray()

    async def slow(chunk: bytes, _mark: bytes = b"", /) -> None:
        heard.extend(chunk)
        await asyncio.sleep(0.001 if len(heard) < 5_000 else 0)

    async def started(where: str, /, *, image: str = "", runtime: str = "") -> None: ...

    outcome = await stage.runtime.run(stage.order({"main.py": FLOODS.source}), slow, started)
    assert outcome.exit_code == 0
    assert heard.decode().splitlines() == [f"line {n}" for n in range(20000)]


async def test_what_it_writes_is_in_the_workspace(stage: Stage) -> None:
    _, played = await play(stage, WRITES)
    assert (played.order.workspace / "out.bin").read_bytes() == bytes(10)


@pytest.mark.parametrize(
    ("program", "changes", "code"),
    [
        (EATS, {"memory_bytes": 128 * MIB}, FaultCode.OUT_OF_MEMORY),
        (FILLS, {"disk_bytes": 10 * MIB}, FaultCode.OUT_OF_DISK),
        (SLEEPS, {"time_limit_s": 0.6}, FaultCode.TIMED_OUT),
    ],
)
async def test_a_limit_ends_the_program_and_is_named(
    stage: Stage, program: Program, changes: dict[str, Any], code: FaultCode
) -> None:
    began = time.monotonic()
    outcome, _ = await play(stage, program, **changes)
    assert outcome.problem is not None
    assert outcome.problem.code is code
    assert outcome.exit_code is None
    assert time.monotonic() - began < 15


async def test_stop_makes_run_return_without_code_or_problem(stage: Stage) -> None:
    played = await begin(stage, SLEEPS)
    await played.hears(b"on\n")
    await stage.runtime.stop(played.order.key, 1)
    outcome = await played.outcome(LONG_BEFORE_ITS_END_S)
    assert (outcome.exit_code, outcome.problem) == (None, None)


async def test_nothing_comes_from_a_paused_program_and_it_goes_on_afterwards(stage: Stage) -> None:
    played = await begin(stage, COUNTS)
    await played.hears(b"3\n")
    await stage.runtime.pause(played.order.key, 1)
    await stage.runtime.pause(played.order.key, 1)
    await asyncio.sleep(0.15)  # what was on its way arrives
    quiet = len(played.output)
    await asyncio.sleep(0.5)
    assert len(played.output) == quiet
    await stage.runtime.resume(played.order.key, 1)
    await stage.runtime.resume(played.order.key, 1)
    await played.hears(b"\n60\n")
    await stage.runtime.stop(played.order.key, 1)
    await played.outcome()
    numbers = [int(line) for line in played.text.splitlines()]
    assert numbers == list(range(len(numbers)))


async def test_a_paused_program_can_be_stopped(stage: Stage) -> None:
    played = await begin(stage, SLEEPS)
    await played.hears(b"on\n")
    await stage.runtime.pause(played.order.key, 1)
    await stage.runtime.stop(played.order.key, 1)
    assert (await played.outcome(LONG_BEFORE_ITS_END_S)).problem is None


async def test_paused_time_does_not_count_for_the_time_limit(stage: Stage) -> None:
    played = await begin(stage, TALKS, time_limit_s=2.0)
    await played.hears(b"first\n")
    await stage.runtime.pause(played.order.key, 1)
    await asyncio.sleep(2.2)
    await stage.runtime.resume(played.order.key, 1)
    assert (await played.outcome()).problem is None


async def test_pause_resume_and_stop_of_what_does_not_run_do_nothing(stage: Stage) -> None:
    key = TaskKey("0" * 32)
    for verb in (stage.runtime.pause, stage.runtime.resume, stage.runtime.stop):
        await verb(key, 7)
    played = await begin(stage, TALKS)
    await stage.runtime.stop(played.order.key, 2)  # another attempt
    assert (await played.outcome()).exit_code == 0


async def test_a_cancelled_run_raises_cancelled_error_and_its_pair_is_free_again(stage: Stage) -> None:
    played = await begin(stage, SLEEPS)
    await played.hears(b"on\n")
    assert played.running is not None
    played.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await played.running
    outcome, _ = await play(stage, HELLO, task_id=played.order.task_id)
    assert outcome.exit_code == 0


async def test_several_run_side_by_side(stage: Stage) -> None:
    played = [await begin(stage, TALKS) for _ in range(4)]
    outcomes = [await run.outcome() for run in played]
    assert [outcome.exit_code for outcome in outcomes] == [0] * 4
    assert {run.text for run in played} == {"first\nsecond\n"}


async def test_reclaiming_what_is_long_gone_does_nothing(stage: Stage) -> None:
    played = await begin(stage, HELLO)
    await played.outcome()
    await stage.runtime.reclaim(played.order.key, 1, played.where[0])
    await stage.runtime.reclaim(played.order.key, 1, "")
    await stage.runtime.reclaim(played.order.key, 1, "not a place")


async def test_adopting_what_is_long_gone_gives_nothing_and_runs_nothing(stage: Stage) -> None:
    played = await begin(stage, HELLO)
    await played.outcome()
    stage.runtime.forget(played.order.key, 1)
    heard = len(played.output)
    for where in ("not-a-place", ""):
        assert await stage.runtime.adopt(played.order, where, b"", unheard) is None
    assert len(played.output) == heard


async def unheard(chunk: bytes, _mark: bytes = b"", /) -> None:
    assert not chunk


async def test_nobody_is_told_what_something_uses_that_does_not_run(stage: Stage) -> None:
    assert stage.runtime.figures(TaskKey("0" * 32), 1) is None
    assert stage.runtime.memory_bytes(TaskKey("0" * 32), 1) is None


async def test_close_ends_every_run(stage: Stage) -> None:
    played = [await begin(stage, SLEEPS) for _ in range(2)]
    await stage.runtime.close()
    assert [(await run.outcome()).problem for run in played] == [None, None]


async def test_a_ready_runtime_names_itself(stage: Stage) -> None:
    await play(stage, HELLO)
    view = await stage.runtime.view()
    assert (view.name, view.ready, view.problem) == (stage.runtime.name, True, None)
    assert view.detail


async def test_the_fake_can_play_trouble_of_the_sandbox_itself(tmp_path: Path) -> None:
    stage = Stage(FakeRuntime(lambda _: (Say(b"a"), Break("no room"))), tmp_path)
    outcome, played = await stage.play("")
    assert outcome.problem == Problem(code=FaultCode.SANDBOX_FAILED, about="no room")
    assert played.text == "a"
