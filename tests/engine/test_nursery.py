"""What runs beside its caller has a name, an owner and an end."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading

import pytest

from hivemind_worker.nursery import NamedThread, Nursery, comes_within, heed_cancel


async def test_tasks_are_listed_by_name_and_gone_at_the_end() -> None:
    nursery = Nursery("n")
    nursery.start("a", asyncio.sleep(60))
    nursery.start("b", asyncio.sleep(60))
    assert nursery.names() == ("n:a", "n:b")
    assert await nursery.close() == ()
    assert nursery.names() == ()


async def test_an_error_that_nobody_awaits_is_logged_as_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        raise ValueError("what now")

    nursery = Nursery("n")
    with caplog.at_level(logging.ERROR, "hivemind_worker"):
        await asyncio.wait({nursery.start("x", broken())})
        await asyncio.sleep(0)
    assert "bug in n:x" in caplog.text
    await nursery.close()


async def test_a_closed_nursery_starts_nothing() -> None:
    nursery = Nursery("n")
    await nursery.close()
    with pytest.raises(RuntimeError, match="closed"):
        nursery.start("x", asyncio.sleep(60))


def test_without_a_loop_nothing_is_left_unawaited() -> None:
    work = asyncio.sleep(60)
    with pytest.raises(RuntimeError, match="no running event loop"):
        Nursery("n").start("x", work)
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


async def test_a_cancel_that_comes_with_the_event_ends_who_waits_in_a_loop() -> None:
    event, nursery = asyncio.Event(), Nursery("n")

    async def wait_on() -> None:
        while True:
            await comes_within(event, 60.0)
            event.clear()

    nursery.start("x", wait_on())
    await asyncio.sleep(0)
    event.set()
    assert await nursery.close(1.0) == ()


async def test_what_does_not_come_in_time_is_said() -> None:
    event = asyncio.Event()
    assert not await comes_within(event, 0.01)
    event.set()
    assert await comes_within(event, 0.0)


async def test_a_cancel_that_a_library_swallowed_still_counts() -> None:
    async def library() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    async def ask_on() -> None:
        while True:
            await library()
            heed_cancel()

    nursery = Nursery("n")
    nursery.start("x", ask_on())
    await asyncio.sleep(0)
    assert await nursery.close(1.0) == ()


async def test_what_does_not_end_in_time_is_named() -> None:
    go = asyncio.Event()

    async def stubborn() -> None:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    nursery = Nursery("n")
    task = nursery.start("stubborn", stubborn())
    await asyncio.sleep(0)
    assert await nursery.close(0.05) == ("n:stubborn",)
    go.set()
    await task


async def test_calls_of_a_thread_run_in_order_under_its_name() -> None:
    thread = NamedThread("journal")
    seen: list[str] = []

    def call(number: int) -> int:
        seen.append(threading.current_thread().name)
        return number

    assert await asyncio.gather(*(thread.call(call, n) for n in range(5))) == [0, 1, 2, 3, 4]
    assert set(seen) == {"journal_0"}
    thread.close()
