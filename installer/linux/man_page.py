"""The man page, from the program's own commands: `python -m installer.linux.man_page > FILE`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from hivemind_worker import __version__
from hivemind_worker.cli import VERBS, Verb
from installer.docs.command_line import Call, calls, named, sentence

HEAD = """\
.TH HIVEMIND-WORKER 1 "" "HiveMind Worker {version}" "User Commands"
.SH NAME
hivemind\\-worker \\- lend this computer to a HiveMind pool
.SH SYNOPSIS
.B hivemind\\-worker
.RI [ COMMAND ]
.RI [ ... ]
.SH DESCRIPTION
Takes tasks from a HiveMind pool and runs each one in a sandbox: a hardened Docker container, or one
that is built in. Without a command it opens its window where there is a display.
.SH COMMANDS
Each explains itself with
.BR "hivemind\\-worker \\fICOMMAND\\fP \\-\\-help" .
With
.B \\-\\-json
the output is one JSON object, or one a line. A flag for each setting, e.g.
.BR "\\-\\-node\\-port 6000" ,
is listed by
.BR "hivemind\\-worker config" .
"""
TAIL = """\
.SH ENVIRONMENT
.TP
.B HIVEMIND_HOME
One folder to keep everything in, instead of the desktop's folders for configuration, data, state and logs.
.PP
Every setting has a variable of its own:
.BR "hivemind\\-worker config" .
.SH FILES
.TP
.I ~/.config/HiveMind Worker/settings.toml
The settings that were changed.
.TP
.I ~/.local/share/HiveMind Worker
Tasks, results, receipts and the journal.
.TP
.I /var/lib/hivemind-worker
The same for the system service.
.SH EXIT STATUS
0 done, 1 the work failed, 2 wrong usage, 3 no worker running, 4 refused.
.SH EXAMPLES
.nf
hivemind\\-worker demo
hivemind\\-worker login \\-\\-pool 10.0.0.1:50051 \\-\\-user NAME
systemctl \\-\\-user enable \\-\\-now hivemind\\-worker
.fi
"""


def rolled(text: str) -> str:
    """As roff reads it: its own signs escaped."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")


def man_page() -> str:
    """The whole page."""
    return HEAD.format(version=__version__) + "".join(map(_section, VERBS)) + TAIL


def _section(verb: Verb) -> str:
    return f".SS {rolled(verb.word)}\n{_text(verb.help)}\n" + "".join(
        part for call in calls(verb) for part in _call(call)
    )


def _call(call: Call) -> Iterator[str]:
    yield f".PP\n.B {rolled(call.synopsis)}\n"
    yield f".br\n{_text(call.about)}\n" if call.about else ""
    yield from map(_word, call.explained)


def _word(action: argparse.Action) -> str:
    chosen = f" {', '.join(map(str, action.choices))}." if action.choices else ""
    return f".TP\n.B {rolled(named(action))}\n{_text(str(action.help))}{rolled(chosen)}\n"


def _text(text: str) -> str:
    return rolled(sentence(text).replace("\\|", "|"))


if __name__ == "__main__":
    print(man_page(), end="")  # noqa: T201
