"""Messages of the pool as values of the model, every bound checked; and our answers as bytes.

The one place that trusts nothing of what a message holds. It neither waits nor writes.
Counterparts: `pool.scanner` (the grammar below), `pool.server` (who calls).
"""

from __future__ import annotations

import math
import struct
import unicodedata
from dataclasses import dataclass

from hivemind_worker.model.effects import Accepted, Reply
from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.resources import Resources, normal_demand
from hivemind_worker.model.task import Problem, TaskId
from hivemind_worker.pool.scanner import BYTES, FIXED32, VARINT, MalformedError, scan

USERS, NODES, WORKERS = (
    "/nodepool.UserService/",
    "/nodepool.NodeManagerService/",
    "/nodepool.WorkerNodeService/",
)
MAX_TASK_ID_BYTES = 512
MAX_ARCHIVE_BYTES = 100 << 20
INT32_MAX = (1 << 31) - 1
DEMAND_NAMES = {3: "cpu", 4: "gpu", 5: "memory_gb", 6: "gpu_memory_gb"}
FLOAT_FIELDS = (3, 4)  # quirk 19: later pools send these two as float
MAX_WORDS = 300
TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteRequest:
    """A readable ExecuteTask: `archive` is a view of the received bytes."""

    task_id: TaskId
    archive: memoryview
    demand: Resources


def read_execute_task(raw: bytes) -> ExecuteRequest | Problem:
    """The request, or why it is refused (BAD_REQUEST, BAD_TASK_ID, BAD_DEMAND, TOO_BIG)."""
    untrusted_id = archive = memoryview(b"")
    amounts: dict[int, float] = {}
    try:
        for field in scan(memoryview(raw)):
            if isinstance(field.value, memoryview) and field.wire_type == BYTES:
                if field.number == 1:
                    untrusted_id = field.value
                elif field.number == 2:
                    archive = field.value
            if field.number in DEMAND_NAMES:
                amount = _amount(field.number, field.wire_type, field.value)
                amounts[field.number] = amounts.get(field.number, 0.0) if amount is None else amount
    except MalformedError as error:
        return Problem(code=FaultCode.BAD_REQUEST, about=str(error))
    task_id, demand = read_task_id(untrusted_id), _read_demand(amounts)
    if isinstance(task_id, Problem):
        return task_id
    if isinstance(demand, Problem):
        return demand
    if len(archive) > MAX_ARCHIVE_BYTES:
        return Problem(
            code=FaultCode.TOO_BIG, about=f"{len(archive)} bytes, at most {MAX_ARCHIVE_BYTES} are taken"
        )
    return ExecuteRequest(task_id=task_id, archive=archive, demand=demand)


def read_stop(raw: bytes) -> TaskId | Problem:
    """The task that a StopTaskExecution names (BAD_REQUEST, BAD_TASK_ID)."""
    untrusted_id = memoryview(b"")
    try:
        for field in scan(memoryview(raw)):
            if field.number == 1 and isinstance(field.value, memoryview) and field.wire_type == BYTES:
                untrusted_id = field.value
    except MalformedError as error:
        return Problem(code=FaultCode.BAD_REQUEST, about=str(error))
    return read_task_id(untrusted_id)


def read_task_id(untrusted_id: memoryview | bytes) -> TaskId | Problem:
    """1 to 512 bytes of UTF-8 without control characters (C0, DEL, C1), or BAD_TASK_ID."""
    if not 1 <= len(untrusted_id) <= MAX_TASK_ID_BYTES:
        return _bad_id(f"{len(untrusted_id)} bytes long")
    try:
        text = bytes(untrusted_id).decode("utf-8")
    except UnicodeDecodeError as error:
        return _bad_id(f"not UTF-8 at byte {error.start}")
    for place, letter in enumerate(text):
        if unicodedata.category(letter) == "Cc":
            return _bad_id(f"control character {ord(letter):#04x} at place {place}")
    return TaskId(text)


def _bad_id(about: str) -> Problem:
    return Problem(code=FaultCode.BAD_TASK_ID, about=about)


def _amount(number: int, wire_type: int, value: int | memoryview) -> float | None:
    """The amount in a field, None for a type that the field never had."""
    if wire_type == VARINT and isinstance(value, int):
        return float(value - (1 << 64) if value >> 63 else value)
    if wire_type == FIXED32 and number in FLOAT_FIELDS and isinstance(value, memoryview):
        return float(struct.unpack("<f", value)[0])
    return None


def _read_demand(amounts: dict[int, float]) -> Resources | Problem:
    for number, amount in amounts.items():
        if not (math.isfinite(amount) and 0 <= amount <= INT32_MAX):
            return Problem(code=FaultCode.BAD_DEMAND, about=f"{DEMAND_NAMES[number]} {amount:g}")
    named = {name: amounts.get(number, 0.0) for number, name in DEMAND_NAMES.items()}
    return normal_demand(**named)


def clean_words(untrusted_text: str) -> str:
    """Another program's words on one line, without control characters and changes of direction, cut at 300
    letters."""
    kept = "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") or letter in TURNS else letter
                   for letter in untrusted_text[: 4 * MAX_WORDS])  # fmt: skip
    kept = " ".join(kept.split())
    return kept if len(kept) <= MAX_WORDS else kept[: MAX_WORDS - 1] + "…"


def answer(reply: Reply) -> bytes:
    """A reply as the bytes of any of the service's responses: success b[1], message s[2]."""
    if isinstance(reply, Accepted):
        return b"\x08\x01"
    words = sentence(reply.problem.code, reply.problem.about).encode("utf-8", "replace")
    return b"\x12" + varint(len(words)) + words


def varint(number: int) -> bytes:
    """A number from 0 up in the wire format."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
