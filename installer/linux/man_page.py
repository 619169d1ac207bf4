"""The man page, from the program's own table of commands: `python installer/linux/man_page.py > FILE`."""

from __future__ import annotations

from hivemind_worker import __version__
from hivemind_worker.cli import VERBS

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
    rows = [
        f".TP\n.B {rolled(verb.word)}\n{rolled(verb.help[:1].upper() + verb.help[1:])}." for verb in VERBS
    ]
    return HEAD.format(version=__version__) + "\n".join(rows) + "\n" + TAIL


if __name__ == "__main__":
    print(man_page(), end="")  # noqa: T201
