"""Judges what the probe says. Pure; the probe may be cut short, or be lied for: silence is no answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Outcome
from hivemind_worker.runtimes.probe.doors import DOORS, MUST_ANSWER, TRIED_APART

MIB = 1 << 20
OVERSHOOT_BYTES = 256 * MIB
"""What may be written between two looks at a task's folder."""
PIECE_LIMIT_BYTES = 4 * MIB
NO_ANSWER = "no answer: the probe ended before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One door: closed or not, and what was seen of it."""

    door: str
    closed: bool
    seen: str

    @property
    def title(self) -> str:
        """The door in words: what holds when it is closed."""
        return DOORS[self.door]

    def as_json(self) -> dict[str, object]:
        """The finding by its names in the command's output."""
        return {"check": self.door, "ok": self.closed, "text": self.title, "seen": self.seen}


def spoken(untrusted_output: bytes) -> Iterator[Mapping[str, Any]]:
    """The JSON objects among the lines that a program printed."""
    for line in untrusted_output.splitlines():
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict):
            yield said


def judge_doors(untrusted_output: bytes, runtime: str) -> tuple[Finding, ...]:
    """A finding for each door of the table that one run tries; said twice, the worse counts."""
    answers: dict[str, Finding] = {}
    for said in spoken(untrusted_output):
        door = said.get("check")
        if isinstance(door, str) and door in DOORS:
            finding = _judge(door, said, runtime)
            known = answers.get(door)
            answers[door] = known if known is not None and not known.closed else finding
    return tuple(
        answers.get(door, Finding(door=door, closed=False, seen=NO_ANSWER))
        for door in DOORS
        if door not in TRIED_APART
    )


def _judge(door: str, said: Mapping[str, Any], runtime: str) -> Finding:
    seen = str(said.get("seen", ""))
    match said.get("open"):
        case False:
            return Finding(door=door, closed=True, seen=seen)
        case None if "open" in said and door not in MUST_ANSWER.get(runtime, DOORS):
            return Finding(door=door, closed=True, seen=seen)
        case True:
            return Finding(door=door, closed=False, seen=seen)
        case _:
            return Finding(door=door, closed=False, seen=f"it could not be tried: {seen}")


def judge_memory(untrusted_output: bytes, outcome: Outcome, limit_bytes: int) -> Finding:
    """The bomb was ended at, or refused below, its limit."""
    held = _largest(untrusted_output, "held")
    refused = _was_refused(untrusted_output)
    ended = refused or _ended_by(outcome, FaultCode.OUT_OF_MEMORY)
    return Finding(
        door="memory_bomb", closed=ended and 0 < held <= limit_bytes,
        seen=f"held {held // MIB} MiB of {limit_bytes // MIB}, {_how(outcome, refused)}",
    )  # fmt: skip


def judge_disk(untrusted_output: bytes, outcome: Outcome, limit_bytes: int, left_bytes: int) -> Finding:
    """The flood was ended, or refused, no later than the watch allows; `left_bytes` lie on the disk."""
    written = max(_largest(untrusted_output, "written"), left_bytes)
    refused = _was_refused(untrusted_output)
    ended = refused or _ended_by(outcome, FaultCode.OUT_OF_DISK)
    return Finding(
        door="disk_fill", closed=ended and 0 < written <= limit_bytes + OVERSHOOT_BYTES,
        seen=f"wrote {written // MIB} MiB of {limit_bytes // MIB}, {_how(outcome, refused)}",
    )  # fmt: skip


def judge_log(largest_piece_bytes: int, total_bytes: int, sent_bytes: int, outcome: Outcome) -> Finding:
    """The line came whole or cut, but never collected into one piece."""
    in_pieces = 0 < total_bytes <= sent_bytes and largest_piece_bytes <= PIECE_LIMIT_BYTES
    pieces = f"pieces of {largest_piece_bytes >> 10} KiB at most"
    return Finding(
        door="log_flood",
        closed=in_pieces and not _ended_by(outcome, FaultCode.SANDBOX_FAILED),
        seen=f"{total_bytes // MIB} MiB of {sent_bytes // MIB}, {pieces}",
    )


def _largest(untrusted_output: bytes, word: str) -> int:
    figures = [said[word] for said in spoken(untrusted_output) if isinstance(said.get(word), int)]
    return max(figures, default=0)


def _was_refused(untrusted_output: bytes) -> bool:
    return any("refused" in said for said in spoken(untrusted_output))


def _ended_by(outcome: Outcome, code: FaultCode) -> bool:
    return outcome.problem is not None and outcome.problem.code is code


def _how(outcome: Outcome, refused: bool) -> str:
    if outcome.problem is not None:
        return f"ended with {outcome.problem.code}"
    return "then got no more" if refused else "went on to its end"
