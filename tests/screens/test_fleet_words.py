"""Why another machine does (not) work, in the language of who reads it, or else in its own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import pytest

from hivemind_worker.model.fleet import Fleet, Standing, values_from_afar
from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import use_language
from hivemind_worker.presentation.fleet import fleet_rows, standing_of
from hivemind_worker.presentation.health import verdicts
from tests.fakes.node import NOW_S, make_machine
from tests.screens.verdict_scenes import scenes

SCENES = scenes()


@contextmanager
def speaking(language: str) -> Iterator[None]:
    use_language(resources() / "locale", language)
    try:
        yield
    finally:
        use_language(resources() / "locale", "en")


def why(standing: Standing, at_s: float = NOW_S) -> str:
    """As the list of machines says it, without since when."""
    machine = replace(make_machine("attic"), standing=replace(standing, since_s=None), seen_s=at_s)
    (row,) = fleet_rows(Fleet(account="anna", balance=7, at_s=at_s, machines=(machine,)))
    return row.why


def sent(standing: Standing) -> Standing:
    """Through JSON and the checks, as it comes to another machine."""
    values = json.loads(json.dumps(asdict(standing)))
    return Standing(**{**values, "values": values_from_afar(values["values"])})


@pytest.mark.parametrize("name", SCENES)
def test_each_cause_is_read_in_the_readers_language_whatever_the_machine_speaks(name: str) -> None:
    snapshot = SCENES[name]
    first = verdicts(snapshot)[0]
    pulling = snapshot.runtime.pull is not None and first.values.get("fault") == "sandbox_preparing"
    for one, other in (("zh_TW", "en"), ("en", "zh_TW")):
        with speaking(one):
            told = sent(standing_of(snapshot))
        with speaking(other):
            expected = verdicts(snapshot)[0].text
            if not pulling:  # how far it is changes each second: that alone is told by the machine itself
                assert why(told, snapshot.at_s) == expected
            assert told.text[:20] not in why(told, snapshot.at_s)


def test_a_machine_of_an_earlier_version_is_shown_in_its_own_words() -> None:
    with speaking("zh_TW"):
        told = standing_of(SCENES["working"])
    assert why(replace(told, values={})) == told.text


HOSTILE: tuple[Any, ...] = (
    None, [], 7, "x", {"running": -1, "starting": 0}, {"running": "<b>2</b>", "starting": 0},
    {"running": 1.5, "starting": 0}, {"running": float("nan"), "starting": 0},
    {"running": 10**30, "starting": 0},
    {"running": {"count": 2}, "starting": 0}, {"running": 2, "\n": 0}, {"x" * 33: 1}, {"running": None},
    {f"n{number}": number for number in range(9)}, {"about": "two\nlines", "fault": "disk_full"},
    {"about": "x" * 1001, "fault": "disk_full"}, {"fault": "disk_full"}, {"fault": "__class__", "about": ""},
    {"fault": "disk_full", "about": 5}, {"value": "hot", "limit": 1, "about": ""}, {"by": "larch"},
    {"count": 2, "by": ["larch"], "quits": True}, {"pool": 5}, {"image": "x", "count": "2", "about": ""},
)  # fmt: skip


@pytest.mark.parametrize("code", [*sorted({verdicts(each)[0].code for each in SCENES.values()}), "later", ""])
def test_what_is_no_value_of_a_code_leaves_the_machines_own_words(code: str) -> None:
    base = standing_of(SCENES["working"])
    without_values = {"stopping", "paused", "snoozed"}
    for untrusted in HOSTILE:
        told = replace(base, code=code, text="in its own words", values=values_from_afar(untrusted))
        said = why(replace(told, ends_at_s=NOW_S + 60))
        fits = code in without_values or (code == "paused_elsewhere" and untrusted == {"by": "larch"})
        assert (said != "in its own words") == fits, (untrusted, said)


def test_a_name_from_afar_cannot_write_between_the_lines_or_fill_in_other_words() -> None:
    odd = "{name}\x1b[31m\u202eevil{time}"
    told = replace(standing_of(SCENES["working"]), code="paused_elsewhere", values={"by": odd})
    said = why(told)
    assert "\x1b" not in said and "\u202e" not in said
    assert "{name}" in said and "{time}" in said, "as it came: nothing is filled in"
