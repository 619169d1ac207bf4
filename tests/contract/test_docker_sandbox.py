"""A task's container on a live engine: rows C1 to C8 of the security page, each by its attack."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hivemind_worker.machine.probes.load import OthersLoad, OwnWork
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Outcome
from hivemind_worker.runtimes import quota
from hivemind_worker.runtimes.docker.hardening import FIXED, NOBODY
from hivemind_worker.runtimes.docker.runtime import DockerRuntime
from hivemind_worker.runtimes.workspace import Workspace
from tests.contract.docker_engine import TestEngine, docker_sandbox, shared_engine
from tests.contract.stage import MIB, Played, Stage
from tests.machine.burning import Share

SLEEPS = "import time\nprint('on', flush=True)\ntime.sleep(60)\n"


class Yard(Stage):
    """A stage with a Docker sandbox, and its engine for looking at it from outside."""

    runtime: DockerRuntime
    engine: TestEngine

    def inspected(self, played: Played) -> dict[str, Any]:
        return dict(json.loads(self.engine.docker("inspect", played.where[0]))[0])

    def processes(self, container: str) -> list[int]:
        """Those of this computer that are in the container."""
        found = []
        for pid in psutil.pids():
            try:
                if container in Path(f"/proc/{pid}/cgroup").read_text():
                    found.append(pid)
            except OSError:
                continue
        return found

    async def gone(self, container: str, limit_s: float = 5.0) -> None:
        async with asyncio.timeout(limit_s):
            while self.processes(container):
                await asyncio.sleep(0.05)


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    engine = shared_engine()
    runtime = docker_sandbox(engine, tmp_path / "docker")
    assert (await runtime.view()).ready
    made = Yard(runtime, tmp_path)
    made.engine = engine
    yield made
    await made.clear()
    assert [name for name in engine.containers() if any(name in one.where for one in made.played)] == []


def at(message: dict[str, Any], option: str) -> Any:
    """What a live container says about an option of the list."""
    *folders, name = (option if option.startswith("HostConfig.") else f"Config.{option}").split(".")
    for folder in folders:
        message = message[folder]
    return message[name]


def name_of(ulimit: dict[str, Any]) -> str:
    return str(ulimit["Name"])


async def test_every_rule_of_the_hardening_list_is_read_back_from_a_live_container(yard: Yard) -> None:
    played = await yard.start(yard.order({"main.py": SLEEPS}, cpu_cores=0.7))
    await played.hears(b"on\n")
    rules = yard.runtime._runs[played.order.key, 1].launch.rules
    live = yard.inspected(played)
    assert len(rules) > len(FIXED)
    for rule in rules:
        assert rule.reason
        found = at(live, rule.option)
        match rule.value:
            case dict() if rule.option == "Labels":
                assert rule.value.items() <= found.items()
            case list() if rule.option == "Env":
                assert set(rule.value) <= set(found)
            case empty if not empty:
                assert not found, rule.option
            case list() if rule.option == "HostConfig.Ulimits":
                assert sorted(found, key=name_of) == sorted(rule.value, key=name_of)
            case {"Name": "no"}:
                assert found["Name"] == "no"
            case _:
                assert found == rule.value, rule.option
    assert live["HostConfig"]["Privileged"] is False
    assert all("docker.sock" not in mount["Source"] for mount in live["Mounts"])
    assert {mount["Source"] for mount in live["Mounts"]} == {str(played.order.workspace)}


LOOKS = """
import json, os, socket
lines = open("/proc/self/status").read().splitlines()
status = dict(line.split(":\\t", 1) for line in lines if ":\\t" in line)
def tried(path):
    try:
        open(path, "w").close()
        return "written"
    except OSError as error:
        return error.errno
mounts = {line.split()[1]: line.split()[3].split(",") for line in open("/proc/self/mounts")}
print(json.dumps({
    "caps": [status[name].strip() for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")],
    "nnp": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
    "ids": [os.getuid(), os.getgid()], "groups": os.getgroups(),
    "root": [tried("/x"), tried("/etc/x"), tried("/usr/x")], "tmp": tried("/tmp/x"),
    "tmp_options": mounts["/tmp"], "name": socket.gethostname(),
    "interfaces": [name for _, name in socket.if_nameindex()], "cwd": os.getcwd(),
    "same": os.path.samefile("/app/task", "/workspace"), "task": os.environ["TASK_ID"],
    "unbuffered": os.environ["PYTHONUNBUFFERED"], "variables": sorted(os.environ),
    "devices": sorted(os.listdir("/dev")), "first": open("/proc/1/comm").read().strip(),
    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
}))
"""


async def test_from_inside_there_is_no_right_no_network_and_nothing_to_write_but_workspace_and_tmp(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNERS_SECRET", "of the worker")
    outcome, played = await yard.play(LOOKS, task_id="a task's own id/2")
    assert outcome.exit_code == 0, played.text
    seen = json.loads(played.text)
    assert {int(caps, 16) for caps in seen["caps"]} == {0}
    assert (seen["nnp"], seen["seccomp"]) == ("1", "2")
    owner = [NOBODY, NOBODY] if os.getuid() == 0 else [os.getuid(), os.getgid()]
    assert seen["ids"] == owner
    assert 0 not in seen["groups"]
    assert "written" not in seen["root"]
    assert seen["tmp"] == "written"
    assert {"noexec", "nosuid", "nodev"} <= set(seen["tmp_options"])
    assert (seen["name"], seen["interfaces"]) == ("task", ["lo"])
    assert (seen["cwd"], seen["same"]) == ("/app/task", True)
    assert (seen["task"], seen["unbuffered"]) == ("a task's own id/2", "1")
    assert "OWNERS_SECRET" not in seen["variables"]
    assert not {"sda", "vda", "kvm", "mem", "kmsg", "fuse", "dri"} & set(seen["devices"])
    assert seen["first"] in ("docker-init", "tini")
    assert len(seen["processes"]) <= 3


COUNTED_BOMB = """
import os, time
made = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        made += 1
except BlockingIOError:
    print("stopped after", made)
"""
ENDLESS_BOMB = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"


async def test_C1_a_counted_fork_bomb_ends_at_the_limit_and_all_of_it_is_gone(yard: Yard) -> None:
    outcome, played = await yard.play(COUNTED_BOMB)
    assert outcome.exit_code == 0
    assert 100 < int(played.text.split()[-1]) < 256
    assert yard.processes(played.where[0]) == []


async def test_C1_an_endless_fork_bomb_dies_whole_at_its_time_limit(yard: Yard) -> None:
    played = await yard.start(yard.order({"main.py": ENDLESS_BOMB}, time_limit_s=2, cpu_cores=0.5))
    container = yard.inspected(played)["Id"]
    outcome = await played.outcome()
    assert outcome.problem is not None
    assert outcome.problem.code is FaultCode.TIMED_OUT
    await yard.gone(container)


MANY_EAT = """
import os, time
for n in range(20):
    if os.fork() == 0:
        x = bytearray(64 << 20)
        time.sleep(30)
while True:
    x = bytearray(100 << 20)
    y = bytearray(100 << 20)
"""


@pytest.mark.parametrize(
    "source",
    [
        "blocks = []\nwhile True:\n    blocks.append(bytearray(8 << 20))\n",
        "with open('/dev/shm/x', 'wb') as file:\n    while True:\n        file.write(bytes(1 << 20))\n",
        MANY_EAT,
    ],
    ids=["memory", "shared", "many"],
)
async def test_C2_a_memory_bomb_dies_at_its_limit_and_the_worker_does_not_grow(
    yard: Yard, source: str
) -> None:
    before = psutil.Process().memory_info().rss
    outcome, played = await yard.play(source, memory_bytes=192 * MIB)
    assert outcome.problem is not None, played.text
    if "shm" in source:  # its size is bounded as well, which is found first
        assert "No space left" in played.text
    else:
        assert outcome.problem.code is FaultCode.OUT_OF_MEMORY
        assert outcome.problem.about == "192 MiB"
    assert outcome.exit_code in (None, 1)
    assert psutil.Process().memory_info().rss - before < 50 * MIB


async def test_C3_a_disk_that_is_filled_is_stopped_near_the_quota(yard: Yard) -> None:
    source = (  # at the 250 MB/s that the security page names, however fast this disk is
        "import time\nn, began = 0, time.monotonic()\nwhile True:\n    n += 1\n"
        "    with open(f'{n}', 'wb') as file:\n"
        "        for _ in range(16):\n            file.write(bytes(1 << 20))\n"
        "    time.sleep(max(0, began + n * (16 << 20) / 250e6 - time.monotonic()))\n"
    )
    outcome, played = await yard.play(source, disk_bytes=100 * MIB)
    assert outcome.problem is not None
    assert outcome.problem.code is FaultCode.OUT_OF_DISK
    written = sum(path.stat().st_size for path in played.order.workspace.iterdir())
    assert 100 * MIB < written < (100 + 256) * MIB


async def test_C3_files_without_end_are_stopped_as_well(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "FILES_LIMIT", 2000)
    source = "n = 0\nwhile True:\n    n += 1\n    open(f'{n}', 'w').close()\n"
    outcome, _ = await yard.play(source, disk_bytes=1 << 30)
    assert outcome.problem is not None
    assert outcome.problem.code is FaultCode.OUT_OF_DISK


async def test_C3_a_file_that_is_deleted_and_still_held_open_counts(yard: Yard) -> None:
    source = (
        "import os, time\nfile = open('x', 'wb')\nos.unlink('x')\nfor _ in range(40):\n"
        "    file.write(bytes(1 << 20))\nfile.flush()\ntime.sleep(30)\n"
    )
    outcome, _ = await yard.play(source, disk_bytes=20 * MIB)
    assert outcome.problem is not None
    assert outcome.problem.code is FaultCode.OUT_OF_DISK


class Sieve:
    """A listener that keeps nothing."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self.largest_bytes = 0

    async def take(self, piece: bytes, _mark: bytes = b"", /) -> None:
        self.total_bytes += len(piece)
        self.largest_bytes = max(self.largest_bytes, len(piece))


async def started(where: str, /, *, image: str = "", runtime: str = "") -> None:
    return None


async def test_C4_a_line_of_100_MB_without_an_end_passes_in_pieces(yard: Yard) -> None:
    sieve, before = Sieve(), psutil.Process().memory_info().rss
    source = "import sys\nfor _ in range(100):\n    sys.stdout.write('x' * 1_000_000)\n"
    outcome = await yard.runtime.run(yard.order({"main.py": source}), sieve.take, started)
    assert (outcome.exit_code, sieve.total_bytes) == (0, 100_000_000)
    assert sieve.largest_bytes <= 2 * MIB
    assert psutil.Process().memory_info().rss - before < 100 * MIB


FLOODS = """
import time
line = "y" * 999
for _ in range(60_000):
    print(line)
open("done", "w").close()
time.sleep(60)
"""


async def test_C4_the_log_that_the_engine_keeps_itself_is_bounded(yard: Yard) -> None:
    sieve, order, up = Sieve(), yard.order({"main.py": FLOODS}), asyncio.Event()

    async def is_up(where: str, /, *, image: str = "", runtime: str = "") -> None:
        up.set()

    running = asyncio.ensure_future(yard.runtime.run(order, sieve.take, is_up))
    await up.wait()
    async with asyncio.timeout(60):
        while not (order.workspace / "done").exists():
            await asyncio.sleep(0.1)
    name = f"task-{order.key}-1"
    folder = yard.engine.folder / "data" / "containers" / yard.engine.docker("inspect", "-f", "{{.Id}}", name)
    kept = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    await yard.runtime.stop(order.key, 1, 0)
    await running
    assert kept < 33 * MIB
    assert sieve.total_bytes == 60_000_000


async def test_C5_bytes_of_any_kind_come_as_they_are_from_both_streams(yard: Yard) -> None:
    nasty = bytes(range(256)) + b"\x1b[31m<script>\xff\xe2\x80\xa8\xe2\x80\xae\n[INFO] forged\n"
    source = f"import sys\nsys.stdout.buffer.write({nasty!r})\nsys.stdout.flush()\nsys.stderr.write('err')\n"
    _, played = await yard.play(source)
    assert sorted(bytes(played.output)) == sorted(nasty + b"err")
    assert nasty in bytes(played.output).replace(b"err", b"")


IGNORES = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("on", flush=True)
while True:
    time.sleep(1)
"""
HALTS = """
import os, signal
print("on", flush=True)
os.kill(1, signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGSTOP)
"""
ENDS_IN_ORDER = """
import signal, sys, time
def end(*_):
    open("saved", "w").write("all")
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("on", flush=True)
time.sleep(60)
"""
DETACHES = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(1)
        os.close(2)
        time.sleep(600)
    os._exit(0)
print("on", flush=True)
time.sleep(0.3)
"""


@pytest.mark.parametrize("source", [IGNORES, HALTS], ids=["ignores", "halts"])
async def test_C6_what_ignores_the_asking_or_halts_itself_is_killed_after_its_grace(
    yard: Yard, source: str
) -> None:
    played = await yard.start(yard.order({"main.py": source}))
    container = yard.inspected(played)["Id"]
    await played.hears(b"on\n")
    began = time.monotonic()
    await yard.runtime.stop(played.order.key, 1, 1.0)
    outcome = await played.outcome()
    assert (outcome.exit_code, outcome.problem) == (None, None)
    assert time.monotonic() - began < 6
    assert yard.processes(container) == []


async def test_C6_a_program_that_is_asked_can_end_in_order(yard: Yard) -> None:
    played = await yard.start(yard.order({"main.py": ENDS_IN_ORDER}))
    await played.hears(b"on\n")
    await yard.runtime.stop(played.order.key, 1)
    outcome = await played.outcome()
    assert outcome.exit_code == 0  # it was faster than the stop, which `core` counts as completed
    assert played.text == "on\nsaved\n"
    assert (played.order.workspace / "saved").read_text() == "all"


async def test_C6_what_detaches_itself_is_gone_when_the_run_returns(yard: Yard) -> None:
    played = await yard.start(yard.order({"main.py": DETACHES}))
    container = yard.inspected(played)["Id"]
    outcome = await played.outcome()
    assert outcome.exit_code == 0
    assert yard.processes(container) == []


async def test_C7_the_image_is_the_owners_by_its_digest_whatever_the_task_brings(yard: Yard) -> None:
    files = {
        "main.py": SLEEPS,
        "Dockerfile": "FROM evil",
        "image": "evil:latest",
        "docker-compose.yml": "image: evil",
    }
    played = await yard.start(yard.order(files))
    await played.hears(b"on\n")
    live = yard.inspected(played)
    assert live["Config"]["Image"].startswith("sha256:")
    assert live["Config"]["Entrypoint"] == ["python3", "/app/task/main.py"]
    assert not live["Config"]["Cmd"]


MAKES = """
import os
os.makedirs("deep/er")
open("deep/er/file", "w").write("x")
os.symlink("/etc/passwd", "link")
os.link("deep/er/file", "hard")
os.mkfifo("pipe")
os.mkdir("shut")
open("shut/x", "w").close()
os.chmod("shut", 0)
os.mkdir("odd\\udcff")
print(os.stat("main.py").st_uid == os.getuid(), open("main.py", "a").write("#"))
"""


async def test_C8_what_a_task_makes_is_the_owners_and_can_be_removed(yard: Yard) -> None:
    before = Path("/etc/passwd").stat()
    outcome, played = await yard.play(MAKES)
    assert outcome.exit_code == 0, played.text
    assert played.text == "True 1\n"
    strangers = [
        name for place, folders, files in os.walk(played.order.workspace)
        for name in (*folders, *files) if (Path(place) / name).lstat().st_uid != os.getuid()
    ]  # fmt: skip
    assert strangers == []
    assert played.order.workspace.stat().st_uid == os.getuid()
    after = Path("/etc/passwd").stat()
    assert (after.st_uid, after.st_ctime) == (before.st_uid, before.st_ctime)
    Workspace().remove(played.order.workspace)
    assert not played.order.workspace.exists()


async def test_a_container_stays_until_its_end_is_written_down(yard: Yard) -> None:
    _, played = await yard.play("print('hello')")
    assert yard.inspected(played)["State"]["ExitCode"] == 0
    yard.runtime.forget(played.order.key, 1)
    async with asyncio.timeout(10):
        while played.where[0] in yard.engine.containers():
            await asyncio.sleep(0.05)


async def test_exit_codes_and_signals_are_told_as_they_were(yard: Yard) -> None:
    for source, code in (("raise SystemExit(7)", 7), ("import os; os.abort()", 134), ("x", 1)):
        outcome, _ = await yard.play(source)
        assert (outcome.exit_code, outcome.problem and outcome.problem.code) == (code, FaultCode.EXIT_CODE)


async def test_a_script_that_lies_deeper_finds_what_lies_at_the_top(yard: Yard) -> None:
    order = yard.order(
        {"src/run.py": "import beside; print(beside.word)", "beside.py": "word = 'found'"}, entry="src/run.py"
    )
    played = await yard.start(order)
    assert (await played.outcome()).exit_code == 0
    assert played.text == "found\n"


async def test_the_share_of_the_processor_is_kept_and_can_be_changed_while_it_runs(yard: Yard) -> None:
    source = "import time\nprint('on', flush=True)\nwhile True:\n    pass\n"
    played = await yard.start(yard.order({"main.py": source}, cpu_cores=0.5))
    await played.hears(b"on\n")
    await yard.runtime.limit(played.order.key, 1, 0.2)
    assert yard.inspected(played)["HostConfig"]["CpuQuota"] == 20_000
    await yard.runtime.limit(played.order.key, 1, 8)  # never more than it was ordered with
    assert yard.inspected(played)["HostConfig"]["CpuQuota"] == 50_000


WORKS = """
x = bytearray(60 << 20)
open("f", "wb").write(bytes(3 << 20))
print("on", flush=True)
while True:
    pass
"""


BUSY = "print('on', flush=True)\nwhile True:\n    pass\n"


@pytest.mark.slow
async def test_what_a_container_uses_is_not_taken_for_other_programs(yard: Yard) -> None:
    played = await yard.start(yard.order({"main.py": BUSY}, cpu_cores=0.7))
    await played.hears(b"on\n")
    async with asyncio.timeout(10):
        while (pid := yard.runtime.process(played.order.key, 1)) is None:
            await asyncio.sleep(0.05)
    assert pid in yard.processes(yard.inspected(played)["Id"])
    own, others = OthersLoad(lambda: OwnWork(pids=(pid,))), OthersLoad(OwnWork)
    assert (own.look(), others.look()) == (None, None)
    share = Share(pid)
    await asyncio.sleep(1.0)
    its_percent = share.percent()
    with_it, without_it = others.look(), own.look()
    assert with_it is not None
    assert without_it is not None
    assert with_it - without_it > its_percent / 2 > 0


@pytest.mark.slow
async def test_figures_come_every_second_only_while_somebody_looks(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[float] = []
    stats = yard.runtime._containers.stats

    async def counted(container: str) -> Any:
        calls.append(time.monotonic())
        return await stats(container)

    monkeypatch.setattr(yard.runtime._containers, "stats", counted)
    played = await yard.start(yard.order({"main.py": WORKS}, cpu_cores=0.5))
    await played.hears(b"on\n")
    await asyncio.sleep(3)
    for _ in range(10):  # what is asked for a curve does not have it measured more often
        assert 60 * MIB < (yard.runtime.memory_bytes(played.order.key, 1) or 0) < 256 * MIB
    assert len(calls) <= 2
    for _ in range(40):
        figures = yard.runtime.figures(played.order.key, 1)
        if figures is not None and len(calls) >= 4 and figures.cores > 0 and figures.disk_bytes:
            break
        await asyncio.sleep(0.1)
    assert figures is not None
    assert 0.1 < figures.cores < 1
    assert 60 * MIB < figures.memory_bytes < figures.memory_limit_bytes == 256 * MIB
    assert figures.disk_bytes > 3 * MIB
    await yard.runtime.stop(played.order.key, 1, 0)
    outcome: Outcome = await played.outcome()
    assert outcome.usage.cpu_s > 0.3
    assert outcome.usage.peak_memory_bytes > 60 * MIB
