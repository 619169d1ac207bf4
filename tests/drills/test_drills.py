"""The fault drills as tests: two in `make test`, a little of each in `make test-release`; `make drills`: all.

The seed of the short ones stands still: what changed from one run to the next is the program alone.
"""

from __future__ import annotations

import random

import pytest

from tests.drills.plan import long_form, play, short_form

SHORT, LONG = short_form(), long_form()
SEED = 2026
ALWAYS = {"kills"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in ALWAYS else pytest.mark.release) for name in SHORT],
)
async def test_a_little_of_the_drills_finds_nothing(name: str) -> None:
    sheet = await play(name, SHORT[name], SEED)
    assert sheet.findings == []
    assert sheet.tries


@pytest.mark.release
@pytest.mark.parametrize("name", LONG)
async def test_the_drills_find_nothing(name: str) -> None:
    seed = random.randrange(10**6)
    sheet = await play(name, LONG[name], seed)
    assert sheet.findings == [], f"seed {seed}"
    assert sheet.tries or sheet.not_run
