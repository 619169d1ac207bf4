"""Pages that are made from tables say what the tables say; commands in the pages exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hivemind_worker.cli import VERBS
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.presentation.settings_page import settings_page
from hivemind_worker.presentation.troubleshooting_page import troubleshooting_page

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_settings_page_is_fresh() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()


def test_the_troubleshooting_page_is_fresh_and_names_every_code() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert text == troubleshooting_page()
    assert all(f"| `{code.value}` |" in text for code in FaultCode)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_links_in_the_pages_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    verbs = {verb.word for verb in VERBS}
    named = set(re.findall(r"hivemind-worker ([a-z]+)", text))
    assert named <= verbs, named - verbs
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for target in re.findall(r"`make ([a-z-]+)`|^    make ([a-z-]+)$", text, re.M):
        assert (target[0] or target[1]) in targets
