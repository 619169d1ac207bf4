"""Workers to be looked at: a fake node with tasks, history, figures over an hour, and a log."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

from hivemind_worker.engine.face import LogEntry
from hivemind_worker.model.days import day_of
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.machine import Sample
from hivemind_worker.model.metrics import Point, Step, point_values
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.snapshot import LinkState, Mode, NodeState
from hivemind_worker.model.task import Delivery, Phase, Problem, Task, TaskState, Usage
from hivemind_worker.model.work import UsePoint
from hivemind_worker.model.worked import EnergySource, Metering, Place, Work
from tests.fakes.node import FakeNode, make_receipt, make_snapshot, make_task

KWH = 3.6e6
POOL = make_snapshot().pool.address
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}</script>\u202egpj.exe"
FAILURE = Problem(code=FaultCode.OUT_OF_MEMORY, about="1 GiB")


def past_work(node: FakeNode, now_s: float) -> None:
    """A fortnight of work, as the meter of the processor and of the card told it; a price is set."""
    today = day_of(now_s)
    node.work = [
        Work(
            place=Place(today - timedelta(days=back), POOL, image), completed=done, failed=back % 3 % 2,
            wall_s=hours * 3600, cpu_s=hours * 2900,
            joules={EnergySource.RAPL: hours * 0.08 * KWH, EnergySource.NVML: hours * 0.012 * KWH},
        )
        for back in range(14)
        for image, done, hours in (
            ("cpython-3.12.0-small", 4 + back % 5, 6.5 + back * 7 % 5),
            ("justin308/hivemind-worker:latest", 2, 2.25 + back * 3 % 4),
        )
    ]  # fmt: skip
    node.pools.history[POOL] = [
        Balance(at_s=now_s - back * 86400, amount=amount)
        for back, amount in zip(
            range(15, -1, -1), (0, 2, 9, 14, 16, 22, 39, 50, 58, 70, 74, 91, 105, 118, 130, 137), strict=True
        )
    ]
    node.metering = Metering(source=EnergySource.RAPL, unmeasured=None, cards=True)
    node.settings = replace(node.settings, power_price=0.3, currency="EUR")


def working(node: FakeNode, now_s: float) -> None:
    """Three tasks, one of them with a hostile name, and a past."""
    half = Resources(cpu=50.0, memory_gb=0.5)
    tasks = (
        make_task("7f3a9c1e-52d0-4b8e-9a63-0f1e6c2d7b41", accepted_at_s=now_s - 2815,
                  started_at_s=now_s - 2811, demand=Resources(cpu=100.0, memory_gb=2.0)),
        make_task(HOSTILE, accepted_at_s=now_s - 743, started_at_s=now_s - 740, demand=half),
        make_task("render-2026-11-24-frame-0042", state=TaskState.ALLOCATED, phase=Phase.UNPACKING,
                  accepted_at_s=now_s - 4, demand=half),
    )  # fmt: skip
    node.picture = make_snapshot(
        *tasks, at_s=now_s, available=Resources(cpu=0.0, memory_gb=1.0),
        node=NodeState(mode=Mode.RUN, mode_since_s=now_s - 2900, trust_score=62), trust_group="medium",
        owed_results=1,
    )  # fmt: skip
    node.ended = [_ended(number, now_s) for number in range(60)]
    node.receipts = {task.key: make_receipt(task) for task in node.ended}
    past_work(node, now_s)
    node.use_points = {tasks[0].key: _use(now_s - 2811, 2811), node.ended[3].key: _use(now_s - 5653, 883)}
    node.points = {
        Step.SECOND: [_point(now_s - 3600 + s, s) for s in range(0, 3600, 5)],
        Step.MINUTE: [_point(now_s - 86400 + 60 * s, 7 * s) for s in range(1440)],
        Step.HOUR: [_point(now_s - 30 * 86400 + 3600 * s, 40 * s) for s in range(720)],
    }
    node.figures = _sample(3600)
    node.log = [
        LogEntry(
            number=n,
            timestamp=f"2026-11-24 14:{n // 60:02d}:{n % 60:02d}",
            level=level,
            message=text,
            source=source,
            task=task,
        )
        for n, (level, source, task, text) in enumerate(_LOG * 12, start=1)
    ]
    first = tasks[0]
    node.output_log(first.key).unlink(missing_ok=True)
    node.lines.clear()
    node.write_log(first, "".join(f"step {n}/1500  loss 0.{9999 - n}\n" for n in range(400)).encode())
    node.write_log(
        first, b"\x1b[33mwarning: gradient clipped\x1b[0m\n<script>alert(1)</script>\n50 %\r60 %\n"
    )
    for what, ago in (
        ("TaskAccepted", 2815),
        ("Unpacked", 2813),
        ("RunPrepared", 2812),
        ("RunStarted", 2811),
    ):
        node.lines.append(StoryLine(key=first.key, at_s=now_s - ago, what=what, text=""))


def _use(begin_s: float, length_s: int) -> tuple[UsePoint, ...]:
    """An even curve, paused for a while in its second half."""
    return tuple(
        UsePoint(
            at_s=begin_s + n * length_s / 200, cores=0.0 if 108 < n < 122 else 0.78 + 0.05 * math.sin(n / 3),
            memory_bytes=int((1.2 + 0.2 * n / 200) * (1 << 30)), paused=108 < n < 122,
        )
        for n in range(1, 201)
    )  # fmt: skip


_LOG = [
    ("INFO", "pool", "", "registered at the pool at 10.0.0.1:50051 as anna"),
    ("INFO", "engine", "7f3a9c1e" + 24 * "0", "task 7f3a9c1e: accepted, 1 core, 2 GiB"),
    ("WARNING", "runtimes", "41d7be90" + 24 * "0", "task 41d7be90: ended by its memory limit"),
    ("INFO", "runtimes", "", f"task {HOSTILE!a}: started in the built-in sandbox"),
    ("ERROR", "pool", "", "the pool at 10.0.0.1:50051 cannot be reached; trying again in 8 s"),
    ("INFO", "pool", "41d7be90" + 24 * "0", "result of 41d7be90 delivered, 18.4 MiB in 6.9 s"),
]


def _ended(number: int, now_s: float) -> Task:
    failed, stopped = number % 11 == 3, number % 17 == 5
    state = TaskState.FAILED if failed else TaskState.STOPPED if stopped else TaskState.COMPLETED
    end_s = now_s - 240 - number * 1510
    return make_task(
        f"{(number + 7) * 2654435761 % 2**32:08x}-4b8e-9a63", state=state, accepted_at_s=end_s - 900,
        started_at_s=end_s - 890 + number, ended_at_s=end_s, exit_code=137 if failed else 0,
        problem=FAILURE if failed else None, trust_change=-5 if failed else 0 if stopped else 2,
        usage=Usage(cpu_s=700 + number, wall_s=880, peak_memory_bytes=(300 + number) << 20),
        delivery=Delivery.OWED if number == 0 else Delivery.DELIVERED,
    )  # fmt: skip


def _point(at_s: float, n: int) -> Point:
    values = point_values(_sample(n), 2 if _ran(n) else 0, _rested(n))
    return Point(at_s=int(at_s), values=values)


def _rested(n: int) -> bool:
    return 1500 < n % 3600 < 1900


def _ran(n: int) -> bool:
    return (n % 3600 > 900 or n == 3600) and not _rested(n)


def _sample(n: int) -> Sample:
    ran = _ran(n)
    cpu = (8 + 4 * math.sin(n / 40) + 2 * math.sin(n / 7)) + (48 + 3 * math.sin(n / 13) if ran else 0)
    return Sample(
        cpu_percent=cpu, memory_percent=38 + (9 if ran else 0) + math.sin(n / 200), memory_available_gb=4.0,
        memory_total_gb=8.0, disk_available_gb=100.0 - n / 3600,
        ours_cpu_percent=cpu - 8 if ran else 0.0, ours_memory_percent=9.0 if ran else 0.0,
        net_down_bps=2e5 + 1e5 * math.sin(n / 30), net_up_bps=3e4, disk_read_bps=1e6 if ran else 2e5,
        disk_write_bps=4e5, ours_disk_bps=9e5 if ran else 0.0, cpu_celsius=55 + (9 if ran else 0),
    )  # fmt: skip


def paused(node: FakeNode, now_s: float) -> None:
    """The same, snoozed for another nine minutes."""
    working(node, now_s)
    state = NodeState(mode=Mode.PAUSED, mode_since_s=now_s - 360, until_s=now_s + 540, trust_score=62)
    held = tuple(replace(t, state=TaskState.PAUSED, phase=Phase.NONE) for t in node.picture.tasks[:2])
    node.picture = replace(node.picture, node=state, tasks=held, owed_results=0)


def fresh(node: FakeNode, now_s: float) -> None:
    """A first start: connected, nothing has happened."""
    node.picture = make_snapshot(
        at_s=now_s, node=NodeState(), pool=replace(make_snapshot().pool, balance=None, since_s=now_s - 30)
    )
    node.work = []


def broken(node: FakeNode, now_s: float) -> None:
    """No pool, and no sandbox."""
    working(node, now_s)
    pool = replace(node.picture.pool, link=LinkState.UNREACHABLE, since_s=now_s - 600,
                   problem=Problem(code=FaultCode.POOL_UNREACHABLE, about="10.0.0.1:50051"))  # fmt: skip
    missing = Problem(code=FaultCode.SANDBOX_MISSING, about="no interpreter pack")
    runtime = replace(node.picture.runtime, ready=False, problem=missing, detail="")
    node.picture = replace(node.picture, tasks=(), pool=pool, runtime=runtime, blocker=missing)
