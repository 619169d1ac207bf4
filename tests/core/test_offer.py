"""What the pool is offered: by the score, 10 % more while little is used, never over what is lent."""

from __future__ import annotations

import random

import pytest

from hivemind_worker.core.offer import Use, offer
from hivemind_worker.model.capacity import OfferReason
from hivemind_worker.model.resources import Resources
from hivemind_worker.presentation.offer_words import offer_words

LENT = Resources(cpu=400, memory_gb=8)
QUIET, BUSY = Use(20, 40), Use(90, 40)


@pytest.mark.parametrize(
    ("one_core", "hours", "cpu", "reason"),
    [
        (None, [QUIET] * 6, 400, OfferReason.UNMEASURED),
        (130, [QUIET] * 6, 400, OfferReason.WHOLE),
        (60, [], 240, OfferReason.NO_HISTORY),
        (60, [QUIET] * 6, 264, OfferReason.RAISED),
        (60, [BUSY] * 6, 240, OfferReason.BUSY),
        (60, [Use(20, 71)] * 6, 240, OfferReason.BUSY),
        (60, [Use(69.9, 69.9)], 264, OfferReason.RAISED),
        (60, [Use(70, 10)], 240, OfferReason.BUSY),
        (97, [QUIET] * 6, 400, OfferReason.RAISED),  # 388 and a tenth would be over what is lent
        (60, [BUSY] * 20 + [QUIET] * 6, 264, OfferReason.RAISED),  # the last six hours alone count
        (5, [BUSY] * 6, 100, OfferReason.BUSY),  # a core stays on offer, or the usual task would never fit
    ],
)
def test_an_offer_and_its_reason(
    one_core: float | None, hours: list[Use], cpu: float, reason: OfferReason
) -> None:
    made = offer(LENT, one_core, hours)
    assert (made.offered.cpu, made.reason) == (pytest.approx(cpu), reason)
    assert (made.offered.memory_gb, made.lent) == (8, LENT)
    assert f"{made.lent.cpu:.0f}" in offer_words(made)


def test_no_offer_is_over_what_is_lent_and_none_is_nothing() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        lent = Resources(cpu=chance.choice([10, 50, 100, 250, 1600]), memory_gb=chance.uniform(0.5, 64))
        hours = [Use(chance.uniform(0, 100), chance.uniform(0, 100)) for _ in range(chance.randrange(9))]
        made = offer(lent, chance.choice([None, chance.uniform(0.1, 500)]), hours)
        assert made.offered.fits_in(lent)
        assert made.offered.cpu >= min(lent.cpu, 100)


def test_the_sentence_says_what_was_used_and_over_how_long() -> None:
    words = offer_words(offer(LENT, 60, [QUIET] * 6))
    for part in ("264 of 400", "scores 60", "10 % more", "6 h", "20 %", "40 %"):
        assert part in words
