"""The task tables: what they show, how they change, what can be done, and 100,000 rows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractSlider, QApplication, QLabel

from hivemind_worker.model.events import StopAsked, TaskPauseAsked
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.task import Problem, Task, TaskState
from hivemind_worker.model.work import RunFigures
from hivemind_worker.presentation.task_columns import OPEN, use_rows
from hivemind_worker.ui.screens.tasks import FINISHED, RUNNING, WAITING, Tasks
from hivemind_worker.ui.task_models import PAGE, PAGES_KEPT
from tests.fakes.node import NOW_S, make_task
from tests.ui.conftest import Desk


@pytest.fixture
async def tasks(desk: Desk) -> Tasks:
    screen = desk.shell.window.open("tasks")
    assert isinstance(screen, Tasks)
    desk.shell.window.resize(1300, 800)  # room for all of the usual columns
    return screen


def cells(screen: Tasks, row: int = 0) -> list[str]:
    table = screen.table()
    header = table.horizontalHeader()
    model = table.model()
    return [
        str(model.index(row, column).data())
        for column in range(model.columnCount())
        if not header.isSectionHidden(column)
    ]


async def test_every_cell_of_a_running_task_follows_the_engine(desk: Desk, tasks: Tasks) -> None:
    desk.node.put(make_task("render 7"))
    await desk.until(lambda: tasks.running.rowCount() == 1)
    assert cells(tasks) == ["Running", "render 7", "Built-in", "0:08", "23:59:52", "–", "1 GiB", "8 seconds"]
    desk.node.uses[make_task("render 7").key] = RunFigures(
        at_s=NOW_S, cores=0.784, memory_bytes=256 << 20, memory_limit_bytes=1 << 30, disk_bytes=0
    )
    await desk.until(lambda: cells(tasks)[5:7] == ["78 %", "0.25 / 1 GiB"])
    desk.node.put(make_task("render 7", TaskState.PAUSED, started_at_s=NOW_S - 65))
    await desk.until(lambda: cells(tasks)[0] == "Paused")
    assert cells(tasks)[3:5] == ["1:05", "23:58:55"]


async def test_network_disk_card_and_the_processors_graph_of_a_task_follow_the_engine(
    desk: Desk, tasks: Tasks
) -> None:
    task = make_task("render 7", runtime="docker", demand=Resources(cpu=100, memory_gb=1, gpu=10))
    used = RunFigures(
        at_s=NOW_S, cores=0.5, memory_bytes=1 << 28, memory_limit_bytes=1 << 30, disk_bytes=0,
        net_in_bytes=3 << 20, net_out_bytes=512, read_bytes=2 << 30, write_bytes=1 << 20, gpu_percent=61.0,
        gpu_memory_bytes=3 << 30,
    )  # fmt: skip
    desk.node.uses[task.key] = used
    desk.node.put(task)
    await desk.until(lambda: tasks.running.rowCount() == 1)
    for number, column in enumerate(OPEN):
        tasks.table()._show_column(number, column.key in ("gpu_now", "net_now", "disk_now"))
    assert cells(tasks) == ["61 % · 3.0 GiB", "3.0 MiB / 512 B", "2.0 GiB / 1.0 MiB"]
    tasks.table().selectRow(0)
    tasks.open_pane()
    await desk.until(lambda: "50 %" in tasks.pane.graph.accessibleDescription())
    shown = dict(use_rows(task, tasks.running.facts))
    assert shown["Received / sent"] == "3.0 MiB / 512 B" and shown["GPU"] == "61 % · 3.0 GiB"
    assert {label.text() for label in tasks.pane.now.findChildren(QLabel)} >= {
        "61 % · 3.0 GiB",
        "2.0 GiB / 1.0 MiB",
    }
    desk.node.uses[task.key] = replace(used, read_bytes=None, gpu_percent=None, gpu_memory_bytes=None)
    desk.node.picture = replace(desk.node.picture)
    await desk.until(lambda: cells(tasks) == ["cannot tell", "3.0 MiB / 512 B", "cannot tell"])
    desk.node.put(replace(task, runtime="wasm", demand=Resources(cpu=100, memory_gb=1)))
    await desk.until(lambda: cells(tasks) == ["–", "none", "cannot tell"])


async def test_tasks_that_have_not_started_wait_and_ended_ones_move_on(desk: Desk, tasks: Tasks) -> None:
    first, second = make_task("a"), make_task("b", TaskState.ALLOCATED)
    desk.node.picture = replace(desk.node.picture, tasks=(first, second))
    await desk.until(lambda: (tasks.running.rowCount(), tasks.waiting.rowCount()) == (1, 1))
    desk.node.ended = [make_task("a", TaskState.COMPLETED, exit_code=0, trust_change=2)]
    desk.node.picture = replace(desk.node.picture, tasks=(second,))
    await desk.until(lambda: (tasks.running.rowCount(), tasks.ended.rowCount()) == (0, 1))
    tasks.tabs.setCurrentIndex(FINISHED)
    await desk.until(lambda: cells(tasks)[0] == "Completed")
    assert cells(tasks)[7:9] == ["0", "+2"]
    assert [tasks.tabs.tabText(n) for n in (RUNNING, WAITING, FINISHED)] == [
        "Running",
        "Waiting  1",
        "Finished  1",
    ]


async def test_a_selected_row_stays_selected_while_others_come_and_go(desk: Desk, tasks: Tasks) -> None:
    made = [make_task(f"task {n}", started_at_s=NOW_S - n) for n in range(10)]
    desk.node.picture = replace(desk.node.picture, tasks=tuple(made))
    await desk.until(lambda: tasks.running.rowCount() == 10)
    table = tasks.table()
    row = next(r for r in range(10) if table.model().index(r, 1).data() == "task 6")
    table.selectRow(row)
    desk.node.picture = replace(
        desk.node.picture, tasks=(*made[5:], make_task("new", started_at_s=NOW_S - 99))
    )
    await desk.until(lambda: tasks.running.rowCount() == 6)
    assert [task.task_id for task in table.selected()] == ["task 6"]


async def test_tasks_are_paused_and_resumed_one_by_one_by_key_button_and_details(
    desk: Desk, tasks: Tasks
) -> None:
    desk.node.picture = replace(desk.node.picture, tasks=(make_task("a"), make_task("b")))
    await desk.until(lambda: tasks.running.rowCount() == 2)
    button = tasks.buttons["hold"]
    assert not button.isEnabled()  # nothing is chosen
    tasks.table().selectRow(0)
    tasks.table().setFocus()
    chosen = tasks.table().selected()[0].key
    desk.press("Space")
    await desk.until(lambda: button.text() == "Resume")
    assert {cells(tasks, row)[0] for row in range(2)} == {"Paused", "Running"}
    button.click()
    await desk.until(lambda: button.text() == "Pause")
    tasks.open_pane()
    tasks.pane.hold_button.click()
    await desk.until(lambda: tasks.pane.hold_button.text() == "Resume")
    wanted = [(True, chosen), (False, chosen), (True, chosen)]
    asked = [each for each in desk.node.asked if isinstance(each, TaskPauseAsked)]
    assert [(each.paused, each.key) for each in asked] == wanted
    tasks.table().selectAll()
    button.click()  # one of the two runs: it is paused, too
    await desk.until(lambda: all(task.held for task in desk.node.picture.tasks))


async def test_the_tabs_are_as_wide_as_their_words_whichever_is_in_front(desk: Desk, tasks: Tasks) -> None:
    desk.node.ended = [make_task(f"t{number}", TaskState.COMPLETED) for number in range(1234)]
    tasks.refresh()
    await desk.until(lambda: "1,234" in tasks.tabs.tabText(FINISHED))
    for number in (FINISHED, RUNNING, FINISHED):
        tasks.tabs.setCurrentIndex(number)
        await desk.until(lambda: tasks.tabs.width() >= tasks.tabs.sizeHint().width())
        last = tasks.tabs.tabRect(tasks.tabs.count() - 1)
        assert last.right() < tasks.tabs.width(), "no arrows to scroll to it"


async def test_the_receipt_of_an_ended_task_is_shown_with_its_files(desk: Desk, tasks: Tasks) -> None:
    task = make_task("over", TaskState.COMPLETED, exit_code=0)
    desk.node.ended = [task]
    tasks.refresh()
    tasks.tabs.setCurrentIndex(FINISHED)
    await desk.until(lambda: tasks.ended.rowCount() == 1 and tasks.ended.task_at(0) is not None)
    tasks.table().selectRow(0)
    tasks.show_receipt()
    await desk.until(lambda: tasks.selection.text().startswith("No receipt"))
    files = [{"name": "evil\x1b[2J.txt", "bytes": 2048, "sha256": "ab" * 32}]
    receipt = {"task_id": "over", "state": "COMPLETED", "limits": {"cores": 1.0}, "files_out": files}
    desk.node.receipts[task.key] = {"receipt": receipt, "public_key": "aa", "signature": "bb"}
    tasks.buttons["receipt"].click()
    await desk.until(lambda: tasks._receipt is not None)
    assert tasks._receipt is not None
    assert "2.0 KiB" in tasks._receipt.files.toPlainText()
    assert "\x1b" not in tasks._receipt.files.toPlainText()
    tasks._receipt.accept()
    await desk.until(lambda: tasks._receipt is None)


async def test_stopping_says_what_is_lost_and_asks_for_each(desk: Desk, tasks: Tasks) -> None:
    desk.node.picture = replace(desk.node.picture, tasks=(make_task("a"), make_task("b")))
    await desk.until(lambda: tasks.running.rowCount() == 2)
    tasks.table().selectAll()
    tasks.table().setFocus()
    desk.press("Del")
    question = tasks._question
    assert question is not None
    assert "16 seconds of work would be lost" in question.accessibleDescription()
    question.buttons["stop"].click()
    await desk.until(lambda: len(desk.node.asked) == 2)
    assert all(isinstance(asked, StopAsked) for asked in desk.node.asked)
    await desk.until(lambda: tasks._question is None)


async def test_putting_the_question_away_stops_nothing(desk: Desk, tasks: Tasks) -> None:
    desk.node.put(make_task("a"))
    await desk.until(lambda: tasks.running.rowCount() == 1)
    tasks.table().selectRow(0)
    tasks.ask_to_stop()
    assert tasks._question is not None
    tasks._question.reject()
    await desk.until(lambda: tasks._question is None)
    assert desk.node.asked == []


async def test_the_details_show_log_story_and_what_went_wrong(desk: Desk, tasks: Tasks) -> None:
    failed = make_task(
        "f",
        TaskState.FAILED,
        exit_code=3,
        problem=Problem(code=FaultCode.EXIT_CODE, about="3"),
        trust_change=-5,
    )
    desk.node.ended = [failed]
    desk.node.lines = [StoryLine(key=failed.key, at_s=NOW_S - 9, what="offered", text="")]
    desk.node.write_log(failed, b"one\n\x1b[31mred\x1b[0m\rtwo\nthree")
    tasks.refresh()
    tasks.tabs.setCurrentIndex(FINISHED)
    await desk.until(lambda: tasks.ended.rowCount() == 1 and tasks.ended.task_at(0) is not None)
    tasks.table().selectRow(0)
    tasks.table().setFocus()
    desk.press("Return")
    view = tasks.pane.log.view
    await desk.until(lambda: "three" in view.toPlainText())
    assert view.toPlainText().split("\n") == ["one", "red", "two", "three"]
    assert "3" in tasks.pane.callout.title.text()
    await desk.until(tasks.pane.story.rows)
    desk.press("Esc")
    assert tasks.pane.isHidden()


async def test_a_log_is_followed_and_searched_while_it_grows(desk: Desk, tasks: Tasks) -> None:
    task = make_task("a")
    desk.node.put(task)
    desk.node.write_log(task, b"begin\n")
    await desk.until(lambda: tasks.running.rowCount() == 1)
    tasks.table().selectRow(0)
    tasks.open_pane()
    view = tasks.pane.log.view
    await desk.until(lambda: "begin" in view.toPlainText())
    tasks.pane.log.search.setText("step")
    desk.node.write_log(task, b"".join(b"step %d\n" % n for n in range(50)))
    await desk.until(lambda: tasks.pane.log.hits.text().endswith("of 50"))
    view.step(-1)
    assert view.hits()[1] == 50


async def test_a_flood_of_lines_shows_the_newest_and_says_what_passed_by(desk: Desk, tasks: Tasks) -> None:
    task = make_task("a")
    desk.node.put(task)
    desk.node.write_log(task, b"begin\n")
    await desk.until(lambda: tasks.running.rowCount() == 1)
    tasks.table().selectRow(0)
    tasks.open_pane()
    view = tasks.pane.log.view
    await desk.until(lambda: "begin" in view.toPlainText())
    desk.node.write_log(task, b"".join(b"line %06d of a flood\n" % n for n in range(50_000)))
    await desk.until(lambda: "line 049999" in view.toPlainText())
    assert "passed by" in view.toPlainText()
    assert view.blockCount() < 5001


async def test_a_hundred_thousand_ended_tasks_hold_a_few_pages_in_memory(desk: Desk, tasks: Tasks) -> None:
    desk.node.ended = [made(number) for number in range(100_000)]
    tasks.refresh()
    tasks.tabs.setCurrentIndex(FINISHED)
    await desk.until(lambda: tasks.ended.rowCount() == 100_000)
    table = tasks.table()
    for part in (0.3, 0.6, 1.0):
        bar = table.verticalScrollBar()
        bar.setValue(int(bar.maximum() * part))
        row = table.rowAt(40)
        await desk.until(lambda row=row: tasks.ended.task_at(row) is not None)
        assert tasks.ended.task_at(row).task_id == f"task {99_999 - row}"
    assert len(tasks.ended._pages) * PAGE <= PAGES_KEPT * PAGE < 4000


BASE = make_task("base", TaskState.COMPLETED)


def made(number: int) -> Task:
    base = make_task("base", TaskState.COMPLETED)
    return replace(
        base, task_id=f"task {number}", key=f"{number:032x}", ended_at_s=NOW_S - 1_000_000 + number
    )


async def test_a_log_holds_still_for_who_reads_an_earlier_place_and_goes_on_by_its_tick(
    desk: Desk, tasks: Tasks
) -> None:
    task = make_task("talks")
    desk.node.picture = replace(desk.node.picture, tasks=(task,))
    desk.node.write_log(task, b"".join(b"line %d\n" % number for number in range(300)))
    await desk.until(lambda: tasks.running.rowCount() == 1)
    tasks.table().selectRow(0)
    tasks.table().opened.emit()
    log, bar = tasks.pane.log, tasks.pane.log.view.verticalScrollBar()
    await desk.until(lambda: log.view.blockCount() >= 300 and bar.maximum() > 0)
    log.view.look_for("line 7")
    assert log.follow.isChecked(), "the last hit is where it goes on"
    log.view.step(-1)
    assert not log.follow.isChecked()
    at = bar.value()
    assert at < bar.maximum()
    desk.node.write_log(task, b"one more\n")
    log.follower.look()
    await desk.until(lambda: "one more" in log.view.toPlainText())
    assert bar.value() == at
    log.follow.setChecked(True)
    assert bar.value() == bar.maximum()
    bar.triggerAction(QAbstractSlider.SliderAction.SliderPageStepSub)
    assert not log.follow.isChecked(), "by the wheel too"


async def test_ended_tasks_are_found_by_the_word_of_their_state_and_the_field_says_what_it_looks_for(
    desk: Desk, tasks: Tasks
) -> None:
    failed = [number for number in range(40) if number % 4 == 1]
    desk.node.ended = [
        replace(made(number), state=TaskState.FAILED if number in failed else TaskState.COMPLETED)
        for number in range(40)
    ]
    assert tasks.filter.placeholderText() == "Task, state or image"
    tasks.tabs.setCurrentIndex(2)
    assert tasks.filter.placeholderText() == "Task or state"
    tasks.ended.read_anew()
    await desk.until(lambda: tasks.ended.rowCount() == 40)
    tasks.filter.setText("Faile")
    await desk.until(lambda: tasks.ended.rowCount() == len(failed))
    await desk.until(lambda: cells(tasks)[0] == "Failed")
    tasks.filter.setText("task 7")
    await desk.until(lambda: tasks.ended.rowCount() == 1)


async def test_the_mark_of_the_order_stays_where_it_is_true(desk: Desk, tasks: Tasks) -> None:
    desk.node.ended = [made(number) for number in range(40)]
    tasks.tabs.setCurrentIndex(2)
    table = tasks.table()
    tasks.ended.read_anew()
    await desk.until(lambda: tasks.ended.rowCount() == 40)
    header = table.horizontalHeader()
    assert header.sortIndicatorSection() == tasks.ended.sorted_by
    table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert header.sortIndicatorSection() == tasks.ended.sorted_by
    assert header.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder
    assert "in the order of their end" in str(
        tasks.ended.headerData(1, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    )
    table.sortByColumn(tasks.ended.sorted_by, Qt.SortOrder.AscendingOrder)
    assert header.sortIndicatorOrder() is Qt.SortOrder.AscendingOrder
    await desk.until(lambda: cells(tasks)[1].strip() == "task 0")


async def test_the_filter_and_the_columns_and_the_order(desk: Desk, tasks: Tasks) -> None:
    made = [make_task(f"render {n}", started_at_s=NOW_S - n) for n in range(5)]
    desk.node.picture = replace(desk.node.picture, tasks=(*made, make_task("sand")))
    await desk.until(lambda: tasks.running.rowCount() == 6)
    desk.press("Ctrl+F")
    assert QApplication.focusWidget() is tasks.filter
    tasks.filter.setText("RENDER")
    assert tasks.table().model().rowCount() == 5
    tasks.table().sortByColumn(3, Qt.SortOrder.AscendingOrder)
    assert [cells(tasks, row)[1] for row in range(5)] == [f"render {n}" for n in range(5)]
    menu = tasks.table().column_menu()
    next(action for action in menu.actions() if action.text() == "Would lose").trigger()
    menu.close()
    assert len(cells(tasks)) == 7


async def test_rows_are_copied_as_a_table_and_as_json(desk: Desk, tasks: Tasks) -> None:
    desk.node.put(make_task("a"))
    await desk.until(lambda: tasks.running.rowCount() == 1)
    tasks.table().selectRow(0)
    tasks.table().setFocus()
    desk.press("Ctrl+C")
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].split("\t")[:2] == ["Status", "Task"]
    assert lines[1].split("\t")[:2] == ["Running", "a"]
    tasks.copy_json()
    assert json.loads(QGuiApplication.clipboard().text())["task_id"] == "a"


async def test_an_empty_table_says_why(desk: Desk, tasks: Tasks) -> None:
    await desk.settle()
    assert tasks.body.currentWidget() is tasks.empty
    assert tasks.empty.title.text() == "No tasks right now"
    assert "10.0.0.1:50051" in tasks.empty.text.text()
