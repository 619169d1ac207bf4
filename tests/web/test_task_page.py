"""A task's page: its curves, its log to save, and what of its result there is."""

from __future__ import annotations

import html

import pytest

from hivemind_worker.model.task import Delivery, StopReason, Task, TaskState
from hivemind_worker.model.work import UsePoint
from hivemind_worker.web.files import WholeLines
from tests.fakes.node import NOW_S, make_task
from tests.web.conftest import Served

BROWSER = {"Accept": "text/html"}
MIB = 1 << 20
EVIL = '../../etc/"; filename=x.exe\r\n\u202e'


def whole(body: bytes) -> str:
    """A body that came in chunks, put together."""
    text, rest = b"", body
    while (size := int(rest.partition(b"\r\n")[0], 16)) > 0:
        begin = rest.index(b"\r\n") + 2
        text, rest = text + rest[begin : begin + size], rest[begin + size + 2 :]
    return text.decode()


async def page_of(served: Served, task: Task) -> str:
    answer = await served.get(f"/tasks/{task.key}", headers=BROWSER)
    assert answer.status == 200
    return html.unescape(answer.body.decode())


def used(begin_s: float, count: int) -> tuple[UsePoint, ...]:
    return tuple(
        UsePoint(at_s=begin_s + number, cores=0.5, memory_bytes=256 * MIB) for number in range(1, count + 1)
    )


async def test_a_running_tasks_page_shows_what_it_has_used(served: Served) -> None:
    task = make_task("a", started_at_s=NOW_S - 100)
    served.node.put(task)
    assert "Its curve begins after a few seconds." in await page_of(served, task)
    served.node.use_points[task.key] = used(NOW_S - 100, 100)
    page = await page_of(served, task)
    assert "CPU of its 1 core" in page
    assert "Memory of its 1 GiB" in page
    assert '<strong class="now" data-figure="">50 %</strong>' in page
    assert '<strong class="now" data-figure="">0.25 GiB</strong>' in page
    assert page.count('<polyline class="ours"') == 2
    assert "Its curve begins" not in page


async def test_an_ended_tasks_curve_stays_and_one_that_never_ran_has_none(served: Served) -> None:
    ran = make_task("a", TaskState.FAILED, started_at_s=NOW_S - 100, ended_at_s=NOW_S)
    short = make_task("b", TaskState.COMPLETED)
    never = make_task("c", TaskState.STOPPED, started_at_s=None)
    served.node.ended = [ran, short, never]
    served.node.use_points[ran.key] = used(NOW_S - 100, 100)
    assert "50 % on average" in await page_of(served, ran)
    assert "No figures of its time are kept here." in await page_of(served, short)
    assert 'id="use"' not in await page_of(served, never)


async def test_the_log_is_saved_as_pages_show_it_under_a_name_of_our_own(served: Served) -> None:
    task = make_task(EVIL, TaskState.COMPLETED)
    served.node.ended = [task]
    served.node.write_log(task, b"\x1b[31mred\x1b[0m\r\n50 %\r60 %\nodd \xff \x07\nthe end")
    answer = await served.get(f"/api/v1/tasks/{task.key}/output")
    assert answer.status == 200
    assert whole(answer.body) == "red\n50 %\n60 %\nodd \ufffd \\x07\nthe end"
    assert answer.headers["content-disposition"] == f'attachment; filename="log-{task.key[:8]}.txt"'
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert f"/api/v1/tasks/{task.key}/output" in await page_of(served, task)


async def test_a_large_log_comes_whole_and_a_log_that_is_not_there_is_said_to_be(served: Served) -> None:
    task, other = make_task("a", TaskState.COMPLETED), make_task("b", TaskState.COMPLETED)
    served.node.ended = [task, other]
    lines = "".join(f"line {number} äöü\n" for number in range(60_000))
    served.node.write_log(task, lines.encode())
    answer = await served.get(f"/api/v1/tasks/{task.key}/output")
    assert whole(answer.body) == lines
    assert (await served.get(f"/api/v1/tasks/{other.key}/output")).status == 404
    assert f"/api/v1/tasks/{other.key}/output" not in await page_of(served, other)
    assert (await served.get(f"/api/v1/tasks/{task.key}/output", token=None)).status == 401


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_whole_lines_are_the_same_text_however_it_is_cut(size: int) -> None:
    text = "ä\x1b[31mred\x1b[0m\nsecond\n\nlast é".encode()
    lines = WholeLines(len(text))
    pieces = [lines.add(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join(pieces) == text.decode()


def test_a_line_waits_for_its_end_so_that_no_colour_is_cut_in_two() -> None:
    text = b"one\ntwo \x1b[3" + b"1mred\n"
    lines = WholeLines(len(text))
    assert lines.add(text[:11]) == "one\n"
    assert lines.add(text[11:]) == "two \x1b[31mred\n"


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.STOPPED])
async def test_what_a_task_had_written_before_its_end_is_offered_as_what_it_is(
    served: Served, state: TaskState
) -> None:
    task = make_task("a", state, stop_reason=StopReason.OWNER, delivery=Delivery.DELIVERED)
    served.node.ended = [task]
    said = "In it is what its program had written until it ended, and its log."
    assert said not in await page_of(served, task)
    served.node.result_archive(task.key).write_bytes(b"PK")
    page = await page_of(served, task)
    assert said in page
    assert f"/api/v1/tasks/{task.key}/result" in page
