"""The field scanner against protobuf's own parser, on messages that are right and on ones that are not.

Found cases lie in corpus/wire: NAME.CODE, where CODE is the verdict as an offer, "good" when it is taken.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hivemind_worker.model.faults import FAULTS, FaultCode
from hivemind_worker.model.resources import normal_demand
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.scanner import MalformedError, scan
from hivemind_worker.pool.wire import ExecuteRequest, clean_words, read_execute_task, read_stop

CORPUS = sorted((Path(__file__).parent / "corpus" / "wire").iterdir())
INT32 = st.integers(-(2**31), 2**31 - 1)
AMOUNT = st.integers(0, 2**31 - 1)
IDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128)
MESSAGES = st.builds(
    pb.ExecuteTaskRequest,
    task_id=st.text(st.characters(exclude_categories=["Cs"]), max_size=64),
    task_zip=st.binary(max_size=300),
    cpu_usage=INT32, gpu_usage=INT32, memory_gb=INT32, gpu_memory_gb=INT32,
)  # fmt: skip
EXPECTED = {FaultCode.BAD_REQUEST, FaultCode.BAD_TASK_ID, FaultCode.BAD_DEMAND, FaultCode.TOO_BIG}
quick = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(IDS, st.binary(max_size=300), AMOUNT, AMOUNT, AMOUNT, AMOUNT)
@quick
def test_right_messages_give_what_protobuf_gives(
    task_id: str, body: bytes, cpu: int, gpu: int, memory: int, gpu_memory: int
) -> None:
    raw = pb.ExecuteTaskRequest(
        task_id=task_id, task_zip=body, cpu_usage=cpu, gpu_usage=gpu, memory_gb=memory,
        gpu_memory_gb=gpu_memory,
    ).SerializeToString()  # fmt: skip
    request = read_execute_task(raw)
    assert isinstance(request, ExecuteRequest)
    assert (request.task_id, bytes(request.archive)) == (task_id, body)
    assert request.demand == normal_demand(cpu, memory, gpu, gpu_memory)
    assert read_stop(raw) == task_id


@given(MESSAGES)
@quick
def test_the_scanner_finds_the_fields_that_protobuf_wrote(message: pb.ExecuteTaskRequest) -> None:
    found = {field.number: field.value for field in scan(memoryview(message.SerializeToString()))}
    for row, value in message.ListFields():
        read = found.pop(row.number)
        if isinstance(read, int):
            assert read == value % 2**64
        else:
            assert bytes(read) == (value.encode() if isinstance(value, str) else value)
    assert found == {}


@given(st.floats(width=32), st.sampled_from([3, 4]))
@quick
def test_floats_of_later_pools_are_amounts_or_refused(value: float, number: int) -> None:
    raw = b"\x0a\x01t" + bytes([number << 3 | 5]) + struct.pack("<f", value)
    request = read_execute_task(raw)
    if 0 <= value < 2**31:
        assert isinstance(request, ExecuteRequest)
        asked = {3: (value, 0, 0, 0), 4: (0, 0, value, 0)}[number]
        assert request.demand == normal_demand(*asked)
    else:
        assert isinstance(request, Problem) and request.code is FaultCode.BAD_DEMAND


@given(MESSAGES, st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=8), st.integers(0, 20))
@quick
def test_damaged_messages_are_never_more_than_a_problem(
    message: pb.ExecuteTaskRequest, changes: list[tuple[int, int]], cut: int
) -> None:
    raw = bytearray(message.SerializeToString() or b"\0")
    for place, byte in changes:
        raw[place % len(raw)] = byte
    check(bytes(raw[: len(raw) - cut] if cut < len(raw) else raw))


@given(st.binary(max_size=400))
@quick
def test_noise_is_never_more_than_a_problem(raw: bytes) -> None:
    check(raw)


@pytest.mark.parametrize("found", CORPUS, ids=lambda path: path.name)
def test_what_was_found_before_gets_its_verdict(found: Path) -> None:
    raw = found.read_bytes()
    check(raw)
    verdict = read_execute_task(raw)
    assert found.suffix == f".{verdict.code if isinstance(verdict, Problem) else 'good'}"


def check(raw: bytes) -> None:
    """Ours is at least as strict as protobuf, and what both take means the same to both."""
    for read in (read_execute_task, read_stop):
        found = read(raw)
        if isinstance(found, Problem):
            assert found.code in EXPECTED
            assert found.code in FAULTS and clean_words(found.about)
    try:
        list(scan(memoryview(raw)))
    except MalformedError:
        return
    request = read_execute_task(raw)
    try:
        theirs = pb.ExecuteTaskRequest.FromString(raw)
    except DecodeError:
        assert isinstance(request, Problem), "taken by us, refused by protobuf"
        return
    if isinstance(request, ExecuteRequest):
        assert (request.task_id, bytes(request.archive)) == (theirs.task_id, theirs.task_zip)
