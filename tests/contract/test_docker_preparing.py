"""What comes before a task's container runs: its image, its packages, its network; on real engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import docker
import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Outcome, Phase
from hivemind_worker.runtimes.docker.firewall import Firewall
from hivemind_worker.runtimes.docker.images import ImageRules
from hivemind_worker.runtimes.docker.networks import NetworkPolicy, TaskNetwork
from hivemind_worker.runtimes.docker.runtime import DockerRuntime
from tests.contract.docker_engine import IMAGE, TestEngine, docker_sandbox
from tests.contract.docker_registry import Line, Registry, docker_engine, registry
from tests.contract.docker_town import FAR, FAR_PORT, HOME_NEIGHBOUR, NEIGHBOUR_PORT, Town, session_town
from tests.contract.stage import Stage
from tests.contract.wheel_index import SERVE, make_wheel

__all__ = ["docker_engine", "registry"]

pytestmark = pytest.mark.slow

INDEX_PORT = 8083
LIMIT_S = 90.0
KNOCK = """
import socket
for host, port in DOORS:
    try:
        print(socket.create_connection((host, port), 1.5).recv(9))
    except OSError as error:
        print(type(error).__name__)
"""


class Seen:
    """What the worker is told while a task is prepared and runs."""

    def __init__(self) -> None:
        self.phases: list[tuple[Phase, str]] = []
        self.image = ""
        self.output = bytearray()

    async def preparing(self, phase: Phase, text: str) -> None:
        self.phases.append((phase, text))

    async def started(self, where: str, /, *, image: str = "", runtime: str = "") -> None:
        self.image = image

    async def take(self, chunk: bytes, mark: bytes = b"", /) -> None:
        self.output += chunk

    async def run(self, stage: Stage, files: dict[str, str]) -> Outcome:
        runtime = stage.runtime
        return await asyncio.wait_for(
            runtime.run(stage.order(files), self.take, self.started, self.preparing), LIMIT_S
        )


@pytest.fixture
async def made() -> AsyncIterator[list[DockerRuntime]]:
    """Runtimes of a test, closed afterwards."""
    runtimes: list[DockerRuntime] = []
    yield runtimes
    for runtime in runtimes:
        await runtime.close()


async def test_C7_a_missing_image_is_a_phase_of_the_task_and_its_digest_is_recorded_with_it(
    docker_engine: TestEngine, registry: Registry, tmp_path: Path, made: list[DockerRuntime]
) -> None:
    name, line = f"127.0.0.1:{registry.port}/python:1", Line(registry.port)
    far = f"{line.address}/python:1"
    api = docker.APIClient(base_url=docker_engine.url, version="auto", timeout=60)
    api.tag(IMAGE, name.rpartition(":")[0], "1")
    for said in api.push(name.rpartition(":")[0], tag="1", stream=True, decode=True):
        assert "error" not in said, said
    api.remove_image(name)
    runtime = docker_sandbox(docker_engine, tmp_path / "docker", image=ImageRules(name=far, pulls=True))
    made.append(runtime)
    view = await runtime.view()
    assert view.problem is not None
    assert (view.ready, view.problem.code) == (False, FaultCode.SANDBOX_PREPARING)
    seen = Seen()
    outcome = await seen.run(Stage(runtime, tmp_path), {"main.py": "print('hello')"})
    assert (outcome.problem, bytes(seen.output)) == (None, b"hello\n")
    assert seen.phases == [(Phase.PULLING, far)]
    [digest] = [row for row in api.inspect_image(far)["RepoDigests"] if row.startswith(line.address)]
    assert seen.image == f"{far}@{digest.partition('@')[2]}"
    assert (await runtime.view()).ready
    api.remove_image(far, force=True)
    api.close()
    line.close()


def in_town(town: Town, folder: Path, made: list[DockerRuntime], image: str, **rules: Any) -> Stage:
    runtime = docker_sandbox(town.engine, folder / "docker", image=ImageRules(name=image), **rules)
    runtime.network = TaskNetwork(
        "hivemind", lambda bridge: Firewall(bridge, prefix=town.engine.prefix, resolver_files=())
    )
    made.append(runtime)
    return Stage(runtime, folder)


async def test_C9_a_task_with_requirements_has_its_packages_and_no_network(
    tmp_path: Path, made: list[DockerRuntime]
) -> None:
    town = session_town()
    index = tmp_path / "index"
    make_wheel(index, "parrot", "3.0")
    town.settle(town.outer, "-c", SERVE, FAR, str(INDEX_PORT), str(tmp_path / "asked.log"), str(index))
    image = town.engine.import_image_with_pip()
    stage = in_town(town, tmp_path, made, image, package_index=f"http://{FAR}:{INDEX_PORT}/simple/")
    assert (await stage.runtime.view()).ready
    source = f"import parrot; print(parrot.VERSION)\nDOORS = [({FAR!r}, {INDEX_PORT})]\n{KNOCK}"
    for _ in range(2):
        seen = Seen()
        outcome = await seen.run(stage, {"main.py": source, "requirements.txt": "parrot\n"})
        assert (outcome.problem, seen.output.decode().split()) == (None, ["3.0", "OSError"])
        assert [phase for phase, _ in seen.phases] == [Phase.INSTALLING]
    asked = (tmp_path / "asked.log").read_text()
    assert asked.count(".whl") == 1
    assert stage.runtime.missing_packages(["parrot", "-e ."]) == ("-e .",)


async def test_row_N_a_task_that_may_use_the_internet_reaches_it_and_nothing_of_the_owner(
    tmp_path: Path, made: list[DockerRuntime]
) -> None:
    town = session_town()
    stage = in_town(town, tmp_path, made, IMAGE, policy=NetworkPolicy.INTERNET)
    assert (await stage.runtime.view()).ready
    seen = Seen()
    doors = [(FAR, FAR_PORT), (HOME_NEIGHBOUR, NEIGHBOUR_PORT)]
    outcome = await seen.run(stage, {"main.py": f"DOORS = {doors!r}\n{KNOCK}"})
    assert outcome.problem is None
    assert seen.output.decode().split() == ["b'hello\\n'", "TimeoutError"]
    await made.pop().close()
    assert "hivemind" not in town.engine.docker("network", "ls", "--format", "{{.Name}}").split()


async def test_row_N_where_no_rules_can_be_set_open_internet_is_a_state_and_no_task_is_taken(
    docker_engine: TestEngine, tmp_path: Path, made: list[DockerRuntime]
) -> None:
    runtime = docker_sandbox(docker_engine, tmp_path / "docker", policy=NetworkPolicy.INTERNET)
    made.append(runtime)
    view = await runtime.view()
    assert not view.ready
    assert view.problem is not None
    assert view.problem.code is FaultCode.BAD_SETTING
    assert "open internet is not offered here" in view.problem.about
