"""Room in the Tasks screen: columns that fit, rows beside the details, an edge that mouse and keys move."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu

from hivemind_worker.model.task import TaskState
from hivemind_worker.ui.screens.tasks import FINISHED, RUNNING, Tasks
from hivemind_worker.ui.task_table import TaskTable
from hivemind_worker.ui.theme import appearance
from tests.fakes.node import make_task
from tests.ui.conftest import Desk

SMALL, USUAL = (880, 560), (1100, 720)


async def opened(desk: Desk, size: tuple[int, int], scale: float = 1.0) -> Tasks:
    appearance().choose("light", scale)
    screen = desk.shell.window.open("tasks")
    assert isinstance(screen, Tasks)
    desk.shell.window.resize(*size)
    for n in range(6):
        desk.node.put(make_task(f"render-{n}-of-6-with-a-long-name"))
    desk.node.ended = [make_task(f"old-{n}", TaskState.COMPLETED, exit_code=0) for n in range(40)]
    screen.ended.read_anew()
    await desk.until(lambda: screen.running.rowCount() == 6 and screen.ended.rowCount() == 40)
    return screen


def titles(table: TaskTable) -> list[str]:
    header = table.horizontalHeader()
    return [column.title for n, column in enumerate(table.source.columns) if not header.isSectionHidden(n)]


def choose(menu: QMenu, title: str) -> None:
    next(action for action in menu.actions() if action.text() == title).trigger()
    menu.close()


@pytest.mark.parametrize(("size", "scale"), [(USUAL, 1.0), (SMALL, 1.0), (SMALL, 2.0)])
@pytest.mark.parametrize("tab", [RUNNING, FINISHED])
async def test_the_usual_columns_fit_the_window(
    desk: Desk, size: tuple[int, int], scale: float, tab: int
) -> None:
    screen = await opened(desk, size, scale)
    screen.tabs.setCurrentIndex(tab)
    await desk.settle()
    table = screen.table()
    assert table.horizontalScrollBar().maximum() == 0
    assert titles(table)[:2] == ["Status", "Task"]
    assert len(titles(table)) >= (3 if scale > 1 else 7)


async def test_columns_that_were_chosen_stay_until_the_choice_is_taken_back(desk: Desk) -> None:
    screen = await opened(desk, SMALL)
    screen.tabs.setCurrentIndex(FINISHED)
    await desk.settle()
    table, usual = screen.table(), titles(screen.table())
    assert "Image" not in usual
    choose(table.column_menu(), "Image")
    assert titles(table) == [*usual, "Image"]
    desk.shell.window.resize(*USUAL)
    await desk.settle()
    assert titles(table) == [*usual, "Image"]
    again = TaskTable(table.source, table.model(), desk.memory, "ended")
    assert titles(again) == [*usual, "Image"], "kept for the next start"
    again.deleteLater()
    choose(table.column_menu(), "Those that fit the window")
    assert len(titles(table)) > len(usual)
    assert "Image" not in titles(table)


@pytest.mark.parametrize(("scale", "rows"), [(1.0, 3), (2.0, 2)])
async def test_the_details_leave_room_for_a_few_rows_in_the_smallest_window(
    desk: Desk, scale: float, rows: int
) -> None:
    screen = await opened(desk, SMALL, scale)
    screen.tables[RUNNING].selectRow(0)
    screen.open_pane()
    screen.splitter.setSizes([0, 10_000])
    await desk.settle()
    table = screen.tables[RUNNING]
    assert table.viewport().height() >= rows * table.rowHeight(0)
    assert screen.pane.close_button.isVisible()


async def test_the_edge_of_the_details_is_moved_by_keys_and_stays_where_it_was_left(desk: Desk) -> None:
    screen = await opened(desk, USUAL)
    screen.tables[RUNNING].selectRow(0)
    screen.open_pane()
    await desk.settle()
    edge, before = screen.splitter.handle(1), screen.pane.height()
    assert edge.accessibleName() == "Height of the details"
    assert edge.focusPolicy() & Qt.FocusPolicy.TabFocus
    edge.setFocus()
    for _time in range(3):
        QTest.keyClick(edge, Qt.Key.Key_Down)
    lower = screen.pane.height()
    assert lower == before - 60
    screen.close_pane()
    screen.open_pane()
    await desk.settle()
    assert abs(screen.pane.height() - lower) <= 1
    assert desk.memory.value("tasks/edge") is not None


async def test_low_details_give_their_head_and_tools_to_the_log(desk: Desk, tmp_path: Path) -> None:
    screen = await opened(desk, SMALL)
    screen.tables[RUNNING].selectRow(0)
    screen.open_pane()
    screen.splitter.setSizes([10_000, 0])
    await desk.settle()
    pane = screen.pane
    assert not pane.log.tools.isVisible()
    assert pane.log.view.height() >= 2 * pane.log.view.fontMetrics().lineSpacing()
    pane.close_button.click()
    assert pane.isHidden()


async def test_every_tab_of_the_details_can_be_read_in_front(desk: Desk) -> None:
    screen = await opened(desk, USUAL)
    screen.tables[RUNNING].selectRow(0)
    screen.open_pane()
    tabs = screen.pane.tabs
    for number in (0, 2):
        tabs.setCurrentIndex(number)
        await desk.settle()
        assert tabs.width() >= tabs.sizeHint().width()
