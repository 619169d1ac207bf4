"""F10: the computer's clock jumps while a task runs: an hour on, an hour back, to 1970.

The whole process runs under libfaketime, which moves its wall clock and leaves its steady one.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path

import psutil

from tests.drills.checker import check
from tests.drills.findings import Sheet
from tests.drills.records import archive_status
from tests.drills.stand import Stand, stand

JUMPS = {"+1 h": "+3600", "-1 h": "-3600", "1970": "@1970-01-02 00:00:00"}
NOW = "+0"
TIME_LIMIT_H = "0.05"  # 180 s: an hour more on the wall clock would be far over it
SNOOZE_S = 900.0
WATCH_S = 4.0
BUSY_SHARE = 0.5
"""Of a processor, more than before the jump: a loop without a wait takes all that is left of one."""
MOST_BEATS = 3
LIBRARIES = ("lib/*/faketime/libfaketimeMT.so.1", "lib64/faketime/libfaketimeMT.so.1")


def library() -> str:
    """Where libfaketime is; empty when it is not installed."""
    found = (path for top in ("/usr", "/usr/local") for name in LIBRARIES for path in Path(top).glob(name))
    return str(next(found, ""))


async def f10(sheet: Sheet, seed: int, tries: int) -> None:
    """No instant time-out, no busy loop, heartbeats and new tasks as before, a snooze of its own length."""
    if not library():
        sheet.not_run = "libfaketime is not installed"
        return
    for n in range(tries):
        for name, jump in JUMPS.items():
            async with stand(sheet, seed + n) as made:
                await _jump(made, name, jump)
                await check(made, f"{name}, try {n}")
            sheet.tries += 1


class Clock:
    """The wall clock of one worker: the file that libfaketime reads it from."""

    def __init__(self, home: Path) -> None:
        self._file = home / "faketime"
        self.set(NOW)

    def set(self, setting: str) -> None:
        written = self._file.with_suffix(".new")
        written.write_text(f"{setting}\n")
        written.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "HIVEMIND_TASK_TIME_LIMIT_H": TIME_LIMIT_H,
        }  # fmt: skip


async def _jump(made: Stand, name: str, jump: str) -> None:
    clock = Clock(made.home)
    await made.up(**clock.environment)
    await made.give("runs on", "slow")
    await made.printed("runs on")
    usual = await _share(made)  # libfaketime's own work with every look at the clock is in it
    clock.set(jump)
    await _works_as_before(made, name, usual)
    await made.give("after", "writing")
    status = archive_status(await made.result("after"))
    made.sheet.expect("I2", status == "COMPLETED", f"a new task after the jump is {status}", name)
    await made.stop("runs on")
    status = archive_status(await made.result("runs on"))
    made.sheet.expect("I2", status == "STOPPED", f"the running task was not left alone: {status}", name)
    await made.settled()
    await _snoozes(made, clock, name, jump)


async def _share(made: Stand) -> float:
    """Of a processor, over some seconds."""
    process = psutil.Process(made.life.process.pid)
    began_s, before = time.monotonic(), process.cpu_times()
    await asyncio.sleep(WATCH_S)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / (time.monotonic() - began_s)


async def _works_as_before(made: Stand, name: str, usual: float) -> None:
    """Over some seconds: processor time, heartbeats, the task's state."""
    beats = len(made.pool.of("RegisterWorkerNode"))
    share = await _share(made)
    told = f"takes {share:.0%} of a processor after the jump, {usual:.0%} before"
    made.sheet.expect("I6", share - usual < BUSY_SHARE, told, name)
    burst = len(made.pool.of("RegisterWorkerNode")) - beats
    made.sheet.expect("I6", burst <= MOST_BEATS, f"{burst} heartbeats in {WATCH_S:g} s", name)
    made.sheet.expect("I2", not made.pool.results["runs on"], "the running task ended by the jump", name)
    await made.pool.heard("RegisterWorkerNode", len(made.pool.of("RegisterWorkerNode")) + 1, 25)


async def _snoozes(made: Stand, clock: Clock, name: str, jump: str) -> None:
    """A snooze of a quarter of an hour, asked for before the jump, never lasts longer than that."""
    clock.set(NOW)
    await asyncio.sleep(0.2)
    await made.life.wish("/api/v1/actions/snooze", {"minutes": SNOOZE_S / 60})
    clock.set(jump)
    await asyncio.sleep(2.5)  # the worker looks at the clock each second in drills
    state = await made.life.ask("/api/v1/state")
    if state["mode"] == "paused":
        left_s = _seconds(state["mode_until"]) - _seconds(state["at"])
        made.sheet.expect("I6", left_s <= SNOOZE_S + 5, f"the snooze has {left_s:.0f} s to go", name)
    clock.set(NOW)
    await made.life.wish("/api/v1/actions/resume", {})


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
