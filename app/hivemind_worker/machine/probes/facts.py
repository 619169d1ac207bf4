"""All facts of the rules at one moment; each source is asked as often as it is worth, if at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from hivemind_worker.machine.probes.bus import Bus
from hivemind_worker.machine.probes.heat import processor_celsius
from hivemind_worker.machine.probes.idle import FirstThatTells, own_x_session, usual_sources
from hivemind_worker.machine.probes.load import OthersLoad, OwnWork
from hivemind_worker.machine.probes.network import metered
from hivemind_worker.machine.probes.power import Power, power, power_saver
from hivemind_worker.machine.probes.programs import running_names
from hivemind_worker.machine.probes.x11 import X11Session
from hivemind_worker.machine.probes.zone import zone_at
from hivemind_worker.machine.sampler import free_disk_bytes
from hivemind_worker.model.facts import RuleFacts, Zone
from hivemind_worker.model.rules import Rules

GIB = 1024**3


def steady_s() -> float:
    """Seconds that go on while the computer sleeps, and never jump."""
    name = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; elsewhere the usual clock counts sleep
    return time.monotonic() if name is None else time.clock_gettime(name)


@dataclass(slots=True)
class Paced:
    """The last answer of a source, asked anew after `every_s`."""

    every_s: float
    ask: Callable[[], Any]
    _next_s: float = -1.0
    _last: Any = None

    def value(self, now_s: float) -> Any:
        """An answer of at most this age."""
        if now_s >= self._next_s:
            self._last, self._next_s = self.ask(), now_s + self.every_s
        return self._last


@dataclass(slots=True, kw_only=True)
class Sources:
    """Where facts come from; a test puts its own in place of one."""

    idle: Callable[[], tuple[float | None, str]]
    full_screen: Callable[[], bool | None] = lambda: None
    power: Callable[[], Power]
    power_saver: Callable[[], bool | None]
    others_load: Callable[[], float | None]
    programs: Callable[[frozenset[str]], frozenset[str] | None] = running_names
    heat: Callable[[], float | None] = processor_celsius
    gpu_heat: Callable[[], float | None] = lambda: None
    metered: Callable[[], bool | None]
    disk_free_gb: Callable[[], float | None]
    memory_percent: Callable[[], float | None] = lambda: float(psutil.virtual_memory().percent)
    month_bytes: Callable[[], int] = lambda: 0
    zone: Callable[[float], Zone] = zone_at
    closing: list[Callable[[], None]] = field(default_factory=list)


def usual(
    disk: Path, own: Callable[[], OwnWork], touched: Callable[[float], None], *,
    gpu_heat: Callable[[], float | None] = lambda: None, month_bytes: Callable[[], int] = lambda: 0,
) -> Sources:  # fmt: skip
    """This computer's sources. Another thread calls `touched` at the first input after a rest."""
    session, system = Bus("SESSION"), Bus("SYSTEM")
    x11 = X11Session(os.environ["DISPLAY"], touched) if own_x_session(os.environ) else None
    if x11 is not None:
        x11.start()
    return Sources(
        idle=FirstThatTells(usual_sources(session, system, x11)).look,
        full_screen=x11.full_screen if x11 is not None else lambda: None,
        power=lambda: power(system),
        power_saver=lambda: power_saver(system),
        others_load=OthersLoad(own).look,
        gpu_heat=gpu_heat,
        metered=lambda: metered(system),
        disk_free_gb=lambda: free_disk_bytes(disk) / GIB,
        month_bytes=month_bytes,
        closing=[session.close, system.close, *([x11.close] if x11 is not None else [])],
    )


class FactProbe:
    """Asks the sources. One thread only."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._power = Paced(5.0, sources.power)
        self._saver = Paced(10.0, sources.power_saver)
        self._metered = Paced(10.0, sources.metered)
        self._disk = Paced(5.0, sources.disk_free_gb)
        self._heat = Paced(2.0, sources.heat)
        self._programs = Paced(5.0, lambda: sources.programs(self._wanted))
        self._zone = Paced(60.0, lambda: sources.zone(time.time()))
        self._wanted: frozenset[str] = frozenset()

    def look(self, rules: Rules) -> RuleFacts:
        """The facts now; what no rule asks for is left out."""
        now_s = steady_s()
        if self._wanted != rules.program_names:
            self._wanted = rules.program_names
            self._programs = Paced(5.0, self._programs.ask)
        idle_s, idle_source = self._sources.idle()
        supply = self._power.value(now_s)
        return RuleFacts(
            steady_s=now_s,
            zone=self._zone.value(now_s),
            idle_s=idle_s,
            idle_source=idle_source,
            on_battery=supply.on_battery,
            battery_percent=supply.percent,
            power_saver=self._saver.value(now_s) if rules.power_saver_on else None,
            others_cpu_percent=self._sources.others_load(),
            programs=self._programs.value(now_s) if rules.programs_on else None,
            full_screen=self._sources.full_screen(),
            cpu_celsius=self._heat.value(now_s),
            gpu_celsius=self._sources.gpu_heat(),
            metered=self._metered.value(now_s) if rules.metered_on else None,
            month_bytes=self._sources.month_bytes(),
            disk_free_gb=self._disk.value(now_s),
            memory_percent=self._sources.memory_percent(),
        )

    def close(self) -> None:
        """End what the sources have open."""
        for close in self._sources.closing:
            close()
