"""docs/command-line.md, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

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
    rows = "".join(f"| [`{verb.word}`](#{verb.word}) | {_sentence(verb.help)} |\n" for verb in VERBS)
    return HEAD + rows + "".join(_section(verb) for verb in VERBS)


def _section(verb: Verb) -> str:
    whole = _choices(parser_of(verb))[verb.word]
    return f"\n## {verb.word}\n\n{_sentence(verb.help)}\n" + "".join(_parser(f"{PROGRAM} {verb.word}", whole))


def _parser(words: str, parser: argparse.ArgumentParser, about: str = "") -> Iterator[str]:
    """What a command takes, and the same for each command below it."""
    below = _choices(parser)
    if not below or parser.get_default("func") is not None:
        yield f"\n    {' '.join([words, *_usage(parser)])}\n"
        yield from [f"\n{_sentence(about)}\n"] if about else []
        rows = "".join(_row(action) for action in _own(parser) if action.help and action.dest != "json")
        yield f"\n| Word or flag | Meaning |\n|---|---|\n{rows}" if rows else ""
        yield f"\n{SETTINGS}" if _takes_settings(parser) else ""
    helps = {choice.dest: choice.help or "" for choice in _described(parser)}
    for word, each in below.items():
        yield from _parser(f"{words} {word}", each, helps.get(word, ""))


def _usage(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in _own(parser):
        shown = _shown(action)
        yield shown if _is_needed(action) else f"[{shown}]"
    if _takes_settings(parser):
        yield "[--SETTING VALUE]..."


def _is_needed(action: argparse.Action) -> bool:
    """`required` of a word alone says different things in Python 3.11 and 3.13."""
    return action.required if action.option_strings else action.nargs not in ("?", "*")


def _row(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{_value(action)}`"
    chosen = " " + ", ".join(f"`{each}`" for each in action.choices) + "." if action.choices else ""
    return f"| {names} | {_sentence(str(action.help))}{chosen} |\n"


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


def _takes_settings(parser: argparse.ArgumentParser) -> bool:
    return any(_is_settings(group) for group in parser._action_groups)


def _is_settings(group: argparse._ArgumentGroup) -> bool:
    return str(group.title).startswith("settings")


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {word: each for action in _below(parser) for word, each in (action.choices or {}).items()}


def _described(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in _below(parser):
        yield from action._choices_actions


def _below(parser: argparse.ArgumentParser) -> list[argparse._SubParsersAction[argparse.ArgumentParser]]:
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]


def _sentence(text: str) -> str:
    text = text.replace("|", "\\|").strip()
    return (text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")) if text else ""
