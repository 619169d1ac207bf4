"""What the pictures show: one computer, empty, busy, paused and broken; a calm hour behind it."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.machine import LogEntry
from hivemind_worker.model.metrics import COLUMNS, Point, Step
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.snapshot import LinkState, Mode, Snapshot
from hivemind_worker.model.task import Problem, Task, TaskState, Usage
from hivemind_worker.model.work import RunFigures
from tests.fakes.node import NOW_S, FakeNode, make_receipt, make_snapshot, make_task

LENT = Resources(cpu=400.0, memory_gb=15.5)
NAMES = ("7f3a9c1e-52d0-4b8e", "b21d04f8-77aa-4c10", "e90c55a2-0d3f-4e51")


def _base(**fields: object) -> Snapshot:
    picture = make_snapshot(total=LENT, available=LENT)
    node = replace(picture.node, trust_score=72, mode_since_s=NOW_S - 1136)
    pool = replace(picture.pool, balance=1206)
    return replace(picture, node=node, trust_group="medium", pool=pool, **fields)  # type: ignore[arg-type]


def _tasks(state: TaskState) -> tuple[Task, ...]:
    return tuple(
        make_task(name, state, started_at_s=NOW_S - began_s, demand=Resources(cpu=100.0, memory_gb=2.0))
        for name, began_s in zip(NAMES, (2811, 740, 185), strict=True)
    )


def scene(name: str) -> Snapshot:
    """The worker's picture: empty, busy, paused or broken."""
    left = Resources(cpu=100.0, memory_gb=9.5)
    if name == "busy":
        return _base(tasks=_tasks(TaskState.RUNNING), available=left)
    if name == "paused":
        picture = _base(tasks=_tasks(TaskState.PAUSED), available=left)
        return replace(picture, node=replace(picture.node, mode=Mode.PAUSED, until_s=NOW_S + 3420))
    if name == "broken":
        picture = _base(blocker=Problem(code=FaultCode.DISK_FULL, about="/home/anna"), owed_results=3)
        return replace(picture, pool=replace(picture.pool, link=LinkState.UNREACHABLE))
    return _base()


def furnish(node: FakeNode, name: str) -> None:
    """Give the worker a past, and the picture of the scene."""
    node.picture = scene(name)
    node.points[Step.SECOND] = [_point(second) for second in range(3600)]
    node.ended = [] if name == "empty" else [_ended(number) for number in range(40)]
    node.receipts = {task.key: make_receipt(task) for task in node.ended}
    node.pools.history[node.picture.pool.address] = [
        Balance(at_s=NOW_S - day * 86_400 + 3600, amount=1206 - 13 * day - day % 5)
        for day in range(20, -1, -1)
    ]
    node.log = [_entry(number) for number in range(1, 60)]
    for number, task in enumerate(node.picture.tasks):
        node.uses[task.key] = RunFigures(
            at_s=NOW_S, cores=(0.78, 0.99, 0.64)[number % 3], memory_bytes=(1450, 215, 900)[number % 3] << 20,
            memory_limit_bytes=2 << 30, disk_bytes=0,
        )  # fmt: skip
        lines = (
            f"14:{n // 60:02d}:{n % 60:02d}  step {109_270 + 370 * n}/150000  loss 0.42" for n in range(80)
        )
        node.write_log(task, "\n".join(lines).encode() + b"\n")


def _point(second: int) -> Point:
    noise = random.Random(second)
    paused = 1.0 if second < 900 or 2400 < second < 2600 else 0.0
    ours = 0.0 if paused else 38 + 4 * math.sin(second / 300) + noise.random() * 3
    others = 9 + noise.random() * 4 + (60 if 2380 < second < 2420 else 0)
    known = {
        "cpu_percent": ours + others, "ours_cpu_percent": ours, "memory_percent": 39 + (0 if paused else 8),
        "ours_memory_percent": 0 if paused else 8, "disk_available_gb": 90, "gpu_percent": None,
        "gpu_celsius": None, "cpu_celsius": 46.0 + (0 if paused else 14) + 2 * noise.random(),
        "running_tasks": 0 if paused else 3, "paused": paused,
    }  # fmt: skip
    values = tuple(known.get(column, 2e5 * (1 + noise.random())) for column in COLUMNS)
    return Point(at_s=int(NOW_S) - 3600 + second, values=values)


def _ended(number: int) -> Task:
    failed = number % 7 == 3
    state = TaskState.FAILED if failed else TaskState.COMPLETED
    return make_task(
        f"task-{number:04d}-41d7be90", state, ended_at_s=NOW_S - 400 - number * 611,
        exit_code=3 if failed else 0,
        started_at_s=NOW_S - 900 - number * 611, trust_change=-5 if failed else 2,
        usage=Usage(cpu_s=300 + number, wall_s=500, peak_memory_bytes=(200 + number) << 20),
        problem=Problem(code=FaultCode.EXIT_CODE, about="3") if failed else None,
    )  # fmt: skip


def _entry(number: int) -> LogEntry:
    level = ("INFO", "INFO", "INFO", "WARNING", "INFO", "ERROR")[number % 6]
    text = f"task {number:04d}: result delivered to 10.0.0.1:50051, 18.4 MiB in 6.9 s"
    return LogEntry(
        number=number, timestamp=f"2026-11-24 14:{number:02d}:07", level=level, message=text,
        source=("pool", "engine", "runtimes")[number % 3],
        task="" if number % 4 == 0 else f"{number * 7919:08x}{number:024x}",
    )  # fmt: skip
