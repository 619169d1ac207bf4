"""From nothing to tasks in Docker by commands alone: `image build`, `pull`, `list`, `clean`, `demo`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hivemind_worker.runtimes.docker.image_names import LOCAL_IMAGE
from tests.contract.docker_engine import TestEngine
from tests.contract.docker_registry import Registry, docker_engine, publish, registry
from tests.e2e.process import command

__all__ = ["docker_engine", "registry"]

SCIENTIFIC = ("numpy", "pandas", "matplotlib", "pillow", "scikit-learn", "requests")

needs_apt = pytest.mark.skipif(
    shutil.which("apt-get") is None, reason="without Debian's tools an image is made from one of a registry"
)


@pytest.fixture
def home(tmp_path: Path, docker_engine: TestEngine) -> dict[str, str]:
    """The variables of somebody with this engine; the image made here is gone afterwards."""
    return {"DOCKER_HOST": docker_engine.url, "HIVEMIND_HOME": str(tmp_path)}


@pytest.mark.release
@needs_apt
async def test_an_image_made_here_without_a_registry_runs_the_demo(
    tmp_path: Path, docker_engine: TestEngine, home: dict[str, str]
) -> None:
    words = ("demo", "--runtime", "docker", "--tasks", "3", "--json", "--out", str(tmp_path / "out"))
    code, _, err = await command(tmp_path, *words, **home)
    assert code == 13, err
    assert "hivemind-worker image build" in err
    try:
        for _ in range(2):  # the second takes the place of the first
            code, out, err = await command(tmp_path, "image", "build", "--json", limit_s=300, **home)
            assert code == 0, err
        made = json.loads(out)
        code, out, err = await command(tmp_path, "image", "list", "--json", **home)
        assert [json.loads(line)["id"] for line in out.splitlines()] == [made["id"]]
        code, out, err = await command(tmp_path, *words, limit_s=120, **home)
        assert code == 0, err + out
        *tasks, summary = [json.loads(line) for line in out.splitlines()]
        assert (summary["completed"], summary["failed"], summary["runtime"]) == (3, 0, "docker")
        log = (Path(tasks[0]["result"]) / "execution_log.txt").read_text()
        assert f"Image: {LOCAL_IMAGE}@{made['id']}" in log
        assert docker_engine.containers() == []
        await the_Dockerfile_does_the_same(tmp_path, docker_engine, home)
    finally:
        docker_engine.docker("rmi", "-f", LOCAL_IMAGE, check=False)


async def the_Dockerfile_does_the_same(tmp_path: Path, engine: TestEngine, home: dict[str, str]) -> None:
    """From a base that is here: pulling python:slim needs a registry."""
    tag = "hivemind-tests/from-dockerfile:1"
    words = ("image", "build", "--from", "dockerfile", "--base", LOCAL_IMAGE, "--tag", tag, "--json")
    code, out, err = await command(tmp_path, *words, limit_s=300, **home)
    assert code == 0, err
    assert json.loads(out)["made_from"] == "dockerfile"
    look = "import os; print(os.getuid(), os.getcwd())"
    assert engine.docker("run", "--rm", tag, "python3", "-c", look) == "1000 /app/task"
    engine.docker("rmi", "-f", tag)


@pytest.mark.release
@needs_apt
async def test_the_scientific_image_has_what_the_contract_names_and_runs_the_larger_sample(
    tmp_path: Path, docker_engine: TestEngine, home: dict[str, str]
) -> None:
    try:
        words = ("image", "build", "--with", "scientific", "--json")
        code, out, err = await command(tmp_path, *words, limit_s=600, **home)
        assert code == 0, err
        names = {package.partition("==")[0] for package in json.loads(out)["packages"]}
        assert names.issuperset(SCIENTIFIC)
        words = ("demo", "--runtime", "docker", "--tasks", "4", "--json", "--out", str(tmp_path / "out"))
        code, out, err = await command(tmp_path, *words, limit_s=120, **home)
        assert code == 0, err + out
        ran = [json.loads(line) for line in out.splitlines()]
        assert [row["status"] for row in ran if row.get("task", "").startswith("clusters")] == ["COMPLETED"]
    finally:
        docker_engine.docker("rmi", "-f", LOCAL_IMAGE, check=False)


@pytest.mark.slow
async def test_an_image_is_fetched_listed_and_cleaned_by_command(
    tmp_path: Path, docker_engine: TestEngine, registry: Registry, home: dict[str, str]
) -> None:
    import docker

    api = docker.APIClient(base_url=docker_engine.url, version="auto", timeout=30)
    digests = [publish(api, registry, f"command:{n}", 1 << 20) for n in (1, 2)]
    api.close()
    names = [f"127.0.0.1:{registry.port}/command:{n}" for n in (1, 2)]
    more = {**home, "HIVEMIND_IMAGE_QUOTA_GB": "0"}
    for name, digest in zip(names, digests, strict=True):
        code, out, err = await command(tmp_path, "image", "pull", "--json", **more, HIVEMIND_TASK_IMAGE=name)
        assert code == 0, err
        assert json.loads(out)["digest"] == digest
    code, out, _ = await command(tmp_path, "image", "clean", "--json", **more, HIVEMIND_TASK_IMAGE=names[1])
    assert (code, json.loads(out)) == (0, {"removed": []})  # the second fetch has made room already
    code, out, _ = await command(tmp_path, "image", "list", "--json", **more, HIVEMIND_TASK_IMAGE=names[0])
    assert (code, out) == (0, "")
    code, _, err = await command(
        tmp_path, "image", "pull", **home, HIVEMIND_TASK_IMAGE=f"127.0.0.1:{registry.port}/nothing:1"
    )
    assert code == 14
    assert "nothing:1" in err
    docker_engine.docker("rmi", "-f", names[1], check=False)
