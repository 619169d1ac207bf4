"""What a processor second costs: each source through a prepared sysfs tree, and what becomes of its lies."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.machine.energy import LONGEST_GAP_S, EnergyMeter, battery_w
from hivemind_worker.machine.gpu import GpuProbe
from hivemind_worker.model.machine import Gpu
from hivemind_worker.model.worked import EnergySource, Rate, Unmeasured
from tests.machine.test_gpu import Library

RANGE_UJ = 262_143_328_850  # as a kernel of 2026 has it for a package
CORES = 4
FULL_W = 80.0


class Computer:
    """A sysfs tree, a clock and processor time that a test moves on."""

    def __init__(self, folder: Path) -> None:
        self.powercap, self.supplies = folder / "powercap", folder / "power_supply"
        self.powercap.mkdir()
        self.supplies.mkdir()
        self.now_s = self.busy_s = 1000.0
        self.meter = EnergyMeter(
            lambda: FULL_W, powercap=self.powercap, supplies=self.supplies, steady=lambda: self.now_s,
            busy=lambda: self.busy_s, cores=CORES,
        )  # fmt: skip

    def zone(self, place: str, name: str, uj: int, most: int = RANGE_UJ) -> Path:
        folder = self.powercap / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "energy_uj").write_text(f"{uj}\n")
        (folder / "max_energy_range_uj").write_text(f"{most}\n")
        return folder

    def battery(self, **lines: str) -> Path:
        folder = self.supplies / "BAT0"
        folder.mkdir(exist_ok=True)
        for name, text in {"type": "Battery", "status": "Discharging", **lines}.items():
            (folder / name).write_text(f"{text}\n")
        return folder

    def pass_(self, seconds: float, busy: float) -> None:
        """So long, with so many of the cores at work."""
        self.now_s += seconds
        self.busy_s += seconds * busy

    def look(self, seconds: float = 5.0, busy: float = 2.0) -> Rate:
        self.pass_(seconds, busy)
        return self.meter.look()[0]


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


def draw(zone: Path, joules: float, most: int = RANGE_UJ) -> None:
    """Have a counter go on, round its end where it comes to that."""
    before = int((zone / "energy_uj").read_text())
    (zone / "energy_uj").write_text(str((before + int(joules * 1e6)) % (most + 1)))


def test_without_any_meter_it_is_an_estimate_by_the_owners_figure(computer: Computer) -> None:
    assert computer.look() == Rate(source=EnergySource.ESTIMATE, joules=FULL_W / CORES)
    assert computer.look().joules * 4 == FULL_W, "all cores for a second are the full load for a second"
    assert computer.meter.metering.unmeasured is Unmeasured.ABSENT


def test_rapl_is_shared_by_processor_time_and_what_is_drawn_at_rest_costs_nothing(computer: Computer) -> None:
    zone = computer.zone("intel-rapl:0", "package-0", 7_000_000)
    computer.meter.look()
    draw(zone, 5 * 10)
    computer.look(busy=0.1)  # a quiet moment: 10 W
    draw(zone, 5 * 50)
    rate = computer.look(busy=2.0)
    assert rate.source is EnergySource.RAPL
    assert rate.joules == pytest.approx((50 - 10) / 2), "40 W above rest, for two cores"
    assert computer.meter.metering.unmeasured is None


def test_before_a_quiet_moment_idle_time_costs_nothing_either(computer: Computer) -> None:
    zone = computer.zone("intel-rapl:0", "package-0", 0)
    computer.meter.look()
    draw(zone, 5 * 50)
    assert computer.look(busy=2.0).joules == pytest.approx(50 / CORES)


def test_memory_counts_and_what_a_package_holds_already_does_not(computer: Computer) -> None:
    package = computer.zone("intel-rapl:0", "package-0", 0)
    memory = computer.zone("intel-rapl:0/intel-rapl:0:2", "dram", 0)
    core = computer.zone("intel-rapl:0/intel-rapl:0:0", "core", 0)
    whole = computer.zone("intel-rapl:1", "psys", 0)
    twin = computer.zone("intel-rapl-mmio:0", "package-0", 0)
    computer.meter.look()
    for zone, joules in ((package, 150), (memory, 50), (core, 900), (whole, 900), (twin, 150)):
        draw(zone, joules)
    assert computer.look(busy=2.0).joules == pytest.approx((200 / 5) / CORES)


def test_a_counter_goes_round_its_end(computer: Computer) -> None:
    zone = computer.zone("intel-rapl:0", "package-0", RANGE_UJ - 1_000_000)
    computer.meter.look()
    draw(zone, 5 * 30)
    assert int((zone / "energy_uj").read_text()) < RANGE_UJ - 1_000_000
    assert computer.look(busy=2.0) == Rate(source=EnergySource.RAPL, joules=pytest.approx(30 / CORES))


def test_a_meter_of_the_administrator_alone_is_named(
    computer: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = computer.zone("intel-rapl:0", "package-0", 0)
    (zone / "energy_uj").chmod(0)
    if os.access(
        zone / "energy_uj", os.R_OK
    ):  # an administrator may read everything: refuse as the kernel does
        read_text = Path.read_text

        def refused(self: Path) -> str:
            if self.name == "energy_uj":
                raise PermissionError(13, "Permission denied", str(self))
            return read_text(self)

        monkeypatch.setattr(Path, "read_text", refused)
    computer.meter.look()
    assert computer.look().source is EnergySource.ESTIMATE
    assert computer.meter.metering.unmeasured is Unmeasured.NO_PERMISSION


@pytest.mark.parametrize(
    "untrusted_text", ["-5000000", "nonsense", "", "999999999999999999", "1000000"],
    ids=["negative", "no number", "nothing", "huge", "stands still"],
)  # fmt: skip
def test_a_meter_that_lies_is_passed_over_until_it_tells_again(
    computer: Computer, untrusted_text: str
) -> None:
    zone = computer.zone("intel-rapl:0", "package-0", 1_000_000)
    computer.meter.look()
    (zone / "energy_uj").write_text(untrusted_text)
    assert computer.look() == Rate(source=EnergySource.ESTIMATE, joules=FULL_W / CORES)
    assert computer.meter.metering.unmeasured is Unmeasured.LYING
    computer.zone("intel-rapl:0", "package-0", 50_000_000)
    computer.look()
    draw(zone, 100)
    assert computer.look().source is EnergySource.RAPL


def test_a_meter_that_vanishes_leaves_an_estimate_and_comes_back(computer: Computer) -> None:
    zone = computer.zone("intel-rapl:0", "package-0", 0)
    computer.meter.look()
    draw(zone, 100)
    assert computer.look().source is EnergySource.RAPL
    shutil.rmtree(zone)
    assert computer.look().source is EnergySource.ESTIMATE
    assert computer.meter.metering.unmeasured is Unmeasured.ABSENT
    zone = computer.zone("intel-rapl:0", "package-0", 5_000_000_000)
    assert computer.look().source is EnergySource.ESTIMATE, "what passed unseen is nobody's"
    draw(zone, 100)
    assert computer.look().source is EnergySource.RAPL


def test_a_range_that_cannot_be_read_makes_no_wrap(computer: Computer) -> None:
    zone = computer.zone("intel-rapl:0", "package-0", 9_000_000)
    (zone / "max_energy_range_uj").unlink()
    computer.meter.look()
    (zone / "energy_uj").write_text("1000")
    assert computer.look().source is EnergySource.ESTIMATE


def test_what_a_meter_gained_over_a_sleep_is_nobodys(computer: Computer) -> None:
    zone = computer.zone("intel-rapl:0", "package-0", 0)
    computer.meter.look()
    draw(zone, 5 * 40)
    before = computer.look()
    draw(zone, 9000)
    computer.pass_(LONGEST_GAP_S + 8 * 3600, 0.001)
    assert computer.meter.look() == (before, 0.0)
    draw(zone, 5 * 40)
    assert computer.look() == before


def test_on_battery_its_discharge_is_the_meter(computer: Computer) -> None:
    battery = computer.battery(power_now="18000000")
    computer.meter.look()
    assert computer.look(busy=2.0) == Rate(source=EnergySource.BATTERY, joules=18 / CORES)
    (battery / "status").write_text("Charging\n")
    assert computer.look().source is EnergySource.ESTIMATE


def test_a_battery_that_tells_current_and_voltage_is_understood(computer: Computer) -> None:
    computer.battery(current_now="1500000", voltage_now="12000000")
    assert battery_w(computer.supplies) == pytest.approx(18)


@pytest.mark.parametrize(
    "lines",
    [{"power_now": "-18000000"}, {"power_now": "99000000000"}, {"power_now": "0"}, {"power_now": "?"}, {},
     {"power_now": "18000000", "scope": "Device"}, {"power_now": "18000000", "type": "Mains"}],
    ids=["negative", "huge", "nothing", "no number", "silent", "a mouse's", "no battery"],
)  # fmt: skip
def test_a_battery_that_cannot_be_believed_is_none(computer: Computer, lines: dict[str, str]) -> None:
    computer.battery(**lines)
    assert battery_w(computer.supplies) is None


# --- graphics cards -----------------------------------------------------------------------------

CARD = Gpu(name="card", percent=3.0, watts=20.0)


def test_cards_cost_what_they_draw_above_their_rest(computer: Computer) -> None:
    busy = replace(CARD, percent=90.0, watts=220.0)
    assert computer.meter.cards_j([busy], 5) == pytest.approx(220 * 0.9 * 5), "it never rested yet"
    assert computer.meter.cards_j([CARD], 5) == 0
    assert computer.meter.cards_j([busy], 5) == pytest.approx(200 * 5)
    assert computer.meter.metering.cards


@pytest.mark.parametrize("watts", [None, -5.0, 0.0, 1e6])
def test_a_card_that_tells_no_power_or_nonsense_costs_nothing(
    computer: Computer, watts: float | None
) -> None:
    assert computer.meter.cards_j([replace(CARD, percent=90.0, watts=watts)], 5) == 0
    assert not computer.meter.metering.cards


def test_a_batterys_figure_holds_the_cards_already(computer: Computer) -> None:
    computer.battery(power_now="60000000")
    computer.meter.look()
    computer.look()
    assert computer.meter.cards_j([replace(CARD, percent=90.0, watts=220.0)], 5) == 0


class Telling(Library):
    """A card that tells its power, as the library does: in milliwatts."""

    def nvmlDeviceGetPowerUsage(self, _handle: int) -> int:
        return 185_500


def test_nvml_tells_a_cards_power_in_milliwatts() -> None:
    assert [card.watts for card in GpuProbe(nvml=Telling).look()] == [185.5]
    assert [card.watts for card in GpuProbe(nvml=Library).look()] == [None], "not every card tells"
