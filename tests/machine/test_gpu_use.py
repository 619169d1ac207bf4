"""What each process takes of a graphics card, and whose it is: real pynvml on a driver that we play."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from hivemind_worker.machine.gpu import GpuProbe
from hivemind_worker.machine.gpu_owners import GpuOwners, parents_of
from hivemind_worker.machine.sampler import Sampler
from hivemind_worker.model.machine import Gpu, GpuProcess, Sample
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.task import TaskKey
from hivemind_worker.model.work import RunFigures
from hivemind_worker.worker_node.front import Front
from tests.fakes.node import NOW_S, make_task
from tests.machine.nvml_driver import GIB, NOT_AVAILABLE, Driver

SLEEP = "import time; time.sleep(60)"
IN_A_SHELL = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"


def look(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    driver.install(monkeypatch)
    (card,) = GpuProbe().look()
    return card


def test_each_process_is_told_with_its_memory_and_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(computing={70: 3 * GIB}, drawing={70: 3 * GIB, 90: GIB}, used={70: 61})
    card = look(driver, monkeypatch)
    assert (card.name, card.percent, card.celsius, card.watts) == ("NVIDIA RTX 3060", 65, 64, None)
    assert card.processes == (
        GpuProcess(pid=70, memory_gb=3, percent=61), GpuProcess(pid=90, memory_gb=1, percent=0),
    )  # fmt: skip


def test_nobody_on_the_card_is_known_to_be_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(Driver(computing={}, drawing={}, used={}), monkeypatch).processes == ()


def test_a_process_that_rests_uses_nothing_and_old_samples_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for used, ago_s in (({}, 0.5), ({70: 90}, 30.0)):
        card = look(Driver(computing={70: GIB}, drawing={}, used=used, ago_s=ago_s), monkeypatch)
        assert card.processes == (GpuProcess(pid=70, memory_gb=1, percent=0),)


def test_under_windows_it_tells_who_and_not_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    card = look(Driver(computing={70: NOT_AVAILABLE}, drawing={}, used=None), monkeypatch)
    assert card.processes == (GpuProcess(pid=70, memory_gb=None, percent=None),)
    assert Sample(
        cpu_percent=0, memory_percent=0, memory_available_gb=1, disk_available_gb=1,
        gpus=GpuOwners(lambda pid: (pid, 7)).find((card,), {7}),
    ).gpu_use(7) == (None, None)  # fmt: skip


def test_a_driver_that_lists_no_processes_is_no_empty_card(monkeypatch: pytest.MonkeyPatch) -> None:
    card = look(Driver(computing=None, used=None), monkeypatch)
    assert (card.percent, card.processes, card.used_by(lambda _process: True)) == (65, None, (None, None))


@pytest.fixture
def nested() -> Iterator[subprocess.Popen[bytes]]:
    """A task's first process, with another one below it."""
    first = subprocess.Popen([sys.executable, "-c", IN_A_SHELL])
    yield first
    for pid in (*children(first.pid), first.pid):
        os.kill(pid, 9)
    first.wait(10)


def children(pid: int) -> list[int]:

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def test_what_a_task_takes_is_what_the_processes_below_its_first_one_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nested: subprocess.Popen[bytes]
) -> None:
    while not children(nested.pid):
        assert nested.poll() is None
    below = children(nested.pid)[0]
    Driver(
        computing={below: 3 * GIB, os.getpid(): GIB}, drawing={}, used={below: 61, os.getpid(): 4}
    ).install(monkeypatch)
    sample = Sampler(tmp_path, roots=lambda: (nested.pid,)).take()
    assert sample.gpu_use(nested.pid) == (61, 3)
    assert (sample.ours_gpu_percent, sample.gpu_percent) == (61, 65)
    assert sample.gpu_use(None) == (None, None), "a process that is not known, as under Docker Desktop"
    others = sample.gpus[0].used_by(lambda process: process.task is None)
    assert others == (4, 1)


@dataclass
class Running:
    """A sandbox in which one task runs; its first process is 7."""

    first: int | None = 7

    def figures(self, _key: TaskKey, _attempt: int) -> RunFigures:
        return RunFigures(at_s=NOW_S, cores=0.5, memory_bytes=1, memory_limit_bytes=2, disk_bytes=0)

    def process(self, _key: TaskKey, _attempt: int) -> int | None:
        return self.first


def test_the_worker_adds_the_card_to_what_a_sandbox_tells_of_a_task() -> None:
    card = Gpu(name="card", processes=(GpuProcess(pid=8, memory_gb=2, percent=61, task=7),))
    sample = Sample(cpu_percent=0, memory_percent=0, memory_available_gb=1, disk_available_gb=1, gpus=(card,))
    worker = SimpleNamespace(facts=SimpleNamespace(around=SimpleNamespace(sample=sample)))
    with_card = make_task("a", demand=Resources(cpu=100, memory_gb=1, gpu=10))
    for runtime, task, expected in (
        (Running(), with_card, (61, 2 * GIB)), (Running(first=None), with_card, (None, None)),
        (Running(), make_task("b"), (None, None)),
    ):  # fmt: skip
        worker.parts = SimpleNamespace(runtime=runtime)
        found = Front.task_figures(cast("Front", worker), task)
        assert found is not None and (found.gpu_percent, found.gpu_memory_bytes) == expected


def test_processes_are_looked_up_once_while_they_are_there() -> None:
    asked: list[int] = []

    def parents(pid: int) -> tuple[int, ...]:
        asked.append(pid)
        return (pid, 7)

    card = Gpu(name="card", processes=(GpuProcess(pid=70), GpuProcess(pid=90)))
    owners = GpuOwners(parents)
    for _look in range(3):
        (found,) = owners.find((card,), {7})
        assert [process.task for process in found.processes or ()] == [7, 7]
    assert sorted(asked) == [70, 90]
    owners.find((card,), ())
    assert len(asked) == 2, "without a task nobody is looked up"
    assert parents_of(2**22 + 5) == ()


def test_two_cards_are_told_by_the_one_that_is_used_most() -> None:
    both = tuple(
        Gpu(name="card", percent=90, processes=(GpuProcess(pid=1, memory_gb=2, percent=percent, task=1),))
        for percent in (20.0, 70.0)
    )
    sample = Sample(cpu_percent=0, memory_percent=0, memory_available_gb=1, disk_available_gb=1, gpus=both)
    assert sample.gpu_use(1) == (70, 4)
