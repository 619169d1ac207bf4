"""The end of a worker: in 10 s whatever is under way, nothing lost, no child left; the next start goes on.

Windows sends no signals when a console is closed: as far as another system can, what happens there is
tried in tests/machine/test_endings.py.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from hivemind_worker.commands.remote import Remote
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.web.endpoint import read_endpoint
from hivemind_worker.web.token import load_token
from tests.e2e.process import PROGRAM, WorkerProcess, _read, command, environment, keep_login, worker
from tests.engine.harness import zip_of
from tests.fakes.pool import HANG, ScriptedPool

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")]

LIMIT_S, AT_ONCE_S = 10.0, 1.0
COUNTS = "import time\nfor n in range(600):\n    print(n, flush=True)\n    time.sleep(0.1)\n"
HELLO = zip_of({"main.py": "print('hello')\n"})


@pytest.fixture
async def pool() -> AsyncIterator[ScriptedPool]:
    async with ScriptedPool(prompt=True) as made:
        yield made


@asynccontextmanager
async def rising(
    home: Path, pool: str, *, before: Sequence[str] = (), **more: str
) -> AsyncIterator[WorkerProcess]:
    """A worker from its first moment on, ready or not; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *before, *PROGRAM, "run", env=environment(home, MASTER_ADDRESS=pool, **more),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    made = WorkerProcess(home, process)
    reader = asyncio.ensure_future(_read(made))
    try:
        yield made
    finally:
        await made.kill()
        await reader


def family(made: WorkerProcess) -> list[psutil.Process]:
    return psutil.Process(made.process.pid).children(recursive=True)


async def stopped(made: WorkerProcess, sent: int = signal.SIGTERM, limit_s: float = LIMIT_S) -> int:
    """Send the signal; the worker and all its children are gone in time. Its exit code."""
    children = family(made)
    began = time.monotonic()
    made.process.send_signal(sent)
    try:
        code = await asyncio.wait_for(made.process.wait(), limit_s + 5)
    except TimeoutError:
        raise AssertionError(f"it goes on: {made.lines[-5:]}") from None
    seconds = time.monotonic() - began
    print(f"{signal.Signals(sent).name}: {seconds:.2f} s, code {code}, {len(children)} children")
    assert seconds < limit_s
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=1)
    assert alive == []
    assert not any("Traceback" in line or "bug in" in line for line in made.lines), made.lines
    return code


async def result(pool: ScriptedPool, task_id: str, limit_s: float = 30.0) -> str:
    """execution_log.txt of the one archive that the pool has."""
    await pool.until(lambda: bool(pool.results[task_id]), limit_s)
    archive = zipfile.ZipFile(io.BytesIO(pool.results[task_id][-1]))
    return archive.read("execution_log.txt").decode()


async def runs(pool: ScriptedPool, made: WorkerProcess, task_id: str = "a") -> None:
    """A long task that has begun."""
    assert (await pool.offer(await made.address(), task_id, zip_of({"main.py": COUNTS}))).success
    await pool.until(lambda: "2\n" in pool.outputs[task_id], 30)


async def next_start(home: Path, pool: ScriptedPool, *, owed: Sequence[str] = (), **more: str) -> list[str]:
    """The next worker delivers what was owed, once each, and works; the codes of what it says of itself."""
    beats = len(pool.of("RegisterWorkerNode"))
    async with worker(home, pool.address, **more) as made:
        status = await made.status()
        await pool.heard("RegisterWorkerNode", beats + 1, 20)
        for task_id in owed:
            await result(pool, task_id)
        assert (await pool.offer(await made.address(), f"next {beats}", HELLO)).success
        assert "COMPLETED" in await result(pool, f"next {beats}")
        assert await stopped(made) == 0
    assert all(len(archives) == 1 for archives in pool.results.values())
    return [verdict["code"] for verdict in status["verdicts"]]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda sent: sent.name)
async def test_an_idle_worker_ends_in_order_at_each_signal(
    tmp_path: Path, pool: ScriptedPool, sent: signal.Signals
) -> None:
    places = keep_login(tmp_path, pool.address)
    async with worker(tmp_path, pool.address) as made:
        await pool.heard("RegisterWorkerNode")
        assert await stopped(made, sent) == 0
        assert not places.endpoint_file.exists()
        assert not Path(f"{places.journal}-wal").exists()  # folded in
    assert "recovered" not in await next_start(tmp_path, pool)


async def test_a_running_task_is_stopped_and_its_archive_sent(tmp_path: Path, pool: ScriptedPool) -> None:
    keep_login(tmp_path, pool.address)
    async with worker(tmp_path, pool.address) as made:
        await runs(pool, made)
        assert await stopped(made, signal.SIGINT) == 0
    assert "shut down" in await result(pool, "a")
    assert "recovered" not in await next_start(tmp_path, pool)


async def test_a_paused_task_is_stopped_and_its_archive_sent(tmp_path: Path, pool: ScriptedPool) -> None:
    keep_login(tmp_path, pool.address)
    async with worker(tmp_path, pool.address) as made:
        await runs(pool, made)
        assert (await command(tmp_path, "pause"))[0] == 0
        assert family(made)[0].status() == psutil.STATUS_STOPPED
        assert await stopped(made, signal.SIGHUP) == 0
    assert "shut down" in await result(pool, "a")
    async with worker(tmp_path, pool.address) as again:  # paused it stays: that was the owner's wish
        assert (await again.status())["status"] == "paused"
        assert await stopped(again) == 0


async def test_an_upload_that_the_pool_never_answers_stays_owed(tmp_path: Path, pool: ScriptedPool) -> None:
    keep_login(tmp_path, pool.address)
    pool.answers["TaskResultUpload"] = HANG
    async with worker(tmp_path, pool.address) as made:
        for name in ("a", "b"):
            assert (await pool.offer(await made.address(), name, HELLO)).success
        await pool.heard("TaskResultUpload")
        assert await stopped(made) == 0
    assert pool.results == {}
    del pool.answers["TaskResultUpload"]
    assert "recovered" in await next_start(tmp_path, pool, owed=("a", "b"))


@pytest.mark.release
async def test_with_the_pool_away_the_archive_stays_owed(tmp_path: Path, pool: ScriptedPool) -> None:
    keep_login(tmp_path, pool.address)
    async with worker(tmp_path, pool.address) as made:
        await runs(pool, made)
        await pool.close()
        await made.said("cannot be reached", 40)
        assert await stopped(made) == 0
    await pool.start()
    assert "recovered" in await next_start(tmp_path, pool, owed=("a",))
    assert "shut down" in await result(pool, "a")


async def test_with_a_mute_pool_it_ends_as_well(tmp_path: Path, pool: ScriptedPool) -> None:
    keep_login(tmp_path, pool.address)
    pool.answers |= {"Login": HANG}
    async with worker(tmp_path, pool.address) as made:
        await pool.heard("Login")
        assert await stopped(made) == 0
    del pool.answers["Login"]
    await next_start(tmp_path, pool)


async def test_a_compiler_under_way_ends_with_the_worker_and_the_next_start_compiles_anew(
    tmp_path: Path, pool: ScriptedPool
) -> None:
    keep_login(tmp_path, pool.address)
    fresh = {"HIVEMIND_SANDBOX": str(tmp_path / "fresh")}
    async with rising(tmp_path, pool.address, **fresh) as made:
        await made.said(" is up: ")
        async with asyncio.timeout(20):
            while not family(made):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        assert not any("sandbox ready" in line for line in made.lines)
        assert await stopped(made) == 0
    await next_start(tmp_path, pool, **fresh)
    assert list((tmp_path / "fresh").rglob("*.part")) == []


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=lambda sent: sent.name)
@pytest.mark.parametrize("after_s", [0.05, 0.4, 0.8])
async def test_a_signal_during_the_start_ends_it(
    tmp_path: Path, pool: ScriptedPool, sent: signal.Signals, after_s: float
) -> None:
    keep_login(tmp_path, pool.address)
    async with rising(tmp_path, pool.address) as made:
        await asyncio.sleep(after_s)
        made.process.send_signal(sent)
        began = time.monotonic()
        code = await asyncio.wait_for(made.process.wait(), LIMIT_S)
        print(f"{after_s} s after the start: {time.monotonic() - began:.2f} s, code {code}")
        assert code in (0, -sent, 130)
    async with rising(tmp_path, pool.address) as again:
        await again.said(" is up: ")
        assert await stopped(again) == 0


@pytest.mark.release
async def test_a_name_server_that_never_answers_does_not_hold_up_the_end(tmp_path: Path) -> None:
    keep_login(tmp_path, "pool.slow.example:50051")
    slow = {"PYTHONPATH": str(Path(__file__).with_name("slow_names"))}
    async with rising(tmp_path, "pool.slow.example:50051", **slow) as during:
        await asyncio.sleep(3)  # it looks the name up before it listens
        assert during.process.returncode is None
        assert await stopped(during) == 0
    async with rising(tmp_path, "pool.slow.example:50051", **slow) as later:
        await later.said(" is up: ", 40)  # it gave that up; now the session looks it up again
        assert await stopped(later) == 0


async def test_a_client_of_the_local_api_that_says_nothing_does_not_hold_up_the_end(
    tmp_path: Path, pool: ScriptedPool
) -> None:
    places = keep_login(tmp_path, pool.address)
    async with worker(tmp_path, pool.address) as made:
        await made.said(" is up: ")
        endpoint = read_endpoint(places.endpoint_file)
        assert endpoint is not None
        _reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        writer.write(b"POST /api/v1/actions/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n{")
        token = load_token(places.token_file)
        assert token is not None
        remote = Remote(endpoint, token)
        assert isinstance(remote.get("/api/status"), dict)
        await runs(pool, made)
        assert await stopped(made) == 0
        remote.close()
        writer.close()


async def test_a_second_signal_ends_at_once_and_the_next_start_recovers(
    tmp_path: Path, pool: ScriptedPool
) -> None:
    keep_login(tmp_path, pool.address)
    pool.answers["TaskResultUpload"] = HANG
    async with worker(tmp_path, pool.address) as made:
        assert (await pool.offer(await made.address(), "a", HELLO)).success
        await pool.heard("TaskResultUpload")
        await runs(pool, made, "b")
        children = family(made)
        made.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        began = time.monotonic()
        made.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(made.process.wait(), 5) == 130
        assert time.monotonic() - began < AT_ONCE_S
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=2)
        assert alive == []
    del pool.answers["TaskResultUpload"]
    assert "recovered" in await next_start(tmp_path, pool, owed=("a", "b"))


async def test_one_end_of_a_session_is_one_signal_however_often_it_is_sent(
    tmp_path: Path, pool: ScriptedPool
) -> None:
    """A closing terminal sends SIGHUP twice, a session's end SIGTERM and SIGHUP together."""
    keep_login(tmp_path, pool.address)
    async with worker(tmp_path, pool.address) as made:
        await runs(pool, made)
        made.process.send_signal(signal.SIGTERM)
        made.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.05)
        assert await stopped(made, signal.SIGHUP) == 0
    assert "shut down" in await result(pool, "a")


async def test_a_worker_under_nohup_outlives_its_terminal(tmp_path: Path, pool: ScriptedPool) -> None:
    keep_login(tmp_path, pool.address)
    async with rising(tmp_path, pool.address, before=("nohup",)) as made:
        await made.said("sandbox ready")
        made.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(1)
        assert made.process.returncode is None
        assert (await pool.offer(await made.address(), "a", HELLO)).success
        assert "COMPLETED" in await result(pool, "a")
        assert await stopped(made) == 0


async def test_a_start_that_fails_ends_at_once_with_its_code(tmp_path: Path, pool: ScriptedPool) -> None:
    keep_login(tmp_path, pool.address)
    async with worker(tmp_path, pool.address) as made:
        began = time.monotonic()
        code, _, err = await command(tmp_path, "run", "--json")
        assert (code, json.loads(err)["error"]) == (4, FaultCode.ALREADY_RUNNING.value)
        assert time.monotonic() - began < 5
        assert (await made.status())["status"] == "idle"
        assert await stopped(made) == 0
    assert sys.platform != "win32"
