"""The choice of a sandbox: by what is ready, by the owner's word, and never none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import RuntimeView
from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.model.work import RunOrder
from hivemind_worker.runtimes.choice import ChosenRuntime
from tests.engine.harness import ScriptedRuntime, hello


class Named(ScriptedRuntime):
    """A scripted runtime with a name that is ready or not."""

    def __init__(self, name: str, *, ready: bool = True) -> None:
        super().__init__(hello)
        self.name = name
        self.ready = ready

    async def view(self) -> RuntimeView:
        return RuntimeView(
            name=self.name, ready=self.ready, docker_available=self.name == "docker" and self.ready
        )


def order(tmp_path: Path) -> RunOrder:
    return RunOrder(
        key=key_of(TaskId("a")),
        attempt=1,
        task_id=TaskId("a"),
        workspace=tmp_path,
        entry="main.py",
        cpu_cores=1,
        memory_bytes=1,
        disk_bytes=1,
        time_limit_s=1,
    )


async def quiet(*_: object, **__: object) -> None:
    return None


@pytest.mark.parametrize(
    ("choice", "docker_ready", "expected"),
    [("auto", True, "docker"), ("auto", False, "wasm"), ("wasm", True, "wasm"), ("docker", True, "docker")],
)
async def test_the_sandbox_in_use(tmp_path: Path, choice: str, docker_ready: bool, expected: str) -> None:
    wasm, docker = Named("wasm"), Named("docker", ready=docker_ready)
    chosen = ChosenRuntime(choice, wasm=wasm, docker=docker)
    assert (await chosen.view()).name == expected
    assert (await chosen.run(order(tmp_path), quiet, quiet)).exit_code == 0
    assert [len(wasm.runs), len(docker.runs)] == ([0, 1] if expected == "docker" else [1, 0])


async def test_docker_that_was_chosen_and_is_away_is_not_replaced(tmp_path: Path) -> None:
    chosen = ChosenRuntime("docker", wasm=Named("wasm"), docker=Named("docker", ready=False))
    view = await chosen.view()
    assert (view.name, view.ready) == ("docker", False)


async def test_docker_that_is_chosen_and_switched_off_says_so() -> None:
    view = await ChosenRuntime("docker", wasm=Named("wasm"), docker=None).view()
    assert view.problem is not None
    assert view.problem.code is FaultCode.SANDBOX_MISSING


async def test_docker_that_comes_and_goes_is_noticed_at_the_next_look() -> None:
    docker = Named("docker", ready=False)
    chosen = ChosenRuntime("auto", wasm=Named("wasm"), docker=docker)
    names = []
    for ready in (False, True, False):
        docker.ready = ready
        names.append((await chosen.view()).name)
    assert names == ["wasm", "docker", "wasm"]


async def test_what_an_earlier_life_left_is_reclaimed_in_both() -> None:
    wasm, docker = Named("wasm"), Named("docker")
    await ChosenRuntime("auto", wasm=wasm, docker=docker).reclaim(key_of(TaskId("a")), 1, "x")
    assert wasm.calls == docker.calls == [("reclaim", key_of(TaskId("a")))]
