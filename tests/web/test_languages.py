"""Each visitor is answered in its own language: its choice, the owner's setting, its browser's wish."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.presentation import catalogue
from hivemind_worker.presentation.catalogue import Catalogue, PseudoTexts
from hivemind_worker.web.languages import accepted
from tests.contract.test_catalogue import HEADER
from tests.fakes.node import make_task
from tests.web.conftest import Served


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", ["zh-TW", "zh", "en-US", "en"]),
        ("en;q=0.2, zh-Hant ;q=0.8", ["zh-Hant", "en"]),
        ("de, fr;q=0", ["de"]),
        ("*", ["*"]),
        ("", []),
        ("a;q=x, b;q=--1, ;;;,", []),
        ("en;q=0." + "9" * 400, ["en"]),
    ],
)
def test_what_a_browser_asks_for_is_taken_by_its_weights(header: str, names: list[str]) -> None:
    assert accepted(header) == names


def test_a_guest_hears_its_language_and_nobody_else_does(tmp_path: Path) -> None:
    (tmp_path / "zh_TW.po").write_text(f'{HEADER}\nmsgid "Pause"\nmsgstr "暫停"\n', encoding="utf-8")
    made = Catalogue()
    made.read_all(tmp_path)
    with made.speaking(["fr", "zh-TW"]):
        assert (made.one("Pause"), made.language) == ("暫停", "zh_TW")
        with made.speaking(["fr"]):
            assert made.one("Pause") == "Pause", "without a language that there is, the owner's"
    assert (made.one("Pause"), made.language) == ("Pause", "en")


@pytest.fixture
async def pages(served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """Pages with the marked language in the place of Chinese, so that every word is seen to change."""
    await served.get("/dashboard")
    monkeypatch.setitem(catalogue._catalogue._read, "zh_TW", PseudoTexts())
    return served


@pytest.mark.parametrize(
    ("cookie", "setting", "asked", "chinese"),
    [
        ("", "", "zh-TW,en;q=0.5", True),
        ("", "", "de,fr", False),
        ("", "en", "zh-TW", False),
        ("zh_TW", "en", "en", True),
        ("en", "zh_TW", "zh-TW", False),
        ("../../x", "", "zh-TW", True),
        ("", "", "", False),
    ],
)
async def test_the_visitors_choice_then_the_owners_then_the_browsers(
    pages: Served, cookie: str, setting: str, asked: str, chinese: bool
) -> None:
    pages.node.settings = replace(pages.node.settings, language=setting)
    headers = {"Accept-Language": asked} | ({"Cookie": f"hivemind-language={cookie}"} if cookie else {})
    for target in ("/dashboard", "/tasks", "/login", "/rules"):
        page = (await pages.get(target, headers=headers)).body.decode()
        assert ("⟦" in page) is chinese, target
        assert (f'lang="{"zh-TW" if chinese else "en"}"' in page.partition(">")[0] + page[:200]) is True
    told = await pages.post("/api/v1/actions/pause", headers=headers)
    assert told.values["message"].startswith("⟦") is chinese
    assert "⟦" not in (await pages.get("/api/status", headers=headers)).body.decode()


SAME = {"CPT", "GiB", "MiB", "anna", "larch", "worker", "HiveMind", "Worker", "CPython", "small"}
"""Names and units: the same in every language."""


async def test_no_word_of_a_page_is_outside_the_catalogue(pages: Served) -> None:
    pages.node.put(make_task("t"))
    for target in (
        "dashboard",
        "tasks",
        "tasks/t",
        "monitor",
        "pools",
        "rules",
        "logs",
        "doctor",
        "sessions",
        "login",
        "x",
    ):
        headers = {"Accept-Language": "zh-TW", "Accept": "text/html"}
        page = (await pages.get(f"/{target}", headers=headers)).body.decode()
        shown = re.sub(r'<(th|td)[^>]*class="mono"[^>]*>[^<]*<', " <", page)  # names of settings
        shown = re.sub(r"(?s)<(script|style|pre|option|svg)\b.*?</\1>", " ", shown)
        texts = [
            *re.findall(r">([^<]+)<", shown),
            *re.findall(r'(?:aria-label|placeholder|title)="([^"]*)"', shown),
        ]
        plain = [re.sub(r"⟦[^⟧]*⟧|[0-9a-f]{32}", " ", text).strip() for text in texts]
        left = {word for text in plain for word in re.findall(r"[A-Za-z]{3,}", text)}
        said = {word for word in left if word not in SAME}
        assert not said, (target, said)
