"""Graphs as shapes: stacked grounds meet, gaps stay gaps, bands and limits lie where they belong."""

from __future__ import annotations

from dataclasses import replace

from hivemind_worker.presentation.drawing import HEIGHT, TABLE_ROWS, drawing
from hivemind_worker.presentation.graphs import Band, Graph, Limit, Role, Series

MADE = Graph(
    kind="cpu", title="CPU", unit="%", digits=0, top=100.0, stacked=True, begin_s=0.0, end_s=50.0,
    times_s=(10.0, 20.0, 30.0, 40.0, 50.0),
    series=(
        Series(role=Role.OURS, name="ours", values=(10.0, 20.0, None, 40.0, 50.0)),
        Series(role=Role.OTHERS, name="others", values=(5.0, 5.0, None, 5.0, 80.0)),
    ),
)  # fmt: skip


def test_others_stand_on_ours_and_a_gap_is_a_gap_in_both() -> None:
    ours, others = drawing(MADE).shapes
    assert ours.lines == ("0,90 1,80", "3,60 4,50")
    assert others.lines == ("0,85 1,75", "3,55 4,0"), "what is over the top is drawn at the top"
    assert ours.grounds[0] == "0,90 1,80 1,100 0,100"
    assert others.grounds[0] == "0,85 1,75 1,80 0,90", "its lower edge is the upper one of ours"


def test_a_single_known_slice_is_a_short_level_line() -> None:
    lonely = replace(MADE, series=(replace(MADE.series[0], values=(None, None, 30.0, None, None)),))
    assert drawing(lonely).shapes[0].lines == ("1,70 2,70",)


def test_lines_that_are_not_stacked_are_each_their_own_and_have_no_ground() -> None:
    beside = drawing(replace(MADE, stacked=False)).shapes
    assert beside[1].lines == ("0,95 1,95", "3,95 4,20")
    assert all(shape.grounds == () for shape in beside)


def test_bands_limit_labels_and_table_lie_where_they_belong() -> None:
    made = replace(
        MADE, bands=(Band(first=2, last=3, name="paused"),), limit=Limit(value=25.0, name="lent at most")
    )
    drawn = drawing(made)
    assert [(shade.x, shade.width) for shade in drawn.shades] == [(25.0, 50.0)]
    assert drawn.limit_y == HEIGHT * 0.75
    assert drawn.labels == ("100", "50", "0")
    assert drawn.middle_s == 25.0
    assert 0 < len(drawn.rows) <= TABLE_ROWS


def test_nothing_known_draws_nothing() -> None:
    empty = drawing(replace(MADE, series=tuple(replace(one, values=(None,) * 5) for one in MADE.series)))
    assert [shape.lines for shape in empty.shapes] == [(), ()]
    assert empty.rows == ()
