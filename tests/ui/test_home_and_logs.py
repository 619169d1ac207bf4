"""Home and Logs: for every figure the fact is changed in the engine, and the new words are read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.machine import LogEntry
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.snapshot import LinkState, Mode, Snapshot
from hivemind_worker.model.task import Problem, TaskState
from hivemind_worker.model.work import PullProgress
from hivemind_worker.ui.screens.home import Home
from hivemind_worker.ui.screens.logs import SOURCE, TASK, Logs
from hivemind_worker.ui.theme import appearance
from tests.fakes.node import NOW_S, make_task
from tests.ui.conftest import Desk


@pytest.fixture
def home(desk: Desk) -> Home:
    screen = desk.shell.window.open("home")
    assert isinstance(screen, Home)
    return screen


def with_node(picture: Snapshot, **fields: object) -> Snapshot:
    return replace(picture, node=replace(picture.node, **fields))  # type: ignore[arg-type]


async def test_the_headline_and_its_button_follow_the_mode(desk: Desk, home: Home) -> None:
    headline = home.verdicts.headline
    desk.node.put(make_task("a"))
    await desk.until(lambda: headline.text() == "Working on 1 task")
    home.verdicts._buttons["finish"].click()
    await desk.until(lambda: desk.node.picture.node.mode is Mode.FINISHING)
    desk.node.picture = with_node(replace(desk.node.picture, tasks=()), mode=Mode.PAUSED)
    await desk.until(lambda: headline.text() == "Paused: no task runs until you resume")
    home.verdicts._buttons["resume"].click()
    await desk.until(lambda: headline.text() == "Connected to 10.0.0.1:50051. Waiting for work")


async def test_trouble_is_a_verdict_with_its_next_step(desk: Desk, home: Home) -> None:
    pool = replace(desk.node.picture.pool, link=LinkState.UNREACHABLE)
    desk.node.picture = replace(desk.node.picture, pool=pool, owed_results=2)
    await desk.until(lambda: "cannot be reached" in home.verdicts.headline.text())
    said = [row.text.whole() for row in home.verdicts.causes.rows()]
    assert any("2 finished results are kept safely" in text for text in said)
    home.verdicts._buttons["reconnect"].click()
    assert desk.node.reconnects == 1
    desk.node.picture = replace(desk.node.picture, blocker=Problem(code=FaultCode.DISK_FULL, about="/x"))
    await desk.until(lambda: "disk" in home.verdicts.headline.text().lower())


async def test_a_fetch_can_be_broken_off_and_begun_again(desk: Desk, home: Home) -> None:
    pull = PullProgress(image="tasks:1", layers=3, total_bytes=90 << 20)
    fetching = replace(desk.node.picture.runtime, pull=pull)
    preparing = Problem(code=FaultCode.SANDBOX_PREPARING, about="image tasks:1 is fetched")
    desk.node.picture = replace(desk.node.picture, runtime=fetching, blocker=preparing)
    await desk.until(lambda: "0 of 3 layers" in home.verdicts.headline.text())
    home.verdicts._buttons["stop-fetch"].click()
    missing = Problem(code=FaultCode.IMAGE_MISSING, about="tasks:1 is not here")
    desk.node.picture = replace(desk.node.picture, runtime=replace(fetching, pull=None), blocker=missing)
    await desk.until(lambda: not home.verdicts._buttons["stop-fetch"].isVisibleTo(home))
    home.verdicts._buttons["fetch-image"].click()
    assert desk.node.fetches == ["stop", "fetch"]


async def test_the_tiles_say_what_the_engine_says(desk: Desk, home: Home) -> None:
    desk.node.picture = replace(
        with_node(desk.node.picture, trust_score=72), trust_group="medium", max_tasks=4,
        tasks=(make_task("a"), make_task("b", TaskState.PAUSED)),
    )  # fmt: skip
    await desk.until(lambda: home.trust.figure.text() == "72")
    assert home.trust.note.text() == "8 points to High"
    assert (home.running.figure.text(), home.running.unit.text()) == ("1", "of 4")
    assert home.running.note.text() == "1 frozen"
    assert home.running.below.whole() == "Stopping now would lose 16 seconds of work"
    address = desk.node.picture.pool.address
    desk.node.pools.history[address] = [
        Balance(at_s=NOW_S - 90_000, amount=100), Balance(at_s=NOW_S - 60, amount=118),
    ]  # fmt: skip
    desk.node.picture = replace(desk.node.picture, pool=replace(desk.node.picture.pool, balance=118))
    home.refresh()
    await desk.until(lambda: home.earned.figure.text() == "18")
    await desk.until(lambda: home.earned.note.text() == "balance 118 CPT")


async def test_what_happened_latest_is_told_newest_first(desk: Desk, home: Home) -> None:
    desk.node.put(make_task("a"))
    await desk.until(lambda: any("Task a started" in row.text.whole() for row in home.latest.lines.rows()))
    desk.node.ended = [make_task("a", TaskState.COMPLETED, trust_change=2)]
    desk.node.picture = replace(desk.node.picture, tasks=())
    await desk.until(lambda: "Task a completed" in home.latest.lines.rows()[0].text.whole())
    assert "trust +2" in home.latest.lines.rows()[0].right.text()


def entry(number: int, level: str = "INFO") -> LogEntry:
    return LogEntry(number=number, timestamp="2026-11-24 14:32:00", level=level, message=f"line {number}")


async def test_logs_filter_search_and_stand_still_without_losing_a_line(desk: Desk) -> None:
    desk.node.log = [entry(1), entry(2, "WARNING"), entry(3, "DEBUG"), entry(4, "ERROR")]
    logs = desk.shell.window.open("logs")
    assert isinstance(logs, Logs)
    await desk.until(lambda: logs.model.rowCount() == 3)
    logs.levels._group.button(2).click()
    assert [logs.model.entry(row).number for row in range(logs.model.rowCount())] == [2, 4]
    logs.levels._group.button(0).click()
    logs.search.setText("LINE 4")
    assert logs.hits.text() == "1 line"
    logs.hold.click()
    desk.node.log.append(entry(5))
    await desk.until(lambda: "1 new line waits" in logs.waiting_words.text())
    assert logs.model.rowCount() == 4
    logs.hold.click()
    assert logs.model.rowCount() == 5
    assert not logs.held.isVisible()


async def test_logs_keep_five_thousand_lines(desk: Desk) -> None:
    desk.node.log = [entry(number) for number in range(1, 6002)]
    logs = desk.shell.window.open("logs")
    assert isinstance(logs, Logs)
    await desk.until(lambda: logs.model.rowCount() == 5000)
    assert logs.model.entry(0).number == 1002


async def test_a_line_says_which_part_wrote_it_and_of_which_task_and_is_found_by_both(desk: Desk) -> None:
    key = "5c02e7d1" + 24 * "0"
    desk.node.log = [replace(entry(1), source="vpn"), replace(entry(2), source="engine", task=key)]
    logs = desk.shell.window.open("logs")
    assert isinstance(logs, Logs)
    await desk.until(lambda: logs.model.rowCount() == 2)

    def told(row: int) -> list[str]:
        return [str(logs.model.index(row, column).data()) for column in (SOURCE, TASK)]

    assert [told(0), told(1)] == [["vpn", ""], ["engine", "5c02e7d1"]]
    assert logs.model.index(1, TASK).data(Qt.ItemDataRole.ToolTipRole) == key
    for wanted in ("VPN", key):
        logs.search.setText(wanted)
        assert logs.hits.text() == "1 line"


async def test_source_and_task_make_room_for_what_happened_in_a_small_window(desk: Desk) -> None:
    logs = desk.shell.window.open("logs")
    assert isinstance(logs, Logs)
    await desk.until(lambda: logs.table.isVisible() and not logs.table.isColumnHidden(SOURCE))
    appearance().choose("light", 2.0)
    await desk.until(lambda: logs.table.isColumnHidden(SOURCE) and logs.table.isColumnHidden(TASK))
