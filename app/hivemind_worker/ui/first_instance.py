"""A second start finds the first one's window: a local socket, one word, one answer.

The lock of the home says who is first (`machine.single_instance`); this only carries the word.
"""

from __future__ import annotations

import getpass
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QObject
from PySide6.QtNetwork import QLocalServer, QLocalSocket

SHOW, DONE = b"show\n", b"shown\n"
WAIT_MS = 3000


def _name(state: Path) -> str:
    """One name a home and user; short, as a socket's path has little room."""
    told = f"{getpass.getuser()}\0{state.absolute()}"
    return f"hivemind-worker-{hashlib.sha256(told.encode()).hexdigest()[:20]}"


def ask_to_show(state: Path) -> bool:
    """Have the window of the worker in this home come to the front; whether one did."""
    app = QCoreApplication.instance() or QCoreApplication(sys.argv[:1])
    socket = QLocalSocket()
    socket.connectToServer(_name(state))
    if not socket.waitForConnected(WAIT_MS):
        return False
    socket.write(SHOW)
    socket.flush()
    shown = socket.waitForReadyRead(WAIT_MS) and bytes(socket.readAll().data()) == DONE
    socket.close()
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
        QLocalServer.removeServer(_name(state))  # of a life that was cut off: the lock says there is no other
        self._server.listen(_name(state))

    def _connected(self) -> None:
        socket = self._server.nextPendingConnection()
        if socket is None:
            return
        socket.disconnected.connect(socket.deleteLater)
        socket.readyRead.connect(lambda: self._read(socket))
        if socket.bytesAvailable():
            self._read(socket)

    def _read(self, socket: QLocalSocket) -> None:
        if bytes(socket.readAll().data()) == SHOW:
            self._show()
            socket.write(DONE)
            socket.flush()

    def close(self) -> None:
        """Listen no more."""
        self._server.close()
