"""The history's table: what is summed how, and that window, page, API and command show the same numbers."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta

import pytest

from hivemind_worker.model.days import begin_s, day_of
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.settings import Settings, apply
from hivemind_worker.model.worked import EnergySource, Metering, Place, Unmeasured, Work, WorkHistory
from hivemind_worker.presentation.work_history import (
    MOST_DAYS,
    By,
    Days,
    HistoryRow,
    HistoryTable,
    RangeError,
    cells,
    csv_text,
    days_asked,
    head,
    history_table,
    kwh_words,
    report,
    table_of,
)
from tests.fakes.node import NOW_S

TODAY = day_of(NOW_S)
POOLS = ("10.0.0.1:50051", "pool.example:50051")
SMALL, LARGE = "cpython-3.12.0-small", "justin308/hivemind-worker:latest"
KWH = 3.6e6
DAYS = Days(TODAY - timedelta(days=13), TODAY)


def work(back: int, pool: str, image: str, hours: float, **more: object) -> Work:
    values = {"completed": 2, "joules": {EnergySource.RAPL: hours * 0.05 * KWH}, **more}
    place = Place(TODAY - timedelta(days=back), pool, image)
    return Work(place=place, wall_s=hours * 3600, cpu_s=hours * 1800, **values)  # type: ignore[arg-type]


def balances(*rows: tuple[int, int]) -> tuple[Balance, ...]:
    """(days back, amount) at noon."""
    return tuple(Balance(at_s=begin_s(TODAY - timedelta(days=back)) + 43_200, amount=n) for back, n in rows)


WORK = (
    work(0, POOLS[0], SMALL, 3.0, failed=1),
    work(0, POOLS[0], LARGE, 1.0, joules={EnergySource.ESTIMATE: 0.1 * KWH, EnergySource.NVML: 0.2 * KWH}),
    work(1, POOLS[1], SMALL, 5.0, stopped=2),
    work(5, POOLS[0], "", 0.0, completed=0, failed=3, joules={}),
)
PAST = WorkHistory(
    today=TODAY, work=WORK, full_load_w=65.0, price_per_kwh=0.3, currency="EUR",
    balances={(POOLS[0], "anna"): balances((20, 5), (5, 10), (0, 50)),
              (POOLS[1], "anna"): balances((1, 1), (1, 8))},
)  # fmt: skip


def rows_of(table: HistoryTable) -> dict[str, HistoryRow]:
    return {row.key: row for row in table.rows}


# --- the sums -----------------------------------------------------------------------------------


def test_every_day_has_its_line_newest_first() -> None:
    table = history_table(PAST, By.DAY, DAYS)
    assert [row.key for row in table.rows] == [str(TODAY - timedelta(days=n)) for n in range(14)]
    today = table.rows[0]
    assert (today.tasks, today.completed, today.failed, today.stopped) == (5, 4, 1, 0)
    assert (today.task_hours, today.cpu_hours, today.credits) == (4, 2, 40)
    assert today.energy_kwh == pytest.approx(0.15 + 0.3)
    assert today.energy_sources == ("nvml", "rapl", "estimate") and today.estimated
    assert today.cost == pytest.approx(0.45 * 0.3)
    assert table.rows[2] == HistoryRow(key=str(TODAY - timedelta(days=2))), (
        "nothing is known, so nothing is 0"
    )
    total = table.total
    assert (total.tasks, total.failed, total.task_hours, total.credits) == (12, 4, 9, 40 + 7 + 5)


def test_pools_have_their_own_credits_and_images_share_them_by_hours() -> None:
    pools = rows_of(history_table(PAST, By.POOL, DAYS))
    assert {key: row.credits for key, row in pools.items()} == {POOLS[0]: 45, POOLS[1]: 7}
    images = history_table(PAST, By.IMAGE, DAYS)
    assert [row.key for row in images.rows] == [SMALL, LARGE, ""], "most hours first"
    assert {row.key: row.credits for row in images.rows} == {SMALL: 40 * 0.75 + 7, LARGE: 40 * 0.25, "": 5}
    assert any("shared between its images" in note for note in images.notes)
    for by in By:
        assert history_table(PAST, by, DAYS).total == history_table(PAST, By.DAY, DAYS).total


def test_days_outside_the_range_do_not_count() -> None:
    one = history_table(PAST, By.DAY, Days(TODAY, TODAY))
    assert len(one.rows) == 1 and one.total.tasks == 5 and one.total.credits == 40


def test_without_a_price_there_is_no_cost() -> None:
    free = history_table(WorkHistory(today=TODAY, work=WORK), By.DAY, DAYS)
    assert {row.cost for row in (*free.rows, free.total)} == {None}
    assert len(head(free)) == len(cells(free.total, free, "x")) == 8
    assert len(head(history_table(PAST, By.DAY, DAYS))) == 9
    assert any("price of energy in the settings" in note for note in free.notes)


def test_an_estimate_is_called_one_everywhere() -> None:
    table = history_table(PAST, By.IMAGE, DAYS)
    marked = {row.key: cells(row, table, "x")[-2] for row in table.rows}
    assert marked[LARGE].startswith("≈ ") and not marked[SMALL].startswith("≈")
    assert "≈ 100.00 Wh estimated from processor time, at 65 W for full load" in " ".join(table.notes)
    assert "by the processor's meter (RAPL)" in " ".join(table.notes)
    assert "by the graphics cards (NVML)" in " ".join(table.notes)


@pytest.mark.parametrize(
    "unmeasured,words",
    [(Unmeasured.ABSENT, "shows no meter"), (Unmeasured.NO_PERMISSION, "only the administrator"),
     (Unmeasured.LYING, "figures that cannot be")],
)  # fmt: skip
def test_it_says_why_the_processors_meter_is_not_used(unmeasured: Unmeasured, words: str) -> None:
    history = WorkHistory(today=TODAY, work=WORK, metering=Metering(unmeasured=unmeasured))
    assert any(words in note for note in history_table(history, By.DAY, DAYS).notes)
    measured = WorkHistory(
        today=TODAY, work=WORK, metering=Metering(source=EnergySource.RAPL, unmeasured=None)
    )
    assert not any(words in note for note in history_table(measured, By.DAY, DAYS).notes)


def test_small_amounts_are_not_shown_as_nothing() -> None:
    assert (kwh_words(2.5), kwh_words(0.0421), kwh_words(1e-9)) == ("2.50 kWh", "42.10 Wh", "<0.01 Wh")
    little = Work(place=Place(TODAY, "p", "i"), completed=1, wall_s=1, joules={EnergySource.RAPL: 1.0})
    table = history_table(WorkHistory(today=TODAY, work=(little,)), By.POOL, Days(TODAY, TODAY))
    assert cells(table.total, table, "1 day")[4:8] == ("<0.01", "–", "–", "<0.01")


# --- the range ----------------------------------------------------------------------------------


def test_a_fortnight_until_today_is_usual() -> None:
    assert days_asked(None, None, TODAY) == DAYS
    assert days_asked(None, "2026-03-02", TODAY) == Days(date(2026, 2, 17), date(2026, 3, 2))
    assert days_asked("2026-11-24", None, TODAY) == Days(date(2026, 11, 24), TODAY)
    assert days_asked(None, "0001-01-03", TODAY) == Days(date.min, date(1, 1, 3))


@pytest.mark.parametrize(
    "first,last,words",
    [("2026-11-02", "2026-11-01", "must not be after"), ("2100-01-01", None, "must not be after"),
     ("2026-02-30", None, "is not a day"), ("20261101", None, "is not a day"), (None, "soon", "is not a day"),
     ("２０２６-11-01", None, "is not a day"), ("2026-11-01\n", None, "is not a day"),
     ("x" * 10_000, None, "is not a day"), ("1990-01-01", "2026-11-01", f"At most {MOST_DAYS} days")],
)  # fmt: skip
def test_a_range_that_is_none_is_told_with_what_to_write(
    first: str | None, last: str | None, words: str
) -> None:
    with pytest.raises(RangeError, match=words) as caught:
        days_asked(first, last, TODAY)
    assert len(str(caught.value)) < 200


# --- for other programs -------------------------------------------------------------------------


def test_csv_has_units_in_its_head_and_nothing_for_what_is_not_known() -> None:
    lines = list(csv.reader(csv_text(history_table(PAST, By.IMAGE, DAYS)).splitlines()))
    assert lines[0] == ["image", "tasks", "completed", "failed", "stopped", "task_time_h", "cpu_time_h",
                        "credits_cpt", "energy_kwh", "energy_sources", "cost", "currency"]  # fmt: skip
    assert lines[1][0] == SMALL and lines[1][5:] == ["8.0", "4.0", "37.0", "0.4", "rapl", "0.12", "EUR"]
    assert lines[3] == ["", "3", "0", "3", "0", "0.0", "0.0", "5.0", "", "", "", ""]


@pytest.mark.parametrize(
    "untrusted_name",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "＝1",
        '=HYPERLINK("http://x","y")',
        "=cmd|' /C calc'!A0",
    ],
)
def test_no_name_becomes_a_formula(untrusted_name: str) -> None:
    history = WorkHistory(
        today=TODAY, work=(work(0, untrusted_name, "i", 1.0),), currency="=1", price_per_kwh=1
    )
    text = csv_text(history_table(history, By.POOL, DAYS))
    lines = list(csv.reader(text.splitlines(keepends=True)))
    assert lines[1][0] == f"'{untrusted_name}"
    assert lines[1][-1] == "'=1"


def test_names_with_commas_quotes_and_letters_of_all_scripts_come_back_whole() -> None:
    name = 'a,"b"\n蜂巢'
    history = WorkHistory(today=TODAY, work=(work(0, name, "i", 1.0),))
    text = csv_text(history_table(history, By.POOL, DAYS)).encode().decode("utf-8")
    assert next(csv.DictReader(text.splitlines(keepends=True)))["pool"] == name


def test_json_holds_the_whole_table() -> None:
    for by in By:
        table = history_table(PAST, by, DAYS)
        assert table_of(json.loads(json.dumps(report(table)))) == table


def test_prices_and_currencies_are_checked() -> None:
    for values in ({"currency": "very long"}, {"currency": "=1"}, {"currency": "1"}, {"power_price": -1},
                   {"power_price": float("nan")}, {"full_load_w": 0}, {"full_load_w": "hot"}):  # fmt: skip
        assert apply(Settings(), values)[1], values
    for values in ({"currency": "NT$"}, {"currency": "€"}, {"currency": "kr"}, {"currency": "元"},
                   {"currency": ""}):  # fmt: skip
        assert not apply(Settings(), values)[1], values
