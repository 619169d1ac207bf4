"""What the test files of one process share, as it stands: named is who leaves it changed, not its victim."""

from __future__ import annotations

import asyncio
import locale
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import psutil

from hivemind_worker.presentation import catalogue

AS_IT_BEGINS = ("light", 1.0)
"""The look that the windows of the tests begin with."""
LASTING: set[Path] = set()
"""Folders that serve many test files of a process until its end; programs that do so run in one of them."""
LOGGERS = ("", "hivemind_worker", "asyncio", "grpc", "PySide6", "qasync")


def lasts(folder: Path) -> Path:
    """This folder and the programs that run in it stay until the tests end; whoever made it sees to that."""
    LASTING.add(folder)
    return folder


def standing() -> dict[str, object]:
    """Everything that a test could leave changed for the files after it, by name."""
    return {
        "the language": catalogue.language_in_use(),
        "the look": _look(),
        "the time zone": (time.tzname, time.timezone),
        "the folder": Path.cwd(),
        "the files here": sorted(path.name for path in Path().iterdir() if path.is_file()),
        "the temporary folder": sorted(set(Path(tempfile.gettempdir()).iterdir()) - LASTING),
        "the programs": sorted(filter(None, map(_program, psutil.Process().children()))),
        "the mask of new files": _umask(),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the loop's policy": asyncio.events._event_loop_policy,  # type: ignore[attr-defined]
        "the usual time limit": socket.getdefaulttimeout(),
        "where modules are looked for": tuple(sys.path),
        **{
            f"the variable {name}": os.environ[name]
            for name in sorted({*os.environ} - {"PYTEST_CURRENT_TEST"})
        },
        **{f"the signal {number}": signal.getsignal(number) for number in signal.valid_signals()},
        **{f"the log {name or 'of all'}": _log(logging.getLogger(name)) for name in LOGGERS},
    }


def changed(before: dict[str, object], after: dict[str, object]) -> dict[str, tuple[object, object]]:
    """What differs, with both values."""
    names = sorted(before.keys() | after.keys())
    rows = {name: (before.get(name), after.get(name)) for name in names}
    return {name: row for name, row in rows.items() if row[0] != row[1]}


def _look() -> tuple[str, float]:
    theme = sys.modules.get("hivemind_worker.ui.theme")
    made = theme._appearance if theme else ()
    return (made[0]._wish, made[0]._scale) if made else AS_IT_BEGINS


def _program(child: psutil.Process) -> str:
    """How it was called; "" for one that lasts or has ended."""
    try:
        return "" if Path(child.cwd()) in LASTING else f"{child.pid} {' '.join(child.cmdline())}".strip()
    except psutil.Error:
        return ""


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def _log(logger: logging.Logger) -> tuple[object, ...]:
    own = [handler for handler in logger.handlers if not type(handler).__module__.startswith("_pytest")]
    return logger.level, logger.propagate, logger.disabled, own, logging.root.manager.disable
