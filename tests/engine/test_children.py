"""Child processes: nothing inherited, output paced, suspended, measured, and dead when their worker is."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from hivemind_worker.nursery import children, keepers
from hivemind_worker.nursery.children import Child, end_stray, own_program
from hivemind_worker.nursery.keepers import KEEPER_WORD, Keeper

LIMIT_S = 10.0


def python(source: str) -> list[str]:
    return [sys.executable, "-I", "-c", source]


async def all_output(child: Child) -> bytes:
    heard = b""
    while piece := await child.read():
        heard += piece
    return heard


async def until(condition: object, limit_s: float = LIMIT_S) -> None:
    assert callable(condition)
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_child_takes_input_gives_output_and_notes_and_an_exit_code() -> None:
    source = "import sys; print(input()[::-1]); sys.stderr.write('note'); sys.exit(9)"
    async with await Child.spawn("echo", python(source)) as child:
        child.write(b"olleh\n")
        assert await all_output(child) == b"hello\n"
        assert await child.notes() == b"note"
        assert await child.wait(LIMIT_S) == 9
        assert child.has_ended


async def test_a_child_inherits_no_variable_no_descriptor_and_no_process_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_WORKER", "x")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    source = "import os; print(dict(os.environ)); print(os.listdir('/proc/self/fd')); print(os.umask(0))"
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        async with await Child.spawn("bare", python(source), env={"OWN": "1"}) as child:
            assert os.getpgid(child.pid) == child.pid
            environment, descriptors, mask = (await all_output(child)).decode().splitlines()
    finally:
        os.close(reading)
        os.close(writing)
    assert set(eval(environment)) <= {"OWN", "LD_LIBRARY_PATH", "LC_CTYPE"}
    assert sorted(eval(descriptors)) == ["0", "1", "2", "3"]  # 3 is the listing itself
    assert int(mask) == 0o077


async def test_a_program_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match="No such file"):
        await Child.spawn("ghost", ["/no/such/program"])


async def test_output_that_nobody_takes_holds_the_child_up_with_little_memory() -> None:
    source = "import sys\nfor n in range(200): sys.stdout.write('x' * 100000); sys.stderr.write('.')"
    async with await Child.spawn("flood", python(source)) as child:
        assert len(await child.read()) > 0
        await asyncio.sleep(0.3)
        assert not child.has_ended
        assert len(child._ears.output) < 1 << 20
        rest = await all_output(child)
        assert 20_000_000 - (64 << 10) <= len(rest) < 20_000_000
        assert await child.wait(LIMIT_S) == 0


async def test_a_flood_of_single_flushes_does_not_flood_the_loop() -> None:
    source = "import os\nfor n in range(40000): os.write(1, b'%d\\n' % n)"
    async with await Child.spawn("drip", python(source)) as child:
        pieces = []
        while piece := await child.read():
            pieces.append(piece)
    assert b"".join(pieces) == b"".join(b"%d\n" % n for n in range(40000))
    assert len(pieces) < 2000


async def test_notes_are_kept_up_to_a_limit() -> None:
    source = "import sys; sys.stderr.write('n' * 1000000)"
    async with await Child.spawn("chatter", python(source)) as child:
        notes = await child.notes()
    assert len(notes) == children.NOTES_LIMIT_BYTES


async def test_a_suspended_child_stands_still_and_goes_on() -> None:
    async with await Child.spawn("busy", python("while True: pass")) as child:
        await until(lambda: child.usage().cpu_s > 0.1)
        child.suspend()
        child.suspend()
        await until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED)
        before = child.usage().cpu_s
        await asyncio.sleep(0.3)
        assert child.usage().cpu_s == before
        child.resume()
        child.resume()
        await until(lambda: child.usage().cpu_s > before + 0.1)


async def test_usage_counts_memory_and_stays_known_after_the_end() -> None:
    source = "x = bytearray(50 << 20)\nprint('on', flush=True)\ninput()"
    async with await Child.spawn("large", python(source)) as child:
        await child.read()
        used = child.usage()
        assert used.memory_bytes > 50 << 20
    assert child.usage() == used


async def test_wait_gives_up_after_its_limit() -> None:
    async with await Child.spawn("slow", python("import time; time.sleep(60)")) as child:
        began = time.monotonic()
        assert await child.wait(0.1) is None
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("suspended", [False, True])
async def test_close_kills_even_a_child_that_ignores_everything(suspended: bool) -> None:
    source = (
        "import signal\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n"
        "print('on', flush=True)\nwhile True: signal.pause()"
    )
    child = await Child.spawn("stubborn", python(source))
    await child.read()
    if suspended:
        child.suspend()
    await child.close()
    assert child.exit_code == -signal.SIGKILL
    assert not psutil.pid_exists(child.pid)


async def test_a_cancelled_caller_leaves_no_child() -> None:
    pids: list[int] = []

    async def work() -> None:
        async with await Child.spawn("sleeper", python("import time; time.sleep(60)")) as child:
            pids.append(child.pid)
            await child.wait(60)

    task = asyncio.create_task(work())
    await until(lambda: pids)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(pids[0])


async def test_a_stray_is_ended_by_its_place_and_word_only() -> None:
    source = "import time; time.sleep(60)"
    async with await Child.spawn("stray", [*python(source), "--a-word"]) as child:
        pid, created = child.where.split(":")
        assert not end_stray(child.where, "--another-word")
        assert not end_stray(f"{pid}:{float(created) - 60:.2f}", "--a-word")
        assert not end_stray("", "--a-word")
        assert not end_stray("elsewhere", "--a-word")
        assert is_alive(child.pid)
        assert await asyncio.get_running_loop().run_in_executor(None, end_stray, child.where, "--a-word")
        assert await child.wait(LIMIT_S) == -signal.SIGKILL


# --- the keeper -------------------------------------------------------------------------------

IGNORES_HANGUP = (
    "import signal, time\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    "print('on', flush=True)\ntime.sleep(60)"
)

PARENT = """
import asyncio, sys
from hivemind_worker.nursery.children import Child
from hivemind_worker.nursery.keepers import Keeper

async def main():
    keeper = await Keeper.start() if {keeper} else None
    child = await Child.spawn("ward", [sys.executable, "-I", "-c", {source!r}], keeper=keeper)
    await child.read()
    if {suspend}:
        child.suspend()
    print(child.pid, keeper.pid if keeper else 0, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""

KERNEL_TIE = (
    "import signal, sys\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    "from hivemind_worker.runtimes.wasm import lifeline\nlifeline.die_with_parent({wanted})\n"
    "print('on', flush=True)\nimport time; time.sleep(60)"
)


async def lose_parent(source: str, *, keeper: bool, suspend: bool) -> tuple[int, int]:
    """Start a parent with a child and kill -9 the parent; the ids of child and keeper."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(source=source, keeper=keeper, suspend=suspend)],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    line = await asyncio.get_running_loop().run_in_executor(None, parent.stdout.readline)
    child, keeper_pid = map(int, line.split())
    if suspend:
        await until(lambda: psutil.Process(child).status() == psutil.STATUS_STOPPED)
    parent.kill()
    parent.wait(LIMIT_S)
    parent.stdout.close()
    return child, keeper_pid


@pytest.mark.parametrize("suspend", [False, True], ids=["running", "suspended"])
async def test_the_keeper_ends_a_child_whose_worker_was_killed(suspend: bool) -> None:
    child, keeper = await lose_parent(IGNORES_HANGUP, keeper=True, suspend=suspend)
    await until(lambda: not is_alive(child))
    await until(lambda: not is_alive(keeper))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux does this")
@pytest.mark.parametrize("suspend", [False, True], ids=["running", "suspended"])
async def test_the_kernel_ends_a_child_whose_worker_was_killed(suspend: bool) -> None:
    child, _ = await lose_parent(KERNEL_TIE.format(wanted=True), keeper=False, suspend=suspend)
    await until(lambda: not is_alive(child))


async def test_without_either_a_suspended_child_would_outlive_its_worker() -> None:
    child, _ = await lose_parent(KERNEL_TIE.format(wanted=False), keeper=False, suspend=True)
    try:
        await asyncio.sleep(0.5)
        assert is_alive(child)  # or the two tests above would prove nothing
    finally:
        os.kill(child, signal.SIGKILL)


async def test_the_keeper_forgets_a_child_that_has_ended() -> None:
    keeper = await Keeper.start()
    try:
        async with await Child.spawn("short", python("pass"), keeper=keeper) as child:
            await child.wait(LIMIT_S)
        async with await Child.spawn("next", python("pass"), keeper=keeper) as child:
            await child.wait(LIMIT_S)
        assert is_alive(keeper.pid)
    finally:
        await keeper.close()
    assert not psutil.pid_exists(keeper.pid)


def test_the_keeper_kills_what_is_listed_still_and_only_the_very_process() -> None:
    with subprocess.Popen(["sleep", "60"]) as listed, subprocess.Popen(["sleep", "60"]) as other:
        times = {process.pid: psutil.Process(process.pid).create_time() for process in (listed, other)}
        lines = (
            f"+ {listed.pid} {times[listed.pid]:.2f}\n"
            f"+ {other.pid} {times[other.pid] - 500:.2f}\n"  # an earlier process with this id
            f"+ {other.pid + 100_000_000} 1.0\n- {other.pid + 100_000_000}\nnonsense\n"
        )
        handlers = {number: signal.getsignal(number) for number in (1, 2, 15)}
        try:
            assert keepers.main(io.BytesIO(lines.encode())) == 0
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        assert listed.wait(LIMIT_S) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


def test_a_frozen_program_is_its_own_child(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_program(KEEPER_WORD).argv == (sys.executable, "-I", "-m", "hivemind_worker", KEEPER_WORD)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/hivemind/hivemind-worker")
    assert own_program(KEEPER_WORD).argv == ("/opt/hivemind/hivemind-worker", KEEPER_WORD)


def test_the_worker_itself_does_not_load_the_engine() -> None:
    source = (
        "import sys\nfrom hivemind_worker.runtimes.wasm import WasmRuntime\n"
        "sys.exit('wasmtime' in sys.modules)"
    )
    assert subprocess.run(python(source), check=False).returncode == 0


def test_the_sandbox_child_loads_little() -> None:
    source = (
        "import sys\nbefore = set(sys.modules)\nfrom hivemind_worker.runtimes.wasm import child\n"
        "print(' '.join(set(sys.modules) - before))"
    )
    loaded = set(subprocess.run(python(source), check=True, capture_output=True, text=True).stdout.split())
    assert not loaded & {"asyncio", "psutil", "packaging", "subprocess", "logging", "hivemind_worker.nursery"}
