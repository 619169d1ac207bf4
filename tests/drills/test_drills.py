"""The fault drills as tests: a minute of them in `make test`; `make drills` plays all of them at length."""

from __future__ import annotations

import random

import pytest

from tests.drills.plan import long_form, play, short_form

SHORT, LONG = short_form(), long_form()


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
async def test_a_little_of_the_drills_finds_nothing(name: str) -> None:
    seed = random.randrange(10**6)
    sheet = await play(name, SHORT[name], seed)
    assert sheet.findings == [], f"seed {seed}"
    assert sheet.tries


@pytest.mark.release
@pytest.mark.parametrize("name", LONG)
async def test_the_drills_find_nothing(name: str) -> None:
    seed = random.randrange(10**6)
    sheet = await play(name, LONG[name], seed)
    assert sheet.findings == [], f"seed {seed}"
    assert sheet.tries or sheet.not_run
