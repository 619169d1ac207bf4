"""Messages of the pool as values: bounds, defaults, answers; and that the generated code is fresh."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from hivemind_worker.model.effects import Accepted, Refused
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.resources import normal_demand
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.framing import MAX_RESULT_BYTES, result_request
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.scanner import MAX_FIELDS
from hivemind_worker.pool.wire import (
    MAX_WORDS,
    ExecuteRequest,
    answer,
    clean_words,
    read_execute_task,
    read_stop,
    varint,
)

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "app/hivemind_worker/pool/pb"


def readable(raw: bytes) -> ExecuteRequest:
    request = read_execute_task(raw)
    assert isinstance(request, ExecuteRequest)
    return request


def test_the_generated_code_is_fresh(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "grpc_tools.protoc", "-Ihivemind_worker/pool/pb=proto",
        f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", f"--grpc_python_out={tmp_path}",
        "proto/nodepool.proto",
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    for fresh in (tmp_path / "hivemind_worker/pool/pb").iterdir():
        assert (GENERATED / fresh.name).read_bytes() == fresh.read_bytes(), f"run: make proto ({fresh.name})"


def test_the_archive_is_a_view_of_the_message_not_a_copy() -> None:
    raw = pb.ExecuteTaskRequest(task_id="t", task_zip=b"abc").SerializeToString()
    request = readable(raw)
    assert request.archive.obj is raw
    assert bytes(request.archive) == b"abc"


def test_zero_and_absent_amounts_mean_the_default_need() -> None:
    assert readable(pb.ExecuteTaskRequest(task_id="t").SerializeToString()).demand == normal_demand(
        0, 0, 0, 0
    )


def test_the_last_of_a_doubled_field_counts_as_in_protobuf() -> None:
    first = pb.ExecuteTaskRequest(task_id="a", task_zip=b"1", memory_gb=1).SerializeToString()
    second = pb.ExecuteTaskRequest(task_id="b", task_zip=b"2", memory_gb=4).SerializeToString()
    request = readable(first + second)
    assert (request.task_id, bytes(request.archive), request.demand.memory_gb) == ("b", b"2", 4)


def test_fields_of_a_type_that_they_never_had_are_left_out() -> None:
    raw = pb.ExecuteTaskRequest(task_id="t", memory_gb=3).SerializeToString()
    odd = b"\x2d" + struct.pack("<f", 9.0) + b"\x1a\x02hi" + b"\x21" + bytes(8) + b"\x10\x05" + b"\x08\x05"
    request = readable(raw + odd)
    assert request.demand == normal_demand(0, 3, 0, 0)
    assert (request.task_id, bytes(request.archive)) == ("t", b"")


def test_unknown_fields_are_left_out_up_to_a_limit() -> None:
    raw = pb.ExecuteTaskRequest(task_id="t").SerializeToString()
    assert readable(raw + b"\x78\x01" * (MAX_FIELDS - 1)).task_id == "t"
    problem = read_execute_task(raw + b"\x78\x01" * MAX_FIELDS)
    assert isinstance(problem, Problem) and problem.code is FaultCode.BAD_REQUEST


def test_an_empty_message_is_a_bad_id() -> None:
    for problem in (read_execute_task(b""), read_stop(b"")):
        assert isinstance(problem, Problem) and problem.code is FaultCode.BAD_TASK_ID


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31, 2**64 - 1])
def test_numbers_are_written_as_protobuf_reads_them(number: int) -> None:
    message = pb.TransferRequest.FromString(b"\x18" + varint(number))
    assert message.amount % 2**64 == number


@pytest.mark.parametrize(
    "response", [pb.ExecuteTaskResponse, pb.StopTaskExecutionResponse, pb.TaskUsageResponse]
)
def test_answers_are_read_by_protobuf(response: type) -> None:
    assert response.FromString(answer(Accepted())) == response(success=True)
    refused = Refused(problem=Problem(code=FaultCode.NO_SLOT, about="3 ü\ud800"))
    words = sentence(FaultCode.NO_SLOT, "3 ü?")
    assert response.FromString(answer(refused)) == response(message=words)


def test_words_of_a_pool_become_one_short_harmless_line() -> None:
    assert clean_words("no\n\x1b[2J\0 more\u2028lines\t!") == "no [2J more lines !"
    assert clean_words("余额不足") == "余额不足"
    long = clean_words("x" * 10_000)
    assert len(long) == MAX_WORDS and long.endswith("…")


# ---- the result's request -----------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 127, 128, (3 << 20) + 5])
@pytest.mark.parametrize("token", ["", "a.b.c"])
def test_the_request_of_a_result_is_what_protobuf_reads(tmp_path: Path, size: int, token: str) -> None:
    archive = tmp_path / "r.zip"
    archive.write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    request = result_request("t/ü", token, archive)  # type: ignore[arg-type]
    assert isinstance(request, bytes)
    expected = pb.TaskResultUploadRequest(task_id="t/ü", result_zip=archive.read_bytes(), token=token)
    assert pb.TaskResultUploadRequest.FromString(request) == expected


def test_a_result_over_99_mib_is_refused_unread(tmp_path: Path) -> None:
    archive = tmp_path / "r.zip"
    with archive.open("wb") as file:
        file.truncate(MAX_RESULT_BYTES + 1)
    problem = result_request("t", "", archive)  # type: ignore[arg-type]
    assert isinstance(problem, Problem) and problem.code is FaultCode.RESULT_TOO_LARGE


def test_a_result_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    problem = result_request("t", "", tmp_path / "gone.zip")  # type: ignore[arg-type]
    assert problem == Problem(code=FaultCode.RESULT_UNREADABLE, about="it is gone")
