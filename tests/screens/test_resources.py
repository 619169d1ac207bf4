"""Resources: every figure follows the worker; ranges, table, what this computer does not have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.model.machine import Gpu, GpuTrouble, Sample
from hivemind_worker.model.metrics import Step, point_values
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.work import RunFigures
from hivemind_worker.presentation.page_facts import shares
from tests.fakes.node import NOW_S, FakeNode
from tests.screens.scenes import SAMPLE
from tests.screens.stand import standing


def test_the_graphs_say_what_was_measured(tmp_path: Path, node: FakeNode) -> None:
    point = node.points[Step.SECOND][-1]
    sample = replace(SAMPLE, cpu_percent=71.0, ours_cpu_percent=60.0)
    points = node.points[Step.SECOND]
    node.points[Step.SECOND] = [replace(p, values=point_values(sample, 1, False)) for p in points]
    assert point.values != node.points[Step.SECOND][-1].values
    with standing(tmp_path, "resources", node) as stand:
        assert stand.says("ours 60 % · others 11 %")
        assert stand.says("71 %")
        assert stand.says("Memory, 31.3 GiB")


def test_another_range_asks_for_other_points(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "resources", node) as stand:
        assert stand.says("Today, ")
        stand.press("30 d")
        assert stand.says("25 Oct to 24 Nov")
        stand.press("24 h")
        assert stand.says("23 Nov, ")


def test_what_is_lent_and_taken_follows_the_engine(tmp_path: Path, node: FakeNode) -> None:
    node.picture = replace(
        node.picture, total=Resources(cpu=100, memory_gb=8), available=Resources(cpu=50, memory_gb=5)
    )
    with standing(tmp_path, "resources", node) as stand:
        assert stand.says("0.5 of 1 lent")
        assert stand.says("3 of 8 GiB lent")
        node.picture = replace(node.picture, available=Resources(cpu=100, memory_gb=8))
        stand.look()
        assert stand.says("0 of 1 lent")
        assert stand.says("0 of 8 GiB lent")


def test_a_computer_without_card_and_sensor_shows_neither(tmp_path: Path, node: FakeNode) -> None:
    bare = replace(SAMPLE, gpu_percent=None, cpu_celsius=None, gpus=())
    node.points = {step: [replace(p, values=point_values(bare, 1, False)) for p in found]
                   for step, found in node.points.items()}  # fmt: skip
    held = [bare]

    async def sample() -> Sample:
        return held[0]

    node.sample = sample  # type: ignore[method-assign]
    with standing(tmp_path, "resources", node) as stand:
        assert not stand.says("Temperature")
        assert not stand.says("GPU")
        with_both = held[0] = replace(SAMPLE, gpu_percent=50.0, cpu_celsius=60.0)
        node.points[Step.SECOND] = [
            replace(p, values=point_values(with_both, 1, False)) for p in node.points[Step.SECOND]
        ]
        stand.look()
        stand.screen.opened()
        stand.look()
        assert stand.says("Temperature")
        assert stand.says("GPU, NVIDIA RTX 3060")


def test_the_share_of_the_card_stands_beside_the_others_where_there_is_one(
    tmp_path: Path, node: FakeNode
) -> None:
    lent = Resources(cpu=100, memory_gb=8, gpu=50, gpu_memory_gb=10)
    node.picture = replace(node.picture, total=lent, available=replace(lent, gpu_memory_gb=4.8))
    with standing(tmp_path, "resources", node) as stand:
        part = stand.screen.shares[2]  # type: ignore[attr-defined]
        assert (part.name.text(), part.lent.text()) == ("GPU", "5.2 of 10 GiB lent")
        assert part.note.text() == "2.0 GiB stay yours"
        assert part.bar.accessibleName() == "GPU: 5.2 of 10 GiB lent, 2.0 GiB stay yours"
        assert stand.screen.shares[3].name.text() == "Free disk"  # type: ignore[attr-defined]
        node.picture = replace(node.picture, total=replace(lent, gpu=0, gpu_memory_gb=0))
        stand.look()
        assert (part.lent.text(), part.note.text()) == ("not lent to tasks", "12.0 GiB stay yours")


@pytest.mark.parametrize(
    "cards", [(), (Gpu(name="NVIDIA RTX 3060", memory_gb=12, trouble=GpuTrouble.NO_DRIVER),)]
)
def test_without_a_card_that_works_its_share_leaves_its_place(
    tmp_path: Path, node: FakeNode, cards: tuple[Gpu, ...]
) -> None:
    async def sample() -> Sample:
        return replace(SAMPLE, gpus=cards, gpu_percent=None)

    node.sample = sample  # type: ignore[method-assign]
    with standing(tmp_path, "resources", node) as stand:
        shown = [part.name.text() for part in stand.screen.shares if part.isVisible()]  # type: ignore[attr-defined]
        assert shown == ["Cores", "Memory", "Free disk"]


def test_the_monitors_page_has_the_card_where_it_is_lent_and_not_else(node: FakeNode) -> None:
    lent = Resources(cpu=100, memory_gb=8, gpu=50, gpu_memory_gb=10)
    shown = replace(node.picture, total=lent, available=replace(lent, gpu_memory_gb=4.8))
    card = shares(shown)[-1]
    assert (card.name, card.text, card.note) == ("GPU", "5.2 of 10 GiB lent", "4.8 GiB free for tasks")
    assert (card.lent, card.taken) == (10, pytest.approx(5.2))
    assert [share.name for share in shares(node.picture)] == ["Cores", "Memory"]


def test_the_card_is_told_by_task_where_its_driver_tells_it(tmp_path: Path, node: FakeNode) -> None:
    split = replace(SAMPLE, ours_gpu_percent=61.0)
    node.points[Step.SECOND] = [
        replace(p, values=point_values(split, 1, False)) for p in node.points[Step.SECOND]
    ]
    lends = replace(node.picture.tasks[0], demand=Resources(cpu=100, memory_gb=2, gpu=50))
    used = RunFigures(at_s=NOW_S, cores=1, memory_bytes=1, memory_limit_bytes=2, disk_bytes=0,
                      gpu_percent=61.0, gpu_memory_bytes=3 << 30)  # fmt: skip
    node.put(lends)
    node.uses[lends.key] = used
    with standing(tmp_path, "resources", node) as stand:
        assert stand.says("ours 61 % · others 4 %")
        assert stand.says("61 % · 3.0 GiB")
        node.uses[lends.key] = replace(used, gpu_percent=None, gpu_memory_bytes=None)
        stand.look()
        assert stand.says("cannot tell")
        node.put(replace(lends, demand=Resources(cpu=100, memory_gb=2)))
        stand.look()
        assert not stand.says("cannot tell")


def test_the_table_says_the_same_as_the_picture(tmp_path: Path, node: FakeNode) -> None:
    with standing(tmp_path, "resources", node) as stand:
        stand.press("As table")
        table = stand.screen.panels["cpu"].table  # type: ignore[attr-defined]
        assert table.isVisible()
        rows = table.texts()
        assert len(rows) == 120
        assert stand.says(rows[0][3]), "the newest row is the figure in the head"
        assert any(row[-1] == "paused" for row in rows)
        stand.press("As table")
        assert not table.isVisible()


def test_without_history_it_says_so(tmp_path: Path) -> None:
    with standing(tmp_path, "resources", FakeNode(tmp_path)) as stand:
        assert stand.says("no figures yet")


def test_while_it_is_shut_it_asks_for_nothing(tmp_path: Path, node: FakeNode) -> None:
    asked: list[object] = []

    async def history(step: Step, from_s: float, most: int) -> tuple[object, ...]:
        asked.append(step)
        return ()

    with standing(tmp_path, "resources", node) as stand:
        node.history = history  # type: ignore[assignment,method-assign]
        stand.screen.closed()
        for _number in range(3):
            stand.bridge.snapshot = replace(node.picture, at_s=NOW_S + 10_000)
            stand.bridge._sampled(
                Sample(cpu_percent=1, memory_percent=1, memory_available_gb=1, disk_available_gb=1)
            )
        assert asked == []
