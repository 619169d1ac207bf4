"""Live events: numbers, replay, what is told and what is not, readers that are slow or too many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from hivemind_worker.model.machine import LogEntry
from hivemind_worker.model.snapshot import LinkState, Mode
from hivemind_worker.model.task import TaskState
from tests.fakes.node import NOW_S, make_snapshot, make_task
from tests.web.conftest import TOKEN, Served
from tests.web.reader import Reader, reading

EVENTS = "/api/v1/events"


async def seq(served: Served) -> int:
    return int((await served.get("/api/v1/state")).values["seq"])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def live_of(served: Served) -> Any:
    return served.api._live


async def test_a_change_is_told_with_a_number_and_the_whole_of_what_changed(served: Served) -> None:
    async with reading(served.api.port, TOKEN) as reader:
        assert reader.status == 200
        assert "text/event-stream" in reader.head
        assert "no-store" in reader.head
        served.node.put(make_task("a"))
        task = await reader.next("task")
        state = await reader.next("state")
        assert task is not None
        assert state is not None
        assert (task.values["task_id"], task.values["status"]) == ("a", "RUNNING")
        assert state.values["running_tasks"] == 1
        assert "tasks" not in state.values
        assert state.number > task.number > NOW_S * 1000 - 1


async def test_every_type_is_told_when_it_changes(served: Served) -> None:
    async with reading(served.api.port, TOKEN) as reader:
        served.node.log = [LogEntry(number=1, timestamp="t", level="INFO", message="hello\nid: 7")]
        pool = replace(served.node.picture.pool, link=LinkState.UNREACHABLE)
        node = replace(served.node.picture.node, mode=Mode.PAUSED)
        served.node.picture = make_snapshot(make_task("a"), pool=pool, node=node)
        seen: dict[str, Any] = {}
        while len(seen) < 6:
            told = await reader.next()
            assert told is not None
            seen[told.kind] = told.values
    assert set(seen) == {"state", "verdict", "task", "metrics", "log", "pool"}
    assert "paused" in [row["code"] for row in seen["verdict"]["verdicts"]]
    assert seen["pool"]["link"] == "unreachable"
    assert seen["log"]["message"] == "hello\nid: 7"
    assert seen["metrics"]["cpu_percent"] == 25.0


async def test_a_task_that_the_worker_is_done_with_is_told_a_last_time(served: Served) -> None:
    served.node.put(make_task("a"))
    async with reading(served.api.port, TOKEN, EVENTS + "?types=task") as reader:
        served.node.ended = [make_task("a", TaskState.COMPLETED)]
        served.node.picture = replace(served.node.picture, tasks=())
        told = await reader.next("task")
        assert told is not None
        assert told.values["status"] == "COMPLETED"


async def test_what_changed_between_the_state_and_the_stream_is_not_lost(served: Served) -> None:
    since = await seq(served)
    served.node.picture = make_snapshot(make_task("a"))
    async with reading(served.api.port, TOKEN, f"{EVENTS}?since={since}&types=task") as reader:
        told = await reader.next("task")
        assert told is not None
        assert told.values["task_id"] == "a"


async def test_after_a_break_what_was_missed_comes_once_and_in_order(served: Served) -> None:
    async with reading(served.api.port, TOKEN, EVENTS + "?types=task") as reader:
        served.node.picture = make_snapshot(make_task("a"))
        first = await reader.next("task")
    assert first is not None
    await until(lambda: live_of(served).readers == 0)
    served.node.picture = make_snapshot(make_task("a"), make_task("b"))
    since = str(first.number)
    async with reading(served.api.port, TOKEN, EVENTS + "?types=task&since=0", Last_Event_ID=since) as reader:
        second = await reader.next()
        assert second is not None
        assert (second.kind, second.values["task_id"]) == ("task", "b")
        assert second.number > first.number


@pytest.mark.parametrize("since", ["0", "1", "9007199254740992"])
async def test_a_number_that_is_gone_or_of_another_life_gets_a_mark_to_begin_anew(
    served: Served, since: str
) -> None:
    async with reading(served.api.port, TOKEN, f"{EVENTS}?since={since}") as reader:
        told = await reader.next()
        assert told is not None
        assert told.kind == "resync"
        assert told.values["seq"] == told.number
        served.node.picture = make_snapshot(make_task("a"))
        after = await reader.next("task")
        assert after is not None
        assert after.number > told.number


async def test_the_ring_keeps_two_thousand_events_and_no_more(served: Served) -> None:
    live = live_of(served)
    begun = await seq(served)
    for n in range(2500):
        live._publish("log", {"n": n})
    assert live.after(begun) is None
    assert live.after(begun + 499) is None
    kept = live.after(begun + 500)
    assert kept is not None
    assert [event.number for event in kept] == list(range(begun + 501, begun + 2501))
    assert live.after(live.number) == ()


async def test_nothing_is_computed_while_nobody_reads(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(served.api.port, TOKEN) as reader:
        await reader.next("metrics")
    await until(lambda: live_of(served).readers == 0)
    watching, samples = list(served.node.watchers), served.node.samples
    asked = []
    monkeypatch.setattr("hivemind_worker.web.live._shown", asked.append)
    for n in range(50):
        served.node.picture = make_snapshot(make_task(f"task {n}"))
    await asyncio.sleep(1.2)
    assert not asked
    assert served.node.samples == samples
    assert len(watching) == 1, "the count of ended tasks alone still watches"
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "web:live"]


async def test_a_storm_of_changes_is_told_a_few_times_a_second(served: Served) -> None:
    async with reading(served.api.port, TOKEN, EVENTS + "?types=task") as reader:
        await reader.block()  # the head
        began = asyncio.get_running_loop().time()
        for n in range(200):
            served.node.picture = make_snapshot(make_task("a", exit_code=n))
            await asyncio.sleep(0.005)
        told, last = 0, None
        while last is None or last.values["exit_code"] != 199:
            last = await reader.next("task")
            told += 1
        seconds = asyncio.get_running_loop().time() - began
    assert told <= seconds * 4 + 2


async def test_metrics_come_once_a_second_for_all_readers_together(served: Served) -> None:
    async with AsyncExitStack() as stack:
        target = EVENTS + "?types=metrics"
        readers = [await stack.enter_async_context(reading(served.api.port, TOKEN, target)) for _ in range(8)]
        samples = served.node.samples
        began = asyncio.get_running_loop().time()
        for reader in readers:
            for _ in range(3):
                assert await reader.next("metrics") is not None
        assert asyncio.get_running_loop().time() - began >= 1.4
        assert served.node.samples - samples <= 4


async def test_the_ninth_reader_is_refused_until_one_leaves(served: Served) -> None:
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(reading(served.api.port, TOKEN)) for _ in range(8)]
        assert {reader.status for reader in readers} == {200}
        ninth = await served.get(EVENTS)
        assert (ninth.status, ninth.values["code"]) == (503, "busy")
        assert int(ninth.headers["retry-after"]) > 0
        readers[0].writer.close()
        await until(lambda: live_of(served).readers == 7)
        async with reading(served.api.port, TOKEN) as again:
            assert again.status == 200


async def test_a_reader_that_goes_frees_its_place_although_there_is_no_news(served: Served) -> None:
    async with reading(served.api.port, TOKEN, EVENTS + "?types=pool") as reader:
        await reader.block()
    await until(lambda: live_of(served).readers == 0)


async def test_a_reader_that_falls_behind_is_dropped_with_a_mark(served: Served) -> None:
    async with reading(served.api.port, TOKEN, EVENTS + "?types=log") as reader:
        await reader.block()
        live = live_of(served)
        for n in range(3000):  # before the reader's turn comes: more than the ring holds
            live._publish("log", {"n": n})
        told = await reader.next()
        assert told is not None
        assert (told.kind, told.values["seq"]) == ("resync", live.number)
        assert await reader.next() is None, "the stream ends: the browser comes again by itself"
    await until(lambda: live.readers == 0)


async def test_a_reader_that_takes_nothing_is_cut_off(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hivemind_worker.web.stream.WRITE_LIMIT_S", 0.2)
    live = live_of(served)
    async with reading(served.api.port, TOKEN, EVENTS + "?types=log"):
        async with asyncio.timeout(10):
            while live.readers:
                for _ in range(200):
                    live._publish("log", {"text": "x" * 5000})
                await asyncio.sleep(0.01)
    assert (await served.get("/livez")).status == 200


async def test_a_quiet_stream_rests(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    real = live_of(served).after
    monkeypatch.setattr(live_of(served), "after", lambda number: looks.append(number) or real(number))
    monkeypatch.setattr("hivemind_worker.web.stream.CHECK_S", 0.3)
    async with reading(served.api.port, TOKEN, EVENTS + "?types=pool"):
        await asyncio.sleep(1.5)
    assert len(looks) <= 12, "it wakes for the events of all, and to see whether it is still signed in"


async def test_a_quiet_stream_shows_that_it_lives(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hivemind_worker.web.stream.HEARTBEAT_S", 0.1)
    async with reading(served.api.port, TOKEN, EVENTS + "?types=pool") as reader:
        blocks = [await reader.block() for _ in range(3)]
    assert blocks == [b"retry: 2000", b": heartbeat", b": heartbeat"]


def test_the_limits_of_the_stream_are_those_that_were_decided() -> None:
    from hivemind_worker.web import live, stream

    assert (live.RING, live.MOST_READERS, live.METRICS_EVERY_S) == (2000, 8, 1.0)
    assert (stream.HEARTBEAT_S, stream.RETRY_MS) == (15.0, 2000)


async def test_w_a_stream_ends_with_its_session(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hivemind_worker.web.stream.CHECK_S", 0.05)
    anna = await served.sign_in("anna")
    async with reading(served.api.port, None, EVENTS + "?types=pool", Cookie=anna.cookie) as reader:
        assert reader.status == 200
        await served.post("/logout", token=None, headers=anna.headers())
        assert await reader.next(limit_s=5) is None


async def test_w_events_are_told_to_no_other_page(served: Served) -> None:
    anna = await served.sign_in("anna")
    for headers, status in (({}, 401), ({"Cookie": anna.cookie, "Origin": "http://evil.com"}, 403),
                            ({"Cookie": anna.cookie, "Sec-Fetch-Site": "cross-site"}, 403)):  # fmt: skip
        assert (await served.get(EVENTS, token=None, headers=headers)).status == status
    assert live_of(served).readers == 0


@pytest.mark.parametrize(
    "query", ["since=-1", "since=x", "types=", "types=all", "types=task,,log", "since=1e3"]
)
async def test_a_stream_that_cannot_be_is_refused(served: Served, query: str) -> None:
    assert (await served.get(f"{EVENTS}?{query}")).status == 400


async def test_closing_the_server_ends_its_streams_at_once(make_served: Callable[..., Any]) -> None:
    async with make_served() as served:
        stack = AsyncExitStack()
        reader: Reader = await stack.enter_async_context(reading(served.api.port, TOKEN))
        began = asyncio.get_running_loop().time()
        await served.api.close()
        assert asyncio.get_running_loop().time() - began < 1.0
        while await reader.next() is not None:
            pass
        await stack.aclose()
