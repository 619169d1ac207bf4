"""F1 and F2: the worker dies like by kill -9, while a task runs and at each step of its way."""

from __future__ import annotations

import asyncio
import random

from hivemind_worker.engine.crash_points import STEPS, UNWRITTEN, UPLOADING
from tests.drills.checker import check
from tests.drills.findings import Sheet
from tests.drills.life import KILLED
from tests.drills.records import archive_text, read_journal
from tests.drills.stand import Stand, stand

ALL_STEPS = (*STEPS, *(step + UNWRITTEN for step in STEPS), UPLOADING)


async def f1(sheet: Sheet, seed: int, tries: int) -> None:
    """kill -9 while running; exactly one result, which says so and holds what was written."""
    for n in range(tries):
        async with stand(sheet, seed + n) as made:
            await made.up()
            await made.give("a", "slow")
            await made.printed("a")
            await asyncio.sleep(made.chance.uniform(0, 0.5))
            await made.life.kill()
            await made.up()
            result = await made.result("a")
            sheet.expect("I1", archive_text(result, "half.txt") == "half", "what it had written is not in it")
            sheet.expect("I1", "\n2\n" in archive_text(result, "task_logs.txt"), "its output is not in it")
            said = archive_text(result, "execution_log.txt")
            sheet.expect("I6", "(interrupted)" in said, "the archive does not say that it was cut off")
            await made.settled()
            verdict = await made.life.tells("recovered")
            sheet.expect(
                "I6", "'a'" in verdict["text"], f"the first status does not name it: {verdict['text']}"
            )
            await check(made, f"try {n}")
            # A clean end and another start change nothing any more.
            await made.life.end()
            await made.up()
            await check(made, f"try {n}, once more")
            sheet.tries += 1


async def f2(sheet: Sheet, seed: int, tries: int, *, steps: int = len(ALL_STEPS)) -> None:
    """Die at every step (or so many by chance), just before and just after the journal knows of it."""
    for n in range(tries):
        for step in random.Random(seed + n).sample(ALL_STEPS, steps):
            async with stand(sheet, seed + n) as made:
                await _die_at(made, step)
                await check(made, f"{step}, try {n}")
            sheet.tries += 1


async def _die_at(made: Stand, step: str) -> None:
    if step == UPLOADING:
        made.line_faults += 1
    await made.up(HIVEMIND_TEST_BUILD="1", HIVEMIND_CRASH_AT=step)
    if step == UPLOADING:
        made.relay.stall_after(1 << 20)
    # The answer to an offer may die with the worker: the pool then offers it again, later.
    kind = "large" if step == UPLOADING else "writing"
    answer = await made.offer("a", kind)
    code = await made.life.ended(30)
    made.relay.mend()
    made.sheet.expect("I3", code == KILLED, f"{step}: the worker ended with {code}, not by the crash point")
    started = "RunStarted" in _history(made)
    await made.up()
    made.kinds["a"] = kind
    await asyncio.sleep(0.3)
    if answer is None and not made.pool.results["a"]:
        await made.give("a", kind)  # a pool that got no answer offers it again
    status = _status_of(await made.result("a"))
    await made.settled()
    if started and step.removesuffix(UNWRITTEN) == "started":
        made.sheet.expect("I2", status == "FAILED", f"{step}: started, lost, and yet {status}")


def _history(made: Stand) -> list[str]:
    histories = read_journal(made.life.places, live=False).history
    return [what for lines in histories.values() for what in lines]


def _status_of(archive: bytes) -> str:
    log = archive_text(archive, "execution_log.txt")
    return next(line.removeprefix("Status: ") for line in log.splitlines() if line.startswith("Status: "))
