"""The documentation is true: made pages are fresh, links lead somewhere, commands are the program's own."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath

import pytest

from hivemind_worker import cli
from hivemind_worker.cli import VERBS, parser_of
from hivemind_worker.model.faults import FAULTS, FaultCode
from hivemind_worker.places import documents
from hivemind_worker.presentation.help_pages import INDEX, OF_PLACES, Library, anchor_of, is_ours, render
from hivemind_worker.ui.places import PLACES
from installer.docs.__main__ import MADE
from installer.docs.html import address, write_html
from installer.linux.man_page import man_page

ROOT = Path(__file__).parents[2]
LIBRARY = Library(documents())
PAGES = {name: LIBRARY.text(name) for name in LIBRARY.names}
EVERYWHERE = {**PAGES, "../README.md": (ROOT / "README.md").read_text(encoding="utf-8")}
NOT_TO_READ = ("decisions/",)  # reached by links from their own index
NAMES_IT = (
    "-u",
    "enable",
    "edit",
    "--now",
    "--name",
    "exec",
    "-it",
)  # words before it where it is no command
HARMLESS = {"version", "config", "status", "tasks", "logout"}


def links(text: str) -> list[str]:
    found: list[str] = []
    render(text, lambda target: (found.append(target), target)[1])
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The words after the program's name, of every command line in code: blocks and single words of it."""
    blocks = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.startswith("    ")]
    for line in blocks + re.findall(r"`([^`\n]+)`", text):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a piece of another language
            continue
        for number, word in enumerate(words):
            before = words[number - 1] if number else ""
            named = word.endswith("bin/hivemind-worker") or word in ("hivemind-worker", "$(hivemind-worker")
            if named and before not in NAMES_IT:
                yield [each.rstrip(")") if word.startswith("$(") else each for each in words[number + 1 :]]
                break


def is_shown_as_syntax(words: list[str]) -> bool:
    """ "[--json]", "on|off" and a bare name stand for what may be written, not for themselves."""
    return not words or any(re.search(r"[\[\]…]|^[A-Z]+$|\|", word) for word in words[:1])


# --- made pages -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MADE)
def test_a_page_that_is_made_from_a_table_is_fresh(name: str) -> None:
    assert PAGES[name] == MADE[name](), "make docs"


def test_troubleshooting_names_every_code_with_its_cure() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+)$", PAGES["troubleshooting.md"], re.M))
    assert set(rows) == {code.value for code in FaultCode}
    for code, fault in FAULTS.items():
        assert fault.next_step.partition("{")[0].replace("|", "\\|") in rows[code.value]


MAN = man_page().replace(".B ", "").replace("\\-", "-")


@pytest.mark.parametrize("page", [PAGES["command-line.md"], MAN], ids=["command-line.md", "man page"])
def test_the_page_of_commands_has_every_command_with_every_word_of_it(page: str) -> None:
    lines = [line.strip() for line in page.splitlines()]
    for parser in (each for verb in VERBS for each in parsers(parser_of(verb)) if each.get_default("func")):
        shown = [line for line in lines if f"{line} ".startswith(f"{parser.prog} ")]
        assert any(all(flag in line for flag in own_flags(parser)) for line in shown), parser.prog
    assert all(f"## {verb.word}" in lines or f".SS {verb.word}" in lines for verb in VERBS)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """It and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from parsers(each)


def own_flags(parser: argparse.ArgumentParser) -> set[str]:
    """The flags of a command, but for help and the settings, which have a page of their own."""
    apart = [action for group in parser._action_groups if "settings" in str(group.title)
             for action in group._group_actions]  # fmt: skip
    return {action.option_strings[0] for action in parser._actions if action.option_strings
            and action not in apart} - {"-h"}  # fmt: skip


# --- links, pictures, contents ----------------------------------------------------------------


@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_link_leads_to_a_page_and_a_place_on_it(name: str) -> None:
    for target in filter(is_ours, links(EVERYWHERE[name])):
        path, _hash, anchor = target.partition("#")
        there = normpath(join(dirname(name), path)).removeprefix("../docs/") if path else name
        assert (documents() / there).exists(), target
        if anchor:
            there = there.removeprefix("../docs/")  # from the file above them
            assert anchor in render(EVERYWHERE[there]).anchors, target


def test_every_page_is_in_the_contents_and_every_picture_on_a_page() -> None:
    listed = {entry.page for section in LIBRARY.contents() for entry in section.entries}
    wanted = {name for name in PAGES if not name.startswith(NOT_TO_READ)} - {INDEX}
    assert listed - {"decisions/README.md"} == wanted
    shown = {target.rpartition("/")[2] for text in EVERYWHERE.values() for target in links(text)}
    assert set(LIBRARY.pictures) <= shown, set(LIBRARY.pictures) - shown


def test_every_place_of_the_window_has_a_page_and_a_place_on_it() -> None:
    assert OF_PLACES.keys() == {place.key for place in PLACES} - {"help"}
    for target in OF_PLACES.values():
        name, _hash, anchor = target.partition("#")
        assert not anchor or anchor in LIBRARY.page(name).anchors, target


def test_the_faults_of_the_window_have_a_place_that_tells_of_them() -> None:
    assert {code.value for code in FaultCode} <= set(LIBRARY.page("troubleshooting.md").anchors)


# --- commands ---------------------------------------------------------------------------------


def test_commands_are_found_in_the_pages() -> None:
    assert sum(1 for text in EVERYWHERE.values() for _words in commands(text)) > 150


@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_command_is_one_that_the_program_takes(name: str) -> None:
    for words in commands(EVERYWHERE[name]):
        if is_shown_as_syntax(words) or (name == "command-line.md" and any("[" in word for word in words)):
            continue
        if words[0] in ("--help", "--version", "--selftest", "COMMAND") or "--help" in words:
            continue
        verb = next((verb for verb in VERBS if verb.word == words[0]), None)
        assert verb is not None, words
        if len(words) == 1:  # a mention of the command
            continue
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                parser_of(verb).parse_args(words)
        except SystemExit:
            pytest.fail(f"{shlex.join(words)}: {said.getvalue()}")


def test_what_harms_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that only look, each once as it stands in the pages."""
    monkeypatch.setenv("HIVEMIND_HOME", str(tmp_path))
    every = {tuple(words) for text in EVERYWHERE.values() for words in commands(text) if words}
    wanted = sorted(words for words in every if words[0] in HARMLESS and "set" not in words)
    wanted = [words for words in wanted if not any("[" in word or word.isupper() for word in words)]
    assert len(wanted) > 5
    for words in wanted:
        assert cli.main(list(words)) in (0, 3), words
        told = capsys.readouterr()
        assert told.out or told.err, words


def test_named_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for text in EVERYWHERE.values():
        for target in re.findall(r"`make ([a-z-]+)`|^    make ([a-z-]+)", text, re.M):
            assert (target[0] or target[1]) in targets


# --- rendering --------------------------------------------------------------------------------


def test_html_inside_a_page_is_text_and_nothing_is_loaded_from_elsewhere() -> None:
    page = render("# A *b* c\n\n<script>x</script> [l](https://example.org) ![p](pictures/home.png)\n")
    assert page.title == "A b c"
    assert "<script>" not in page.html and "&lt;script&gt;" in page.html
    for text in PAGES.values():
        assert not re.search(r"\]\(http://", text)
        assert not re.search(r"!\[[^\]]*\]\(https?:", text)


def test_anchors_are_those_of_the_sites_that_show_markdown() -> None:
    assert anchor_of("What's new, in 2?") == "whats-new-in-2"
    assert anchor_of("In a container", ["in-a-container"]) == "in-a-container-1"


class Targets(HTMLParser):
    """Every link, picture and anchor of a file."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.targets.append(value)
            if name == "id" and value:
                self.ids.add(value)


def test_the_files_for_a_browser_are_whole(tmp_path: Path) -> None:
    assert write_html(tmp_path) == len(PAGES)
    read: dict[Path, Targets] = {}
    for path in tmp_path.rglob("*.html"):
        read[path] = Targets()
        read[path].feed(path.read_text(encoding="utf-8"))
    for path, found in read.items():
        for target in filter(is_ours, found.targets):
            name, _hash, anchor = target.partition("#")
            there = (path.parent / name).resolve() if name else path
            assert there.exists(), (path, target)
            assert not anchor or anchor in read[there].ids, (path, target)
    assert address("decisions/README.md#x") == "decisions/index.html#x"
