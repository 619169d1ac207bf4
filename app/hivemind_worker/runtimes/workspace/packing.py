"""A result archive from a task's folder: our own files first, then what `walk` finds, within the limits.

When it would be too large, or cannot be made, an archive of our own files alone says so: the pool always
gets one. Reads in pieces; never removes the folder.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.task import Problem
from hivemind_worker.model.work import Packed
from hivemind_worker.runtimes.workspace.draft import Draft, Overfull, Unreadable
from hivemind_worker.runtimes.workspace.folders import OPEN_FILE, opened_folder
from hivemind_worker.runtimes.workspace.limits import MIB, Limits
from hivemind_worker.runtimes.workspace.listing import Listing
from hivemind_worker.runtimes.workspace.names import fold
from hivemind_worker.runtimes.workspace.refusals import problem_of
from hivemind_worker.runtimes.workspace.tally import Tally, TooMuch
from hivemind_worker.runtimes.workspace.walk import Finding, Found, LeftOut, Walk, reason

log = logging.getLogger(__name__)

ERROR_NAME = "error_log.txt"

OwnFiles = Sequence[tuple[str, Path | bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a result may be: opened as `limits` says, packed at most `packed_bytes`."""

    limits: Limits
    packed_bytes: int
    pinned: bool = os.name == "posix"


def pack_result(folder: Path, target: Path, own_files: OwnFiles, bounds: Bounds) -> Packed:
    """Write the archive, or the nearest thing to it; never raises for what a task or a disk can do."""
    try:
        return _pack_all(folder, target, own_files, bounds)
    except TooMuch as error:
        problem = Problem(code=FaultCode.RESULT_TOO_LARGE, about=str(error))
    except OSError as error:
        log.warning("packing a result failed: %s", reason(error))
        problem = Problem(code=FaultCode.RESULT_UNREADABLE, about=reason(error))
    return _pack_own(target, own_files, bounds, problem)


def _pack_all(folder: Path, target: Path, own_files: OwnFiles, bounds: Bounds) -> Packed:
    with Draft(target, bounds.packed_bytes) as draft:
        left_out = Listing()
        _add_own(draft, own_files, left_out)
        try:
            _add_folder(draft, folder, own_files, bounds, left_out)
            left_out.write(draft)
        except Overfull:
            raise TooMuch(f"over {bounds.packed_bytes / MIB:.0f} MiB when packed") from None
        return Packed(result_bytes=draft.finish(), left_out=left_out.lines())


def _pack_own(target: Path, own_files: OwnFiles, bounds: Bounds, problem: Problem) -> Packed:
    """An archive without the task's files; without any archive when not even that can be written."""
    left_out = Listing()
    left_out.add("everything of the task", problem.about)
    try:
        with Draft(target, bounds.packed_bytes) as draft:
            if problem.code is FaultCode.RESULT_UNREADABLE:
                draft.add_bytes(ERROR_NAME, f"{sentence(problem.code, problem.about)}\n".encode())
            _add_own(draft, own_files, left_out)
            left_out.write(draft)
            return Packed(result_bytes=draft.finish(), left_out=left_out.lines(), problem=problem)
    except (OSError, Overfull) as error:
        log.error("no result archive could be written: %s", error)
        return Packed(result_bytes=0, left_out=left_out.lines(), problem=_disk_problem(error) or problem)


def _disk_problem(error: Exception) -> Problem | None:
    """What the owner can cure: a full disk, or a missing right."""
    found = problem_of(error) if isinstance(error, OSError) else None
    return found if found and found.code in (FaultCode.DISK_FULL, FaultCode.NO_PERMISSION) else None


def _add_own(draft: Draft, own_files: OwnFiles, left_out: Listing) -> None:
    for name, content in own_files:
        try:
            if isinstance(content, bytes):
                draft.add_bytes(name, content)
            else:
                _add_own_file(draft, name, content)
        except (Overfull, Unreadable) as error:
            left_out.add(name, str(error) or "too large")


def _add_own_file(draft: Draft, name: str, source: Path) -> None:
    try:
        seen = source.lstat()
        if not stat.S_ISREG(seen.st_mode):
            raise Unreadable("not a plain file")
        descriptor = os.open(source, OPEN_FILE)
    except OSError as error:
        raise Unreadable(reason(error)) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        draft.add(name, file.read, seen.st_size, seen.st_mtime)


def _add_folder(draft: Draft, folder: Path, own_files: OwnFiles, bounds: Bounds, left_out: Listing) -> None:
    if not os.path.lexists(folder):
        return  # a task that ended before it was unpacked
    with opened_folder(folder, pinned=bounds.pinned) as root:
        walk = Walk(root, bounds.limits, frozenset(fold(name) for name, _ in own_files))
        _survey(walk, bounds.limits)
        tally = Tally(bounds.limits)
        with closing(walk.findings()) as findings:
            for finding in findings:
                tally.count(finding)
                _add_finding(draft, walk, finding, tally, left_out)


def _survey(walk: Walk, limits: Limits) -> None:
    """Sizes against the limits before anything is read: a hole of 4 TiB costs nothing."""
    tally = Tally(limits)
    with closing(walk.findings()) as findings:
        for finding in findings:
            tally.count(finding)
            if isinstance(finding, Found):
                tally.count_bytes(finding.size)


def _add_finding(draft: Draft, walk: Walk, finding: Finding, tally: Tally, left_out: Listing) -> None:
    if isinstance(finding, LeftOut):
        left_out.add(finding.path, finding.why)
    elif finding.is_folder:
        draft.add_folder(finding.path, finding.modified_s)
    else:
        try:
            _add_file(draft, walk, finding, tally)
        except Unreadable as error:
            left_out.add(finding.path, str(error))


def _add_file(draft: Draft, walk: Walk, found: Found, tally: Tally) -> None:
    try:
        descriptor, seen = walk.open_checked(found)
    except OSError as error:
        raise Unreadable(reason(error)) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        tally.count_bytes(seen.st_size)
        executable = bool(seen.st_mode & stat.S_IXUSR) and os.name == "posix"
        draft.add(found.path, file.read, seen.st_size, seen.st_mtime, executable=executable)
