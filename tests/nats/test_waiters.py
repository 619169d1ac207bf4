"""Of the workers that wait for a task one is woken, and the word is never lost on the way."""

from __future__ import annotations

import asyncio

from hivemind_worker.model.task import TaskId, key_of
from hivemind_worker.pool.local.placing import Room
from hivemind_worker.pool.nats.waiters import NO_NEWS, News, Waiters

LONG_S = 30.0
TASK = key_of(TaskId("t"))


async def waiting(waiters: Waiters, *names: str, limit_s: float = LONG_S) -> list[asyncio.Task[News | None]]:
    tasks = [asyncio.create_task(waiters.wait(name, limit_s)) for name in names]
    await asyncio.sleep(0)
    return tasks


async def woken(tasks: list[asyncio.Task[News | None]]) -> list[bool]:
    for _ in range(5):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


async def end(tasks: list[asyncio.Task[News | None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_task_wakes_the_one_who_has_waited_longest_and_no_other() -> None:
    waiters = Waiters()
    tasks = await waiting(waiters, "a", "b", "c")
    waiters.wake_one(TASK)
    assert await woken(tasks) == [True, False, False]
    waiters.wake_one(TASK)
    assert await woken(tasks) == [True, True, False]
    await end(tasks)


async def test_who_has_no_use_for_it_passes_it_on_and_it_ends_with_the_last_who_waited() -> None:
    waiters = Waiters()
    tasks = await waiting(waiters, "a", "b")
    waiters.wake_one(TASK)
    news = await tasks[0]
    again = await waiting(waiters, "a")
    waiters.pass_on(news or NO_NEWS)
    assert await woken(tasks) == [True, True]
    waiters.pass_on(await tasks[1] or NO_NEWS)  # only who came after the news waits now
    assert await woken(again) == [False]
    await end(again)


async def test_a_worker_with_room_again_is_woken_itself_and_wakes_nobody_else() -> None:
    waiters = Waiters()
    tasks = await waiting(waiters, "a", "b")
    waiters.wake("b")
    assert await woken(tasks) == [False, True]
    waiters.pass_on(await tasks[1] or NO_NEWS)
    assert await woken(tasks) == [False, True]
    await end(tasks)


async def test_the_word_to_one_who_goes_away_in_that_moment_reaches_the_next() -> None:
    waiters = Waiters()
    tasks = await waiting(waiters, "a", "b")
    waiters.wake_one(TASK)
    tasks[0].cancel()
    assert await woken(tasks) == [True, True]
    assert await tasks[1]
    await end(tasks)


async def test_who_waits_in_vain_is_told_after_the_time() -> None:
    waiters = Waiters()
    assert await waiters.wait("a", 0.0) is None
    waiters.wake_one(TASK)  # nobody waits: nothing happens
    (task,) = await waiting(waiters, "b")
    assert await woken([task]) == [False]
    await end([task])


async def test_no_word_of_a_task_goes_to_who_has_no_room_but_of_one_that_asks_for_little() -> None:
    waiters = Waiters()
    none = asyncio.create_task(waiters.wait("c", LONG_S, Room.NONE))
    full = asyncio.create_task(waiters.wait("a", LONG_S, Room.LITTLE))
    (free,) = await waiting(waiters, "b")
    waiters.wake_one(TASK)
    assert await woken([full, free]) == [False, True]
    waiters.wake_one(TASK)  # nobody else: the one without room sleeps on
    assert await woken([full]) == [False]
    waiters.wake_one(TASK, little=True)
    assert await woken([full, none]) == [True, False]
    await end([none])


async def test_who_has_no_room_is_woken_when_it_has_some_again() -> None:
    waiters = Waiters()
    tasks = [asyncio.create_task(waiters.wait(name, LONG_S, Room.NONE)) for name in ("a", "b")]
    await asyncio.sleep(0)
    waiters.wake("b")
    assert await woken(tasks) == [False, True]
    await end(tasks)
