"""The worker in a container: the original documentation's lines, on a real engine, from local base images."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from hivemind_worker.runtimes.docker import debian_root
from tests.contract.docker_engine import IMAGE
from tests.contract.docker_registry import tar_of
from tests.contract.docker_town import FAR, Town, session_town
from tests.contract.wheel_index import SERVE
from tests.e2e.process import PROGRAM, environment

pytestmark = pytest.mark.release

ROOT = Path(__file__).parents[2]
WHEELS_PORT = 8082
NAME = "hivemind-worker"
BUILD_LIMIT_S, READY_LIMIT_S = 240.0, 90.0
NOT_IN_THE_CONTAINER = ("pyside6", "shiboken6", "qasync", "gputil")


def fetch_wheels(folder: Path) -> None:
    """What the Dockerfile installs, by pip's ordinary ways."""
    rows = re.split(r"(?m)^(?=\w)", (ROOT / "requirements.lock").read_text())
    lock = folder / "wanted.lock"
    lock.write_text("".join(row for row in rows if not row.startswith(NOT_IN_THE_CONTAINER)))
    words = [
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-d",
        str(folder),
    ]
    words += ["--python-version", "3.11", "-r", str(lock)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)


def make_base(api: docker.APIClient) -> None:
    """A local python:3.11-slim, of Debian's packages, whose pip looks for packages in the town alone."""
    with tempfile.TemporaryDirectory() as folder:
        root = debian_root.make_root_tar((*debian_root.PLAIN, "util-linux"), Path(folder), lambda *_: None)
        assert isinstance(root, Path), root
        with root.open("rb") as content:
            pieces = iter(lambda: content.read(1 << 20), b"")
            api.import_image_from_stream(pieces, repository="local/debian", tag="1")
    conf = f"[global]\nno-index = true\nfind-links = http://{FAR}:{WHEELS_PORT}/\ntrusted-host = {FAR}\n"
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    recipe = f"FROM local/debian:1\nENV {path}\nCOPY pip.conf /etc/pip.conf\n".encode()
    context = tar_of(Dockerfile=recipe, **{"pip.conf": conf.encode()})
    for line in api.build(fileobj=context, custom_context=True, tag="python:3.11-slim", rm=True, decode=True):
        assert "error" not in line, line


class Ground:
    """The town with the worker's image built by the documentation's own line, and its words."""

    def __init__(self, town: Town, home: Path) -> None:
        self.town, self.home = town, home

    def docker(self, *words: str, check: bool = True) -> str:
        return self.town.engine.docker(*words, check=check)

    def inside(self, *words: str) -> list[str]:
        """A command of the test's own, in the network that the container shares."""
        return [*self.town.engine.prefix, *PROGRAM, *words]

    async def command(self, *words: str, limit_s: float = 60.0) -> str:
        process = await asyncio.create_subprocess_exec(
            *self.inside(*words), env=environment(self.home), stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), limit_s)
        assert process.returncode == 0, err.decode()
        return out.decode()

    def status(self) -> dict[str, Any]:
        said = self.docker("exec", NAME, NAME, "status", "--json", check=False)
        return dict(json.loads(said)) if said.startswith("{") else {}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    if shutil.which("apt-get") is None:
        pytest.skip("the local base image is put together by Debian's tools")
    town, wheels = session_town(), tmp_path_factory.mktemp("wheels")
    fetch_wheels(wheels)
    town.settle(town.outer, "-c", SERVE, FAR, str(WHEELS_PORT), str(wheels / "asked.log"), str(wheels))
    api = docker.APIClient(base_url=town.engine.url, version="auto", timeout=120)
    make_base(api)
    api.close()
    words = ["docker", "-H", town.engine.url, "build", "-t", "hivemind-worker:latest", "."]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    made = Ground(town, tmp_path_factory.mktemp("home"))
    yield made
    made.docker("rm", "-f", "-v", NAME, check=False)
    made.docker("rmi", "-f", "hivemind-worker:latest", "python:3.11-slim", "local/debian:1", check=False)


@pytest.fixture
async def pool(ground: Ground) -> Any:
    """The embedded pool, in the network of the engine's computer."""
    (ground.home / "password").write_text("right horse\n")
    for name in ("ann", "bee"):
        await ground.command("pool", "user", "add", name, "--password-file", str(ground.home / "password"))
    process = await asyncio.create_subprocess_exec(
        *ground.inside("pool", "--listen", "127.0.0.1:50051", "--json"), env=environment(ground.home),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30)
    yield "127.0.0.1:50051"
    process.terminate()
    await process.communicate()


async def until(ground: Ground, happens: Callable[[], object]) -> None:
    ends_at = time.monotonic() + READY_LIMIT_S
    while not happens():
        assert time.monotonic() < ends_at, f"{ground.status()}\n{_logs(ground)}"
        await asyncio.sleep(0.5)


async def test_the_lines_of_the_original_documentation_give_a_worker_that_does_a_task_in_docker(
    ground: Ground, pool: str
) -> None:
    socket = f"{ground.town.engine.socket}:/var/run/docker.sock"
    ground.docker(
        "run", "-d", "--name", NAME, "--network", "host", "-e", f"MASTER_ADDRESS={pool}",
        "-e", "NODE_PORT=50053", "-e", "FLASK_PORT=5000", "-v", socket,
        "-e", f"HIVEMIND_TASK_IMAGE={IMAGE}", "-e", "HIVEMIND_BIND_ADDRESS=127.0.0.1",
        "-e", "HIVEMIND_TASK_DISK_GB=0.2", "hivemind-worker:latest",
    )  # fmt: skip
    await until(ground, lambda: ground.status().get("docker_available"))
    login = ("login", "--pool", pool, "--user", "ann", "--password-file", "-")
    words = ["docker", "-H", ground.town.engine.url, "exec", "-i", NAME, NAME, *login]
    subprocess.run(words, input=b"right horse\n", check=True, capture_output=True, timeout=60)
    await until(ground, lambda: ground.status().get("is_registered"))
    task = ground.home / "task"
    task.mkdir()
    source = "import os\nopen('out.txt', 'w').write(str(os.getuid()))\nprint('done here')\n"
    (task / "main.py").write_text(source)
    password, out = str(ground.home / "password"), str(ground.home / "out")
    sending = ("submit", str(task), "--pool", pool, "--user", "bee", "--password-file", password)
    said = await ground.command(*sending, "--wait", "--out", out, limit_s=120)
    assert "done here" in said
    [log] = Path(out).rglob("execution_log.txt")
    assert "Sandbox: docker" in log.read_text()
    assert log.with_name("out.txt").read_text() == "65532"
    _check_its_user(ground)
    assert "owns this computer" in _logs(ground)
    ground.docker("stop", "-t", "20", NAME)
    assert ground.docker("inspect", NAME, "-f", "{{.State.ExitCode}}") == "0"
    assert ground.docker("ps", "-aq", "--filter", "label=io.hivemind.task") == ""


def _logs(ground: Ground) -> str:
    words = ["docker", "-H", ground.town.engine.url, "logs", NAME]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout + done.stderr


def _check_its_user(ground: Ground) -> None:
    look = (
        "import re; text = open('/proc/1/status').read();"
        "print(re.search(r'Uid:\\s+(\\d+)', text)[1], int(re.search(r'CapBnd:\\s+(\\w+)', text)[1], 16),"
        " re.search(r'NoNewPrivs:\\s+(\\d)', text)[1])"
    )
    assert ground.docker("exec", NAME, "python3", "-c", look) == "65532 0 1"


def test_without_the_socket_the_same_image_has_the_built_in_sandbox(ground: Ground) -> None:
    said = ground.docker("run", "--rm", "--network", "none", "hivemind-worker:latest", "sandbox", "status")
    assert said.startswith("Tasks run in: CPython")


def test_the_compose_file_says_what_the_documentation_s_line_says() -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["hivemind-worker"]
    assert service["network_mode"] == "host"
    assert service["image"] == "hivemind-worker:latest"
    assert "/var/run/docker.sock:/var/run/docker.sock" in service["volumes"]
    assert set(service["environment"]) == {"MASTER_ADDRESS", "NODE_PORT", "FLASK_PORT"}
    recipe = (ROOT / "Dockerfile").read_text()
    home = re.search(r"VOLUME (\S+)", recipe)
    assert home is not None
    assert f"hivemind:{home[1]}" in service["volumes"]
