"""Living with the engine: where it is found, what it is judged to be, when it hangs, goes and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FAULTS, FaultCode
from hivemind_worker.runtimes.docker.endpoint import Endpoint, find_endpoint
from hivemind_worker.runtimes.docker.engine import Engine, EngineState, judge
from hivemind_worker.runtimes.docker.runtime import DockerRuntime
from tests.contract.docker_engine import TestEngine, docker_sandbox, shared_engine
from tests.contract.stage import Stage

SLEEPS = "import time\nprint('on', flush=True)\ntime.sleep(60)\n"
COUNTS = "import time\nfor n in range(80):\n    print(n, flush=True)\n    time.sleep(0.05)\n"


# --- where it is ------------------------------------------------------------------------------


def test_the_variable_wins_over_the_context_and_that_over_the_usual_place(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"podman").hexdigest()
    meta = tmp_path / ".docker" / "contexts" / "meta" / digest / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Endpoints": {"docker": {"Host": "unix:///run/user/7/podman/podman.sock"}}}))
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"currentContext": "podman"}))
    found = find_endpoint({"DOCKER_HOST": "tcp://127.0.0.1:2375"}, tmp_path, "linux")
    assert (found.url, found.source) == ("tcp://127.0.0.1:2375", "DOCKER_HOST")
    found = find_endpoint({}, tmp_path, "linux")
    assert (found.url, found.source) == ("unix:///run/user/7/podman/podman.sock", "Docker context podman")
    assert find_endpoint({"DOCKER_CONTEXT": "default"}, tmp_path, "linux").source == "the usual place"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"currentContext": 7}', '{"currentContext": "gone"}'])
def test_a_broken_configuration_falls_back_to_the_usual_place(tmp_path: Path, content: str) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(content)
    assert find_endpoint({}, tmp_path, "linux").source == "the usual place"
    assert find_endpoint({}, tmp_path, "win32").url == "npipe:////./pipe/docker_engine"


def test_a_socket_of_the_users_own_is_found_where_there_is_no_other(tmp_path: Path) -> None:
    own = tmp_path / "run" / "docker.sock"
    own.parent.mkdir()
    own.touch()
    if Path("/var/run/docker.sock").exists():
        pytest.skip("this computer has an engine at the usual place")
    assert find_endpoint({"XDG_RUNTIME_DIR": str(own.parent)}, tmp_path, "linux").socket == own


# --- what it is -------------------------------------------------------------------------------

GOOD = {"OSType": "linux", "MemoryLimit": True, "CpuCfsQuota": True, "PidsLimit": True,
        "SecurityOptions": ["name=seccomp,profile=default"]}  # fmt: skip

NEW = {"Version": "25", "ApiVersion": "1.44"}


@pytest.mark.parametrize(
    ("version", "info", "state", "words"),
    [
        ({"Version": "20.10.24", "ApiVersion": "1.41"}, GOOD, EngineState.READY, "Docker 20.10.24"),
        ({"Version": "18.09", "ApiVersion": "1.39"}, GOOD, EngineState.TOO_OLD, "19.03"),
        (NEW, GOOD | {"OSType": "windows"}, EngineState.UNSUITABLE, "Windows"),
        (NEW, GOOD | {"MemoryLimit": False}, EngineState.UNSUITABLE, "memory"),
        (NEW, GOOD | {"PidsLimit": False}, EngineState.UNSUITABLE, "processes"),
        (NEW, GOOD | {"SecurityOptions": ["name=apparmor"]}, EngineState.UNSUITABLE, "system calls"),
        (
            {"Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}, GOOD,
            EngineState.READY, "Podman 4.3.1",
        ),
    ],
)  # fmt: skip
def test_an_engine_that_answers_is_judged_by_what_it_can_hold(
    version: dict[str, object], info: dict[str, object], state: EngineState, words: str
) -> None:
    view = judge(version, info)
    assert view.state is state
    assert words in view.detail
    assert (view.facts is not None) == (state is EngineState.READY)


def test_an_engine_without_root_says_so() -> None:
    info = GOOD | {"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}
    facts = judge({"Version": "25", "ApiVersion": "1.44"}, info).facts
    assert facts is not None
    assert facts.level == "container without root on the host"


@pytest.fixture
async def looked(tmp_path: Path) -> AsyncIterator[list[Engine]]:
    made: list[Engine] = []
    yield made
    for engine in made:
        await engine.close()


async def test_no_socket_and_a_socket_that_nobody_listens_at_are_told_apart(
    tmp_path: Path, looked: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(lambda: Endpoint(url=f"unix://{tmp_path}/none.sock", source="the test"))
    looked.append(engine)
    monkeypatch.setenv("PATH", "/nowhere")
    assert (await engine.look()).state is EngineState.NOT_INSTALLED
    (tmp_path / "dockerd").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    view = await engine.look()
    assert view.state is EngineState.NOT_RUNNING
    assert "none.sock, found in the test" in view.detail


@contextlib.contextmanager
def mute(path: Path) -> Iterator[None]:
    """A socket where callers are let in and never answered."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(path))
        door.listen()
        yield


async def test_a_socket_that_accepts_and_never_answers_is_hung_within_its_limit(
    tmp_path: Path, looked: list[Engine]
) -> None:
    engine = Engine(lambda: Endpoint(url=f"unix://{tmp_path}/mute.sock", source="the test"), call_limit_s=1)
    looked.append(engine)
    with mute(tmp_path / "mute.sock"):
        began = time.monotonic()
        assert (await engine.look()).state is EngineState.HUNG
        assert time.monotonic() - began < 3


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can become somebody else")
async def test_a_socket_that_this_user_may_not_use_says_so(tmp_path: Path, looked: list[Engine]) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    engine = Engine(lambda: Endpoint(url=f"unix://{tmp_path}/shut.sock", source="the test"))
    looked.append(engine)
    await engine._look_thread.call(__import__, "docker")  # as root, who may read this installation
    await engine._look_thread.call(become_nobody)
    with mute(tmp_path / "shut.sock"):
        (tmp_path / "shut.sock").chmod(0o600)
        view = await engine.look()
    assert view.state is EngineState.NO_PERMISSION
    assert "this user may not use" in view.detail


def become_nobody() -> None:
    """This thread alone: the plain call, as the library's would change them all."""
    import ctypes

    assert ctypes.CDLL(None, use_errno=True).syscall(117, 65534, 65534, 65534) == 0  # setresuid on x86-64


def test_every_state_has_a_fault_with_words() -> None:
    for code in FaultCode:
        if code.value.startswith("engine_"):
            assert FAULTS[code].sentence
            assert FAULTS[code].next_step


# --- when it hangs, goes and comes back -------------------------------------------------------


async def test_what_the_tests_engine_writes_when_it_is_slow_stays_in_its_own_folder() -> None:
    """An engine whose containerd does not answer in time asks it for its stacks, then begins it anew."""
    engine = shared_engine()
    containerd = int((engine.folder / "exec/containerd/containerd.pid").read_text())
    os.kill(containerd, signal.SIGUSR1)
    written = engine.temporary / f"containerd.{containerd}.stacks.log"
    async with asyncio.timeout(30):
        while not written.exists():
            await asyncio.sleep(0.05)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[tuple[TestEngine, Stage]]:
    engine = shared_engine()
    runtime = docker_sandbox(engine, tmp_path / "docker")
    assert (await runtime.view()).ready
    stage = Stage(runtime, tmp_path)
    yield engine, stage
    await stage.clear()


async def is_seen(runtime: DockerRuntime, code: FaultCode | None, limit_s: float) -> float:
    """Seconds until the view says so; each look at it is quick, whatever the engine does."""
    began = time.monotonic()
    while True:
        asked = time.monotonic()
        view = await runtime.view()
        assert time.monotonic() - asked < 4.5
        if (view.problem and view.problem.code) is code:
            return time.monotonic() - began
        assert time.monotonic() - began < limit_s, view
        await asyncio.sleep(0.1)


@pytest.mark.release  # `make test` plays the drill F4 itself
async def test_F4_an_engine_that_hangs_is_noticed_and_what_ran_goes_on_afterwards(
    sandbox: tuple[TestEngine, Stage],
) -> None:
    engine, stage = sandbox
    played = await stage.start(stage.order({"main.py": COUNTS}))
    await played.hears(b"\n10\n")
    engine.freeze()
    try:
        await is_seen(stage.runtime, FaultCode.ENGINE_HUNG, 15)  # type: ignore[arg-type]
        await asyncio.wait_for(stage.runtime.pause(played.order.key, 7), 1)  # nobody's: at once
    finally:
        engine.thaw()
    await is_seen(stage.runtime, None, 15)  # type: ignore[arg-type]
    assert (await played.outcome()).exit_code == 0
    assert played.text.split() == [str(n) for n in range(80)]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["asked", "killed"])
async def test_F3_a_restart_ends_what_ran_with_that_reason_and_the_next_task_runs(
    sandbox: tuple[TestEngine, Stage], how: int
) -> None:
    engine, stage = sandbox
    played = await stage.start(stage.order({"main.py": COUNTS + "time.sleep(60)\n"}))
    await played.hears(b"\n10\n")
    stopping = asyncio.ensure_future(asyncio.to_thread(engine.stop, how))
    await stopping
    await is_seen(stage.runtime, FaultCode.ENGINE_DOWN, 5)  # type: ignore[arg-type]
    await asyncio.to_thread(engine.start)
    await is_seen(stage.runtime, None, 5)  # type: ignore[arg-type]
    outcome = await played.outcome()
    assert outcome.problem is not None
    assert outcome.problem.code is FaultCode.ENGINE_RESTARTED
    numbers = [int(word) for word in played.text.split()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 10
    again, said = await stage.play("print('hello')")
    assert (again.exit_code, said.text) == (0, "hello\n")
    stage.runtime.forget(played.order.key, 1)
    async with asyncio.timeout(10):
        while any(name in played.where for name in engine.containers()):
            await asyncio.sleep(0.1)


ENDS_IN_ORDER = """
import signal, sys, time
def end(*_):
    print("saved", flush=True)
    sys.exit(5)
signal.signal(signal.SIGTERM, end)
print("on", flush=True)
time.sleep(60)
"""


async def test_a_program_that_ended_while_the_engine_was_away_keeps_its_own_end(
    sandbox: tuple[TestEngine, Stage],
) -> None:
    engine, stage = sandbox
    played = await stage.start(stage.order({"main.py": ENDS_IN_ORDER}))
    await played.hears(b"on\n")
    await asyncio.to_thread(engine.restart)
    outcome = await played.outcome()
    assert outcome.exit_code == 5
    assert played.text == "on\nsaved\n"


async def test_what_is_warmed_and_never_run_leaves_no_container(sandbox: tuple[TestEngine, Stage]) -> None:
    engine, stage = sandbox
    order = stage.order({"main.py": "pass"})
    stage.runtime.warm(order)
    name = f"task-{order.key}-1"
    async with asyncio.timeout(10):
        while name not in engine.containers():
            await asyncio.sleep(0.05)
    await stage.runtime.stop(order.key, 1)
    async with asyncio.timeout(10):
        while name in engine.containers():
            await asyncio.sleep(0.05)


async def test_a_warmed_container_is_the_one_that_runs(sandbox: tuple[TestEngine, Stage]) -> None:
    _, stage = sandbox
    order = stage.order({"main.py": "print('hello')"})
    stage.runtime.warm(order)
    run = stage.runtime._warm[order.key, 1][0]  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        while not run.container:
            await asyncio.sleep(0.02)
    played = await stage.start(order)
    assert stage.runtime._runs.get((order.key, 1), run) is run  # type: ignore[attr-defined]
    assert (await played.outcome()).exit_code == 0
    assert (played.where, played.text) == ([run.launch.name], "hello\n")
