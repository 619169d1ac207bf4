"""Two hundred random kills over sixty tasks: in the end every task has one result at the pool and one end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from typing import Any

from hivemind_worker.pool.pb import nodepool_pb2 as pb
from tests.drills.checker import check
from tests.drills.findings import Sheet
from tests.drills.kinds import REFUSED, STOPPED, mixture
from tests.drills.records import archive_status, archive_text, read_journal
from tests.drills.stand import Stand, stand
from tests.fakes.pool import Call, Delay, ScriptedPool

IN_THE_START = 0.3  # share of the kills that hit a worker while it starts
LIVES_S = (0.1, 0.3, 1.5)  # longest life after a task came: it is hit while it starts as well as later
ACCEPT_LIMIT_S = 5.0
PAUSE_S = 0.05
LONGEST_RECOVERY_S, LONGEST_IDLE_S = 0.7, 0.2
SLOWNESS_S = (0.0, 0.2, 1.0)  # of the pool's answer to a result: a kill finds it on its way
HOLDS_S = 10.0  # while no new task is due the results stay on their way, so that no kill hits an idle worker
NOTHING = "nothing"
BURST = 3  # tasks that come together at most


class Dispatcher:
    """The pool's part: offers what is pending, over and over, and has some tasks stopped."""

    def __init__(self, made: Stand, tasks: dict[str, str]) -> None:
        self._made = made
        self._tasks = tasks
        self.allowed = 0

    def pending(self) -> set[str]:
        """What may be offered and was not accepted yet."""
        return set(list(self._tasks)[: self.allowed]) - self._made.kinds.keys()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for task_id, kind in list(self._tasks.items())[: self.allowed]:
                if self._made.pool.results[task_id]:
                    self._made.kinds.setdefault(task_id, kind)  # the answer to its offer was lost
                elif task_id not in self._made.kinds:
                    await self._made.offer(task_id, kind)
                elif kind == STOPPED and self._may_stop(task_id):
                    await self._made.stop(task_id)
            await asyncio.sleep(PAUSE_S)

    def _may_stop(self, task_id: str) -> bool:
        """Once it has shown that it runs; its requester says so again while there is no result."""
        pool = self._made.pool
        return "\n1\n" in pool.outputs[task_id] and not pool.results[task_id]


async def kills(
    sheet: Sheet, seed: int, count: int, *, tasks: int = 60, last_s: float = 180.0, changes: str = "hurry"
) -> None:
    """So many kill -9s at random moments, one life after another in one home."""
    async with stand(sheet, seed, changes=changes) as made:
        plan = mixture(made.chance, tasks)
        dispatcher = Dispatcher(made, plan)
        dispatching = asyncio.ensure_future(dispatcher.run())
        hit: Counter[str] = Counter()
        try:
            burst, was_hit = 1, [NOTHING]
            for n in range(count):
                if tasks * (n + 1) / count >= dispatcher.allowed + burst - 1:
                    dispatcher.allowed += burst
                    burst = made.chance.randint(1, BURST)
                is_due = tasks * (n + 2) / count >= dispatcher.allowed
                _slow_down(made, made.chance.choice(SLOWNESS_S) if is_due else HOLDS_S)
                await _live_and_die(made, dispatcher, recovers=was_hit != [NOTHING])
                was_hit = _hit(made)
                hit.update(was_hit)
                await check(made, f"kill {n + 1}", at_rest=False, full=False)
                sheet.tries += 1
            dispatcher.allowed = tasks
            _slow_down(made, 0.0)
            await _the_last_life(made, plan, last_s)
        finally:
            dispatching.cancel()
            await asyncio.wait({dispatching})
        await check(made, "at the end")
        _sum_up(made, plan, hit, count)


async def _live_and_die(made: Stand, dispatcher: Dispatcher, *, recovers: bool) -> None:
    news = dispatcher.pending()
    life = await made.begin()
    if not news and made.chance.random() < IN_THE_START:
        await asyncio.sleep(made.chance.uniform(0.05, 0.9))
    else:
        await life.said(" is up: ")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ACCEPT_LIMIT_S):
                while news and not news & made.kinds.keys():
                    await asyncio.sleep(0.01)
        longest_s = (
            made.chance.choice(LIVES_S) if news else LONGEST_RECOVERY_S if recovers else LONGEST_IDLE_S
        )
        await asyncio.sleep(made.chance.uniform(0.0, longest_s))
    await life.kill()


def _slow_down(made: Stand, slowness_s: float) -> None:
    """Have the pool's answer to a result come late: before, or after, the result has been stored."""
    stored_first = functools.partial(_store_then_wait, made.pool, slowness_s)
    made.pool.answers["TaskResultUpload"] = made.chance.choice((Delay(slowness_s), stored_first))


async def _store_then_wait(pool: ScriptedPool, slowness_s: float, request: Any, call: Call) -> Any:
    """The result is at the pool, its answer is not here yet."""
    pool.results[request.task_id].append(request.result_zip)
    await asyncio.sleep(slowness_s)
    return pb.TaskResultUploadResponse(success=True)


def _hit(made: Stand) -> list[str]:
    """Where the open tasks were when the worker died."""
    rows = [row for row in read_journal(made.life.places, live=False).rows.values() if row.is_open]
    if not rows:
        return [NOTHING]
    return [
        f"{row.state.value.lower()} {row.phase.value}".strip() if row.delivery == "none" else "owed"
        for row in rows
    ]


async def _the_last_life(made: Stand, plan: dict[str, str], limit_s: float) -> None:
    """Nobody kills it: whatever is left comes to its end."""
    await made.begin()
    await made.life.ready()
    try:
        await made.pool.until(lambda: all(made.pool.results[task_id] for task_id in plan), limit_s)
        await made.settled()
    except TimeoutError:
        late = [task_id for task_id in plan if not made.pool.results[task_id]]
        made.sheet.expect("I1", False, f"no result in {limit_s:g} s: {late}", "at the end")


def _sum_up(made: Stand, plan: dict[str, str], hit: Counter[str], count: int) -> None:
    states: Counter[str] = Counter()
    sent_again = 0
    for task_id, kind in plan.items():
        if not made.pool.results[task_id]:
            continue
        archive = made.pool.results[task_id][0]
        status = archive_status(archive)
        cut_off = "(interrupted)" in archive_text(archive, "execution_log.txt")
        states["cut off" if cut_off else status.lower()] += 1
        sent_again += len(made.pool.results[task_id]) - 1
        wrong = not cut_off and (status == "COMPLETED") != (kind not in (REFUSED, STOPPED, "failing"))
        made.sheet.expect("I2", not wrong, f"{task_id!r} ended {status}", "at the end")
    ended = ", ".join(f"{number} {name}" for name, number in sorted(states.items()))
    made.sheet.notes += [
        f"{made.sheet.tries} of {count} kills, {sum(states.values())} of {len(plan)} tasks with one result",
        f"{ended}; {sent_again} results sent once more after a kill",
        "open when killed: " + ", ".join(f"{name} {number}" for name, number in hit.most_common()),
    ]
