"""The history in four forms: the window, the page, the API and the command show the same numbers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.cli import main
from hivemind_worker.model.days import begin_s, day_of
from hivemind_worker.model.settings import apply
from hivemind_worker.places import find_places
from hivemind_worker.presentation.work_history import By, cells, csv_text, table_of
from hivemind_worker.ui.bars import round_up
from hivemind_worker.web.endpoint import write_endpoint
from hivemind_worker.web.local_api import LocalApi
from hivemind_worker.web.token import load_or_make_token
from tests.contract.test_work_history import PAST, TODAY, WORK
from tests.fakes.node import FakeNode
from tests.screens.stand import standing
from tests.web import wire


class Tables(HTMLParser):
    """The cells of a page's tables, line by line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.lines.append([])
        elif tag in ("td", "th"):
            self._inside = True
            self.lines[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.lines[-1][-1] += data


BROWSER = {"Accept": "text/html"}


@dataclass
class Past:
    """A worker with a fortnight behind it, and its API."""

    node: FakeNode
    api: LocalApi
    token: str

    async def get(self, target: str, **more: Any) -> wire.Answer:
        return await wire.ask(self.api.port, target, token=self.token, **more)


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[Past]:
    """It ends today by this computer's clock."""
    places = find_places(str(tmp_path))
    places.make()
    node = FakeNode(tmp_path, clock=time.time)
    shift = day_of(time.time()) - TODAY
    node.work = [replace(work, place=replace(work.place, day=work.place.day + shift)) for work in WORK]
    node.pools.history = {
        pool: [replace(b, at_s=begin_s(day_of(b.at_s) + shift) + 43_200) for b in rows]
        for (pool, _user), rows in PAST.balances.items()
    }
    node.settings, problems = apply(node.settings, {"power_price": 0.3})
    assert not problems
    api = LocalApi(node, load_or_make_token(places.token_file))
    await api.start(port=0)
    write_endpoint(places.endpoint_file, url=api.url, pid=os.getpid(), started_at_s=time.time())
    yield Past(node, api, load_or_make_token(places.token_file))
    await api.close()


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Awaitable[tuple[int, str, str]]]:
    """Run a command line of this home: exit code, output, errors."""
    monkeypatch.setenv("HIVEMIND_HOME", str(tmp_path))

    async def run(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["history", *words])
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


@pytest.mark.parametrize("by", list(By))
async def test_window_page_api_and_command_show_the_same_numbers(
    past: Past, say: Callable[..., Awaitable[tuple[int, str, str]]], tmp_path: Path, by: By
) -> None:
    told = (await past.get(f"/api/v1/work-history?by={by}")).values
    table = table_of(told)
    assert table.total.tasks == 12 and table.total.credits == 52 and table.total.cost
    numbers = [cells(row, table, "")[1:] for row in (*table.rows, table.total)]

    saved = await past.get(f"/api/v1/work-history.csv?by={by}")
    assert saved.headers["content-type"] == "text/csv; charset=utf-8"
    assert saved.body.decode() == csv_text(table)

    _code, out, _err = await say("--by", by.value, "--json")
    assert json.loads(out) == told
    assert await say("--by", by.value, "--csv") == (0, csv_text(table), "")
    _code, out, _err = await say("--by", by.value)
    printed = [re.split(r"  +", line)[1:] for line in out.split("\n\n")[0].splitlines()[1:]]
    assert printed == [list(line) for line in numbers if set(line) != {"–"}]

    page = Tables()
    page.feed((await past.get(f"/history?by={by}", headers=BROWSER)).body.decode())
    assert [tuple(line[1:]) for line in page.lines[1:]] == numbers

    with standing(tmp_path, "history", past.node) as stand:
        stand.screen.choose_by(by.value)  # type: ignore[attr-defined]
        texts = stand.screen.lines.texts()  # type: ignore[attr-defined]
        assert [line[1:] for line in texts] == numbers
        for kind in ("csv", "json"):
            stand.screen.save(tmp_path / f"h.{kind}", kind)  # type: ignore[attr-defined]
    assert (tmp_path / "h.csv").read_bytes().decode() == csv_text(table)
    assert json.loads((tmp_path / "h.json").read_text()) == told


async def test_bad_input_is_told_by_each(
    past: Past, say: Callable[..., Awaitable[tuple[int, str, str]]]
) -> None:
    for query in ("by=galaxy", "days=0", "days=1101", "days=x", "to=2026-02-30", "to=20261101"):
        for path in ("/api/v1/work-history", "/api/v1/work-history.csv"):
            answer = await past.get(f"{path}?{query}")
            assert (answer.status, answer.values["code"]) == (400, "bad_usage"), query
    for words in (("--from", "2026-11-02", "--to", "2026-11-01"), ("--from", "soon"), ("--by", "galaxy"),
                  ("--json", "--csv"), ("--to", "2026-02-30")):  # fmt: skip
        code, out, err = await say(*words)
        assert (code, out) == (2, ""), words
        assert len(err.splitlines()) in (1, 2)
    page = await past.get("/history?from=2026-11-02&to=2026-11-01&by=%3Cb%3E", headers=BROWSER)
    assert page.status == 200
    assert "The first day (2026-11-02) must not be after the last one (2026-11-01)." in page.body.decode()
    assert "<b>" not in page.body.decode()


async def test_without_a_worker_the_command_says_so(
    tmp_path: Path, say: Callable[..., Awaitable[tuple[int, str, str]]]
) -> None:
    code, out, err = await say()
    assert (code, out) == (3, "") and "No worker is running here." in err


@pytest.mark.parametrize(
    ("most", "top"), [(0, 1), (0.05, 0.1), (0.16, 0.2), (0.41, 1), (1, 1), (3, 4), (36, 40), (41, 100)]
)
def test_the_axis_of_the_bars_ends_at_a_round_number_just_above_them(most: float, top: float) -> None:
    assert round_up(most) == top
