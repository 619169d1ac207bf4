"""The history by day, pool or image: one table for the window, the pages, the API and the command. Pure.

Numbers are rounded here, once, so that all four show the same.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any

from hivemind_worker.model.days import begin_s, day_of
from hivemind_worker.model.worked import EnergySource, Place, Unmeasured, Work, WorkHistory
from hivemind_worker.presentation.amounts import HOUR_S
from hivemind_worker.presentation.catalogue import _, mark, translate_many
from hivemind_worker.presentation.moments import weekday
from hivemind_worker.presentation.page_words import ABSENT
from hivemind_worker.presentation.plain_text import shown_line

MOST_DAYS = 1100
USUAL_DAYS = 14
JOULES_A_KWH = 3.6e6
LEAST_KWH = 1.0
DAY_FORM = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class By(StrEnum):
    """What a line of the table stands for."""

    DAY = "day"
    POOL = "pool"
    IMAGE = "image"


class RangeError(ValueError):
    """Days that make no range; the text is a sentence of the catalogue."""


@dataclass(frozen=True, slots=True)
class Days:
    """The local days from `first` to `last`, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One line. `key` is an ISO date, a pool's address, an image's name, or "" (not known; none was used).

    None stands for what is not known. `energy_sources` are in the order of their share, the largest first.
    """

    key: str
    tasks: int = 0
    completed: int = 0
    failed: int = 0
    stopped: int = 0
    task_hours: float = 0.0
    cpu_hours: float = 0.0
    credits: float | None = None
    energy_kwh: float | None = None
    energy_sources: tuple[str, ...] = ()
    cost: float | None = None

    @property
    def estimated(self) -> bool:
        """Whether any of its energy is an estimate."""
        return EnergySource.ESTIMATE in self.energy_sources


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryTable:
    """The lines (days newest first, else most hours first), their sum, and what the reader must know."""

    by: By
    first: date
    last: date
    rows: tuple[HistoryRow, ...]
    total: HistoryRow
    currency: str
    notes: tuple[str, ...]


COLUMNS = ("tasks", "completed", "failed", "stopped", "task_hours", "cpu_hours", "credits", "energy_kwh",
           "energy_sources", "cost")  # fmt: skip
"""The fields of a line behind its key."""


def days_asked(untrusted_first: str | None, untrusted_last: str | None, today: date) -> Days:
    """The range that was asked for; without a beginning a fortnight, without an end until today.

    Raises:
        RangeError: says what is wrong.
    """
    last = day_asked(untrusted_last) if untrusted_last else today
    first = day_asked(untrusted_first) if untrusted_first else last_days(USUAL_DAYS, last).first
    if first > last:
        raise RangeError(
            _("The first day ({first}) must not be after the last one ({last}).", first=first, last=last)
        )
    if (last - first).days >= MOST_DAYS:
        raise RangeError(_("At most {days} days can be asked for at once.", days=MOST_DAYS))
    return Days(first, last)


def last_days(count: int, last: date) -> Days:
    """So many days, the last of them given."""
    return Days(date.fromordinal(max(1, last.toordinal() - count + 1)), last)


def day_asked(untrusted_text: str) -> date:
    """A day of the calendar.

    Raises:
        RangeError: it is none.
    """
    try:
        if DAY_FORM.fullmatch(untrusted_text):
            return date.fromisoformat(untrusted_text)
    except ValueError:
        pass  # it has the form, and no calendar has that day
    raise RangeError(_("{text} is not a day: write it like 2026-11-24.", text=repr(untrusted_text[:40])))


def history_table(history: WorkHistory, by: By, days: Days) -> HistoryTable:
    """The one table."""
    groups: dict[str, list[Work]] = {}
    for work in history.work:
        if days.first <= work.place.day <= days.last:
            groups.setdefault(_key(work.place, by), []).append(work)
    credits, are_shared = _credits(history, by, days)
    keys = _keys(by, days, groups, credits)
    rows = [_row(key, groups.get(key, ()), credits.get(key), history.price_per_kwh) for key in keys]
    if by is not By.DAY:
        rows.sort(key=lambda row: (-row.task_hours, row.key))
    everything = [work for group in groups.values() for work in group]
    total = _row("", everything, sum(credits.values()) if credits else None, history.price_per_kwh)
    return HistoryTable(
        by=by, first=days.first, last=days.last, rows=tuple(rows), total=total, currency=history.currency,
        notes=tuple(_notes(history, everything, are_shared)),
    )  # fmt: skip


def _keys(by: By, days: Days, groups: Mapping[str, object], credits: Mapping[str, float]) -> Iterable[str]:
    if by is By.DAY:
        count = (days.last - days.first).days + 1
        return [(days.last - timedelta(days=back)).isoformat() for back in range(count)]
    return groups.keys() | {key for key, amount in credits.items() if amount}


def _key(place: Place, by: By) -> str:
    return {By.DAY: place.day.isoformat(), By.POOL: place.pool, By.IMAGE: place.image}[by]


def _row(key: str, group: Sequence[Work], credits: float | None, price: float) -> HistoryRow:
    joules: dict[str, float] = defaultdict(float)
    for work in group:
        for source, amount in work.joules.items():
            joules[source.value] += amount
    kwh = sum(joules.values()) / JOULES_A_KWH
    counts = [sum(getattr(work, name) for work in group) for name in ("completed", "failed", "stopped")]
    return HistoryRow(
        key=key, tasks=sum(counts), completed=counts[0], failed=counts[1], stopped=counts[2],
        task_hours=round(sum(work.wall_s for work in group) / HOUR_S, 4),
        cpu_hours=round(sum(work.cpu_s for work in group) / HOUR_S, 4),
        credits=None if credits is None else round(credits, 2),
        energy_kwh=round(kwh, 9) if joules else None,
        energy_sources=tuple(sorted(joules, key=lambda source: (-joules[source], source))),
        cost=round(kwh * price, 6) if joules and price else None,
    )  # fmt: skip


# --- credits ----------------------------------------------------------------------------------------


def _credits(history: WorkHistory, by: By, days: Days) -> tuple[dict[str, float], bool]:
    """Credits by key, where a balance is known; whether any were shared out between images.

    Pools tell an account's balance alone: what came in on a day belongs to its images by their hours.
    """
    found: dict[str, float] = defaultdict(float)
    are_shared = False
    hours = _image_hours(history.work)
    for (day, pool), amount in _earned(history, days).items():
        if by is not By.IMAGE:
            found[_key(Place(day, pool, ""), by)] += amount
            continue
        images = hours.get((day, pool)) or {"": 1.0}
        are_shared = are_shared or (amount > 0 and len(images) > 1)
        for image, wall_s in images.items():
            found[image] += amount * wall_s / sum(images.values())
    return dict(found), are_shared


def _earned(history: WorkHistory, days: Days) -> dict[tuple[date, str], int]:
    """What came in by day and pool; a day without a balance of before and of itself is not known."""
    found: dict[tuple[date, str], int] = defaultdict(int)
    for (pool, _user), balances in history.balances.items():
        for before, after in pairwise(balances):
            day = day_of(after.at_s)
            if days.first <= day <= days.last:
                found[day, pool] += max(0, after.amount - before.amount)
    return dict(found)


def _image_hours(work: Iterable[Work]) -> dict[tuple[date, str], dict[str, float]]:
    """By day and pool the seconds of each image that had any."""
    found: dict[tuple[date, str], dict[str, float]] = {}
    for each in work:
        if each.wall_s:
            found.setdefault((each.place.day, each.place.pool), {})[each.place.image] = each.wall_s
    return found


# --- what the reader must know ----------------------------------------------------------------------


def _notes(history: WorkHistory, work: Iterable[Work], are_shared: bool) -> Iterable[str]:
    joules: dict[EnergySource, float] = defaultdict(float)
    for each in work:
        for source, amount in each.joules.items():
            joules[source] += amount
    yield from _energy_notes(history, joules)
    if history.price_per_kwh:
        price = f"{history.price_per_kwh:g} {history.currency}".strip()
        yield _("Cost at {price} a kilowatt-hour, as the settings say now.", price=price)
    elif joules:
        yield _("With the price of energy in the settings, the cost stands here too.")
    if are_shared:
        yield _("Pools tell credits by account: those of a day are shared between its images by their hours.")


def _energy_notes(history: WorkHistory, joules: Mapping[EnergySource, float]) -> Iterable[str]:
    parts = [
        _(words, amount=kwh_words(joules[source] / JOULES_A_KWH), watts=f"{history.full_load_w:g}")
        for source, words in SOURCE_NOTES.items() if joules.get(source)
    ]  # fmt: skip
    if parts:
        yield _("Energy: {parts}.", parts="; ".join(parts))
        yield _("It is the tasks' share alone; what the computer draws at rest is not counted.")
    metering = history.metering
    if metering.source is not EnergySource.RAPL and metering.unmeasured is not None:
        yield _(UNMEASURED[metering.unmeasured])


def by_words() -> dict[By, str]:
    """What the table can be by, for a switch."""
    return {By.DAY: _("By day"), By.POOL: _("By pool"), By.IMAGE: _("By image")}


# --- in words -----------------------------------------------------------------------------------------

SOURCE_NOTES = {
    EnergySource.RAPL: mark("{amount} by the processor's meter (RAPL)"),
    EnergySource.NVML: mark("{amount} by the graphics cards (NVML)"),
    EnergySource.BATTERY: mark("{amount} by the battery"),
    EnergySource.ESTIMATE: mark("≈ {amount} estimated from processor time, at {watts} W for full load"),
}
UNMEASURED = {
    Unmeasured.ABSENT: mark("This computer shows no meter of its processor's energy."),
    Unmeasured.NO_PERMISSION: mark(
        "The processor's energy meter (RAPL) is there, but only the administrator may read it."
    ),
    Unmeasured.LYING: mark("The processor's energy meter (RAPL) tells figures that cannot be."),
}


def head(table: HistoryTable) -> tuple[str, ...]:
    """The heads of the columns of `cells`."""
    first = {By.DAY: _("Day"), By.POOL: _("Pool"), By.IMAGE: _("Image")}[table.by]
    energy = _("kWh") if in_kwh(table) else _("Wh")
    shown = (first, _("Done"), _("Failed"), _("Stopped"), _("Hours"), _("CPU hours"), _("CPT"), energy)
    return (*shown, _("Cost {currency}", currency=table.currency).strip()) if has_cost(table) else shown


def in_kwh(table: HistoryTable) -> bool:
    """Whether the column of energy is in kilowatt-hours; small sums stand in watt-hours."""
    return (table.total.energy_kwh or 0.0) >= LEAST_KWH


def has_cost(table: HistoryTable) -> bool:
    """Whether a price of energy is set, and energy is known."""
    return table.total.cost is not None


def cells(row: HistoryRow, table: HistoryTable, name: str) -> tuple[str, ...]:
    """A line in words under the given name; ≈ marks an estimate, a dash what is not known."""
    about = "≈ " if row.estimated else ""
    shown = (
        name, *(f"{count:,}" if count else ABSENT for count in (row.completed, row.failed, row.stopped)),
        _amount(row.task_hours or None, 2), _amount(row.cpu_hours or None, 2), _amount(row.credits, 1),
        _amount(energy_shown(row, table), 2, about),
    )  # fmt: skip
    return (*shown, _amount(row.cost, 2, about)) if has_cost(table) else shown


def energy_shown(row: HistoryRow, table: HistoryTable) -> float | None:
    """A line's energy in the unit of the table's column."""
    if row.energy_kwh is None or in_kwh(table):
        return row.energy_kwh
    return row.energy_kwh * 1000


def _amount(value: float | None, digits: int, before: str = "") -> str:
    """So many digits, or that it is less than they show; credits without a fraction have none."""
    if not value:
        return ABSENT if value is None else "0"
    least = 10.0**-digits
    if value < least / 2:
        return f"{before}<{least:g}"
    text = f"{value:,.{digits}f}"
    return before + (text.removesuffix(".0") if digits == 1 else text)


def kwh_words(kwh: float) -> str:
    """An amount of energy with its unit."""
    if kwh >= LEAST_KWH:
        return f"{kwh:,.2f} kWh"
    return f"{_amount(kwh * 1000, 2)} Wh"


def energy_sum(table: HistoryTable) -> str:
    """All energy, with its cost where a price is set."""
    total = table.total
    words = ("≈ " if total.estimated else "") + kwh_words(total.energy_kwh or 0.0)
    if total.cost is None:
        return words
    return _("{energy}, {cost}", energy=words, cost=f"{_amount(total.cost, 2)} {table.currency}".strip())


def name_of(row: HistoryRow, by: By, today: date) -> str:
    """What a line is about, for people."""
    if by is By.DAY:
        day = date.fromisoformat(row.key)
        return _("Today") if day == today else weekday(begin_s(day))
    if row.key:
        return shown_line(row.key)
    return _("not known: from an earlier version") if by is By.POOL else _("none: ended before it ran")


def has_something(row: HistoryRow) -> bool:
    """Whether there is anything in a line."""
    return bool(row.tasks or row.task_hours or row.energy_kwh or row.credits)


def total_name(table: HistoryTable) -> str:
    """What the sum is about."""
    return translate_many("{count} day", "{count} days", (table.last - table.first).days + 1)


# --- for other programs -----------------------------------------------------------------------------


def report(table: HistoryTable) -> dict[str, object]:
    """The table as JSON."""
    return {
        "by": table.by.value, "from": table.first.isoformat(), "to": table.last.isoformat(),
        "currency": table.currency, "rows": [_json_row(row) for row in table.rows],
        "total": _json_row(table.total), "notes": list(table.notes),
    }  # fmt: skip


def _json_row(row: HistoryRow) -> dict[str, object]:
    values = {name: getattr(row, name) for name in ("key", *COLUMNS)}
    return {**values, "energy_sources": list(row.energy_sources)}


def table_of(values: Mapping[str, Any]) -> HistoryTable:
    """The table that `report` was made from."""
    rows = [HistoryRow(**{**row, "energy_sources": tuple(row["energy_sources"])})
            for row in (*values["rows"], values["total"])]  # fmt: skip
    return HistoryTable(
        by=By(values["by"]), first=date.fromisoformat(values["from"]), last=date.fromisoformat(values["to"]),
        rows=tuple(rows[:-1]), total=rows[-1], currency=values["currency"], notes=tuple(values["notes"]),
    )  # fmt: skip


def csv_head(by: By) -> tuple[str, ...]:
    """Names of the columns, with their units; they stay as they are."""
    return (by.value, "tasks", "completed", "failed", "stopped", "task_time_h", "cpu_time_h", "credits_cpt",
            "energy_kwh", "energy_sources", "cost", "currency")  # fmt: skip


def csv_text(table: HistoryTable) -> str:
    """The lines, without their sum, as RFC 4180 has it. What is not known is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(csv_head(table.by))
    for row in table.rows:
        values = [getattr(row, name) for name in COLUMNS]
        values[COLUMNS.index("energy_sources")] = "+".join(row.energy_sources)
        currency = table.currency if row.cost is not None else ""
        writer.writerow([_harmless(row.key), *("" if v is None else v for v in values), _harmless(currency)])
    return text.getvalue()


def _harmless(text: str) -> str:
    """A spreadsheet takes a text that begins so for a formula; pools and images have names of others."""
    return f"'{text}" if text.startswith(FORMULA) else text


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
