"""What can be said of an archive without writing anything: all checks, the entry script, its requirements.

Opens no member but a bounded requirements.txt. Counterpart: `unpacking`, which believes nothing of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.work import Inspection
from hivemind_worker.runtimes.workspace import requirements
from hivemind_worker.runtimes.workspace.entry import find_entry
from hivemind_worker.runtimes.workspace.limits import KIB, Limits
from hivemind_worker.runtimes.workspace.members import Member, read_members
from hivemind_worker.runtimes.workspace.reading import contents, opened_archive
from hivemind_worker.runtimes.workspace.refusals import ArchiveError, shown, too_big


def inspect_archive(archive: Path, limits: Limits) -> Inspection:
    """Look at a task's archive.

    Raises:
        ArchiveError: it is refused.
        OSError: it cannot be read.
    """
    with opened_archive(archive) as file:
        members = read_members(file, limits)
        files = {member.name: member for member in members if not member.is_folder}
        entry = find_entry(files)
        if entry is None:
            raise ArchiveError(FaultCode.NO_ENTRY_POINT, f"{len(files)} files, and no .py among them")
        return Inspection(
            entry=entry,
            requirements=_requirements(file, files, entry, limits),
            members=len(members),
            opened_bytes=sum(member.opened_bytes for member in members),
        )


def _requirements(file: BinaryIO, files: dict[str, Member], entry: str, limits: Limits) -> tuple[str, ...]:
    name = requirements.find(files, entry)
    if name is None:
        return ()
    member = files[name]
    # The packed size is bounded too: an endless row of empty blocks opens to nothing.
    if max(member.opened_bytes, member.packed_bytes) > limits.requirements_bytes:
        raise too_big(f"{shown(name)} is over {limits.requirements_bytes // KIB} KiB")
    return requirements.lines_of(b"".join(contents(file, member)))
