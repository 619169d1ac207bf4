"""Memory, disk, time and share of processor of the built-in sandbox; pausing, stopping, and its end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes import quota
from hivemind_worker.runtimes.quota import measure
from tests.contract.stage import MIB, Played, Stage, session_sandbox, small_sandbox

BUSY = "print('on')\nwhile True: pass\n"
SLEEPS = "import time\nprint('on')\ntime.sleep(60)\n"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(small_sandbox(), tmp_path)
    yield stage
    await stage.clear()


async def begin(stage: Stage, source: str, **changes: object) -> Played:
    played = await stage.start(stage.order({"main.py": source}, **changes))
    await played.hears(b"on\n")
    return played


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def gone(pid: int, limit_s: float = 5.0) -> bool:
    """Whether a process has ended (a zombie has) within the limit."""
    ends_at = time.monotonic() + limit_s
    while time.monotonic() < ends_at:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        await asyncio.sleep(0.02)
    return False


# --- memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "x = bytearray(1 << 30)",
        "x = []\nwhile True: x.append(bytearray(100_000))",
        "x = []\nwhile True: x.append(object())",
        "x = 'a'\nwhile True: x += x",
        "def f():\n    x = [[0] * 1000]\n    while True: x.append(list(x[-1]))\nf()",
    ],
    ids=["once", "pieces", "objects", "text", "lists"],
)
async def test_a_program_that_eats_memory_is_told_so(stage: Stage, source: str) -> None:
    outcome, played = await stage.play(source, memory_bytes=96 * MIB)
    assert outcome.problem == Problem(code=FaultCode.OUT_OF_MEMORY, about="96 MiB"), played.text
    assert outcome.exit_code is None
    assert outcome.usage.peak_memory_bytes <= 96 * MIB


async def test_a_program_that_deals_with_the_lack_of_memory_itself_ends_as_it_likes(stage: Stage) -> None:
    source = (
        "try:\n    x = bytearray(1 << 30)\nexcept MemoryError:\n    print('fine')\n    raise SystemExit(4)"
    )
    outcome, played = await stage.play(source)
    assert (outcome.exit_code, played.text) == (4, "fine\n")
    assert outcome.problem == Problem(code=FaultCode.EXIT_CODE, about="4")


async def test_a_limit_below_the_interpreters_own_need_is_out_of_memory(stage: Stage) -> None:
    outcome, _ = await stage.play("print(1)", memory_bytes=1 * MIB)
    assert outcome.problem == Problem(code=FaultCode.OUT_OF_MEMORY, about="1 MiB")


# --- disk -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "f = open('big', 'wb')\nwhile True: f.write(bytes(1 << 20)); time.sleep(0.005)",
        "f = open('/tmp/big', 'wb')\nwhile True: f.write(bytes(1 << 20)); time.sleep(0.005)",
        "f = open('big', 'wb'); os.remove('big')\nwhile True: f.write(bytes(1 << 20)); time.sleep(0.005)",
        "open('sparse', 'wb').truncate(30 << 20); time.sleep(60)",
        "open('quick', 'wb').write(bytes(30 << 20))",
    ],
    ids=["workspace", "tmp", "deleted", "sparse", "quick"],
)
async def test_a_program_that_fills_the_disk_is_ended_soon_after(stage: Stage, source: str) -> None:
    outcome, played = await stage.play(f"import os, time\n{source}", disk_bytes=20 * MIB)
    assert outcome.problem == Problem(code=FaultCode.OUT_OF_DISK, about="20 MiB"), played.text
    assert outcome.exit_code is None
    left = sum(path.stat().st_blocks * 512 for path in played.order.workspace.rglob("*"))
    assert left < 20 * MIB + 256 * MIB


async def test_one_giant_sparse_file_is_refused_inside_the_sandbox(stage: Stage) -> None:
    outcome, played = await stage.play("open('sparse', 'wb').truncate(1 << 42)")
    assert outcome.exit_code == 1
    assert "File too large" in played.text


async def test_too_many_files_break_the_quota_as_well(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quota.FILES_LIMIT == 60_000
    monkeypatch.setattr(quota, "FILES_LIMIT", 600)
    source = "import time\nfor n in range({count}): open(str(n), 'w').close()\ntime.sleep({nap})"
    outcome, _ = await stage.play(source.format(count=500, nap=0))
    assert outcome.exit_code == 0
    outcome, _ = await stage.play(source.format(count=700, nap=60))
    assert outcome.problem == Problem(code=FaultCode.OUT_OF_DISK, about="64 MiB")


async def test_folders_nested_beyond_reach_break_the_quota(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=fd)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    taken = measure([tmp_path], MIB * 1000)
    assert taken.unreadable
    assert taken.exceeds(MIB * 1000)
    subprocess.run(["rm", "-rf", str(tmp_path / ("d" * 200))], check=True)


async def test_the_quota_looks_at_links_not_behind_them(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "large").write_bytes(bytes(10 * MIB))
    (tmp_path / "in" / "link").symlink_to(tmp_path / "large")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    assert measure([tmp_path / "in"], MIB).size_bytes < 100_000


# --- time and share ---------------------------------------------------------------------------


async def test_a_busy_loop_is_ended_by_the_time_limit(stage: Stage) -> None:
    began = time.monotonic()
    outcome, _ = await stage.play(BUSY, time_limit_s=0.7)
    assert outcome.problem == Problem(code=FaultCode.TIMED_OUT, about="0.7 s")
    assert 0.7 <= time.monotonic() - began < 2.0
    assert outcome.usage.wall_s >= 0.7


async def test_a_quarter_of_a_core_is_a_quarter_of_a_core(stage: Stage) -> None:
    played = await begin(stage, BUSY, cpu_cores=0.25)
    for _ in range(5):  # a busy computer may give it less for a while, never more
        began, before = time.monotonic(), cpu_s(played.pid)
        await asyncio.sleep(2)
        share = (cpu_s(played.pid) - before) / (time.monotonic() - began)
        assert share <= 0.30
        if share >= 0.20:
            return
    pytest.fail(f"the last share was {share}")


async def test_a_program_that_mostly_waits_is_not_slowed_by_its_share(stage: Stage) -> None:
    source = "import time\nprint('on')\nt = time.monotonic()\nfor _ in range(20): time.sleep(0.05)\n"
    played = await begin(stage, source + "print(time.monotonic() - t)", cpu_cores=0.25)
    assert (await played.outcome()).exit_code == 0
    assert float(played.text.splitlines()[1]) < 1.5


async def test_time_at_rest_for_the_share_counts_for_the_time_limit(stage: Stage) -> None:
    outcome, _ = await stage.play(BUSY, cpu_cores=0.1, time_limit_s=1.0)
    assert outcome.problem == Problem(code=FaultCode.TIMED_OUT, about="1 s")
    assert outcome.usage.wall_s < 2.5


# --- pause and stop ---------------------------------------------------------------------------


@pytest.mark.parametrize("cores", [1.0, 0.25])
async def test_a_paused_program_takes_no_processor_time_and_goes_on_later(stage: Stage, cores: float) -> None:
    played = await begin(stage, BUSY, cpu_cores=cores)
    await stage.runtime.pause(played.order.key, 1)
    await asyncio.sleep(0.05)
    before = cpu_s(played.pid)
    await asyncio.sleep(1.0)
    assert cpu_s(played.pid) == before
    assert psutil.Process(played.pid).status() == psutil.STATUS_STOPPED
    await stage.runtime.resume(played.order.key, 1)
    await asyncio.sleep(0.8)
    assert cpu_s(played.pid) > before + 0.05


async def test_what_is_paused_before_it_starts_does_not_start(stage: Stage) -> None:
    order = stage.order({"main.py": "print('on')"})
    played = Played(order)

    async def output(chunk: bytes) -> None:
        played.output += chunk

    async def started(where: str, **_: str) -> None: ...

    await stage.runtime.prepare()  # type: ignore[attr-defined]
    running = asyncio.create_task(stage.runtime.run(order, output, started))
    await asyncio.sleep(0)
    await stage.runtime.pause(order.key, 1)
    await asyncio.sleep(0.6)
    assert not played.output
    await stage.runtime.resume(order.key, 1)
    assert (await running).exit_code == 0
    assert played.output == b"on\n"


@pytest.mark.parametrize("source", [BUSY, SLEEPS], ids=["busy", "asleep"])
@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
async def test_stop_takes_at_most_a_tenth_of_a_second(stage: Stage, source: str, paused: bool) -> None:
    played = await begin(stage, source)
    if paused:
        await stage.runtime.pause(played.order.key, 1)
    began = time.monotonic()
    await stage.runtime.stop(played.order.key, 1)
    outcome = await played.outcome()
    assert time.monotonic() - began < 0.1
    assert (outcome.exit_code, outcome.problem) == (None, None)
    assert await gone(played.pid, 0.1)


async def test_a_cancelled_run_leaves_no_process(stage: Stage) -> None:
    played = await begin(stage, SLEEPS)
    assert played.running is not None
    played.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await played.running
    assert await gone(played.pid, 0.1)


async def test_a_listener_that_fails_ends_the_run_as_trouble_of_the_sandbox(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    pids: list[int] = []

    async def output(chunk: bytes) -> None:
        raise OSError(28, "No space left on device")

    async def started(where: str, **_: str) -> None:
        pids.append(int(where.partition(":")[0]))

    outcome = await stage.runtime.run(stage.order({"main.py": SLEEPS}), output, started)
    assert outcome.problem == Problem(code=FaultCode.SANDBOX_FAILED, about="No space left on device")
    assert await gone(pids[0], 0.1)


async def test_a_child_killed_by_someone_else_is_trouble_of_the_sandbox(stage: Stage) -> None:
    played = await begin(stage, SLEEPS)
    os.kill(played.pid, signal.SIGKILL)
    outcome = await played.outcome()
    assert outcome.problem is not None
    assert outcome.problem.code is FaultCode.SANDBOX_FAILED
    assert outcome.exit_code is None


# --- the worker's own end ---------------------------------------------------------------------

WORKER = """
import asyncio, sys
from pathlib import Path
from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.model.work import RunOrder
from hivemind_worker.runtimes.wasm import WasmRuntime

async def main():
    runtime = WasmRuntime(Path({sandbox!r}), available_memory=lambda: 0, use_keeper={use_keeper})
    key = key_of(TaskId("t"))
    order = RunOrder(
        key=key, attempt=1, task_id=TaskId("t"), workspace=Path({workspace!r}), entry="main.py",
        cpu_cores=1.0, memory_bytes=1 << 28, disk_bytes=1 << 26, time_limit_s=60.0)
    async def output(chunk):
        if {pause}:
            await runtime.pause(key, 1)
        print("up", flush=True)
    async def started(where, **_):
        print(where, runtime._keeper.pid if runtime._keeper else 0, flush=True)
    await runtime.run(order, output, started)

asyncio.run(main())
"""


@pytest.mark.parametrize("use_keeper", [False, True], ids=["kernel", "keeper"])
@pytest.mark.parametrize("pause", [False, True], ids=["running", "suspended"])
async def test_a_killed_worker_takes_its_sandbox_with_it(
    stage: Stage, tmp_path: Path, use_keeper: bool, pause: bool
) -> None:
    await stage.runtime.prepare()  # type: ignore[attr-defined]
    order = stage.order({"main.py": SLEEPS})
    source = WORKER.format(
        sandbox=str(session_sandbox()), workspace=str(order.workspace), use_keeper=use_keeper, pause=pause
    )
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(source), stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    try:
        async with asyncio.timeout(30):
            where, keeper = (await worker.stdout.readline()).decode().split()
            assert await worker.stdout.readline() == b"up\n"
            pid = int(where.partition(":")[0])
            while pause and psutil.Process(pid).status() != psutil.STATUS_STOPPED:
                await asyncio.sleep(0.01)
        assert psutil.Process(pid).is_running()
    finally:
        worker.kill()
        await worker.wait()
        worker._transport.close()  # type: ignore[attr-defined]
    try:
        assert await gone(pid, 5.0)
        assert not int(keeper) or await gone(int(keeper), 5.0)
    finally:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


async def test_reclaiming_ends_the_child_of_another_worker_and_no_other_process(stage: Stage) -> None:
    played = await begin(stage, SLEEPS)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        created = psutil.Process(stranger.pid).create_time()
        await stage.runtime.reclaim(played.order.key, 1, f"{stranger.pid}:{created:.2f}")
        await stage.runtime.reclaim(played.order.key, 1, f"{played.pid}:{created - 1000:.2f}")
        assert stranger.poll() is None
        assert psutil.Process(played.pid).is_running()
        stranger.kill()
    await stage.runtime.reclaim(played.order.key, 1, played.where[0])
    outcome = await played.outcome()
    assert outcome.problem is not None
    assert await gone(played.pid, 1.0)
