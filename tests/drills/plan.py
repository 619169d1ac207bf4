"""Which drills there are, and how much of each the short and the long form play."""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from tests.drills.clocks import f10
from tests.drills.crashes import f1, f2
from tests.drills.damage import f11
from tests.drills.disk import f9
from tests.drills.docker_faults import f1_docker, f1_f3_docker, f2_docker, f3, f4, f12
from tests.drills.findings import Sheet
from tests.drills.instances import f15
from tests.drills.kills import kills
from tests.drills.pool_faults import f5, f6, f7, f8

Drill = Callable[[Sheet, int], Awaitable[None]]
KILLS = 200
PATIENT = ("F5",)
"""Mostly waiting: they are played beside the others."""

Plan = Mapping[str, Drill]


def long_form(count: int = KILLS) -> Plan:
    """Everything, minutes of it."""
    return {
        "F1": functools.partial(f1, tries=5),
        "F2": functools.partial(f2, tries=5),
        "F5": functools.partial(f5, tries=1, down_s=600),
        "F6": functools.partial(f6, tries=2),
        "F7": functools.partial(f7, tries=3),
        "F8": functools.partial(f8, tries=3),
        "F9": functools.partial(f9, tries=2),
        "F10": functools.partial(f10, tries=1),
        "F11": functools.partial(f11, tries=600, whole=5),
        "F1 docker": functools.partial(f1_docker, tries=5),
        "F2 docker": functools.partial(f2_docker, tries=2),
        "F3": functools.partial(f3, tries=2),
        "F4": functools.partial(f4, tries=1, hung_s=60),
        "F12": functools.partial(f12, tries=1),
        "F1 and F3 docker": functools.partial(f1_f3_docker, tries=2),
        "F15": functools.partial(f15, tries=3),
        "kills": functools.partial(kills, count=count, tasks=max(1, round(count * 0.3))),
    }


def short_form() -> Plan:
    """A minute: some of each kind that needs no waiting."""
    return {
        "F2": functools.partial(f2, tries=1, steps=3),
        "F8": functools.partial(f8, tries=1),
        "F11": functools.partial(f11, tries=60, whole=1),
        "F1 docker": functools.partial(f1_docker, tries=1),
        "F4": functools.partial(f4, tries=1, hung_s=1),
        "F1 and F3 docker": functools.partial(f1_f3_docker, tries=1),
        "F15": functools.partial(f15, tries=1),
        "kills": functools.partial(kills, count=8, tasks=4),
    }


async def play(name: str, drill: Drill, seed: int) -> Sheet:
    """One drill; one that does not come to its end has found something."""
    sheet, began_s = Sheet(name), time.monotonic()
    try:
        await drill(sheet, seed)
    except Exception as error:
        steps = traceback.extract_tb(error.__traceback__)
        ours = [step for step in steps if Path(step.filename).parent.name == "drills"]
        at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} ({ours[-1].line})" if ours else "?"
        sheet.findings.append(f"{name}: did not come to its end: {type(error).__name__} {error} at {at}")
    sheet.seconds = time.monotonic() - began_s
    return sheet
