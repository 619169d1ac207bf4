"""The worker's own log: `[time] LEVEL: message` on standard output, in a ring, and in rotated files."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from hivemind_worker.model.machine import LogEntry
from hivemind_worker.owned_file import clear_the_way

RING_FULL, RING_KEEPS = 1000, 500
FILE_BYTES, FILES = 2 * 1024 * 1024, 10
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
FILE_NAME = "worker.log"
PROGRAM = "hivemind_worker"
REPEAT_S, REMEMBERED = 60.0, 500


def one_line(text: str) -> str:
    """The text with control characters written out, so that nobody's words can forge a line or a colour."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def source_of(logger: str) -> str:
    """The part of the program that this logger belongs to: "pool" of hivemind_worker.pool.client."""
    return logger.removeprefix(f"{PROGRAM}.").partition(".")[0]


class LineFormatter(logging.Formatter):
    """`[2026-11-24 14:32:05] INFO: message`; a bug's trace follows, each line indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        stamp = datetime.fromtimestamp(record.created).strftime(TIME_FORMAT)
        line = f"[{stamp}] {record.levelname}: {one_line(record.getMessage())}"
        if record.exc_info and record.exc_info[0] is not None:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n    {one_line(part)}" for part in trace.splitlines())
        return line


class Calm(logging.Filter):
    """Lets the same warning or error through once a minute, then with how often it came meanwhile."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._steady = steady
        self._said: OrderedDict[tuple[int, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; several handlers ask about the same one."""
        if record.levelno < logging.WARNING:
            return True
        passes = record.__dict__.setdefault("passes", None)
        if passes is None:
            passes = record.__dict__["passes"] = self._judge(record)
        return bool(passes)

    def _judge(self, record: logging.LogRecord) -> bool:
        name, now_s = (record.levelno, record.getMessage()), self._steady()
        said_s, held_back = self._said.pop(name, (now_s - REPEAT_S, 0))
        if now_s - said_s < REPEAT_S:
            self._said[name] = (said_s, held_back + 1)
            return False
        self._said[name] = (now_s, 0)
        while len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        if held_back:
            record.msg, record.args = f"{name[1]} ({held_back} times more since)", ()
        return True


class Ring(logging.Handler):
    """The latest entries in memory: over 1000 they are cut to the latest 500."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[LogEntry] = []
        self._number = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        self._number += 1
        self._entries.append(
            LogEntry(
                number=self._number,
                timestamp=datetime.fromtimestamp(record.created).strftime(TIME_FORMAT),
                level=record.levelname,
                message=one_line(record.getMessage()),
                source=source_of(record.name),
                task=str(record.__dict__.get("task", "")),
            )
        )
        if len(self._entries) > RING_FULL:
            self._entries = self._entries[-RING_KEEPS:]

    def entries(self, after: int = 0) -> tuple[LogEntry, ...]:
        """Entries with a number above `after`, oldest first."""
        return tuple(entry for entry in self._entries if entry.number > after)


class _QuietFile(RotatingFileHandler):
    """A log that cannot be written (a full disk) must not end what it tells of.

    It is never written through a link that lies in the way.
    """

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600)
        if os.name == "posix":
            os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding, errors=self.errors)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        pass


class _QuietStream(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


class WorkerLog:
    """Installs the handlers on the program's logger; `close` takes them away again."""

    def __init__(self, folder: Path, *, to_stdout: bool = True, level: int = logging.INFO) -> None:
        self.ring = Ring()
        file = _QuietFile(
            folder / FILE_NAME, maxBytes=FILE_BYTES, backupCount=FILES - 1, encoding="utf-8",
            errors="backslashreplace", delay=True,  # opened below
        )  # fmt: skip
        self._handlers: list[logging.Handler] = [self.ring, file]
        if to_stdout:
            self._handlers.append(_QuietStream(sys.stdout))
        self._logger = logging.getLogger(PROGRAM)
        self._logger.setLevel(level)
        self._logger.propagate = False
        calm = Calm()
        for handler in self._handlers:
            handler.addFilter(calm)
            handler.setFormatter(LineFormatter())
            self._logger.addHandler(handler)
        self._say_what_is_wrong(Path(file.baseFilename), file)

    def _say_what_is_wrong(self, path: Path, file: _QuietFile) -> None:
        """A log file that cannot be had is no reason not to work, and one that leads elsewhere goes."""
        try:
            if clear_the_way(path):
                self._logger.warning("%s was a link or no file, and was taken away", path.name)
            if file.stream is None:
                file.stream = file._open()
        except OSError as error:
            self._logger.warning("%s cannot be written: %s", path.name, error.strerror)

    def close(self) -> None:
        """Flush and close everything."""
        for handler in self._handlers:
            self._logger.removeHandler(handler)
            handler.close()
        self._logger.propagate = True
        self._logger.setLevel(logging.NOTSET)
