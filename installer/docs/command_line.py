"""docs/command-line.md, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from hivemind_worker.cli import PROGRAM, VERBS, Verb, parser_of

HEAD = f"""# Command line

This page is made from the program itself, so it says what this version does.

    {PROGRAM} COMMAND --help

explains a command. Without a command the window opens where there is a display. `python -m
hivemind_worker` is the same program.

- **Output** is for people; `--json` makes it one JSON object (one a line where there are several).
- **Exit codes**: 0 done, 1 the work failed, 2 wrong usage, 3 no worker running, 4 refused; further
  ones stand beside each message in [Troubleshooting](troubleshooting.md).
- **Where it keeps things**: `HIVEMIND_HOME` names one folder for everything. A command finds the running
  worker through it.
- **Settings** have a flag each on `run` and `gui`: [Settings](settings.md).

| Command | What it does |
|---|---|
"""
SETTINGS = "A flag for each of the [settings](settings.md), e.g. `--node-port 6000`.\n"


def command_line_page() -> str:
    """The page as Markdown, ending with a newline."""
    rows = "".join(f"| [`{verb.word}`](#{verb.word}) | {sentence(verb.help)} |\n" for verb in VERBS)
    return HEAD + rows + "".join(_section(verb) for verb in VERBS)


@dataclass(frozen=True, slots=True)
class Call:
    """A command that can be given, e.g. "pool user add". `about` is empty for a word of the first row."""

    words: str
    parser: argparse.ArgumentParser
    about: str = ""

    @property
    def synopsis(self) -> str:
        """With everything that it takes."""
        return " ".join([PROGRAM, self.words, *_usage(self.parser)])

    @property
    def explained(self) -> list[argparse.Action]:
        """Its words and flags that have a meaning of their own here."""
        return [action for action in _own(self.parser) if action.help and action.dest != "json"]

    @property
    def takes_settings(self) -> bool:
        return any(_is_settings(group) for group in self.parser._action_groups)


def calls(verb: Verb) -> Iterator[Call]:
    """The command itself, where it is one, and each command below it."""
    yield from _calls(verb.word, _choices(parser_of(verb))[verb.word])


def _calls(words: str, parser: argparse.ArgumentParser, about: str = "") -> Iterator[Call]:
    below = _choices(parser)
    if not below or parser.get_default("func") is not None:
        yield Call(words, parser, about)
    helps = {choice.dest: choice.help or "" for choice in _described(parser)}
    for word, each in below.items():
        yield from _calls(f"{words} {word}", each, helps.get(word, ""))


def _section(verb: Verb) -> str:
    shown = "".join(part for call in calls(verb) for part in _shown_call(call))
    return f"\n## {verb.word}\n\n{sentence(verb.help)}\n" + shown


def _shown_call(call: Call) -> Iterator[str]:
    yield f"\n    {call.synopsis}\n"
    yield from [f"\n{sentence(call.about)}\n"] if call.about else []
    rows = "".join(_row(action) for action in call.explained)
    yield f"\n| Word or flag | Meaning |\n|---|---|\n{rows}" if rows else ""
    yield f"\n{SETTINGS}" if call.takes_settings else ""


def _usage(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in _own(parser):
        shown = _shown(action)
        yield shown if _is_needed(action) else f"[{shown}]"
    if any(_is_settings(group) for group in parser._action_groups):
        yield "[--SETTING VALUE]..."


def _is_needed(action: argparse.Action) -> bool:
    """`required` of a word alone says different things in Python 3.11 and 3.13."""
    return action.required if action.option_strings else action.nargs not in ("?", "*")


def named(action: argparse.Action) -> str:
    """A flag or word as it is given, e.g. "--listen HOST:PORT"."""
    names = ", ".join(action.option_strings)
    return names if action.nargs == 0 else f"{names} {_value(action)}".strip()


def _row(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{_value(action)}`"
    chosen = " " + ", ".join(f"`{each}`" for each in action.choices) + "." if action.choices else ""
    return f"| {names} | {sentence(str(action.help))}{chosen} |\n"


def _shown(action: argparse.Action) -> str:
    if not action.option_strings:
        return _value(action) + ("..." if action.nargs in ("+", "*") else "")
    return action.option_strings[0] + ("" if action.nargs == 0 else f" {_value(action)}")


def _value(action: argparse.Action) -> str:
    if action.choices and not action.metavar:
        return "|".join(str(each) for each in action.choices)
    return str(action.metavar or action.dest).upper()


def _own(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The words and flags of a parser itself: no help, no commands below it, no settings."""
    settings = {
        id(action)
        for group in parser._action_groups
        if _is_settings(group)
        for action in group._group_actions
    }
    apart = (argparse._HelpAction, argparse._SubParsersAction)
    return [each for each in parser._actions if not isinstance(each, apart) and id(each) not in settings]


def _is_settings(group: argparse._ArgumentGroup) -> bool:
    return str(group.title).startswith("settings")


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {word: each for action in _below(parser) for word, each in (action.choices or {}).items()}


def _described(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in _below(parser):
        yield from action._choices_actions


def _below(parser: argparse.ArgumentParser) -> list[argparse._SubParsersAction[argparse.ArgumentParser]]:
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]


def sentence(text: str) -> str:
    """Begun with a capital and ended with a point, as a cell of a table may hold it."""
    text = text.replace("|", "\\|").strip()
    return (text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")) if text else ""
