"""What a running task has left and uses, each against its limit."""

from __future__ import annotations

from dataclasses import replace

from hivemind_worker.model.resources import Resources
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.task import TaskState
from hivemind_worker.model.work import RunFigures
from hivemind_worker.presentation.task_gauges import gauges
from tests.fakes.node import NOW_S, make_task

SETTINGS = Settings(task_time_limit_h=1.0)
TASK = make_task(
    "a", TaskState.RUNNING, accepted_at_s=NOW_S - 901, started_at_s=NOW_S - 900,
    demand=Resources(cpu=200.0, memory_gb=4.0),
)  # fmt: skip
USED = RunFigures(
    at_s=NOW_S, cores=1.56, memory_bytes=1 << 30, memory_limit_bytes=4 << 30, disk_bytes=0, gpu_percent=61.4
)


def test_each_figure_stands_against_its_limit() -> None:
    told = [(each.name, each.limit, each.text, each.percent) for each in gauges(TASK, USED, SETTINGS, NOW_S)]
    assert told == [
        ("Time left", "of 1 hour", "45:00", 25),
        ("CPU", "of 2 cores", "78 %", 78),
        ("Memory", "of 4 GiB", "1.00 GiB", 25),
        ("Stopping loses", "", "15 minutes", None),
    ]


def test_what_is_not_known_is_a_dash_without_a_bar_and_never_0() -> None:
    [time, cpu, memory, loss] = gauges(TASK, None, SETTINGS, NOW_S)
    assert (cpu.text, cpu.percent) == (memory.text, memory.percent) == ("–", None)
    assert time.percent == 25
    assert loss.text == "15 minutes"


def test_a_task_over_its_limits_fills_its_bars_and_no_more() -> None:
    over = replace(USED, cores=9.0, memory_bytes=9 << 30)
    shown = gauges(TASK, over, SETTINGS, NOW_S + 9999)
    assert [each.percent for each in shown[:3]] == [100, 100, 100]
    assert shown[0].text == "0:00"


def test_the_card_has_its_cell_where_the_task_asked_for_one() -> None:
    with_card = replace(TASK, demand=replace(TASK.demand, gpu=1.0))
    assert ("GPU", "61 %") in [(each.name, each.text) for each in gauges(with_card, USED, SETTINGS, NOW_S)]


def test_a_task_that_has_not_begun_has_all_its_time_and_loses_nothing() -> None:
    waiting = replace(TASK, state=TaskState.ALLOCATED, started_at_s=None)
    shown = gauges(waiting, None, SETTINGS, NOW_S)
    assert (shown[0].text, shown[0].percent) == ("1:00:00", 0)
    assert shown[-1].text == "nothing"
