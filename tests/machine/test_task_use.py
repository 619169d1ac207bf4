"""What a task uses over its time: noted while it runs, kept beside its log, bounded, never a failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hivemind_worker.model.task import Task, TaskKey, TaskState, Usage
from hivemind_worker.model.work import UsePoint
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.presentation.task_curve import curve_words, task_curves
from hivemind_worker.store.use_file import read_use, write_use
from hivemind_worker.worker_node.curves import LOOK_S, MOST, Curve, Curves
from tests.fakes.node import NOW_S, make_task

MIB = 1 << 20
TASK = make_task("a", started_at_s=NOW_S)


def test_a_long_curve_stays_small_and_keeps_its_mean() -> None:
    curve = Curve(NOW_S)
    for number in range(1, 20_001):
        curve.note(NOW_S + number * LOOK_S, number * LOOK_S * 0.5, number * MIB, paused=False)
    assert MOST // 2 <= len(curve.points) < MOST
    assert [point.cores for point in curve.points] == pytest.approx([0.5] * len(curve.points))
    assert curve.points[-1].at_s > NOW_S + 0.99 * 20_000 * LOOK_S
    memory = [point.memory_bytes or 0 for point in curve.points]
    assert memory == sorted(memory)
    assert curve.every_s > LOOK_S


def test_a_pause_is_part_of_it_and_a_clock_that_is_set_back_is_not() -> None:
    curve = Curve(NOW_S)
    curve.note(NOW_S + 2, 2.0, MIB, paused=False)
    curve.note(NOW_S + 4, 2.0, MIB, paused=True)
    curve.note(NOW_S - 900, 2.5, MIB, paused=False)
    curve.note(NOW_S + 6, 4.0, 3 * MIB, paused=False)
    told = [(point.cores, point.paused, point.memory_bytes) for point in curve.points]
    assert told == [(1.0, False, MIB), (0.0, True, MIB), (1.0, False, 3 * MIB)]


def test_the_time_in_which_no_worker_looked_is_not_known() -> None:
    kept = [UsePoint(at_s=NOW_S + 10, cores=1.0, memory_bytes=MIB)]
    curve = Curve(NOW_S, kept)
    curve.note(NOW_S + 100, 60.0, MIB, paused=False)
    curve.note(NOW_S + 102, 61.0, MIB, paused=False)
    assert [point.cores for point in curve.points] == [1.0, None, 0.5]
    cpu, _memory = task_curves(TASK, curve.points)
    values = cpu.series[0].values
    assert values[0] == 100.0
    assert values[60] is None, "a gap is a gap"
    assert values[-1] == 50.0


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"attempt": 1}', '{"attempt": 1, "points": [[1, 2]]}',
             '{"attempt": 1, "points": [["x", 1, 1, false]]}', '{"attempt": 2, "points": [[1, 1, 1, false]]}']
)  # fmt: skip
def test_a_damaged_file_or_one_of_another_attempt_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "use.json").write_text(text)
    assert read_use(tmp_path / "use.json", 1) == ()


def test_where_its_folder_has_gone_nothing_is_kept_and_nothing_fails(tmp_path: Path) -> None:
    write_use(tmp_path / "gone" / "use.json", 1, [UsePoint(at_s=1.0, cores=None, memory_bytes=None)])
    assert list(tmp_path.iterdir()) == []


class Life:
    """Stands for the parts of a worker; `tasks` are those that have not ended."""

    def __init__(self, home: Path) -> None:
        self.now_s = NOW_S
        self.tasks: list[Task] = []
        self.ended: dict[TaskKey, Task] = {}
        self.used: dict[TaskKey, float] = {}
        self.files, self.nursery, self.has_engine = NamedThread("files"), Nursery("life"), True
        self.folders = SimpleNamespace(use=lambda key: home / f"{key}.json")
        self.runtime = SimpleNamespace(
            used_cpu_s=lambda key, _attempt: self.used.get(key), memory_bytes=lambda _key, _attempt: 5 * MIB
        )
        self.engine = SimpleNamespace(
            state=SimpleNamespace(unended=lambda: tuple(self.tasks)), task=self.ended.get
        )
        self.journal = SimpleNamespace()
        self.curves = Curves(self, lambda: self.now_s)  # type: ignore[arg-type]

    async def look(self, passed_s: float, **used: float) -> None:
        self.now_s += passed_s
        self.used = {task.key: used.get(task.task_id, 0.0) for task in self.tasks}
        await self.curves.look()


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    made = Life(tmp_path)
    yield made
    made.files.close()


async def test_a_task_is_followed_and_its_curve_is_there_after_its_end_and_in_the_next_life(
    life: Life, tmp_path: Path
) -> None:
    life.tasks = [TASK]
    for number in range(1, 6):
        await life.look(2.0, a=number * 1.0)
    assert [point.cores for point in await life.curves.of(TASK)] == [0.5] * 5
    ended = replace(TASK, state=TaskState.FAILED, ended_at_s=life.now_s + 1, usage=Usage(cpu_s=6.0))
    life.tasks, life.ended[TASK.key] = [], ended
    await life.look(2.0)
    points = await life.curves.of(ended)
    assert [point.cores for point in points] == [0.5] * 5 + [1.0]
    assert points[-1].at_s == ended.ended_at_s
    assert await Life(tmp_path).curves.of(ended) == points
    assert await life.curves.of(replace(ended, attempt=2)) == ()


async def test_a_worker_that_is_closed_keeps_what_it_knows_and_looks_no_more(life: Life) -> None:
    life.tasks = [TASK]
    await life.look(2.0, a=1.0)
    await life.curves.close()
    assert read_use(life.folders.use(TASK.key), 1) == tuple(await life.curves.of(TASK))
    life.curves.wake()
    assert not life.curves._looking


async def test_nothing_is_looked_at_while_no_task_runs(life: Life) -> None:
    life.curves.wake()
    assert not life.curves._looking


def test_the_figure_of_an_ended_task_is_its_mean_and_its_most() -> None:
    points = [UsePoint(at_s=NOW_S + 1, cores=1.0, memory_bytes=300 * MIB),
              UsePoint(at_s=NOW_S + 2, cores=0.0, memory_bytes=100 * MIB, paused=True)]  # fmt: skip
    cpu, memory = task_curves(TASK, points)
    assert (cpu.title, memory.title) == ("CPU of its 1 core", "Memory of its 1 GiB")
    assert [(band.first, band.last) for band in cpu.bands] == [(60, 119)]
    assert (curve_words(cpu, ended=False), curve_words(cpu, ended=True)) == ("0 %", "50 % on average")
    assert curve_words(memory, ended=True) == "0.29 GiB at most"
    assert task_curves(replace(TASK, started_at_s=None), points) == ()
    assert task_curves(TASK, ()) == ()
