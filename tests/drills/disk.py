"""F9: the disk with workspaces, journal and log fills up, while the worker runs and before it starts."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

from hivemind_worker.model.faults import FAULTS, FaultCode
from hivemind_worker.model.rules import Rules
from hivemind_worker.places import find_places
from hivemind_worker.store.rules_file import save_rules
from tests.drills.checker import check
from tests.drills.findings import Sheet
from tests.drills.records import archive_status, archive_text
from tests.drills.small_disk import SmallDisk, small_disk
from tests.drills.stand import Stand, stand

SMALL = {"HIVEMIND_TASK_DISK_GB": "0.05", "HIVEMIND_KEEP_FREE_GB": "0.02"}
SAYS_LIMIT_S = 20.0
FULL_S = 10.0
REPEATED_LINES = 4
"""More lines with the same words within a drill of half a minute are a flood: one a minute is enough."""


async def f9(sheet: Sheet, seed: int, tries: int) -> None:
    """No new task, the running one fails or waits, the journal stays whole, work goes on with space."""
    for n in range(tries):
        with small_disk() as disk:
            if isinstance(disk, str):
                sheet.not_run = disk
                return
            sheet.notes.append(f"on {disk.kind}") if n == 0 else None
            await _fills_up_while_it_runs(sheet, seed + n, disk)
        with small_disk() as disk:
            assert isinstance(disk, SmallDisk)
            await _full_before_it_starts(sheet, seed + n, disk)
        sheet.tries += 1


async def _fills_up_while_it_runs(sheet: Sheet, seed: int, disk: SmallDisk) -> None:
    async with stand(sheet, seed, home=disk.folder / "home") as made:
        _without_the_rule(made)
        await made.up(**SMALL)
        await made.give("before", "quick")
        await made.result("before")
        await made.give("writes on", "slow")
        await made.give("needs disk", "hog")
        await made.give("ends meanwhile", "short")
        await made.printed("writes on")
        await made.printed("ends meanwhile", "made")
        disk.fill()
        await _refuses(made)
        await _stays_full(disk)  # the short one ends, the hog fails, all of it without a byte to write to
        sheet.expect("I6", made.life.alive, "the worker ended on a full disk")
        await made.life.tells("disk_full")
        _journal_is_whole(made, "while full")
        await check(made, "while full", at_rest=False, full=False)
        disk.free()
        await _recovers(made)
        await check(made, "after")
        _journal_is_whole(made, "after")
        _log_is_calm(made)


def _without_the_rule(made: Stand) -> None:
    """The owner's rule about the disk would rest the worker on any disk as small as this one."""
    file = find_places(str(made.home)).rules_file
    assert save_rules(file, replace(Rules(), disk_on=False)) is None


async def _stays_full(disk: SmallDisk) -> None:
    """What a task leaves behind when it ends is taken as well: else the drill would meet a disk with room."""
    until_s = time.monotonic() + FULL_S
    while time.monotonic() < until_s:
        disk.fill()
        await asyncio.sleep(0.2)


async def _refuses(made: Stand) -> None:
    answer = await made.offer("while full", "quick")
    right = answer is not None and not answer.success
    made.sheet.expect("I6", right, f"an offer on a full disk was answered with {answer}")
    if right:
        words = FAULTS[FaultCode.DISK_FULL].sentence.split("{")[0]
        made.sheet.expect(
            "I6", answer.message.startswith(words), f"refused for another reason: {answer.message}"
        )


async def _recovers(made: Stand) -> None:
    """The short one has completed, the hog has failed for want of disk, the slow one can be stopped."""
    short = await made.result("ends meanwhile")
    made.sheet.expect(
        "I1", archive_text(short, "made.txt") == "42", "what a task wrote before it ended is lost"
    )
    hog = archive_status(await made.result("needs disk"))
    made.sheet.expect("I2", hog == "FAILED", f"a task that could not write is {hog}")
    await made.stop("writes on")
    await made.result("writes on")
    await made.give("after", "quick")
    result = await made.result("after")
    made.sheet.expect("I2", archive_status(result) == "COMPLETED", "no work after there is space again")
    await made.settled()


def _journal_is_whole(made: Stand, where: str) -> None:
    places = made.life.places
    with closing(sqlite3.connect(places.journal, timeout=10)) as connection:
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
        rows = connection.execute("SELECT count(*) FROM tasks").fetchone()[0]
    made.sheet.expect("I1", verdict == "ok" and rows >= 4, f"the journal: {verdict}, {rows} rows", where)
    aside = [path.name for path in places.data.glob("*damaged*")]
    made.sheet.expect("I1", not aside, f"a good journal was set aside: {aside}", where)


def _log_is_calm(made: Stand) -> None:
    words = [line.split("] ", 1)[-1] for line in made.life.lines]
    floods = {text: words.count(text) for text in words if words.count(text) > REPEATED_LINES}
    made.sheet.expect("I6", not floods, f"repeated in the log: {floods}")
    made.sheet.expect(
        "I6", not any("bug in" in text for text in words), f"bugs: {[t for t in words if 'bug' in t]}"
    )


async def _full_before_it_starts(sheet: Sheet, seed: int, disk: SmallDisk) -> None:
    """A start on a full disk starts, or says disk_full; what the journal holds is there afterwards."""
    async with stand(sheet, seed, home=disk.folder / "home") as made:
        _without_the_rule(made)
        await made.up(**SMALL)
        await made.give("cut off", "slow")
        await made.printed("cut off")
        await made.life.kill()
        disk.fill()
        life = await made.begin(**SMALL)
        words = FAULTS[FaultCode.DISK_FULL].sentence.split("{")[0]
        full, limit_s = False, time.monotonic() + SAYS_LIMIT_S
        while not full and time.monotonic() < limit_s:
            await asyncio.sleep(0.5)
            full = any(words in line or "disk is full" in line for line in life.lines)
        await asyncio.sleep(2)
        sheet.expect("I6", full, f"it does not say that the disk is full: {life.lines[-5:]}")
        stays = life.alive
        sheet.notes.append("a start on a full disk " + ("waits for room" if stays else "ends"))
        disk.free()
        if stays:
            await life.tells("recovered")
        else:
            sheet.expect(
                "I6", await life.ended() == 8, f"it ended with {life.process.returncode}, not with 8"
            )
            await made.up(**SMALL)
        made.sheet.expect(
            "I1", "half" in archive_text(await made.result("cut off"), "half.txt"), "its files are lost"
        )
        _aside(made)
        await made.settled()
        await check(made, "started on a full disk")


def _aside(made: Stand) -> None:
    aside = [path.name for path in made.life.places.data.glob("*damaged*")]
    made.sheet.expect("I1", not aside, f"a good journal was set aside because the disk was full: {aside}")
