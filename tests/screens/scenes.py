"""Workers to be looked at through the window: the web's scenes, and what only the window shows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hivemind_worker.model.days import day_of
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.judgement import Follows, Judgement, RuleCode, RuleView
from hivemind_worker.model.machine import Gpu, Sample
from hivemind_worker.model.pools import Balance, KeptPool
from hivemind_worker.model.preview import Preview, Span
from hivemind_worker.model.rules import PRESETS, Level, Rules, change_rules
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.task import Problem
from hivemind_worker.model.worked import EnergySource, Metering, Place, Work
from tests.fakes.node import NOW_S, FakeNode
from tests.web import scenes as web

DAY_S = 86_400.0
AMOUNTS = (960, 983, 1002, 1008, 1022, 1058, 1090, 1060, 1082, 1101, 1113, 1148, 1177, 1195, 1206)
ACTIVE, OTHER, OLD = "10.0.0.1:50051", "mill.example:50051", "10.8.0.1:50051"
SAMPLE = Sample(
    cpu_percent=49.0, memory_percent=39.0, memory_available_gb=19.2, memory_total_gb=31.3,
    disk_available_gb=90.2, ours_cpu_percent=40.0, ours_memory_percent=8.0, gpu_percent=65.0,
    gpu_memory_percent=40.0, net_down_bps=4e5, net_up_bps=1e5, disk_read_bps=1.5e6, disk_write_bps=6e5,
    ours_disk_bps=9e5, cpu_celsius=66.0, gpu_celsius=64.0,
    gpus=(Gpu(name="NVIDIA RTX 3060", driver="550.54", memory_gb=12, memory_used_gb=5, percent=65),),
)  # fmt: skip


def busy(node: FakeNode, now_s: float = NOW_S) -> None:
    """Three tasks, a past of two weeks, three pools, a task on its way."""
    web.working(node, now_s)
    _with_more(node, now_s)


def _with_more(node: FakeNode, now_s: float) -> None:
    async def sample() -> Sample:
        return SAMPLE

    node.sample = sample  # type: ignore[method-assign]
    node.picture = replace(node.picture, pool=replace(node.picture.pool, user="mira", balance=1206))
    node.pools.rows = [
        KeptPool(address=ACTIVE, user="mira", signed_in=True, active=True, used_until_s=now_s),
        KeptPool(address=OTHER, user="mira", signed_in=True, used_until_s=now_s - 21 * DAY_S),
        KeptPool(address=OLD, user="m.lindgren", used_until_s=now_s - 43 * DAY_S),
    ]
    node.pools.history[ACTIVE] = [
        Balance(at_s=now_s - (14 - n) * DAY_S + 4000 * (n % 3), amount=amount)
        for n, amount in enumerate(AMOUNTS)
    ]  # fmt: skip
    node.work = worked(now_s)
    node.metering = Metering(source=EnergySource.RAPL, unmeasured=None)
    node.sending.rows = [
        sending("coast-tiles", SendStep.RUNNING, now_s, node="worker-oak-50053", packed_bytes=3_355_443),
        sending("thumbs-oct", SendStep.COMPLETED, now_s - 8 * DAY_S, result="/home/mira/thumbs"),
        sending("word-count", SendStep.FAILED, now_s - 9 * DAY_S,
                problem=Problem(code=FaultCode.NO_ENTRY_POINT)),
    ]  # fmt: skip
    node.sending.log["task_coast-tiles"] = [f"tile {n} of 4800 written" for n in range(1, 60)]
    _with_rules(node, now_s)
    node.sources = {"node_port": "environment"}
    node.kept = {"node_id": "larch-attic", "max_concurrent_tasks": 3}


def worked(now_s: float) -> list[Work]:
    """Two weeks of it: most for one pool, now and then for another, none on the days without credits."""
    gains = [after - before for before, after in pairwise(AMOUNTS)]
    rows = []
    for n, gain in enumerate(gains):
        day = day_of(now_s - (len(gains) - 1 - n) * DAY_S)
        for pool, image, share in ((ACTIVE, "python:3.12-slim", 0.7), (ACTIVE, "CPython 3.12", 0.3)):
            hours = max(0, gain) * share / 3
            rows.append(
                Work(
                    place=Place(day, pool, image), completed=round(hours * 2), failed=int(gain < 0),
                    stopped=int(gain % 7 == 0), wall_s=hours * 3600, cpu_s=hours * 5400,
                    joules={EnergySource.RAPL: hours * 5400 * 9.0},
                )
            )  # fmt: skip
    return rows


def sending(name: str, step: SendStep, at_s: float, **fields: object) -> Sending:
    """A sent task that got to this step, each a minute after the one before."""
    order = [each for each in SendStep if not each.has_ended]
    passed = order[: order.index(step) + 1] if step in order else order
    reached = tuple((each, at_s - 60.0 * (len(passed) - n)) for n, each in enumerate(passed))
    if step.has_ended:
        reached = (*reached, (step, at_s))
    made = Sending(
        task_id=f"task_{name}", name=name, path=f"/home/mira/{name}", pool=ACTIVE, step=step, reached=reached
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def paused(node: FakeNode, now_s: float = NOW_S) -> None:
    """The same, snoozed."""
    web.paused(node, now_s)
    _with_more(node, now_s)


def fresh(node: FakeNode, now_s: float = NOW_S) -> None:
    """A first start: nothing has happened, no pool but the one of the settings."""
    web.fresh(node, now_s)
    node.pools.rows = []


def broken(node: FakeNode, now_s: float = NOW_S) -> None:
    """No pool, and no sandbox."""
    web.broken(node, now_s)
    _with_more(node, now_s)
    broken_pool = replace(node.picture.pool, user="mira")
    node.picture = replace(node.picture, pool=broken_pool)


def _with_rules(node: FakeNode, now_s: float) -> None:
    """The preset for a desktop by night; the day ahead with the hours in which it is used."""
    node.rules.current, problems = change_rules(Rules(), PRESETS["night"])
    assert not problems
    views = tuple(
        RuleView(code, on=True, follows=Follows.FREEZE, known=True, blocks=False, value=value, about=about)
        for code, value, about in (
            (RuleCode.IN_USE, 57 * 60.0, "Mutter"), (RuleCode.LOAD, 9.0, ""), (RuleCode.HEAT, 66.0, ""),
            (RuleCode.GPU_HEAT, 64.0, ""), (RuleCode.DISK, 90.2, ""), (RuleCode.MEMORY_ACCEPT, 39.0, ""),
            (RuleCode.METERED, None, ""), (RuleCode.POWER_SAVER, None, ""), (RuleCode.FULL_SCREEN, None, ""),
        )
    )  # fmt: skip
    node.picture = replace(node.picture, judgement=Judgement(at_s=now_s, level=Level.LIGHT, rules=views))
    hours = ((0, 4, Level.LIGHT, None), (4, 8, Level.LIGHT, RuleCode.IN_USE), (8, 16, Level.FULL, None),
             (16, 24, Level.LIGHT, None))  # fmt: skip
    node.rules.preview = Preview(spans=tuple(
        Span(from_s=now_s + begin * 3600, to_s=now_s + end * 3600, level=level, cause=cause)
        for begin, end, level, cause in hours
    ))  # fmt: skip
