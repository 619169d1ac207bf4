"""The processor's score: scale, spread, command. How repeatable it is stands in the benchmarks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from hivemind_worker.cli import main
from hivemind_worker.machine import benchmark
from hivemind_worker.machine.benchmark import PROGRAMS, measure


def clock_of(factor: float, noise: float = 0.0) -> Callable[[], float]:
    """A clock by which every program takes `factor` times as long as on the reference."""

    def ticks() -> Iterator[float]:
        now = 0.0
        for number in range(3):
            for _name, (_program, reference_s) in PROGRAMS.items():
                yield now
                now += reference_s * factor * (1 + noise * number)
                yield now

    moments = ticks()
    return lambda: next(moments)


@pytest.mark.parametrize("factor,expected", [(1.0, 100.0), (0.5, 200.0), (4.0, 25.0)])
def test_a_core_of_the_reference_scores_a_hundred(factor: float, expected: float) -> None:
    score = measure(4, clock_of(factor), rounds=3)
    assert score.one_core == pytest.approx(expected)
    assert score.whole == pytest.approx(4 * expected)
    assert score.spread_percent == pytest.approx(0, abs=1e-6)


def test_the_best_round_counts_and_the_others_show_as_spread() -> None:
    score = measure(1, clock_of(1.0, noise=0.1), rounds=3)
    assert score.one_core == pytest.approx(100)
    assert score.spread_percent == pytest.approx(20)


def test_a_disturbance_of_some_rounds_does_not_count() -> None:
    def ticks() -> Iterator[float]:
        now = 0.0
        for number in range(20):
            for _name, (_program, reference_s) in PROGRAMS.items():
                yield now
                now += reference_s * (3.0 if number % 2 else 0.9 if number == 4 else 1.0)
                yield now

    moments = ticks()
    rests: list[float] = []
    score = measure(1, lambda: next(moments), rounds=20, rest=rests.append)
    assert score.one_core == pytest.approx(100), "neither the half that was disturbed nor the one lucky round"
    assert len(rests) == 1, "rounds come in spells, so that a longer disturbance meets some of them only"


def test_the_command_measures_without_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HIVEMIND_HOME", str(tmp_path))
    monkeypatch.setattr(benchmark, "measure", partial(measure, rounds=5))
    assert main(["benchmark", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["one_core"] > 1
    assert told["parts"].keys() == PROGRAMS.keys()
    assert main(["benchmark"]) == 0
    assert "where 100 is" in capsys.readouterr().out
