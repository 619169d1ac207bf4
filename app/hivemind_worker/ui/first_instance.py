"""A second start finds the first one's window: a local socket, one word, one answer.

The lock of the home says who is first (`machine.single_instance`); this only carries the word. The socket
lies in a folder that only the owner may enter, and each side asks the system whose process the other is.
"""

from __future__ import annotations

import getpass
import hashlib
import logging
import os
import socket
import struct
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import platformdirs
from PySide6.QtCore import QCoreApplication, QObject
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from hivemind_worker.places import own_folder

log = logging.getLogger(__name__)

SHOW, DONE = b"show\n", b"shown\n"
WAIT_MS = 3000
LONGEST_PATH = 80
"""Bytes: a socket's path may have 103 at most (macOS), and Qt makes it under a longer name first."""


def place_of(state: Path) -> str:
    """The socket's path in the worker's own folder; where that is too long, by the open folder (Linux, where
    a session may have no folder for such things) or in the user's for such things.

    On Windows the name of a pipe, whose access list Qt sets.

    Raises:
        OSError: there is no folder that is the owner's alone.
    """
    told = f"{getpass.getuser()}\0{state.absolute()}"
    short = f"hivemind-worker-{hashlib.sha256(told.encode()).hexdigest()[:20]}"
    if os.name != "posix":
        return short
    near = state.absolute() / "window.socket"
    if len(os.fsencode(near)) <= LONGEST_PATH:
        return str(near)
    if sys.platform == "linux":
        return f"/proc/{os.getpid()}/fd/{_opened(state)}/{near.name}"
    folder = platformdirs.user_runtime_path("hivemind-worker")
    own_folder(folder)
    return str(folder / short)


@lru_cache
def _opened(state: Path) -> int:
    """The folder, open for as long as this process lives: a short way to what lies in it."""
    return os.open(state, os.O_RDONLY | os.O_DIRECTORY)


def _is_own(line: QLocalSocket) -> bool:
    """Whether the process at the other end is this user's; where the system does not tell, the folder has."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    with socket.socket(fileno=os.dup(int(line.socketDescriptor()))) as same:
        told = same.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    _pid, user, _group = struct.unpack("iII", told)
    return bool(user == os.geteuid())


def ask_to_show(state: Path) -> bool:
    """Have the window of the worker in this home come to the front; whether one did."""
    app = QCoreApplication.instance() or QCoreApplication(sys.argv[:1])
    line = QLocalSocket()
    try:
        line.connectToServer(place_of(state))
    except OSError:
        return False
    if not line.waitForConnected(WAIT_MS) or not _is_own(line):
        return False
    line.write(SHOW)
    line.flush()
    shown = line.waitForReadyRead(WAIT_MS) and bytes(line.readAll().data()) == DONE
    line.close()
    del app
    return shown


class FirstInstance(QObject):
    """Listens for a second start; `show` is called for each."""

    def __init__(self, state: Path, show: Callable[[], None]) -> None:
        super().__init__()
        self._show = show
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._connected)
        try:
            place = place_of(state)
        except OSError as error:
            log.warning("A second start cannot raise this window: %s: %s", error.filename, error.strerror)
            return
        QLocalServer.removeServer(place)  # of a life that was cut off: the lock says there is no other
        if not self._server.listen(place):
            log.warning("A second start cannot raise this window: %s", self._server.errorString())

    def _connected(self) -> None:
        line = self._server.nextPendingConnection()
        if line is None:
            return
        line.disconnected.connect(line.deleteLater)
        if not _is_own(line):
            line.abort()
            return
        line.readyRead.connect(lambda: self._read(line))
        if line.bytesAvailable():
            self._read(line)

    def _read(self, line: QLocalSocket) -> None:
        if bytes(line.readAll().data()) == SHOW:
            self._show()
            line.write(DONE)
            line.flush()

    def close(self) -> None:
        """Listen no more."""
        self._server.close()
