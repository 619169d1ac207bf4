"""What is slow before a start is a phase of ALLOCATED, a line of the story, and words for people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.events import StopAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import RuntimeView
from hivemind_worker.model.task import Outcome, Phase, Problem, StopReason, TaskId, TaskState, key_of
from hivemind_worker.model.work import PullProgress, RunOrder
from hivemind_worker.presentation.health import verdicts
from hivemind_worker.presentation.pulling import pull_words
from hivemind_worker.presentation.status import status_report
from hivemind_worker.presentation.story import story_sentence
from tests.engine.harness import OK, ScriptedRuntime, rig, zip_of
from tests.fakes.node import FIGURES, make_snapshot

IMAGE = "tasks:1"
KEY = key_of(TaskId("a"))


class Fetching(ScriptedRuntime):
    """Needs an image first, and says so."""

    def __init__(self) -> None:
        super().__init__()
        self.is_here = asyncio.Event()
        self.stopped = asyncio.Event()

    async def run(
        self,
        order: RunOrder,
        output: Callable[[bytes], Awaitable[None]],
        started: Any,
        preparing: Any = None,
    ) -> Outcome:
        await preparing(Phase.PULLING, IMAGE)
        waits = [asyncio.ensure_future(event.wait()) for event in (self.is_here, self.stopped)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self.stopped.is_set():
            return Outcome(exit_code=None, problem=None)
        await started("container-1", image=f"{IMAGE}@sha256:ab")
        return OK

    async def stop(self, key: Any, attempt: int, grace_s: float = 10.0) -> None:
        self.stopped.set()


async def test_fetching_an_image_is_a_phase_and_a_line_of_the_story_and_its_digest_stays_with_the_task(
    tmp_path: Path,
) -> None:
    runtime = Fetching()
    async with rig(tmp_path, runtime) as worker:
        await worker.offer("a", zip_of())
        await worker.until(lambda: worker.engine.state.tasks[KEY].phase is Phase.PULLING)
        assert worker.engine.state.tasks[KEY].state is TaskState.ALLOCATED
        runtime.is_here.set()
        archive = await worker.delivered("a")
        assert f"Image: {IMAGE}@sha256:ab" in archive.read("execution_log.txt").decode()
        row = await worker.journal.find(KEY)
        assert row is not None
        assert (row.image, row.phase) == (f"{IMAGE}@sha256:ab", Phase.NONE)
        told = [story_sentence(line) for line in await worker.journal.story(KEY)]
        assert f"Being prepared: fetching {IMAGE}" in told
        assert any(f"{IMAGE}@sha256:ab" in line for line in told)


async def test_a_task_that_is_stopped_while_its_image_is_fetched_ends_stopped(tmp_path: Path) -> None:
    runtime = Fetching()
    async with rig(tmp_path, runtime) as worker:
        await worker.offer("a", zip_of())
        await worker.until(lambda: worker.engine.state.tasks[KEY].phase is Phase.PULLING)
        await worker.engine.tell(StopAsked(at_s=1.0, key=KEY, reason=StopReason.OWNER))
        archive = await worker.delivered("a")
        assert "Status: STOPPED" in archive.read("execution_log.txt").decode()


PULL = PullProgress(
    image="tasks:1", layers=7, layers_done=3, done_bytes=120 << 20, total_bytes=400 << 20, seconds_left=100.0
)


def test_a_fetch_is_told_with_layers_bytes_and_time_left_everywhere() -> None:
    problem = Problem(code=FaultCode.SANDBOX_PREPARING, about="image tasks:1 is fetched")
    runtime = RuntimeView(name="docker", ready=False, problem=problem, docker_available=True, pull=PULL)
    picture = replace(make_snapshot(), runtime=runtime, blocker=problem)
    words = "The image tasks:1 is being fetched: 3 of 7 layers, 120.0 MiB of 400.0 MiB, 2 minutes left."
    [verdict] = [verdict for verdict in verdicts(picture) if verdict.code == "sandbox_preparing"]
    assert verdict.text == words
    shown: Any = status_report(picture, FIGURES)["runtime"]
    assert shown["pull"] == {
        "image": "tasks:1", "layers": 7, "layers_done": 3, "done_bytes": 120 << 20, "total_bytes": 400 << 20,
        "seconds_left": 100.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pull", "words"),
    [
        (PullProgress(image="x"), "fetched."),
        (replace(PULL, seconds_left=None), "fetched: 3 of 7 layers, 120.0 MiB of 400.0 MiB or more."),
    ],
)  # fmt: skip
def test_what_is_not_known_of_a_fetch_is_not_told(pull: PullProgress, words: str) -> None:
    assert pull_words(pull) == f"The image {pull.image} is being {words}"
