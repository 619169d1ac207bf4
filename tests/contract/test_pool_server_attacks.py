"""Hostile bytes on the worker's port (rows G5 and G6), with the memory of a door in its own process."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from hivemind_worker.pool.pb import nodepool_pb2 as pb
from tests.contract.door import Worker, open_door
from tests.contract.door_process import DoorProcess, door_process
from tests.contract.gauge import MIB
from tests.contract.http2 import (
    PING,
    RST_STREAM,
    frame,
    half_sent,
    message_head,
    pings_answered,
    request_head,
    status_of,
)
from tests.fakes.pool import EXECUTE, STOP, call_worker

RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    async with open_door(tmp_path) as worker:
        yield worker


async def outcome(address: str, method: str, raw: bytes, **options: object) -> str:
    """The status of a call, "OK" included; no failure may show what is inside."""
    try:
        await call_worker(address, method, raw, **options)  # type: ignore[arg-type]
    except grpc.aio.AioRpcError as error:
        words = error.details() or ""
        assert not any(hint in words for hint in ("Traceback", "Error", "Exception", ".py", "object at"))
        return error.code().name
    return "OK"


# ---- G5 -------------------------------------------------------------------------------------

GOOD = pb.ExecuteTaskRequest(
    task_id="task_1", task_zip=b"PK\x03\x04" + bytes(60), cpu_usage=100, memory_gb=2
).SerializeToString()


async def test_g5_every_truncation_is_an_invalid_argument_or_a_shorter_message(worker: Worker) -> None:
    whole = {0, 8, 74, 76, len(GOOD)}  # ends of fields: what is left is a message
    for length in range(len(GOOD)):
        expected = "OK" if length in whole and length else "INVALID_ARGUMENT"
        assert await outcome(worker.address, EXECUTE, GOOD[:length]) == expected, length


@pytest.mark.parametrize(
    "raw",
    [
        GOOD + b"\x78\x01" * 100_000,
        GOOD + b"\x7b" * 50_000 + b"\x7c" * 50_000,
        GOOD + b"\x7b" * 40,
        GOOD + b"\x7b\x78\x01",
        GOOD + b"\x7c",
        GOOD + b"\x7b\x84\x01",
        GOOD + b"\x7e\x01",
        GOOD + b"\x02\x01",
        GOOD + b"\x12\xff\xff\xff\xff\x0f",
        b"<html>not found</html>",
        b"\x00" * 1000,
    ],
    ids=[
        "100k unknown fields", "100k nested groups", "groups never closed", "open group with contents",
        "group closed unopened", "group closed by another", "wire type 6", "field 0", "4 GiB field",
        "a page", "zeros",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", [EXECUTE, STOP])
async def test_g5_structures_that_no_pool_sends_are_invalid_arguments(
    worker: Worker, method: str, raw: bytes
) -> None:
    started = time.perf_counter()
    status = await outcome(worker.address, method, raw)
    assert status == "INVALID_ARGUMENT"
    assert time.perf_counter() - started < 1
    assert worker.spooled() == []


async def test_g5_four_hundred_mutated_messages_never_show_what_is_inside(worker: Worker) -> None:
    chance = random.Random(20251031)
    seen = set()
    for _ in range(400):
        raw = bytearray(GOOD)
        for _ in range(chance.randint(1, 8)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        seen.add(await outcome(worker.address, chance.choice((EXECUTE, STOP)), bytes(raw)))
    assert seen == {"OK", "INVALID_ARGUMENT"}
    assert (await worker.execute(task_id="honest", task_zip=b"zip")).success


# ---- G6 -------------------------------------------------------------------------------------


@pytest.fixture
async def apart() -> AsyncIterator[DoorProcess]:
    async with door_process() as apart:
        await outcome(apart.address, EXECUTE, GOOD)
        await apart.reset()
        yield apart


async def test_g6_a_gzip_bomb_is_exhausted_in_bounded_memory(apart: DoorProcess) -> None:
    bomb = pb.ExecuteTaskRequest(task_id="t", task_zip=bytes(400_000_000)).SerializeToString()
    status = await outcome(apart.address, EXECUTE, bomb, compression=grpc.Compression.Gzip)
    assert status == "RESOURCE_EXHAUSTED"
    assert (await apart.read()).grown_mib < 300
    assert await outcome(apart.address, EXECUTE, GOOD) == "OK"


@pytest.mark.parametrize("size", [(101 << 20) + 1, 160_000_000])
async def test_g6_messages_over_the_limit_are_exhausted_in_bounded_memory(
    apart: DoorProcess, size: int
) -> None:
    assert await outcome(apart.address, EXECUTE, bytes(size)) == "RESOURCE_EXHAUSTED"
    assert (await apart.read()).grown_mib < 300
    assert await outcome(apart.address, EXECUTE, GOOD) == "OK"


async def test_g6_a_length_of_4_gib_is_exhausted_before_anything_comes(apart: DoorProcess) -> None:
    body = message_head(0xFFFF_FFFF) + bytes(1000)
    assert await status_of(apart.address, EXECUTE, body) == RESOURCE_EXHAUSTED
    assert (await apart.read()).grown_mib < 50
    assert await outcome(apart.address, EXECUTE, GOOD) == "OK"


async def test_g6_60_kb_of_metadata_are_exhausted(apart: DoorProcess) -> None:
    metadata = [("x-filler", "y" * 60_000)]
    assert await outcome(apart.address, EXECUTE, GOOD, metadata=metadata) == "RESOURCE_EXHAUSTED"
    assert (await apart.read()).grown_mib < 50
    assert await outcome(apart.address, EXECUTE, GOOD) == "OK"


# ---- G7 -------------------------------------------------------------------------------------


async def honest_call_s(worker: Worker) -> float:
    """How long the pool waits for an answer meanwhile."""
    started = time.perf_counter()
    await worker.execute(task_id="honest", task_zip=b"zip")
    return time.perf_counter() - started


async def test_g7_four_hundred_half_sent_requests_do_not_hold_up_an_honest_one(worker: Worker) -> None:
    halves = await asyncio.gather(*(half_sent(worker.address, EXECUTE) for _ in range(400)))
    assert await honest_call_s(worker) < 2
    for half in halves:
        half.close()
    async with asyncio.timeout(10):
        while not (await worker.execute(task_id="honest", task_zip=b"zip")).success:
            pass
    assert len(worker.spooled()) == len(worker.handler.offers)


TLS_HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(160)
PING_FLOOD = request_head(STOP) + frame(PING, 0, 0, bytes(8)) * 20_000
RESETS = request_head(STOP) + b"".join(frame(RST_STREAM, 0, n, bytes(4)) for n in range(1, 4000, 2))


@pytest.mark.parametrize(
    "noise",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", TLS_HELLO, b"\0" * 5000, PING_FLOOD, RESETS],
    ids=["HTTP/1.1", "TLS", "zeros", "ping flood", "resets of streams never opened"],
)
async def test_g7_noise_on_the_port_does_not_hold_up_an_honest_call(worker: Worker, noise: bytes) -> None:
    writers = []
    for _ in range(20):
        host, _, port = worker.address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(noise)
        writers.append(writer)
    assert await honest_call_s(worker) < 2
    for writer in writers:
        writer.close()


async def test_g7_pings_are_answered_and_not_counted_which_would_cost_their_square(worker: Worker) -> None:
    assert await pings_answered(worker.address, STOP, 5000) == 5000


@pytest.mark.slow
@pytest.mark.parametrize("mib", [95, 16])
async def test_a_large_archive_comes_in_within_four_times_its_size(apart: DoorProcess, mib: int) -> None:
    raw = pb.ExecuteTaskRequest(task_id="t", task_zip=os.urandom(MIB) * mib).SerializeToString()
    tries: list[str] = []
    for _ in range(4):
        await apart.reset()
        started = time.perf_counter()
        assert await outcome(apart.address, EXECUTE, raw) == "OK"
        seconds, reading = time.perf_counter() - started, await apart.read()
        tries.append(f"{seconds:.2f} s, held up {reading.stall_ms:.0f} ms, +{reading.grown_mib:.0f} MiB")
        assert reading.grown_mib <= 4 * mib, tries
    print(*tries, sep="\n")
    assert apart.spooled.count(mib * MIB) == 4
