"""The socket by which a second start finds the first window: in a folder of ours, for processes of ours."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEventLoop, QTimer

from hivemind_worker.ui.first_instance import FirstInstance, place_of

NOBODY = 65534
ASK = """import os, sys
from pathlib import Path
if sys.argv[2:]: os.setuid(int(sys.argv[2]))
from hivemind_worker.ui.first_instance import ask_to_show
print(ask_to_show(Path(sys.argv[1])))
"""
KNOCK = """import os, socket, sys
os.setuid(int(sys.argv[2]))
line = socket.socket(socket.AF_UNIX)
line.settimeout(10)
line.connect(sys.argv[1])
try:
    line.sendall(b"show\\n")
    print(line.recv(100))
except ConnectionError:
    print(b"")
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has named pipes with access lists")


def asked(program: str, *words: str) -> str:
    """What a process of its own prints while this one's loop turns."""
    loop, timer = QEventLoop(), QTimer()
    process = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True)
    timer.timeout.connect(lambda: loop.quit() if process.poll() is not None else None)
    timer.start(10)
    loop.exec()
    timer.stop()
    return process.communicate()[0].strip()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that everybody may enter, as the worker's own never is."""
    with tempfile.TemporaryDirectory(prefix="open-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("deep", [False, True], ids=["a short path", "a path too long for a socket"])
def test_it_lies_in_a_folder_of_ours_and_its_own_user_is_heard(
    qapp: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deep: bool
) -> None:
    with tempfile.TemporaryDirectory(prefix="s-") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        state = tmp_path / ("x" * 90) if deep else Path(short)
        state.mkdir(mode=0o700, exist_ok=True)
        shown: list[bool] = []
        first = FirstInstance(state, lambda: shown.append(True))
        place = Path(place_of(state))
        assert stat.S_ISSOCK(place.lstat().st_mode)
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        assert (asked(ASK, str(state)), shown) == ("True", [True])
        first.close()
        assert asked(ASK, str(state)) == "False"
        assert not place.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
@pytest.mark.skipif(
    not hasattr(socket, "SO_PEERCRED"), reason="this system does not tell who is at the other end"
)
def test_another_user_is_not_heard_although_the_folder_is_open(qapp: object, open_folder: Path) -> None:
    shown: list[bool] = []
    first = FirstInstance(open_folder, lambda: shown.append(True))
    place = place_of(open_folder)
    Path(place).chmod(0o777)
    assert asked(KNOCK, place, str(NOBODY)) == "b''"
    assert shown == []
    first.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
@pytest.mark.skipif(
    not hasattr(socket, "SO_PEERCRED"), reason="this system does not tell who is at the other end"
)
def test_another_users_socket_in_the_place_is_not_believed(qapp: object, open_folder: Path) -> None:
    squats = f"import os, socket, sys; os.setuid({NOBODY}); s = socket.socket(socket.AF_UNIX); " + (
        "s.bind(sys.argv[1]); s.listen(); print('up', flush=True); c = s.accept()[0]; "
        "c.sendall(b'shown\\n'); c.recv(9)"
    )
    open_folder.chmod(0o777)
    with subprocess.Popen(
        [sys.executable, "-c", squats, place_of(open_folder)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "up\n"
        assert asked(ASK, str(open_folder)) == "False"
