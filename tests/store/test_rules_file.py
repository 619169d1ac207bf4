"""The rules file and the records: kept, read as they were written; bad files are named and left alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.model.facts import RuleFacts, Zone
from hivemind_worker.model.preview import Moment
from hivemind_worker.model.rules import PRESETS, Rules, preset
from hivemind_worker.model.task import Problem
from hivemind_worker.model.yields import Yielding, yield_times
from hivemind_worker.store.records import Records
from hivemind_worker.store.rules_file import load_rules, save_rules


@pytest.mark.parametrize("name", PRESETS)
def test_rules_come_back_as_they_were_kept(tmp_path: Path, name: str) -> None:
    file = tmp_path / "rules.toml"
    assert load_rules(file) == Rules()
    rules = replace(preset(name), programs='blender, "odd" name')
    assert save_rules(file, rules) is None
    assert load_rules(file) == rules
    assert (file.stat().st_mode & 0o777) == 0o600
    assert "light_cores" not in file.read_text()


@pytest.mark.parametrize(
    "text,word",
    [
        ("monday = 3", "monday"),
        ('monday = "012"', "monday"),
        ("heat_back_c = 119.0", "heat_back_c"),
        ("no_such = 1", "no_such"),
        ("[[[", "rules.toml"),
    ],
)
def test_a_bad_file_is_named_and_stays_as_it_is(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    found = load_rules(file)
    assert isinstance(found, Problem)
    assert word in found.about
    assert file.read_text() == text


async def test_facts_and_times_of_giving_way_are_kept_and_a_damaged_file_is_begun_anew(
    tmp_path: Path,
) -> None:
    facts = RuleFacts(steady_s=5.0, idle_s=3.0, programs=frozenset({"obs"}), zone=Zone(offset_s=3600))
    for damaged in (False, True):
        if damaged:
            (tmp_path / "records.sqlite3").write_bytes(b"not a database" * 100)
        records = Records(tmp_path)
        await records.add_moment(Moment(at_s=1000.0, facts=facts))
        await records.add_moment(Moment(at_s=1000.0 + 9 * 86400, facts=facts))
        assert await records.moments(0) == (Moment(at_s=1000.0 + 9 * 86400, facts=facts),)
        await asyncio.gather(
            *(records.add_yielding(Yielding(at_s=n, tasks=4, took_ms=float(n))) for n in range(100))
        )
        times = yield_times(await records.yieldings())
        assert (times.count, times.median_ms, times.p95_ms, times.longest_ms) == (100, 49.0, 94.0, 99.0)
        assert times.counts == (51, 49, 0, 0, 0, 0)
        await records.close()
        again = Records(tmp_path)
        assert yield_times(await again.yieldings()) == times
        await again.close()
