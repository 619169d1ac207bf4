"""Section G against a whole worker: real process, real sandbox, hostile bytes on its socket.

The door alone is tried in tests/contract/test_pool_server*.py; here it is shown that nothing is
started, lost or booked wrongly behind it, and that an honest task is taken after every attack.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import psutil
import pytest
import pytest_asyncio

from hivemind_worker.model.faults import FAULTS, FaultCode, sentence
from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.peers import plain_ip
from tests.attacks.ground import HELLO, Ground, ground
from tests.attacks.stranger import (
    FORGED,
    POOL,
    STRANGER,
    call,
    line_to,
    message,
    rapid_resets,
)
from tests.contract.http2 import (
    DATA,
    PING,
    PREFACE,
    SETTINGS,
    frame,
    message_head,
    request_head,
)
from tests.contract.test_pool_server import (
    BAD_IDS,
    BEYOND_INT32,
    INFINITE,
    MINUS_FLOAT,
    MINUS_ONE,
    NAN,
    amount,
    with_id,
)
from tests.e2e.process import command, keep_login, worker
from tests.engine.harness import zip_of
from tests.fakes.pool import EXECUTE, STOP, ScriptedPool, call_worker

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SERVICE = "/nodepool.WorkerNodeService/"
METHODS = (
    "ExecuteTask", "StopTaskExecution", "TaskOutput", "TaskUsage", "TaskOutputUpload", "TaskResultUpload",
    "Format",
)  # fmt: skip
DENIED, EXHAUSTED = 7, "RESOURCE_EXHAUSTED"
RUNS = """import os, time
with open('count.txt', 'a') as count:
    count.write('x')
print('run', os.urandom(8).hex(), flush=True)
time.sleep(SECONDS)
"""


def runs(seconds: float) -> bytes:
    """A task that counts its runs, in a file and at the pool."""
    return zip_of({"main.py": RUNS.replace("SECONDS", str(seconds))})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with ground(tmp_path_factory.mktemp("home")) as made:
        yield made


async def outcome(field: Ground, method: str, raw: bytes, **options: object) -> str:
    """The status of a call by the pool itself; no failure may show what is inside."""
    try:
        answer = await call_worker(field.address, method, raw, pb.ExecuteTaskResponse, **options)  # type: ignore[arg-type]
    except grpc.aio.AioRpcError as error:
        words = error.details() or ""
        assert not any(hint in words for hint in ("Traceback", "Error", "Exception", ".py", "object at"))
        return str(error.code().name)
    return "OK" if answer.success else str(answer.message)


async def starts(field: Ground, task_id: str) -> int:
    """How often the journal says that the task's program began."""
    story = await field.api(f"/api/v1/tasks/{key_of(TaskId(task_id))}/story")
    return sum(line["what"] == "RunStarted" for line in story["lines"])


# ---- G1: strangers --------------------------------------------------------------------


async def test_g1_a_stranger_is_denied_within_100_ms_and_learns_nothing_about_ids(field: Ground) -> None:
    assert (await field.pool.offer(field.address, "known", runs(2))).success
    bodies = [
        message(pb.ExecuteTaskRequest(task_id=name, task_zip=b"x" * 5000).SerializeToString())
        for name in ("known", "never seen")
    ]
    bodies += [message(b"\xff" * 9), message(b""), frame(DATA, 0, 1, message_head(1 << 30)), b""]
    answers, seconds = set(), []
    for name in METHODS:
        for body in bodies:
            spoken = await call(field.address, SERVICE + name, body, more=FORGED)
            answers.add((spoken.status, spoken.frames))
            seconds.append(spoken.seconds)
    usual = statistics.median(seconds)
    print(f"answer to a stranger: {1000 * usual:.1f} ms, {1000 * max(seconds):.1f} ms at most")
    assert [status for status, _ in answers] == [DENIED]  # one answer, byte for byte, whatever is asked
    assert usual < 0.1  # of all of them: this computer may have other work for a moment
    assert (await field.api())["running_tasks"] == 1  # no stranger's stop reached it
    assert field.folders() == {key_of(TaskId("known"))}
    assert (await field.result("known")).read("count.txt") == b"x"
    await field.books_are_right()


async def test_g1_a_refused_stranger_costs_little_and_one_line_a_minute(field: Ground) -> None:
    """How little is a figure of `make bench`; more than some milliseconds would be another way of working."""

    def used() -> float:
        times = psutil.Process(field.pid).cpu_times()
        return times.user + times.system

    body = message(pb.StopTaskExecutionRequest(task_id="known").SerializeToString())
    before, lines, began = used(), len(field.said("turned away")), time.monotonic()
    for _ in range(400):
        assert (await call(field.address, STOP, body)).status == DENIED
    cost_ms = 1000 * (used() - before) / 400
    print(f"a refused stranger, connection included: {cost_ms:.2f} ms of processor")
    assert cost_ms < 5.0
    minutes = (time.monotonic() - began) / 60
    assert len(field.said("turned away")) - lines <= 1 + minutes
    assert all("from 127.0.0.9 (" in line for line in field.said("turned away"))
    await field.books_are_right()


async def test_g1_the_worker_listens_on_the_one_address_alone(field: Ground) -> None:
    open_at = {
        (plain_ip(row.laddr.ip), row.laddr.port)  # the library listens in IPv6 form, on one IPv4 address
        for row in psutil.Process(field.pid).net_connections("inet")
        if row.status == psutil.CONN_LISTEN
    }
    door = ("127.0.0.1", int(field.address.rpartition(":")[2]))
    assert door in open_at
    assert {ip for ip, _ in open_at} <= {"127.0.0.1", "::1"}
    assert [where for where in open_at if where[1] == door[1]] == [door]
    for family in psutil.net_if_addrs().values():
        for row in family:
            if row.family.name == "AF_INET" and row.address != "127.0.0.1":
                with pytest.raises(OSError):
                    await asyncio.wait_for(asyncio.open_connection(row.address, door[1]), 5)


# ---- G2: the same id again ------------------------------------------------------------


async def test_g2_the_same_task_again_while_it_runs_starts_nothing(field: Ground) -> None:
    archive = runs(1.5)
    assert (await field.pool.offer(field.address, "twice", archive)).success
    await field.pool.until(lambda: "run " in field.pool.outputs["twice"], 20)
    for _ in range(3):
        assert (await field.pool.offer(field.address, "twice", archive)).success
    other = await field.pool.offer(field.address, "twice", HELLO)
    assert (other.success, other.message) == (False, sentence(FaultCode.ID_TAKEN))
    assert (await field.result("twice")).read("count.txt") == b"x"
    assert field.pool.outputs["twice"].count("run ") == 1
    assert await starts(field, "twice") == 1
    await field.books_are_right()


async def test_g2_a_finished_task_again_sends_its_result_again_and_other_contents_are_refused(
    field: Ground,
) -> None:
    archive = runs(0)
    first = (await field.works("done", archive)).read("task_logs.txt")
    assert (await field.pool.offer(field.address, "done", archive)).success
    assert (await field.result("done", 2)).read("task_logs.txt") == first
    other = await field.pool.offer(field.address, "done", HELLO)
    assert (other.success, other.message) == (False, sentence(FaultCode.ID_TAKEN))
    assert (len(field.pool.results["done"]), await starts(field, "done")) == (2, 1)
    await field.books_are_right()


async def test_g2_eight_racing_calls_are_one_run(field: Ground) -> None:
    archive = runs(0.5)
    answers = await asyncio.gather(
        *(field.pool.offer(field.address, "raced", archive) for _ in range(8)),
        *(field.pool.offer(field.address, "raced too", body) for body in (runs(0.5), runs(0.6)) * 4),
    )
    allowed = {"", sentence(FaultCode.ID_TAKEN)}
    assert all(answer.success for answer in answers[:8])
    assert Counter(answer.success for answer in answers[8:]) == {True: 4, False: 4}
    assert {answer.message for answer in answers} == allowed
    for name in ("raced", "raced too"):
        assert (await field.result(name)).read("count.txt") == b"x"
        assert (field.pool.outputs[name].count("run "), await starts(field, name)) == (1, 1)
    await field.books_are_right()
    assert {len(field.pool.results[name]) for name in ("raced", "raced too")} == {1}


# ---- G3: ids --------------------------------------------------------------------------

ODD_IDS = (
    "../../etc/passwd", "/etc/passwd", "..", "a b", "; touch /tmp/x", "-v", "--help", "$(id)", "任务",
    "🐝🐝", "a\u2028b", "\u202egnp.exe", "<script>alert(1)</script>", "x" * 512, "é" * 256, " ",
    "%2e%2e%2f", "C:\\con", "a\\u0000b", "{about}", "%s%n",
)  # fmt: skip
ECHO = zip_of({"main.py": "import os\nopen('id.txt', 'w').write(os.environ['TASK_ID'])\nprint('end')\n"})


async def test_g3_ids_of_any_text_go_through_the_whole_worker_and_name_no_file(field: Ground) -> None:
    for task_id in ODD_IDS:
        archive = await field.works(task_id, ECHO)
        assert archive.read("id.txt").decode() == task_id
        assert f"Task: {task_id}\n" in archive.read("execution_log.txt").decode()
        assert field.pool.outputs[task_id].startswith("end\n")
        assert not (
            await field.pool.stop(field.address, task_id)
        ).success  # known, but ended: nothing to stop
        story = await command(field.worker.home, "story", "--json", "--", task_id)
        assert story[0] == 0, story
        assert json.loads(story[1])["task"]["task_id"] == task_id
    names = {path.name for path in field.worker.places.data.rglob("*")}
    hexadecimal = re.compile(r"[0-9a-f]{32}(\.zip)?")
    for folder in (field.worker.places.tasks, field.worker.places.results):
        assert all(hexadecimal.fullmatch(path.name) for path in folder.iterdir())
    assert not any(task_id in names for task_id in ODD_IDS)
    assert not any(letter in line for line in field.worker.lines for letter in "\u2028\u202e\x1b")
    await field.books_are_right()


async def test_g3_other_ids_are_invalid_arguments_and_leave_nothing(field: Ground) -> None:
    before = field.folders()
    for untrusted_id in BAD_IDS:
        for method in (EXECUTE, STOP):
            raw = with_id(untrusted_id) + (b"\x12\x01x" if method == EXECUTE else b"")
            assert await outcome(field, method, raw) == "INVALID_ARGUMENT"
    assert field.folders() == before
    await field.books_are_right()


# ---- G4, G5 ---------------------------------------------------------------------------


async def test_g4_senseless_amounts_are_refused_and_a_one_unit_task_is_taken_after_each(
    field: Ground,
) -> None:
    archive = b"\x12" + bytes([len(HELLO) & 0x7F | 0x80, len(HELLO) >> 7]) + HELLO
    values = [amount(number, value) for number in (3, 4, 5, 6) for value in (MINUS_ONE, BEYOND_INT32)]
    values += [
        NAN,
        INFINITE,
        MINUS_FLOAT,
        amount(3, b"\xff" * 10 + b"\x01"),
        amount(5, b"\xff" * 9 + b"\x02"),
    ]
    values += [amount(number, b"\xff\xff\xff\xff\x07") for number in (3, 4, 5, 6)]  # the largest int32
    for number, value in enumerate(values):
        said = await outcome(field, EXECUTE, with_id(f"greedy {number}".encode()) + archive + value)
        assert "makes no sense" in said or "more than this worker lends" in said or said == "INVALID_ARGUMENT"
        await field.books_are_right(and_work=number % 4 == 0)
    assert not any(f"greedy {number}" in field.pool.results for number in range(len(values)))
    await field.books_are_right()


GOOD = pb.ExecuteTaskRequest(task_id="mutant", task_zip=HELLO, cpu_usage=100, memory_gb=1).SerializeToString()
SHAPES = {
    "100k unknown fields": GOOD + b"\x78\x01" * 100_000,
    "nested groups": GOOD + b"\x7b" * 50_000 + b"\x7c" * 50_000,
    "groups never closed": GOOD + b"\x7b" * 40,
    "4 GiB field": GOOD + b"\x12\xff\xff\xff\xff\x0f",
    "a page": b"<html>not found</html>",
    "zeros": bytes(1000),
    "cut": GOOD[:-1],
}


async def test_g5_hostile_messages_are_never_unknown_never_a_trace_never_a_hang(field: Ground) -> None:
    for name, raw in SHAPES.items():
        for method in (EXECUTE, STOP):
            began = time.perf_counter()
            assert await outcome(field, method, raw) == "INVALID_ARGUMENT", name
            assert time.perf_counter() - began < 2
    chance, seen = random.Random(20261124), Counter[str]()
    for _ in range(400):
        mutant = bytearray(GOOD)
        for _ in range(chance.randint(1, 8)):
            mutant[chance.randrange(len(mutant))] = chance.randrange(256)
        said = await outcome(field, chance.choice((EXECUTE, STOP)), bytes(mutant))
        seen[said if said.isupper() else "an answer of the protocol"] += 1
    print(dict(seen))
    assert set(seen) <= {"OK", "INVALID_ARGUMENT", "an answer of the protocol"}
    assert field.said("bug in") == [] and field.said("Traceback") == []
    await field.books_are_right()


# ---- G6: memory -----------------------------------------------------------------------


async def test_g6_oversized_and_compressed_messages_are_exhausted_in_bounded_memory(field: Ground) -> None:
    before = field.memory_mib()
    field.start_peak()
    bomb = pb.ExecuteTaskRequest(task_id="bomb", task_zip=bytes(400_000_000)).SerializeToString()
    attacks: dict[str, Callable[[], Awaitable[object]]] = {
        "gzip 400 MB": lambda: outcome(field, EXECUTE, bomb, compression=grpc.Compression.Gzip),
        "101 MiB": lambda: outcome(field, EXECUTE, bytes((101 << 20) + 1)),
        "160 MB": lambda: outcome(field, EXECUTE, bytes(160_000_000)),
        "60 kB metadata": lambda: outcome(field, EXECUTE, GOOD, metadata=[("x-filler", "y" * 60_000)]),
    }
    for name, attack in attacks.items():
        assert await attack() == EXHAUSTED, name
        print(f"{name}: the peak is now {field.peak_mib() - before:.0f} MiB over {before:.0f}")
    lying = frame(DATA, 0, 1, message_head(0xFFFF_FFFF) + bytes(1000))
    assert (await call(field.address, EXECUTE, lying, POOL)).status == 8
    assert field.peak_mib() - before < 300
    await field.books_are_right()


# ---- G7: floods -----------------------------------------------------------------------

TLS_HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(160)
HEAD = PREFACE + frame(SETTINGS, 0, 0)
FLOODS = {
    "pings": request_head(STOP) + frame(PING, 0, 0, bytes(8)) * 5000,
    "zeros": bytes(20_000),
    "noise": random.Random(7).randbytes(20_000),
    "TLS": TLS_HELLO,
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "settings": HEAD + frame(SETTINGS, 0, 0) * 5000,
    "header bomb": HEAD + frame(1, 0, 1, b"\x40\x0a" + b"x" * 10 + b"\x7f\x80\x1f" + b"y" * 4096) * 50,
}


@contextlib.asynccontextmanager
async def owners_view(field: Ground) -> AsyncIterator[None]:
    """The owner's window keeps its facts meanwhile: the health route answers within a second."""
    over, seconds = False, list[float]()

    async def look() -> None:
        while not over:
            began = time.perf_counter()
            assert "status" in await field.api("/health")
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(0.1)

    looking = asyncio.ensure_future(look())
    try:
        yield
    finally:
        over = True
        await looking
    usual = statistics.median(seconds)
    print(f"the health route: {1000 * usual:.0f} ms, {1000 * max(seconds):.0f} ms at most")
    assert usual < 1  # of all of them: this computer may have other work for a moment


@contextlib.asynccontextmanager
async def poured(field: Ground, flood: bytes, source: str, lines: int = 8) -> AsyncIterator[None]:
    """The flood on a few connections, each renewed as soon as it is closed, as fast as they go."""
    over = False

    async def pour() -> None:
        while not over:
            with contextlib.suppress(OSError, TimeoutError):
                async with line_to(field.address, source) as (reader, writer):
                    writer.write(flood)
                    async with asyncio.timeout(1):
                        await writer.drain()
                        await reader.read(1 << 16)
            await asyncio.sleep(0.001)

    pouring = [asyncio.ensure_future(pour()) for _ in range(lines)]
    await asyncio.sleep(0.2)
    try:
        yield
    finally:
        over = True
        await asyncio.wait(pouring, timeout=20)


async def honest_calls(field: Ground, name: str, count: int = 5) -> float:
    """The longest time that the pool waited for an answer, the tasks all taken and done."""
    slowest = 0.0
    for number in range(count):
        began = time.perf_counter()
        answer = await field.pool.offer(field.address, f"{name} {number}", HELLO)
        slowest = max(slowest, time.perf_counter() - began - field.pool.running_after_s)
        assert answer.success, answer.message
        await field.result(f"{name} {number}")
    return slowest


@pytest.mark.parametrize("source", [pytest.param(STRANGER, marks=pytest.mark.release), POOL])
@pytest.mark.parametrize("name", FLOODS)
async def test_g7_an_honest_task_is_taken_within_two_seconds_during_a_flood(
    field: Ground, name: str, source: str
) -> None:
    async with poured(field, FLOODS[name], source), owners_view(field):
        slowest = await honest_calls(field, f"{name} from {source}")
    print(f"{name} from {source}: {1000 * slowest:.0f} ms at most")
    assert slowest < 2
    await field.books_are_right(and_work=False)


async def test_g7_an_honest_task_is_taken_within_two_seconds_amid_bombs_and_oversized_messages(
    field: Ground,
) -> None:
    bomb = pb.ExecuteTaskRequest(task_id="bomb", task_zip=bytes(400_000_000)).SerializeToString()
    over, sent = False, Counter[str]()

    async def pour(raw: bytes, **options: object) -> None:
        while not over:
            sent[await outcome(field, EXECUTE, raw, **options)] += 1

    pouring = [
        asyncio.ensure_future(pour(bomb, compression=grpc.Compression.Gzip)),
        asyncio.ensure_future(pour(bytes((101 << 20) + 1))),
    ]
    await asyncio.sleep(0.3)
    slowest = 0.0
    async with owners_view(field):
        for number in range(5):
            began = time.perf_counter()
            assert (await field.pool.stop(field.address, f"nobody knows {number}")).message
            slowest = max(slowest, time.perf_counter() - began)
        slowest = max(slowest, await honest_calls(field, "amid bombs", 3))
    over = True
    await asyncio.wait(pouring, timeout=60)
    print(f"amid {dict(sent)}: {1000 * slowest:.0f} ms at most")
    assert set(sent) == {EXHAUSTED}
    assert slowest < 2
    await field.books_are_right()


@pytest.mark.parametrize("source", [STRANGER, POOL])
async def test_g7_20_000_rapid_resets_do_not_hold_up_an_honest_task(field: Ground, source: str) -> None:
    async with line_to(field.address, source) as (reader, writer):

        async def listen() -> None:
            with contextlib.suppress(OSError):
                while await reader.read(1 << 16):
                    pass

        listening = asyncio.ensure_future(listen())
        writer.write(HEAD + rapid_resets(EXECUTE, 20_000))
        slowest = await honest_calls(field, f"resets from {source}", 10)
        listening.cancel()
    print(f"20,000 rapid resets from {source}: {1000 * slowest:.0f} ms at most")
    assert slowest < 2
    await field.books_are_right()


@pytest.mark.parametrize("source", [STRANGER, POOL])
async def test_g7_400_half_sent_requests_do_not_hold_up_an_honest_one(field: Ground, source: str) -> None:
    before = field.memory_mib()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(400):
            _, writer = await stack.enter_async_context(line_to(field.address, source))
            writer.write(request_head(EXECUTE) + frame(DATA, 0, 1, message_head(1000) + bytes(100)))
        answered, taken = 0.0, False
        async with asyncio.timeout(30):
            while not taken:  # "too many at once" is an answer too: the pool comes again
                began = time.perf_counter()
                answer = await field.pool.offer(field.address, f"honest among {source}", HELLO)
                answered = max(answered, time.perf_counter() - began)
                taken = answer.success
                assert taken or answer.message == sentence(FaultCode.BUSY)
        await field.result(f"honest among {source}")
        grown = field.memory_mib() - before
    print(f"400 half-sent from {source}: {1000 * answered:.0f} ms at most, +{grown:.0f} MiB")
    assert answered < 2
    await field.books_are_right()


# ---- G8, G9 ---------------------------------------------------------------------------


async def test_g8_of_150_tasks_at_once_as_many_as_fit_are_taken_and_none_waits_silently(
    field: Ground,
) -> None:
    began = time.perf_counter()
    names = [f"crowd {number}" for number in range(150)]
    source = RUNS.replace("SECONDS", "3")
    archives = [zip_of({"main.py": source, "x": os.urandom(99)}) for _ in names]
    offers = (field.pool.offer(field.address, name, body) for name, body in zip(names, archives, strict=True))
    crowd = asyncio.gather(*offers)
    slowest = 0.0
    while not crowd.done():  # an honest call among them
        asked = time.perf_counter()
        await call_worker(field.address, STOP, with_id(b"nobody knows"), pb.StopTaskExecutionResponse)
        slowest = max(slowest, time.perf_counter() - asked)
        await asyncio.sleep(0.05)
    answers = await crowd
    seconds = time.perf_counter() - began
    assert slowest < 2
    taken = {name for name, answer in zip(names, answers, strict=True) if answer.success}
    reasons = Counter(answer.message for answer in answers if not answer.success)
    print(f"150 at once: {len(taken)} taken, answers within {seconds:.1f} s, {dict(reasons)}")
    assert len(taken) == 2  # as set in tests.e2e.process.environment
    assert seconds < 30 and set(reasons) <= {sentence(FaultCode.NO_SLOT, "2"), sentence(FaultCode.BUSY)}
    for name in taken:
        await field.result(name)
    await field.books_are_right()
    assert {name for name in field.pool.results if name.startswith("crowd")} == taken


async def test_g9_a_client_gone_half_way_starts_nothing_and_leaves_no_folder(field: Ground) -> None:
    before = field.folders()
    raw = pb.ExecuteTaskRequest(task_id="gone", task_zip=HELLO).SerializeToString()
    for sent in (0, 3, 5, 5 + len(raw) // 2, 5 + len(raw) - 1):
        async with line_to(field.address, POOL) as (_, writer):
            part = (message_head(len(raw)) + raw)[:sent]
            writer.write(request_head(EXECUTE) + (frame(DATA, 0, 1, part) if part else b""))
            await writer.drain()
            await asyncio.sleep(0.05)
    await field.books_are_right()
    assert field.folders() - before <= {key_of(TaskId(f"small {field._small}"))}
    assert "gone" not in field.pool.results
    assert (await field.works("gone", HELLO)).read("task_logs.txt") == b"hello\n"


# ---- G10: a password in clear ---------------------------------------------------------

FAR_AWAY = "198.51.100.1:50051"  # an address for documentation: nobody's, and not in our tunnel


async def test_g10_a_login_in_clear_off_loopback_and_tunnel_is_refused_unless_insisted_upon(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "password"
    secret.write_text("right horse")
    words = ("login", "--pool", FAR_AWAY, "--user", "ann", "--password-file", str(secret))
    began = time.monotonic()
    code, out, err = await command(tmp_path, *words)
    assert (code, out) == (FAULTS[FaultCode.PLAIN_LOGIN].exit_code, "")
    assert sentence(FaultCode.PLAIN_LOGIN, FAR_AWAY) in err
    assert time.monotonic() - began < 5  # nothing was even tried
    assert not (tmp_path / "state" / "login.json").exists()
    code, _, err = await command(tmp_path, *words, "--insecure")
    assert sentence(FaultCode.NO_POOL_THERE, FAR_AWAY) in err  # tried, and only nobody was there


async def test_g10_who_insists_is_signed_in_and_so_is_the_worker_afterwards(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("right horse\n")
    async with ScriptedPool() as pool:
        somewhere = f"0.0.0.0:{pool.port}"  # not known as loopback or tunnel, yet it leads here
        words = ("login", "--pool", somewhere, "--user", "ann", "--password-file", str(secret))
        assert (await command(tmp_path, *words))[0] == FAULTS[FaultCode.PLAIN_LOGIN].exit_code
        assert pool.calls == []
        assert (await command(tmp_path, *words, "--insecure"))[0] == 0
        async with worker(tmp_path, somewhere):
            await pool.heard("RegisterWorkerNode")
        assert (await command(tmp_path, *words))[0] == FAULTS[FaultCode.PLAIN_LOGIN].exit_code


async def test_g10_a_worker_with_such_a_login_says_so_and_sends_nothing(tmp_path: Path) -> None:
    keep_login(tmp_path, FAR_AWAY)
    async with worker(tmp_path, FAR_AWAY) as made:
        await made.said("not logged in")
        verdicts = (await made.status())["verdicts"]
        assert sentence(FaultCode.PLAIN_LOGIN, FAR_AWAY) in [verdict["text"] for verdict in verdicts]
        remote = [row.raddr for row in psutil.Process(made.process.pid).net_connections("inet") if row.raddr]
        assert not any(address.ip == FAR_AWAY.partition(":")[0] for address in remote)


# ---- after all of it ------------------------------------------------------------------


async def test_after_all_attacks_the_owner_sees_a_healthy_worker(field: Ground) -> None:
    code, out, _ = await command(field.worker.home, "status", "--json")
    status = json.loads(out)
    assert (code, status["status"], status["is_registered"]) == (0, "idle", True)
    assert status["available_resources"] == status["total_resources"]
    assert field.said("bug in") == [] and field.said("Traceback") == [] and field.said("ERROR") == []
    assert len(field.said("turned away")) <= 5
