"""What a processor second costs in joules: by the processor's meter, else the battery's, else an estimate.

A meter tells of the whole computer. What it draws at rest is not the tasks': the least power that was seen at
a quiet moment is taken off, and the rest is shared by the processor time that each program had. Before such
a moment was seen, the share of all the processor's time counts, so that idle time costs nothing either.
Sources that vanish or tell nonsense are passed over for that moment. One thread only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from hivemind_worker.machine.probes.facts import steady_s
from hivemind_worker.machine.probes.load import busy_s
from hivemind_worker.machine.probes.power import SUPPLIES
from hivemind_worker.model.machine import Gpu
from hivemind_worker.model.worked import EnergySource, Metering, Rate, Unmeasured

POWERCAP = Path("/sys/class/powercap")
PACKAGE = re.compile(r"intel-rapl:\d+")
"""The drivers of AMD's processors use the same names. `intel-rapl-mmio` shows the same meters once more."""
MICRO = 1e-6
MOST_W = 3000.0
"""A meter, or a card, that tells more than this of one computer is wrong."""
LONGEST_GAP_S = 60.0
"""After a longer time (sleep) what a meter gained was mostly not the tasks'; it may have wrapped twice."""
QUIET = 0.1
QUIET_CARD_PERCENT = 5.0


class Rapl:
    """Joules of the processor's packages and their memory since the last look; counters wrap at their range.

    `trouble` says why there was none. The counters are the administrator's alone on most systems.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self._root = root
        self._before: dict[Path, int] = {}
        self.trouble: Unmeasured | None = Unmeasured.ABSENT

    def gained_j(self, passed_s: float) -> float | None:
        """None at the first look, and whenever the counters cannot be believed."""
        before, self._before = self._before, self._counts()
        if not self._before:
            return None
        gained = [_gain(zone, before[zone], now) for zone, now in self._before.items() if zone in before]
        if len(gained) < len(self._before):  # the first look, or a zone that was not there before
            self.trouble = None
            return None
        joules = sum(gained) * MICRO
        believed = min(gained) >= 0 and 0 < joules <= MOST_W * passed_s
        self.trouble = None if believed else Unmeasured.LYING
        return joules if believed else None

    def _counts(self) -> dict[Path, int]:
        try:
            found = {zone: int((zone / "energy_uj").read_text()) for zone in self._zones()}
        except PermissionError:
            self.trouble = Unmeasured.NO_PERMISSION
            return {}
        except ValueError:
            self.trouble = Unmeasured.LYING
            return {}
        except OSError:
            found = {}
        if not found:
            self.trouble = Unmeasured.ABSENT
        return found

    def _zones(self) -> Iterable[Path]:
        """Packages, and the memory beside them; parts of a package are in its figure already."""
        for zone in sorted(self._root.iterdir()):
            if PACKAGE.fullmatch(zone.name) and (zone / "name").read_text().startswith("package"):
                yield zone
                for part in sorted(zone.glob(f"{zone.name}:*")):
                    if (part / "name").read_text().strip() == "dram":
                        yield part


def _gain(zone: Path, before: int, now: int) -> int:
    """Microjoules between two counts; below 0 what no wrap explains."""
    if now >= before:
        return now - before
    try:
        return now - before + int((zone / "max_energy_range_uj").read_text())
    except (OSError, ValueError):
        return -1


def battery_w(root: Path = SUPPLIES) -> float | None:
    """What the computer draws from its batteries; None while it does not, or they tell nonsense."""
    try:
        found = [each for each in sorted(root.iterdir()) if _drains(each)]
        watts = sum(_watts(each) for each in found)
    except (OSError, ValueError):
        return None
    return watts if found and 0 < watts <= MOST_W else None


def _drains(supply: Path) -> bool:
    def line(name: str) -> str:
        file = supply / name
        return file.read_text().strip().lower() if file.exists() else ""

    return line("type") == "battery" and line("scope") != "device" and line("status") == "discharging"


def _watts(battery: Path) -> float:
    """Raises OSError or ValueError: it does not tell."""
    if (power := battery / "power_now").exists():
        watts = int(power.read_text()) * MICRO
    else:
        amperes = int((battery / "current_now").read_text()) * MICRO
        watts = amperes * int((battery / "voltage_now").read_text()) * MICRO
    if watts < 0:
        raise ValueError(f"{battery}: {watts} W")
    return watts


class EnergyMeter:
    """`look` every few seconds; sources may be replaced by prepared ones. `full_load_w` is for the estimate:
    watts that the computer draws more at full load than at rest."""

    def __init__(
        self, full_load_w: Callable[[], float], *, powercap: Path = POWERCAP, supplies: Path = SUPPLIES,
        steady: Callable[[], float] = steady_s, busy: Callable[[], float] = busy_s, cores: int = 0,
    ) -> None:  # fmt: skip
        self._full_load_w = full_load_w
        self._rapl, self._supplies = Rapl(powercap), supplies
        self._steady, self._busy = steady, busy
        self._cores = cores or psutil.cpu_count() or 1
        self._at_s: float | None = None
        self._busy_before_s = 0.0
        self._idle_w: dict[EnergySource, float] = {}
        self._cards_idle_w: dict[int, float] = {}
        self._last: dict[EnergySource, float] = {}
        self._source = EnergySource.ESTIMATE
        self._cards_tell = False

    @property
    def metering(self) -> Metering:
        """What is in use since the last look."""
        return Metering(source=self._source, unmeasured=self._rapl.trouble, cards=self._cards_tell)

    def estimate(self) -> Rate:
        """By the owner's figure alone."""
        return Rate(source=EnergySource.ESTIMATE, joules=self._full_load_w() / self._cores)

    def look(self) -> tuple[Rate, float]:
        """What a processor second cost since the last look, and how long that was (0 at the first)."""
        at_s, busy_s_now = self._steady(), self._busy()
        passed_s = 0.0 if self._at_s is None else max(0.0, at_s - self._at_s)
        busy = max(0.0, busy_s_now - self._busy_before_s)
        self._at_s, self._busy_before_s = at_s, busy_s_now
        joules = self._rapl.gained_j(passed_s)
        if not 0 < passed_s <= LONGEST_GAP_S:
            return Rate(source=self._source, joules=self._last.get(self._source, self.estimate().joules)), 0.0
        rate = self._measured(joules, passed_s, busy) or self.estimate()
        self._source, self._last[rate.source] = rate.source, rate.joules
        return rate, passed_s

    def _measured(self, joules: float | None, passed_s: float, busy: float) -> Rate | None:
        source = EnergySource.RAPL
        if joules is None:
            source, watts = EnergySource.BATTERY, battery_w(self._supplies)
            if watts is None:
                return None
            joules = watts * passed_s
        return Rate(source=source, joules=self._a_second(source, joules, passed_s, busy))

    def _a_second(self, source: EnergySource, joules: float, passed_s: float, busy: float) -> float:
        capacity_s = passed_s * self._cores
        if busy <= QUIET * capacity_s:
            self._idle_w[source] = min(joules / passed_s, self._idle_w.get(source, MOST_W))
            return self._last.get(source, joules / capacity_s)
        if source not in self._idle_w:
            return joules / capacity_s
        return max(0.0, joules - self._idle_w[source] * passed_s) / busy

    def cards_j(self, cards: Iterable[Gpu], passed_s: float) -> float:
        """Joules of the graphics cards above their rest; 0 on battery, whose figure holds them already.

        A card that never rested counts by the share of the time that it was busy.
        """
        joules, self._cards_tell = 0.0, False
        for number, card in enumerate(cards):
            if card.watts is None or not 0 < card.watts <= MOST_W:
                continue
            self._cards_tell = True
            if card.percent is not None and card.percent <= QUIET_CARD_PERCENT:
                self._cards_idle_w[number] = min(card.watts, self._cards_idle_w.get(number, MOST_W))
            elif number in self._cards_idle_w:
                joules += max(0.0, card.watts - self._cards_idle_w[number]) * passed_s
            else:
                joules += card.watts * (card.percent or 0.0) / 100 * passed_s
        return 0.0 if self._source is EnergySource.BATTERY else joules
