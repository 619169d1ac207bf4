"""What the account took in: the same figures in the window and on the dashboard, a bar for each day."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hivemind_worker.model.pools import Balance
from hivemind_worker.model.task import StopReason, TaskState
from hivemind_worker.places import find_places
from hivemind_worker.presentation.amounts import DAY_S
from hivemind_worker.presentation.ledger import days, earned, trust_lines
from hivemind_worker.web.local_api import LocalApi
from hivemind_worker.web.token import load_or_make_token
from tests.fakes.node import NOW_S, FakeNode, make_snapshot, make_task
from tests.web import wire

BROWSER = {"Accept": "text/html"}
GAINS = (0, 10, 0, 40, 5, 0, 0, 20, 1, 0, 8, 0, 0, 30)
"""Of each of the last fourteen days, today's last."""


def balances(gains: Sequence[int]) -> list[Balance]:
    """One a day, and one of the day before the first."""
    amounts = [sum(gains[:count]) for count in range(len(gains) + 1)]
    return [
        Balance(at_s=NOW_S - back * DAY_S, amount=amount)
        for back, amount in zip(range(len(gains), -1, -1), amounts, strict=True)
    ]


def test_the_highest_day_is_the_whole_height_and_a_day_without_a_balance_is_no_bar() -> None:
    shown = earned(make_snapshot(), days((), balances(GAINS), NOW_S, 14))
    assert shown.today == "30"
    assert shown.bars == (0, 25, 0, 100, 12, 0, 0, 50, 2, 0, 20, 0, 0, 75)
    assert shown.words.startswith("Earned in the last 14 days: ")
    assert shown.words.endswith("Today 30")
    short = earned(make_snapshot(), days((), balances((7,)), NOW_S, 14))
    assert short.bars == (*[None] * 13, 100)
    assert "–" in short.words


async def test_the_dashboard_draws_a_bar_for_each_day_that_brought_something(tmp_path: Path) -> None:
    places = find_places(str(tmp_path))
    places.make()
    node = FakeNode(tmp_path)
    node.pools.history[node.picture.pool.address] = balances(GAINS)
    token = load_or_make_token(places.token_file)
    api = LocalApi(node, token)
    await api.start(port=0)
    try:
        answer = await wire.ask(api.port, "/dashboard", token=token, headers=BROWSER)
    finally:
        await api.close()
    page = html.unescape(answer.body.decode())
    drawing = re.search(r'<svg class="fortnight"[^>]*aria-label="([^"]*)".*?</svg>', page, re.DOTALL)
    assert drawing is not None
    heights = [int(height) for height in re.findall(r'height="(\d+)"', drawing[0])]
    assert heights == [25, 100, 12, 50, 2, 20, 75]
    assert drawing[0].count('class="ours"') == 1
    assert drawing[1].endswith("Today 30")
    assert "balance 7 CPT" in page


def test_every_reason_to_stop_a_task_has_its_words_in_the_ledger_of_trust() -> None:
    for reason in StopReason:
        task = make_task("a", TaskState.STOPPED, stop_reason=reason, ended_at_s=NOW_S)
        [line] = trust_lines([task], 50)
        assert line.why.startswith("Stopped"), reason


async def test_the_dashboard_marks_the_owners_threshold_of_trust_and_says_how_the_score_stands_to_it(
    tmp_path: Path,
) -> None:
    places = find_places(str(tmp_path))
    places.make()
    node = FakeNode(tmp_path)
    token = load_or_make_token(places.token_file)
    api = LocalApi(node, token)
    await api.start(port=0)
    try:
        for score, said in ((49, "below your mark of 50"), (50, "your mark is 50")):
            state = replace(node.picture.node, trust_score=score)
            node.picture = replace(node.picture, node=state, trust_threshold=50)
            answer = await wire.ask(api.port, "/dashboard", token=token, headers=BROWSER)
            page = answer.body.decode()
            assert 'class="wanted" d="M50 0V10"' in page
            assert said in page
    finally:
        await api.close()
