"""The door on a real socket: who may call, what is refused how, and what is left behind."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import resource
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest

from hivemind_worker.model.effects import Accepted, Refused
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.resources import normal_demand
from hivemind_worker.model.task import Problem, TaskId, key_of
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.peers import PeerCheck, source_of
from hivemind_worker.pool.server import OPTIONS, TaskDoor
from tests.contract.door import HERE, Handler, Worker, open_door
from tests.contract.http2 import drop, half_sent
from tests.fakes.pool import EXECUTE, STOP, ScriptedPool, call_worker

SERVICE = "/nodepool.WorkerNodeService/"
ELSEWHERE = ("TaskOutput", "TaskUsage", "TaskOutputUpload", "TaskResultUpload")


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    async with open_door(tmp_path) as worker:
        yield worker


async def status_of(worker: Worker, method: str, raw: bytes, **options: object) -> tuple[str, str]:
    """The gRPC status and words of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_worker(worker.address, method, raw, **options)  # type: ignore[arg-type]
    return caught.value.code().name, caught.value.details() or ""


# ---- the ordinary way ---------------------------------------------------------------


async def test_an_offer_reaches_the_handler_with_its_archive_in_a_private_file(worker: Worker) -> None:
    body = os.urandom(3_000_000)
    answer = await worker.execute(task_id="t 1/../ü", task_zip=body, cpu_usage=150, memory_gb=2)
    assert answer == pb.ExecuteTaskResponse(success=True)
    ((offer, path),) = worker.handler.offers
    assert path.read_bytes() == body
    assert (offer.task_id, offer.archive_bytes) == ("t 1/../ü", len(body))
    assert offer.body_sha256 == hashlib.sha256(body).hexdigest()
    assert offer.demand == normal_demand(150, 2, 0, 0)
    assert path.parent == worker.spool
    assert (path.suffix, path.stat().st_mode & 0o777) == (".zip", 0o600)


async def test_the_handler_is_told_when_the_yes_has_left(worker: Worker) -> None:
    await worker.execute(task_id="t", task_zip=b"zip")
    await asyncio.wait_for(worker.handler.heard.wait(), 5)
    assert worker.handler.told == [key_of(TaskId("t"))]


async def test_a_no_is_success_false_with_the_sentence_and_is_not_told_as_answered(worker: Worker) -> None:
    worker.handler.reply = Refused(problem=Problem(code=FaultCode.NO_SLOT, about="3"))
    answer = await worker.execute(task_id="t", task_zip=b"zip")
    assert (answer.success, answer.message) == (False, sentence(FaultCode.NO_SLOT, "3"))
    assert worker.handler.told == []


async def test_a_stop_reaches_the_handler_by_the_key_of_the_id(worker: Worker) -> None:
    async with ScriptedPool() as pool:
        assert (await pool.stop(worker.address, "a b/c")).success
    assert worker.handler.stops == [key_of(TaskId("a b/c"))]


@pytest.mark.parametrize("method", ELSEWHERE)
async def test_calls_that_are_the_pools_own_are_harmless_refusals(worker: Worker, method: str) -> None:
    raw = await call_worker(worker.address, SERVICE + method, os.urandom(100_000))
    answer = pb.ExecuteTaskResponse.FromString(raw)
    assert (answer.success, answer.message) == (False, sentence(FaultCode.NOT_SERVED))


async def test_an_unknown_call_is_unimplemented(worker: Worker) -> None:
    assert (await status_of(worker, SERVICE + "Format", b""))[0] == "UNIMPLEMENTED"


@pytest.mark.parametrize("method", [EXECUTE, STOP])
async def test_a_bug_in_the_handler_is_internal_without_its_trace_and_is_logged(
    worker: Worker, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker.handler.error = ZeroDivisionError("secret detail")
    status, words = await status_of(worker, method, pb.ExecuteTaskRequest(task_id="t").SerializeToString())
    assert status == "INTERNAL"
    assert "secret" not in words and "Error" not in words and "Traceback" not in words
    assert any(record.exc_info for record in caplog.records if record.levelno == logging.ERROR)


# ---- where it listens ---------------------------------------------------------------


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "", "localhost", "224.0.0.1", "10.0.0.0/24"])
async def test_it_never_listens_on_all_addresses(tmp_path: Path, address: str) -> None:
    files = NamedThread("files")
    door = TaskDoor(Handler(), peers={HERE}, spool=tmp_path, files=files)
    bound = await door.open(address, 0)
    assert isinstance(bound, Problem) and bound.code is FaultCode.BAD_ADDRESS
    await door.close()
    files.close()


async def test_a_port_in_use_is_said_with_the_name_of_its_setting(worker: Worker, tmp_path: Path) -> None:
    files = NamedThread("files")
    second = TaskDoor(Handler(), peers={HERE}, spool=tmp_path, files=files)
    port = int(worker.address.rpartition(":")[2])
    problem = await second.open(HERE, port)
    assert problem == Problem(code=FaultCode.PORT_IN_USE, about=f"{port} (NODE_PORT)")
    files.close()
    assert (await worker.execute(task_id="t", task_zip=b"zip")).success


async def test_an_address_of_another_computer_is_no_place_to_listen(tmp_path: Path) -> None:
    files = NamedThread("files")
    door = TaskDoor(Handler(), peers={HERE}, spool=tmp_path, files=files)
    bound = await door.open("192.0.2.7", 0)
    assert isinstance(bound, Problem) and bound.code is FaultCode.BAD_ADDRESS
    files.close()


async def test_the_port_answers_on_the_one_address_alone(worker: Worker) -> None:
    port = int(worker.address.rpartition(":")[2])
    with socket.create_server(("127.0.0.2", port)):
        pass  # free there: nothing listens on all addresses
    assert ("grpc.so_reuseport", 0) in OPTIONS


# ---- G1: strangers --------------------------------------------------------------------

FORGED = (("authorization", "Bearer good"), ("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1"))


async def test_g1_a_stranger_is_denied_at_once_whatever_is_called(tmp_path: Path) -> None:
    async with open_door(tmp_path, peers={"10.0.0.1"}) as worker:
        seen = set()
        for method in ("ExecuteTask", "StopTaskExecution", *ELSEWHERE, "Format"):
            for raw in (pb.StopTaskExecutionRequest(task_id="known").SerializeToString(), b"\xff" * 9):
                started = time.perf_counter()
                seen.add(await status_of(worker, SERVICE + method, raw, metadata=FORGED))
                assert time.perf_counter() - started < 0.5
        assert seen == {("PERMISSION_DENIED", sentence(FaultCode.STRANGER))}
        assert worker.handler.offers == [] and worker.handler.stops == [] and worker.spooled() == []


async def test_g1_a_strangers_archive_is_not_even_received(tmp_path: Path) -> None:
    async with open_door(tmp_path, peers=set()) as worker:
        await status_of(worker, EXECUTE, b"x")
        started = time.perf_counter()
        assert (await status_of(worker, EXECUTE, bytes(95 << 20)))[0] == "PERMISSION_DENIED"
        assert time.perf_counter() - started < 2
        assert worker.door._gate._taken == []


async def test_g1_strangers_make_one_log_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    check = PeerCheck({"10.0.0.1"}, clock=lambda: now[0])
    for second in range(0, 150, 5):
        now[0] = float(second)
        assert not check.admits("ipv4:10.0.0.9:4000")
    assert [record.getMessage() for record in caplog.records] == [
        "turned away a call from 10.0.0.9 (1 since the last such line)",
        "turned away a call from 10.0.0.9 (12 since the last such line)",
        "turned away a call from 10.0.0.9 (12 since the last such line)",
    ]
    assert check.turned_away == 30


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("ipv4:10.0.0.1:5", "10.0.0.1"),
        ("ipv6:%5B::1%5D:5", "::1"),
        ("ipv6:[::ffff:10.0.0.1]:5", "10.0.0.1"),
        ("ipv6:%5B::ffff:10.0.0.1%5D:5", "10.0.0.1"),
        ("ipv6:[fe80::1%25eth0]:5", "fe80::1"),
        ("unix:/tmp/x", ""),
        ("unix:10.0.0.1:5", ""),
        ("", ""),
        ("ipv4:", ""),
        ("ipv4:10.0.0.1.evil:5", ""),
    ],
)
def test_g1_the_source_of_a_call_is_read_in_every_form(peer: str, source: str) -> None:
    assert source_of(peer) == source
    assert PeerCheck({"10.0.0.1"}).admits(peer) == (source == "10.0.0.1")


async def test_g1_the_allowed_addresses_can_change_while_open(worker: Worker) -> None:
    worker.door.peers.allow({"10.0.0.1"})
    assert (await status_of(worker, STOP, b""))[0] == "PERMISSION_DENIED"
    worker.door.peers.allow({"::ffff:127.0.0.1"})
    assert (await status_of(worker, STOP, b""))[0] == "INVALID_ARGUMENT"


async def test_g1_a_pool_on_ipv6_is_told_from_others(tmp_path: Path) -> None:
    async with open_door(tmp_path, peers={"::1"}, bind="::1") as worker:
        assert (await worker.execute(task_id="t", task_zip=b"zip")).success
        worker.door.peers.allow({"::2"})
        assert (await status_of(worker, STOP, b""))[0] == "PERMISSION_DENIED"


# ---- G3: ids ----------------------------------------------------------------------------

GOOD_IDS = (
    "../../etc/passwd", "a b", "; rm -rf /", "-v", "$(id)", "任务", "a\u2028b", "<script>", "x" * 512,
    "é" * 256, "task_20251031_120000_0a1b2c3d_1", "\u202egnp.exe", " ",
)  # fmt: skip
BAD_IDS = (
    b"", b"x" * 513, "é".encode() * 257, b"a\0b", b"a\nb", b"\x1b[2J", b"a\x7f", "a\u0085".encode(),
    b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"x" * (1 << 20),
)  # fmt: skip


def with_id(untrusted_id: bytes) -> bytes:
    size, out = len(untrusted_id), bytearray(b"\x0a")
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(out) + bytes([size]) + untrusted_id


@pytest.mark.parametrize("task_id", GOOD_IDS)
async def test_g3_an_id_is_free_text(worker: Worker, task_id: str) -> None:
    assert (await worker.execute(task_id=task_id, task_zip=b"zip")).success
    ((offer, path),) = worker.handler.offers
    assert offer.task_id == task_id
    assert path.parent == worker.spool and len(path.stem) == 32


@pytest.mark.parametrize("untrusted_id", BAD_IDS, ids=lambda value: ascii(value[:12]))
@pytest.mark.parametrize("method", [EXECUTE, STOP])
async def test_g3_other_ids_are_invalid_arguments(worker: Worker, method: str, untrusted_id: bytes) -> None:
    status, words = await status_of(worker, method, with_id(untrusted_id))
    assert status == "INVALID_ARGUMENT"
    assert words.isprintable()
    assert worker.handler.offers == [] and worker.handler.stops == [] and worker.spooled() == []


# ---- G4: amounts ------------------------------------------------------------------------


def amount(field: int, value: bytes) -> bytes:
    return bytes([field << 3]) + value


MINUS_ONE = b"\xff" * 9 + b"\x01"
BEYOND_INT32 = b"\x80\x80\x80\x80\x10"
NAN, INFINITE, MINUS_FLOAT = b"\x1d\x00\x00\xc0\x7f", b"\x1d\x00\x00\x80\x7f", b"\x1d\x00\x00\x80\xbf"


@pytest.mark.parametrize("field", [3, 4, 5, 6])
@pytest.mark.parametrize("value", [MINUS_ONE, BEYOND_INT32], ids=["minus one", "beyond int32"])
async def test_g4_senseless_amounts_are_refused_and_a_small_task_still_taken(
    worker: Worker, field: int, value: bytes
) -> None:
    answer = await worker.execute_raw(with_id(b"t") + amount(field, value))
    assert not answer.success
    assert answer.message.startswith("The task asks for an amount that makes no sense")
    assert worker.handler.offers == [] and worker.spooled() == []
    assert (await worker.execute(task_id="t", task_zip=b"zip", cpu_usage=1)).success


@pytest.mark.parametrize("value", [NAN, INFINITE, MINUS_FLOAT], ids=["NaN", "infinite", "minus one"])
async def test_g4_floats_of_later_pools_are_checked_too(worker: Worker, value: bytes) -> None:
    answer = await worker.execute_raw(with_id(b"t") + value)
    assert not answer.success
    assert worker.handler.offers == []


async def test_g4_the_largest_amount_is_passed_on_for_the_engine_to_refuse(worker: Worker) -> None:
    await worker.execute(task_id="t", task_zip=b"zip", memory_gb=2**31 - 1)
    assert worker.handler.offers[0][0].demand.memory_gb == 2**31 - 1


@pytest.mark.parametrize("value", [b"\xff" * 10 + b"\x01", b"\x81\x80\x00", b"\xff" * 9 + b"\x02"])
async def test_g4_over_long_numbers_are_invalid_arguments(worker: Worker, value: bytes) -> None:
    assert (await status_of(worker, EXECUTE, with_id(b"t") + amount(3, value)))[0] == "INVALID_ARGUMENT"


# ---- G8, G9 and the gate ------------------------------------------------------------------

NO_SLOT = Refused(problem=Problem(code=FaultCode.NO_SLOT, about="3"))


async def test_g8_a_hundred_and_fifty_offers_at_once_are_each_answered(worker: Worker) -> None:
    worker.handler.choose = lambda _: Accepted() if len(worker.handler.offers) <= 3 else NO_SLOT
    started = time.perf_counter()
    answers = await asyncio.gather(
        *(worker.execute(task_id=f"t{n}", task_zip=os.urandom(20_000)) for n in range(150))
    )
    assert time.perf_counter() - started < 30
    assert sum(answer.success for answer in answers) == 3
    assert all(answer.message for answer in answers if not answer.success)


async def test_offers_beyond_the_places_are_refused_as_busy_within_two_seconds(worker: Worker) -> None:
    worker.handler.holding = asyncio.Event()
    inside = [asyncio.ensure_future(worker.execute(task_id=f"t{n}", task_zip=b"zip")) for n in range(4)]
    while len(worker.handler.offers) < 4:
        worker.handler.asked.clear()
        await asyncio.wait_for(worker.handler.asked.wait(), 5)
    started = time.perf_counter()
    answer = await worker.execute(task_id="fifth", task_zip=b"zip")
    assert (answer.success, answer.message) == (False, sentence(FaultCode.BUSY))
    assert time.perf_counter() - started < 2
    worker.handler.holding.set()
    assert all(answer.success for answer in await asyncio.gather(*inside))
    assert (await worker.execute(task_id="fifth", task_zip=b"zip")).success


async def until(condition: Callable[[], object], limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.001)


async def test_half_sent_offers_give_way_to_an_honest_one(worker: Worker) -> None:
    halves = [await half_sent(worker.address, EXECUTE) for _ in range(8)]
    await until(lambda: len(worker.door._gate._taken) == 4)
    answers: list[bool] = []
    async with asyncio.timeout(15):
        while not any(answers):
            started = time.perf_counter()
            answers.append((await worker.execute(task_id="honest", task_zip=b"zip")).success)
            assert time.perf_counter() - started < 2
    await drop(halves)


async def test_g9_a_client_gone_half_way_leaves_no_file_and_no_offer(worker: Worker) -> None:
    half = await half_sent(worker.address, EXECUTE)
    await until(lambda: worker.door._gate._taken)
    await drop([half])
    await until(lambda: not worker.door._gate._taken)
    assert worker.spooled() == []
    assert (await worker.execute(task_id="next", task_zip=b"zip")).success
    assert [offer.task_id for offer, _ in worker.handler.offers] == ["next"]


async def test_g9_a_client_gone_before_the_archive_is_written_leaves_no_file_and_no_offer(
    worker: Worker,
) -> None:
    go_on = threading.Event()
    blocked = asyncio.ensure_future(worker.files.call(go_on.wait, 10))  # the archive waits behind this
    offering = asyncio.ensure_future(worker.execute(task_id="t", task_zip=b"zip"))
    await until(lambda: "door:offer" in worker.door._nursery.names())
    offering.cancel()
    await asyncio.gather(offering, return_exceptions=True)
    await until(lambda: not worker.door.calls_open)
    go_on.set()
    await blocked
    await until(lambda: not worker.door._gate._taken)
    assert worker.spooled() == [] and worker.handler.offers == []


async def test_an_accepted_offer_whose_caller_left_is_still_told_as_answered(worker: Worker) -> None:
    worker.handler.holding = asyncio.Event()
    offering = asyncio.ensure_future(worker.execute(task_id="t", task_zip=b"zip"))
    await asyncio.wait_for(worker.handler.asked.wait(), 5)
    offering.cancel()
    await asyncio.gather(offering, return_exceptions=True)
    worker.handler.holding.set()
    await asyncio.wait_for(worker.handler.heard.wait(), 5)
    assert worker.handler.told == [key_of(TaskId("t"))]


# ---- the disk -------------------------------------------------------------------------------


async def test_an_archive_over_the_limit_is_refused_and_leaves_no_file(worker: Worker) -> None:
    answer = await worker.execute(task_id="t", task_zip=bytes((100 << 20) + 1))
    assert not answer.success
    assert answer.message == sentence(FaultCode.TOO_BIG, "104857601 bytes, at most 104857600 are taken")
    assert worker.handler.offers == [] and worker.spooled() == []


async def test_a_spool_that_cannot_be_written_is_a_refusal_with_its_reason(tmp_path: Path) -> None:
    async with open_door(tmp_path / "absent") as worker:
        answer = await worker.execute(task_id="t", task_zip=b"zip")
    assert not answer.success
    assert answer.message == sentence(FaultCode.NO_PERMISSION, "spool, No such file or directory")


async def test_a_disk_that_takes_only_half_an_archive_is_named_and_the_half_is_gone(worker: Worker) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        answer = await worker.execute(task_id="t", task_zip=bytes(3 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not answer.success
    assert answer.message == sentence(FaultCode.DISK_FULL, "spool, File too large")
    assert worker.spooled() == [] and worker.handler.offers == []
