"""Previews for front ends: the core's simulator over usual and over remembered facts."""

from __future__ import annotations

from collections.abc import Sequence

from hivemind_worker.core.simulate import simulate, usual_day
from hivemind_worker.model.facts import Condition
from hivemind_worker.model.preview import Moment, Preview
from hivemind_worker.model.rules import Rules


def next_day(
    rules: Rules, history: Sequence[Moment], now: Moment, conditions: tuple[Condition, ...] = ()
) -> Preview:
    """The next 24 hours under these rules, if they go as usual."""
    return simulate(rules, usual_day(history, now), conditions)


def replay(rules: Rules, history: Sequence[Moment]) -> Preview:
    """What these rules would have made of the remembered time."""
    return simulate(rules, history)
