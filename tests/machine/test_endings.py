"""Signals and the console's close: asked once in order, insisted upon at once, never by accident."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from hivemind_worker.machine.endings import AT_ONCE_CODE, CONSOLE_LIMIT_S, Endings

CLOSE, LOG_OFF, SHUT_DOWN = 2, 5, 6
CTRL_C, CTRL_BREAK = 0, 1


class Told:
    """An Endings whose clock and exit are the test's."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.asked = 0
        self.left: list[int] = []
        self.endings = Endings(self._ask, leave=self.left.append, steady=lambda: self.now_s)

    def _ask(self) -> None:
        self.asked += 1

    def after(self, seconds: float, name: str) -> None:
        self.now_s += seconds
        self.endings.told(name)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals as they were, whatever the test does to them."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"])
def test_the_first_word_asks_for_an_orderly_end(told: Told, name: str) -> None:
    told.after(0, name)
    assert (told.asked, told.left) == (1, [])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGBREAK"])
def test_a_second_word_later_ends_at_once(told: Told, name: str) -> None:
    told.after(0, "SIGTERM")
    told.after(0.5, name)
    assert (told.asked, told.left) == (1, [AT_ONCE_CODE])


def test_the_same_end_of_a_session_told_twice_is_told_once(told: Told) -> None:
    told.after(0, "SIGTERM")
    told.after(0.01, "SIGTERM")
    told.after(0.01, "SIGHUP")
    told.after(5, "SIGHUP")
    assert (told.asked, told.left) == (1, [])


@pytest.mark.parametrize("event", [CLOSE, LOG_OFF, SHUT_DOWN])
async def test_a_console_that_closes_waits_for_the_end(told: Told, event: int) -> None:
    loop = asyncio.get_running_loop()
    waiting = asyncio.ensure_future(asyncio.to_thread(told.endings.on_console, event, loop))
    await asyncio.wait({waiting}, timeout=0.1)
    assert told.asked == 1
    assert not waiting.done()  # Windows ends the process when it returns
    told.endings.over()
    assert await asyncio.wait_for(waiting, 2)


@pytest.mark.parametrize("event", [CTRL_C, CTRL_BREAK, 99])
async def test_other_events_of_a_console_are_left_to_the_signals(told: Told, event: int) -> None:
    assert not told.endings.on_console(event, asyncio.get_running_loop())
    assert told.asked == 0


def test_a_console_that_closes_after_the_loop_is_let_go(told: Told) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    calling = threading.Thread(target=told.endings.on_console, args=(CLOSE, loop))
    calling.start()
    calling.join(CONSOLE_LIMIT_S / 2)
    assert not calling.is_alive()


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
async def test_signals_reach_it_until_all_is_over_and_then_change_nothing(told: Told, handlers: None) -> None:
    told.endings.listen()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0.05)
    assert told.asked == 1
    told.endings.over()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(os.getpid(), number)
    await asyncio.sleep(0.05)
    assert (told.asked, told.left) == (1, [])


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
async def test_a_sighup_that_was_shut_out_stays_shut_out(told: Told, handlers: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    told.endings.listen()
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.sleep(0.05)
    assert told.asked == 0
    told.endings.over()
