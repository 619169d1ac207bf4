"""The command line: a table of verbs, each in a module that is imported only when asked for.

Verbs declare themselves (`add_parser`) and run themselves (`func`); here is only what is
the same for all: finding the verb, help, suggestions, and quiet ends.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import io
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from hivemind_worker.commands.printing import fail, say
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

PROGRAM = "hivemind-worker"
INTERRUPTED = 130  # as a shell counts an end by SIGINT
PIPE_CLOSED = 141  # and by SIGPIPE


@dataclass(frozen=True, slots=True)
class Verb:
    """One command: its word, the module of `commands` that has it, and its line of help."""

    word: str
    module: str
    help: str


VERBS = (
    Verb("gui", "gui", "open the desktop app; also without a command where there is a display"),
    Verb("run", "run", "run the worker without a window"),
    Verb("demo", "demo", "run sample tasks through a pool and a worker on this computer"),
    Verb("pool", "pool", "run the embedded pool alone, or make an account in it"),
    Verb("submit", "submit", "send a folder or a zip to a pool and fetch its result"),
    Verb("status", "status", "show how the running worker is, and why it does (not) work"),
    Verb("tasks", "tasks", "list the open tasks, then the last ended ones"),
    Verb("logs", "logs", "show what a task has printed; --follow as it comes"),
    Verb("story", "tasks", "tell what happened to a task, and where it lies"),
    Verb("stop", "tasks", "end one task"),
    Verb("pause", "mode", "freeze all tasks until resumed, or one alone"),
    Verb("resume", "mode", "go on, and take work again; or let one task go on"),
    Verb("snooze", "mode", "freeze all tasks for 15m, 1h, 4h or until tomorrow"),
    Verb("finish", "mode", "take no new task; pause (or --quit) after the running ones"),
    Verb("fleet", "fleet", "your machines at the pool: list them; pause, resume, finish one or all"),
    Verb("dashboard", "dashboard", "open the dashboard in the browser, signed in"),
    Verb("user", "user", "accounts, sessions and read-only tokens of the dashboard"),
    Verb("login", "login", "sign in to a pool and keep the login for run"),
    Verb("logout", "login", "forget the kept login"),
    Verb("vpn", "vpn", "the pool's network: import a profile, bring it up, find what is wrong"),
    Verb("doctor", "doctor", "look for what keeps this computer from working"),
    Verb("config", "config", "show or change settings"),
    Verb("sandbox", "sandbox", "add interpreter packs to the built-in sandbox"),
    Verb("image", "image", "make, fetch and list the images that tasks in Docker run in"),
    Verb("retry", "mode", "try again now what failures in a row have put on hold"),
    Verb("history", "history", "tasks, hours, credits, energy and cost by day, pool or image"),
    Verb("benchmark", "benchmark", "measure the processor on the scale of the pools: 100 = one core"),
    Verb("receipt", "receipt", "what ran here, signed: show a task's receipt, or verify one"),
    Verb("rules", "rules", "when to run and how much: show, set, paint, preset, preview, replay"),
    Verb("mode", "mode", "work by the rules, or whatever they say: mode rules, mode run --for 1h"),
    Verb("selftest", "selftest", "prove that this installation is whole"),
    Verb("version", "version", "show the version"),
)

ENDING = f"""\
Each command explains itself with: {PROGRAM} COMMAND --help
HIVEMIND_HOME names one folder to keep everything in.
Exit codes: 0 done, 1 the work failed, 2 wrong usage, 3 no worker running, 4 refused.
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, with the nearest flag, and remembers its flags for that."""

    def __init__(self, **options: Any) -> None:
        self.flags: list[str] = []
        super().__init__(**options, allow_abbrev=False)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        action = super().add_argument(*names, **options)
        self.flags += action.option_strings
        return action

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Unknown flags end here, where the flags of the verb are known, and not at the top."""
        self._check_flags(sys.argv[1:] if args is None else args)
        found, rest = super().parse_known_args(args, namespace)
        for word in rest:
            if word.startswith("-"):
                self.error(f"There is no flag {word.partition('=')[0]}.{_nearest(word, self.flags)}")
        return found, rest

    def _check_flags(self, args: Sequence[str]) -> None:
        """Before a word of its own is expected: the value of an unknown flag would be taken for one."""
        words = [each for action in self._actions if isinstance(each := action, argparse._SubParsersAction)]
        if not words:
            return
        for word in args:
            if any(word in each.choices for each in words) or word == "--":
                return
            if word.startswith("--") and word.partition("=")[0] not in self.flags:
                self.error(f"There is no flag {word.partition('=')[0]}.{_nearest(word, self.flags)}")

    def error(self, message: str) -> NoReturn:
        text = message if message.endswith((".", "?")) else f"{message[:1].upper()}{message[1:]}."
        sys.exit(fail(Problem(code=FaultCode.BAD_USAGE, about=text), "--json" in sys.argv))


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    _show_any_letter()
    try:
        _speak()
        code = _run(list(argv))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _let_go_of_output()
        return PIPE_CLOSED
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0
    return code


def _run(argv: list[str]) -> int:
    if not argv and not _has_display():
        return _hint()
    argv = argv or ["gui"]
    word = argv[0]
    if word in ("-h", "--help", "help"):
        say(help_text())
        return 0
    if word in ("--version", "--selftest"):
        argv = [word.removeprefix("--"), *argv[1:]]
    verb = next((verb for verb in VERBS if verb.word == argv[0]), None)
    if verb is None:
        return _unknown(word, "--json" in argv)
    args = parser_of(verb).parse_args(argv)
    code = args.func(args)
    assert isinstance(code, int)
    return code


def parser_of(verb: Verb) -> Parser:
    """The parser that knows this command alone."""
    parser = Parser(prog=PROGRAM)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    importlib.import_module(f"hivemind_worker.commands.{verb.module}").add_parser(subparsers)
    return parser


def help_text() -> str:
    """All commands with a line each, from the table alone: nothing is imported for it."""
    width = max(len(verb.word) for verb in VERBS)
    lines = [f"  {verb.word:<{width}}  {verb.help}" for verb in VERBS]
    head = f"usage: {PROGRAM} COMMAND [...]\n\nLends this computer to a HiveMind pool."
    return "\n".join([head, "", "commands:", *lines, "", ENDING.rstrip()])


def _has_display() -> bool:
    from hivemind_worker.commands.first_picture import has_display

    return has_display()


def _hint() -> int:
    """Without a verb and without a display: there is no window to open, so tell what there is."""
    about = f"Which command? {PROGRAM} demo shows it at work; {PROGRAM} run starts the worker."
    return fail(Problem(code=FaultCode.BAD_USAGE, about=about), json=False)


def _unknown(word: str, json: bool) -> int:
    kind = "flag" if word.startswith("-") else "command"
    known = ["--help", "--version", "--selftest"] if kind == "flag" else [verb.word for verb in VERBS]
    about = f"There is no {kind} {word!a:.60}.{_nearest(word, known)}"
    return fail(Problem(code=FaultCode.BAD_USAGE, about=about), json)


def _nearest(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word.partition("=")[0].lower(), list(known), n=1, cutoff=0.5)
    return f" Did you mean {found[0]}?" if found else ""


def _speak() -> None:
    """Take the language of the settings, else the system's; a bad file is told by whoever needs it."""
    from hivemind_worker.commands.resolve import home_places
    from hivemind_worker.machine.language import system_languages
    from hivemind_worker.model.settings import from_environment
    from hivemind_worker.places import resources
    from hivemind_worker.presentation.catalogue import LANGUAGES, use_language
    from hivemind_worker.store.settings_file import load

    kept = load(home_places().settings_file)
    values = {**(kept if isinstance(kept, dict) else {}), **from_environment(os.environ)}
    wanted = str(values.get("language", ""))
    use_language(resources() / "locale", wanted if wanted in LANGUAGES else "", system_languages())


def _show_any_letter() -> None:
    """A terminal that cannot show a letter gets its number; a trace would help nobody."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _let_go_of_output() -> None:
    """The reader has gone (`| head`): without this the interpreter complains at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
