"""A worker whose image is not there (fault drill F17), and a fetch that its owner breaks off."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.contract.docker_engine import IMAGE, TestEngine
from tests.contract.docker_registry import Line, Registry, docker_engine, publish, registry
from tests.e2e.process import PROGRAM, WorkerProcess, environment, until, worker

__all__ = ["docker_engine", "registry"]

MIB = 1 << 20
NAME = "hivemind-tests/comes-later:1"


@pytest.fixture
def later(docker_engine: TestEngine) -> Iterator[TestEngine]:
    yield docker_engine
    docker_engine.docker("rmi", NAME, check=False)


async def verdicts(made: WorkerProcess) -> list[str]:
    return [row["code"] for row in (await made.status())["verdicts"]]


@pytest.mark.release
async def test_F17_a_missing_image_is_a_state_with_a_way_out_and_work_begins_when_it_is_there(
    tmp_path: Path, later: TestEngine
) -> None:
    more = {"DOCKER_HOST": later.url, "HIVEMIND_RUNTIME": "docker", "HIVEMIND_TASK_IMAGE": NAME,
            "HIVEMIND_PULL_IMAGES": "false"}  # fmt: skip
    later.docker("tag", IMAGE, NAME)
    async with worker(tmp_path, "127.0.0.1:9", **more) as made:
        later.docker("rmi", NAME)

        async def is_missing() -> bool:
            return "image_missing" in await verdicts(made)

        await until(is_missing, 30)
        row = next(row for row in (await made.status())["verdicts"] if row["code"] == "image_missing")
        assert f"{NAME} is not here" in row["text"]
        assert "hivemind-worker image build" in row["action"]
        later.docker("tag", IMAGE, NAME)

        async def is_ready() -> bool:
            return bool((await made.status())["runtime"]["ready"])

        await until(is_ready, 30)
        assert "image_missing" not in await verdicts(made)


@pytest.mark.slow
async def test_control_c_breaks_a_fetch_off_at_once(
    tmp_path: Path, docker_engine: TestEngine, registry: Registry
) -> None:
    api = docker.APIClient(base_url=docker_engine.url, version="auto", timeout=30)
    publish(api, registry, "slow:1", 8 * MIB)
    api.close()
    line = Line(registry.port)
    line.rate_bytes_s = MIB
    more = {"DOCKER_HOST": docker_engine.url, "HIVEMIND_TASK_IMAGE": f"{line.address}/slow:1"}
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "image", "pull", env=environment(tmp_path, **more), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    shown = b""
    async with asyncio.timeout(30):
        while b" of " not in shown:
            shown = await process.stderr.readline()
    assert b"is being fetched: 0 of 1 layers" in shown
    process.send_signal(signal.SIGINT)
    _, rest = await asyncio.wait_for(process.communicate(), 5)
    assert process.returncode == 130, rest.decode()
    assert b"Traceback" not in rest
    passed = line.passed_bytes
    await asyncio.sleep(0.5)
    assert line.passed_bytes - passed < MIB / 2
    line.close()
