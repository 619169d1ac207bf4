"""The one checker: looks at the six invariants after a drill, with the pool's call log, the journal, the
folders and the worker's own words. It knows nothing of the fault that was played."""

from __future__ import annotations

import asyncio
import time
import zipfile
from dataclasses import dataclass

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Delivery, Task, TaskId, TaskState, key_of
from tests.drills.kinds import BEGAN
from tests.drills.life import GONE_LIMIT_S
from tests.drills.records import Records, archive_status, read_journal
from tests.drills.stand import Stand

ENDS = frozenset({"Interrupted", "TaskRefusedLate", "RunEnded"})


@dataclass
class Look:
    """What is looked at: a stand, its journal, and whether the worker has come to rest."""

    stand: Stand
    records: Records
    at_rest: bool

    def row(self, task_id: str) -> Task | None:
        return self.records.rows.get(key_of(TaskId(task_id)))

    def broken_results(self) -> list[str]:
        """I1."""
        return [text for task_id in self.stand.kinds if (text := self._lost(task_id))]

    def _lost(self, task_id: str) -> str:
        if self.stand.pool.results[task_id]:
            return ""
        row = self.row(task_id)
        if row is None:
            return f"{task_id!r} was accepted, and neither the pool nor the journal knows it"
        if row.delivery in (Delivery.OWED, Delivery.KEPT):
            archive = self.stand.home / "data" / "results" / f"{row.key}.zip"
            return "" if archive.exists() and zipfile.is_zipfile(archive) else f"{task_id!r} has no archive"
        if row.delivery is Delivery.DELIVERED:
            return f"{task_id!r} counts as delivered, and the pool never saw it"
        return f"{task_id!r} is still {row.state}, with nothing left to do" if self.at_rest else ""

    def broken_ends(self) -> list[str]:
        """I2."""
        return [text for task_id in self.stand.kinds for text in self._wrong_end(task_id)]

    def _wrong_end(self, task_id: str) -> list[str]:
        found = []
        uploads = self.stand.uploads(task_id)
        if len({content for _, content in uploads}) > 1:
            found.append(f"{task_id!r} has {len(uploads)} results that differ")
        a_life = [self.stand.life_at(at_s) for at_s, _ in uploads]
        again = len(uploads) - len(set(a_life))
        row, lines = self.row(task_id), self.records.history[key_of(TaskId(task_id))]
        if again > self.stand.line_faults + lines.count("OfferedAgain"):
            found.append(f"{task_id!r} was sent {again} times too often: {lines}")
        if lines.count("RunStarted") > 1 or self._began(task_id) > 1 or (row is not None and row.attempt > 1):
            found.append(f"{task_id!r} ran more than once: {lines}")
        if row is None:
            return found
        if self.at_rest and not row.state.has_ended:
            found.append(f"{task_id!r} has not ended: {row.state}")
        if sum(line in ENDS for line in lines) > 1:
            found.append(f"{task_id!r} ended more than once: {lines}")
        if uploads and (told := archive_status(uploads[0][1])) != row.state:
            found.append(f"{task_id!r}: its archive says {told}, its row {row.state}")
        return found

    def _began(self, task_id: str) -> int:
        calls = self.stand.pool.of("TaskOutputUpload")
        text = "".join(c.fields["output"] for c in calls if c.fields["task_id"] == task_id)
        return text.count(f"{BEGAN} {task_id}")

    async def broken_children(self) -> list[str]:
        """I3."""
        found = []
        for number, life in enumerate(self.stand.lives):
            if not life.alive and (left := await life.survivors()):
                found.append(f"life {number} has left processes {left}")
        if self.at_rest and self.stand.life.alive:
            running = [p for p in self.stand.life.spawned() if "--run-sandbox" in p.cmdline()]
            if len(running) > 1:  # one spare waits with nothing in it
                found.append(f"{len(running)} sandbox processes without a task")
        return found

    def broken_folders(self) -> list[str]:
        """I4."""
        places, rows = self.stand.life.places, self.records.rows
        found = []
        for folder in places.tasks.iterdir():
            row = rows.get(folder.name)  # type: ignore[call-overload]
            if row is None:
                found.append(f"folder {folder.name} has no row")
            elif (folder / "workspace").exists() and not _needs_workspace(row):
                found.append(f"{row.task_id!r} is {row.delivery} and its workspace is still there")
        found += [f"archive {p.name} has no row" for p in places.results.iterdir() if p.stem not in rows]
        if self.at_rest:
            found += [f"{path.name} is left in the spool" for path in places.spool.iterdir()]
        return found

    async def lasting_folders(self) -> list[str]:
        """What is still there after a while: removing comes after the row."""
        limit_s = time.monotonic() + GONE_LIMIT_S
        while (found := self.broken_folders()) and time.monotonic() < limit_s:
            await asyncio.sleep(0.1)
        return found

    async def broken_books(self) -> list[str]:
        """I5."""
        state = await self.stand.life.ask("/api/v1/state")
        total, free = state["total_resources"], state["available_resources"]
        taken = [
            task["resources"]
            for task in state["tasks"]
            if task["status"] in ("ALLOCATED", "RUNNING", "PAUSED")
        ]
        return [
            f"{name}: {free[name]} of {total[name]} free with {len(taken)} tasks here"
            for name in total
            if abs(free[name] + sum(row[name] for row in taken) - total[name]) > 1e-6
        ]

    async def broken_words(self) -> list[str]:
        """I6."""
        found = [] if (await self.stand.life.status())["verdicts"] else ["status names no cause"]
        for row in self.records.rows.values():
            story = await self.stand.life.ask(f"/api/v1/tasks/{row.key}/story")
            whats = [line["what"] for line in story["lines"]]
            if whats[:1] != ["TaskAccepted"]:
                found.append(f"the story of {row.task_id!r} does not begin: {whats}")
            if any(line["sentence"].split(":")[0] == line["what"] for line in story["lines"]):
                found.append(f"the story of {row.task_id!r} has a line without words: {whats}")
            cut_off = row.problem is not None and row.problem.code is FaultCode.INTERRUPTED
            if cut_off and row.state is TaskState.FAILED and "Interrupted" not in whats:
                found.append(f"the story of {row.task_id!r} does not say that it was cut off")
        return found


def _needs_workspace(row: Task) -> bool:
    if row.is_open:
        return True
    return row.problem is not None and row.problem.code is FaultCode.RESULT_TOO_LARGE


async def check(stand: Stand, where: str = "", *, at_rest: bool = True, full: bool = True) -> None:
    """Look at the invariants; `full` asks the worker too, `at_rest` says that it has nothing left to do."""
    life = stand.life
    look = Look(stand, read_journal(life.places, live=life.alive), at_rest)
    sheet = stand.sheet
    sheet.look("I1", look.broken_results(), where)
    sheet.look("I2", look.broken_ends(), where)
    sheet.look("I3", await look.broken_children(), where)
    if at_rest:
        sheet.look("I4", await look.lasting_folders(), where)
    if full:
        sheet.look("I5", await look.broken_books(), where)
        sheet.look("I6", await look.broken_words(), where)
