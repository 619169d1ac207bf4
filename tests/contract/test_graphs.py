"""The window's graphs as values: ours and others, gaps, pause bands, axes, the line's words, the table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hivemind_worker.model.machine import Sample
from hivemind_worker.model.metrics import Point, point_values
from hivemind_worker.presentation.graphs import (
    KINDS,
    Graph,
    Limit,
    Role,
    graph,
    headline,
    latest,
    reading,
    sliced,
    table_head,
    table_rows,
)
from hivemind_worker.presentation.ranges import RANGES
from tests.fakes.node import NOW_S

HOUR = RANGES["1h"]
END_S = float(int(NOW_S))
SAMPLE = Sample(
    cpu_percent=49.0, memory_percent=50.0, memory_available_gb=8.0, memory_total_gb=16.0,
    disk_available_gb=90.0, ours_cpu_percent=40.0, ours_memory_percent=20.0, net_down_bps=3.0 * 2**20,
    net_up_bps=2.0**20, disk_read_bps=2.0**20, disk_write_bps=2.0**20, ours_disk_bps=0.5 * 2**20,
    gpu_percent=65.0, cpu_celsius=66.0,
)  # fmt: skip


def point(ago_s: float, paused: bool = False, **fields: float) -> Point:
    values = point_values(replace(SAMPLE, **fields), 1, paused)
    return Point(at_s=int(END_S - ago_s), values=values)


def an_hour(**fields: float) -> list[Point]:
    return [point(ago, **fields) for ago in range(3600, 0, -5)]


def test_ours_and_others_add_up_to_the_whole() -> None:
    made = graph(sliced(an_hour(), HOUR, END_S), "cpu")
    assert [(line.role, line.values[7]) for line in made.series] == [(Role.OURS, 40.0), (Role.OTHERS, 9.0)]
    assert len(made.times_s) == 120
    assert made.times_s[-1] == END_S
    assert headline(made) == ("ours 40 % · others 9 %", "49 %")


def test_ours_is_never_more_than_the_whole() -> None:
    """Two looks that are not of the very same moment: the tasks' part may come out larger."""
    made = graph(sliced(an_hour(ours_cpu_percent=55.0), HOUR, END_S), "cpu")
    assert [line.values[0] for line in made.series] == [49.0, 0.0]


@pytest.mark.parametrize(
    ("kind", "scale", "words"),
    [
        ("memory", 16.0, ("ours 3.2 · others 4.8", "8.0 GiB")),
        ("gpu", 1.0, ("", "65 %")),
        ("network", 1.0, ("down 3.0 · up 1.0 MiB/s", "")),
        ("disk", 1.0, ("ours 0.5 · others 1.5", "2.0 MiB/s")),
        ("temperature", 1.0, ("", "66 °C")),
    ],
)
def test_every_kind_says_its_figures_with_their_unit(kind: str, scale: float, words: tuple[str, str]) -> None:
    assert headline(graph(sliced(an_hour(), HOUR, END_S), kind, scale=scale)) == words


def test_a_card_is_split_where_its_driver_tells_the_tasks_part_all_the_time() -> None:
    known = an_hour(ours_gpu_percent=61.0)
    made = graph(sliced(known, HOUR, END_S), "gpu")
    assert (headline(made), made.stacked) == (("ours 61 % · others 4 %", "65 %"), True)
    partly = [*known[:-600], *an_hour()[-600:]]
    assert headline(graph(sliced(partly, HOUR, END_S), "gpu")) == ("", "65 %")


def test_what_was_not_measured_is_a_gap_and_not_zero() -> None:
    points = [p for p in an_hour() if not 1000 < END_S - p.at_s < 1400]
    made = graph(sliced(points, HOUR, END_S), "cpu")
    values = made.series[0].values
    assert None in values
    assert values[0] == values[-1] == 40.0
    gap = values.index(None)
    assert reading(made, gap) is None
    assert all(value is None or value == 40.0 for value in values), "no invented figures"


def test_a_figure_every_five_seconds_makes_an_unbroken_minute() -> None:
    made = graph(sliced([point(ago) for ago in range(60, 0, -5)], RANGES["1m"], END_S), "cpu")
    assert None not in made.series[0].values[5:]


def test_without_figures_a_graph_is_empty_and_says_so() -> None:
    for kind in KINDS:
        made = graph(sliced([], HOUR, END_S), kind)
        assert made.is_empty
        assert (latest(made), table_rows(made)) == (None, ())
        assert headline(made)[0] == "no figures yet"


def test_a_computer_without_sensor_has_no_temperature() -> None:
    points = [Point(at_s=p.at_s, values=point_values(replace(SAMPLE, cpu_celsius=None), 1, False))
              for p in an_hour()]  # fmt: skip
    assert graph(sliced(points, HOUR, END_S), "temperature").is_empty


def test_pauses_are_bands_with_their_beginning_and_end() -> None:
    points = [point(ago, paused=1800 < ago <= 2400) for ago in range(3600, 0, -5)]
    (band,) = graph(sliced(points, HOUR, END_S), "cpu").bands
    assert (band.first, band.last, band.name) == (40, 59, "paused")
    now_paused = [point(ago, paused=ago <= 600) for ago in range(3600, 0, -5)]
    assert graph(sliced(now_paused, HOUR, END_S), "cpu").bands[-1].last == 119


@pytest.mark.parametrize(
    ("top", "labels"),
    [(100.0, ["0", "25", "50", "75", "100"]), (1.0, ["0.0", "0.5", "1.0"]), (8.0, ["0", "2", "4", "6", "8"]),
     (2.0, ["0.0", "0.5", "1.0", "1.5", "2.0"])],
)  # fmt: skip
def test_an_axis_has_round_labels(top: float, labels: list[str]) -> None:
    made = replace(graph(sliced([], HOUR, END_S), "cpu"), top=top)
    assert [label for _value, label in made.ticks(5)] == labels
    assert len(made.ticks(3)) <= 3


def test_an_axis_grows_with_what_it_shows() -> None:
    tops = {rate: graph(sliced(an_hour(net_down_bps=rate * 2.0**20), HOUR, END_S), "network").top
            for rate in (0.01, 1.5, 7.9, 66.0, 900.0)}  # fmt: skip
    assert tops == {0.01: 1.0, 1.5: 2.0, 7.9: 8.0, 66.0: 80.0, 900.0: 1000.0}
    assert graph(sliced([], HOUR, END_S), "memory", scale=31.3).top == 32.0


def test_the_line_reads_each_part_the_sum_and_the_pause() -> None:
    made = graph(sliced([point(ago, paused=True) for ago in range(3600, 0, -5)], HOUR, END_S), "cpu",
        limit=Limit(value=50.0, name="given to tasks: 4 cores"),
    )  # fmt: skip
    found = reading(made, 60)
    assert found is not None
    assert found.rows == ((Role.OURS, "ours", "40 %"), (Role.OTHERS, "others", "9 %"))
    assert (found.total, found.note, found.at_s) == ("49 %", "paused", made.times_s[60])
    assert reading(made, 120) is None
    assert reading(made, -1) is None


def test_the_table_says_the_same_as_the_picture() -> None:
    made: Graph = graph(sliced(an_hour(), HOUR, END_S), "cpu")
    rows = table_rows(made)
    assert table_head(made) == ("Time", "Ours", "Others", "Total", "Note")
    assert len(rows) == 120
    assert rows[0] == latest(made)
    assert [row.at_s for row in rows] == sorted(made.times_s, reverse=True)
