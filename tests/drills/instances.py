"""F15: a second worker in the same home ends with code 4 and names the first, which works on."""

from __future__ import annotations

import asyncio

from tests.drills.checker import check
from tests.drills.findings import Sheet
from tests.drills.life import Life
from tests.drills.stand import Stand, stand

RACERS = 4
ALREADY_RUNNING = 4


async def f15(sheet: Sheet, seed: int, tries: int) -> None:
    """A second start beside a working one, then several starts at the same moment."""
    for n in range(tries):
        async with stand(sheet, seed + n) as made:
            await made.up()
            await made.give("a", "short")
            second = await made.begin()
            made.lives.remove(second)
            await _turned_away(made, second, made.life, "second start")
            await made.result("a")
            await made.settled()
            await check(made, f"second start, try {n}")
            await made.life.end()
            await _race(made)
            await check(made, f"race, try {n}")
            sheet.tries += 1


async def _race(made: Stand) -> None:
    racers = [await made.begin() for _ in range(RACERS)]
    del made.lives[-RACERS:]
    ends = [asyncio.ensure_future(racer.ended(40)) for racer in racers]
    try:
        done: set[asyncio.Future[int]] = set()
        async with asyncio.timeout(40):
            while len(done) < RACERS - 1:
                done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=0.1)
    finally:
        for end in ends:
            end.cancel()
        await asyncio.wait(ends)
    alive = [racer for racer in racers if racer.alive]
    made.sheet.expect("I2", len(alive) == 1, f"{len(alive)} of {RACERS} that started at once are running")
    made.lives.extend(alive)
    for racer in racers:
        if racer not in alive:
            await _turned_away(made, racer, None, "race")
    await alive[0].ready()


async def _turned_away(made: Stand, second: Life, first: Life | None, where: str) -> None:
    code, said = await second.ended(), "\n".join(second.lines)
    made.sheet.expect(
        "I2", code == ALREADY_RUNNING, f"a second worker ended with {code}: {said[-300:]}", where
    )
    named = f"process {first.process.pid}" if first else "process"
    made.sheet.expect("I6", named in said, f"it does not name the first ({named}): {said[-300:]}", where)
