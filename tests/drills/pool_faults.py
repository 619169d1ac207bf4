"""F5 to F8: the pool goes away, forgets, falls silent in the middle, and its answers get lost."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import grpc

from hivemind_worker.engine.folders import Folders
from hivemind_worker.engine.janitor import Janitor
from hivemind_worker.model.task import Task, TaskId, TaskKey, key_of
from hivemind_worker.nursery import NamedThread
from hivemind_worker.runtimes.workspace import Workspace
from tests.drills.checker import check
from tests.drills.findings import Sheet
from tests.drills.stand import Stand, stand
from tests.fakes.pool import LOST, GrpcError, Once

BACK_LIMIT_S = 60.0
FORGOTTEN_LIMIT_S = 30.0
DAY_S = 86400.0
BURST, BURST_S = 3, 5.0


async def f5(
    sheet: Sheet,
    seed: int,
    tries: int,
    *,
    down_s: float,
    back_s: float = BACK_LIMIT_S,
    changes: str = "hurry,impatient",
) -> None:
    """The pool is down while tasks end; everything is delivered within a minute of its return."""
    for n in range(tries):
        async with stand(sheet, seed + n, changes=changes) as made:
            await made.up()
            await made.give("ends without a pool", "short")
            await made.give("fails without a pool", "failing")
            await made.pool_goes()
            made.line_faults += 1
            await made.life.tells("results_waiting")
            await made.life.tells("pool_unreachable")
            await check(made, f"try {n}, while it is down", at_rest=False)
            await asyncio.sleep(down_s)
            made.pool.invalidate_tokens()
            await _back(made, f"try {n}", back_s)
            await check(made, f"try {n}")
            sheet.tries += 1


async def _back(made: Stand, where: str, back_s: float) -> None:
    """The pool returns: registered within 30 s, everything delivered within `back_s`, without a burst."""
    beats, logins = len(made.pool.of("RegisterWorkerNode")), len(made.pool.of("Login"))
    returned_s = time.monotonic()
    await made.pool_returns()
    try:
        await made.pool.heard("RegisterWorkerNode", beats + 1, FORGOTTEN_LIMIT_S)
        registered_s = time.monotonic() - returned_s
        await made.pool.until(lambda: all(made.pool.results[t] for t in made.kinds), back_s)
        await made.settled()
        made.sheet.notes.append(
            f"{where}: after its return registered in {registered_s:.1f} s, "
            f"all delivered in {time.monotonic() - returned_s:.1f} s"
        )
    except TimeoutError:
        late = [t for t in made.kinds if not made.pool.results[t]]
        made.sheet.expect("I1", False, f"not delivered {back_s:g} s after the pool's return: {late}", where)
    tried = len(made.pool.of("Login")) - logins
    made.sheet.expect("I6", tried <= BURST, f"{tried} logins at the pool's return", where)


async def f6(sheet: Sheet, seed: int, tries: int) -> None:
    """A pool that knows neither worker nor tasks any more: registered again, results offered and kept."""
    for n in range(tries):
        async with stand(sheet, seed + n) as made:
            await made.up()
            await made.give("forgotten", "short")
            await made.pool_goes()
            await made.life.tells("results_waiting")
            made.pool.invalidate_tokens()
            made.pool.answers["TaskResultUpload"] = GrpcError(grpc.StatusCode.NOT_FOUND, "no such task")
            await _comes_back(made)
            await made.settled()
            await _kept_and_shown(made, "forgotten")
            await check(made, f"try {n}")
            await _kept_for_a_week(made, "forgotten")
            # A pool that remembers after all asks again and gets it.
            del made.pool.answers["TaskResultUpload"]
            made.line_faults += 1
            await made.give("forgotten", "short")
            await made.result("forgotten")
            await made.settled()
            await check(made, f"try {n}, remembered")
            sheet.tries += 1


async def _comes_back(made: Stand) -> None:
    beats, returned_s = len(made.pool.of("RegisterWorkerNode")), time.monotonic()
    await made.pool_returns()
    try:
        await made.pool.heard("RegisterWorkerNode", beats + 1, FORGOTTEN_LIMIT_S)
        made.sheet.notes.append(f"registered again after {time.monotonic() - returned_s:.1f} s")
    except TimeoutError:
        made.sheet.expect("I6", False, f"not registered again after {FORGOTTEN_LIMIT_S:g} s")


async def _kept_and_shown(made: Stand, task_id: str) -> None:
    key = key_of(TaskId(task_id))
    archive = made.life.places.results / f"{key}.zip"
    made.sheet.expect("I1", archive.exists(), f"{task_id!r} was refused and its archive is gone")
    rows = (await made.life.ask("/api/tasks"))["tasks"]
    row = next(row for row in rows if row["task_id"] == task_id)
    shown = row["delivery"] == "kept" and row["problem"] is not None
    made.sheet.expect("I6", shown, f"the list of tasks does not show that it is kept: {row}")
    story = await made.life.ask(f"/api/v1/tasks/{key}/story")
    told = any(line["what"] == "ResultRefused" and "no such task" in line["text"] for line in story["lines"])
    made.sheet.expect("I6", told, f"its story does not say why: {story['lines']}")


async def _kept_for_a_week(made: Stand, task_id: str) -> None:
    """By the janitor's own rule, in this home, with an injected clock; put back afterwards."""
    folders, files = Folders(made.life.places), NamedThread("files")
    archive = folders.result(key_of(TaskId(task_id)))
    content, at_s = archive.read_bytes(), archive.stat().st_mtime

    async def no_row(_: TaskKey) -> Task | None:
        return None

    for days, stays in ((6.9, True), (7.1, False)):
        later_s = at_s + days * DAY_S
        janitor = Janitor(
            folders=folders, workspaces=Workspace(), files=files, find=no_row, is_open=lambda _: False,
            clock=partial(float, later_s), keep_s=7 * DAY_S, quota_bytes=1 << 40,
        )  # fmt: skip
        await janitor.tidy()
        wrong = f"after {days} days its archive {'is gone' if stays else 'stays'}"
        made.sheet.expect("I1", archive.exists() is stays, wrong)
    files.close()
    archive.write_bytes(content)


async def f7(sheet: Sheet, seed: int, tries: int) -> None:
    """A partition in the middle of an upload: by a line that falls silent, and by one that breaks."""
    for n in range(tries):
        for breaks in (False, True):
            async with stand(sheet, seed + n) as made:
                await made.up()
                await made.give("a", "large")
                made.relay.stall_after(made.chance.randrange(200_000, 5_000_000))
                made.line_faults += 1
                await asyncio.wait_for(made.relay.stalled.wait(), 30)
                if breaks:
                    made.relay.cut()
                await asyncio.sleep(made.chance.uniform(0.2, 3.5))  # the deadline is 2 s and a little
                made.relay.mend()
                made.relay.cut()
                await made.result("a", BACK_LIMIT_S)
                await made.settled(BACK_LIMIT_S)
                await check(made, f"{'cut' if breaks else 'silent'} line, try {n}")
            sheet.tries += 1


async def f8(sheet: Sheet, seed: int, tries: int) -> None:
    """The pool stores the result and its answer is lost: the second try is a success, there is one record."""
    for n in range(tries):
        for way in ("reset", "silence"):
            async with stand(sheet, seed + n) as made:
                await made.up()
                made.line_faults += 1
                if way == "reset":
                    made.pool.answers["TaskResultUpload"] = Once(LOST)
                await made.give("a", "writing")
                if way == "silence":
                    made.relay.swallow_answers()
                await made.result("a")
                await asyncio.sleep(made.chance.uniform(0.1, 1.0))
                made.relay.mend()
                if way == "silence":
                    made.relay.cut()
                await made.settled(BACK_LIMIT_S)
                count = len(made.uploads("a"))
                made.sheet.expect("I2", count == 2, f"{way}: {count} uploads where the first answer was lost")
                await check(made, f"{way}, try {n}")
            sheet.tries += 1
