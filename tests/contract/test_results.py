"""Result archives: no byte from outside the task's folder, nothing endless, our own names win (R1 to R6)."""

from __future__ import annotations

import os
import random
import socket
import stat
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.work import Packed
from hivemind_worker.runtimes.workspace import RESULT_LIMITS, Workspace
from hivemind_worker.runtimes.workspace.folders import opened_folder
from hivemind_worker.runtimes.workspace.limits import MIB
from hivemind_worker.runtimes.workspace.packing import Bounds, pack_result
from hivemind_worker.runtimes.workspace.walk import Walk
from tests.contract.archives.rights import ordinary_user

SECRET = b"planted secret 5f1c"
OWN = (("execution_log.txt", b"ours\n"), ("task_logs.txt", b"log\n"))
Pack = Callable[[Path, Path], Packed]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the attacks need POSIX files")


@pytest.fixture(params=[True, False], ids=["by-descriptors", "by-paths"])
def pack(request: pytest.FixtureRequest) -> Pack:
    """Packing in both ways: as on POSIX, and as where folders cannot be held by descriptors."""
    bounds = Bounds(limits=RESULT_LIMITS, packed_bytes=99 * MIB, pinned=request.param)
    return lambda folder, target: pack_result(folder, target, OWN, bounds)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    (made / "main.py").write_text("print('hello')\n")
    return made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "result.zip"


def contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as read:
        assert read.testzip() is None
        names = read.namelist()
        assert len(names) == len(set(names))
        return {name: read.read(name) for name in names}


def test_a_result_is_the_folder_and_our_own_files(folder: Path, target: Path, pack: Pack) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "表.csv").write_bytes(b"1,2\n" * 1000)
    (folder / "empty").mkdir()
    (folder / "tool").write_bytes(b"")
    (folder / "tool").chmod(0o755)
    packed = pack(folder, target)
    assert packed == Packed(result_bytes=target.stat().st_size)
    assert contents(target) == {
        "execution_log.txt": b"ours\n",
        "task_logs.txt": b"log\n",
        "main.py": b"print('hello')\n",
        "out/表.csv": b"1,2\n" * 1000,
        "empty/": b"",
        "tool": b"",
    }
    with zipfile.ZipFile(target) as read:
        assert read.getinfo("tool").external_attr >> 16 == stat.S_IFREG | 0o755
        seen = time.localtime((folder / "main.py").stat().st_mtime)
        assert read.getinfo("main.py").date_time == (*seen[:5], seen.tm_sec // 2 * 2)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in target.parent.iterdir()) == ["result.zip", "workspace"]


def test_a_result_can_be_unpacked_by_its_requester(
    folder: Path, target: Path, pack: Pack, tmp_path: Path
) -> None:
    (folder / "12:30 plot?.txt").write_text("x")
    (folder / "zeros").write_bytes(bytes(70 * MIB))
    (folder / "Data").write_text("1")
    (folder / "data").write_text("2")
    pack(folder, target)
    assert Workspace(limits=RESULT_LIMITS).unpack(target, tmp_path / "out") is None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {name for name, _ in OWN} | {
        path.name for path in folder.iterdir()
    }


def test_a_task_that_was_never_unpacked_has_a_result_all_the_same(
    target: Path, tmp_path: Path, pack: Pack
) -> None:
    packed = pack(tmp_path / "absent", target)
    assert packed.problem is None
    assert contents(target) == dict(OWN)


def _link(folder: Path, secret: Path) -> None:
    (folder / "absolute").symlink_to(secret)
    (folder / "relative").symlink_to(os.path.relpath(secret, folder))
    (folder / "to-folder").symlink_to(secret.parent, target_is_directory=True)
    (folder / "shadow").symlink_to("/etc/shadow")
    (folder / "root").symlink_to("/root", target_is_directory=True)
    (folder / "environ").symlink_to("/proc/self/environ")
    (folder / "through").symlink_to("to-folder/secret.txt")
    (folder / "loop").symlink_to("loop")
    os.link(secret, folder / "hard")


def test_R1_no_link_is_followed_and_each_is_listed(
    folder: Path, target: Path, tmp_path: Path, pack: Pack
) -> None:
    (tmp_path / "private").mkdir()
    secret = tmp_path / "private" / "secret.txt"
    secret.write_bytes(SECRET)
    before = {path.name for path in folder.iterdir()}
    _link(folder, secret)
    planted = {path.name for path in folder.iterdir()} - before
    packed = pack(folder, target)
    found = contents(target)
    assert set(found) == {"execution_log.txt", "task_logs.txt", "main.py", "left_out.txt"}
    assert not any(SECRET in content for content in found.values())
    assert {line.split(":")[0] for line in packed.left_out} == planted
    assert all(name.encode() in found["left_out.txt"] for name in planted)


def test_R1_the_folder_itself_may_not_be_a_link(
    folder: Path, target: Path, tmp_path: Path, pack: Pack
) -> None:
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    packed = pack(tmp_path / "link", target)
    assert packed.problem is not None
    assert packed.problem.code is FaultCode.RESULT_UNREADABLE
    assert set(contents(target)) == {"execution_log.txt", "task_logs.txt", "error_log.txt", "left_out.txt"}


def test_R1_files_of_another_user_are_left_out(folder: Path, target: Path, pack: Pack) -> None:
    foreign = folder / "foreign"
    foreign.write_bytes(SECRET)
    figures = list(foreign.stat())
    figures[4] = 12345  # st_uid
    with opened_folder(folder) as root:
        walk = Walk(root, RESULT_LIMITS, frozenset())
        assert walk.objection(os.stat_result(figures)) is not None
        assert walk.objection(foreign.stat()) is None
    if os.geteuid() == 0:  # only root can give files away
        os.chown(foreign, 12345, 12345)
        assert pack(folder, target).left_out == ("foreign: belongs to another user",)
        assert "foreign" not in contents(target)


def _swap(folder: Path, private: Path, over: threading.Event) -> None:
    """Turn a file and a folder into links and back, as fast as it goes."""
    while not over.is_set():
        for name, kind in (("file", private / "secret.txt"), ("sub", private)):
            spare = folder / f"{name}-spare"
            place = folder / name
            place.rename(spare)
            place.symlink_to(kind)
            place.unlink()
            spare.rename(place)


@pytest.mark.parametrize("run", range(20))
def test_R2_swapping_while_packing_leaks_nothing(
    run: int, folder: Path, target: Path, tmp_path: Path
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    for name in ("secret.txt", "inner.txt"):
        (private / name).write_bytes(SECRET)
    (folder / "sub").mkdir()
    (folder / "sub" / "inner.txt").write_bytes(b"own")
    (folder / "file").write_bytes(b"own" * 1000)
    over = threading.Event()
    attacker = threading.Thread(target=_swap, args=(folder, private, over), name="attacker")
    attacker.start()
    try:
        for _ in range(10):
            Workspace().pack(folder, target, OWN)
            assert not any(SECRET in content for content in contents(target).values())
    finally:
        over.set()
        attacker.join(timeout=10)
    assert not attacker.is_alive()


def test_R3_pipes_sockets_and_devices_are_skipped_at_once(folder: Path, target: Path, pack: Pack) -> None:
    os.mkfifo(folder / "pipe")
    expected = {"pipe", "sock"}
    if os.geteuid() == 0:
        os.mknod(folder / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        expected.add("zero")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.open(".", os.O_RDONLY)
        try:  # the path of a socket has to be short
            os.chdir(folder)
            listening.bind("sock")
        finally:
            os.fchdir(here)
            os.close(here)
        start = time.monotonic()
        packed = pack(folder, target)
    assert time.monotonic() - start < 30
    assert {line.split(":")[0] for line in packed.left_out} == expected
    assert set(contents(target)) == {"execution_log.txt", "task_logs.txt", "main.py", "left_out.txt"}


def _sparse(folder: Path, size: int) -> None:
    with (folder / "hole").open("wb") as file:
        file.truncate(size)


def _noise(folder: Path) -> None:
    with (folder / "noise").open("wb") as file:
        for number in range(130):
            file.write(random.Random(number).randbytes(MIB))


def _many(folder: Path) -> None:
    for number in range(60_000):
        os.close(os.open(folder / str(number), os.O_CREAT | os.O_WRONLY))


LARGE: dict[str, Callable[[Path], None]] = {
    "hole-of-4-tib": lambda folder: _sparse(folder, 4 << 40),
    "3-gb-of-zeros": lambda folder: _sparse(folder, 3_000_000_000),
    "60000-files": _many,
    "130-mib-of-noise": _noise,
}


@pytest.mark.slow
@pytest.mark.parametrize("fill", LARGE.values(), ids=LARGE.keys())
def test_R4_a_result_that_is_too_large_stays_and_the_logs_go(
    fill: Callable[[Path], None], folder: Path, target: Path, pack: Pack
) -> None:
    fill(folder)
    start = time.monotonic()
    packed = pack(folder, target)
    assert time.monotonic() - start < 10
    assert packed.problem is not None
    assert packed.problem.code is FaultCode.RESULT_TOO_LARGE
    found = contents(target)
    assert set(found) == {"execution_log.txt", "task_logs.txt", "left_out.txt"}
    assert found["task_logs.txt"] == b"log\n"
    assert target.stat().st_size < MIB
    assert (folder / "main.py").exists()
    assert sorted(path.name for path in target.parent.iterdir()) == ["result.zip", "workspace"]


def test_R4_the_limit_is_kept_to_the_byte(folder: Path, target: Path) -> None:
    (folder / "noise").write_bytes(random.Random(9).randbytes(300_000))
    size = Workspace().pack(folder, target, OWN).result_bytes
    assert size == target.stat().st_size
    assert Workspace(result_limit_bytes=size).pack(folder, target, OWN).problem is None
    below = Workspace(result_limit_bytes=size - 1).pack(folder, target, OWN)
    assert below.problem is not None
    assert below.problem.code is FaultCode.RESULT_TOO_LARGE


def test_R4_a_file_that_grows_while_it_is_read_has_an_end(folder: Path, target: Path, pack: Pack) -> None:
    growing = folder / "growing.txt"
    growing.write_bytes(b"0123456789abcdef" * (2 * MIB // 16))
    over = threading.Event()

    def grow() -> None:
        with growing.open("ab", buffering=0) as file:
            while not over.is_set() and file.tell() < 512 * MIB:
                file.write(b"more text\n" * 20_000)

    writer = threading.Thread(target=grow, name="writer")
    writer.start()
    try:
        packed = pack(folder, target)
    finally:
        over.set()
        writer.join(timeout=10)
    assert packed.problem is None
    assert contents(target)["growing.txt"].startswith(b"0123456789abcdef")


FORGED: dict[str, Callable[[Path], object]] = {
    "file": lambda folder: (folder / "execution_log.txt").write_text("forged"),
    "other-case": lambda folder: (folder / "EXECUTION_LOG.txt").write_text("forged"),
    "folder": lambda folder: (
        (folder / "execution_log.txt").mkdir(),
        (folder / "execution_log.txt" / "x").write_text("forged"),
    ),
    "link": lambda folder: (folder / "execution_log.txt").symlink_to("/etc/passwd"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_R5_our_own_files_win_over_forged_ones(
    forge: Callable[[Path], object], folder: Path, target: Path, pack: Pack
) -> None:
    forge(folder)
    packed = pack(folder, target)
    found = contents(target)
    assert found["execution_log.txt"] == b"ours\n"
    assert len(packed.left_out) == 1
    assert set(found) == {"execution_log.txt", "task_logs.txt", "main.py", "left_out.txt"}


def test_R5_a_list_of_the_task_keeps_its_name(folder: Path, target: Path, pack: Pack) -> None:
    (folder / "left_out.txt").write_text("the task's own")
    (folder / "link").symlink_to("main.py")
    pack(folder, target)
    found = contents(target)
    assert found["left_out.txt"] == b"the task's own"
    assert b"link" in found["left_out_2.txt"]


def test_R6_odd_names_are_stored_or_listed(folder: Path, target: Path, pack: Pack) -> None:
    stored = [b"-rf", b" leading", b"trailing.", b"CON", b"a:b?*|.txt", "ü".encode() * 127, b"~", b"$(id)"]
    refused = [
        b"new\nline",
        b"esc\x1b[2J",
        b"back\\slash",
        b"..\\..\\evil",
        b"\xff\xfe",
        "\u202egnp.exe".encode(),
    ]
    for name in (*stored, *refused):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"x")
    packed = pack(folder, target)
    found = contents(target)
    assert {name.decode() for name in stored} <= set(found)
    assert len(found) == len(stored) + 4
    assert len(packed.left_out) == len(refused)
    assert found["left_out.txt"].isascii()
    assert found["left_out.txt"].count(b"\n") == len(refused) + 1


def _deep(folder: Path, depth: int) -> None:
    """Folders in folders, made by descriptors since their path is too long to write."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


@pytest.mark.parametrize("depth", [100, 300, 3000])
def test_R6_deep_folders_are_stored_or_listed_and_go_away(
    depth: int, folder: Path, target: Path, pack: Pack
) -> None:
    _deep(folder, depth)
    packed = pack(folder, target)
    names = set(contents(target))
    assert packed.problem is None
    assert (f"{'d/' * depth}bottom" in names) == (depth == 100)
    assert bool(packed.left_out) == (depth != 100)
    Workspace().remove(folder)
    assert not folder.exists()


def test_R6_what_may_not_be_read_is_listed_and_goes_away(pack: Pack) -> None:
    with ordinary_user() as ground:
        folder = ground / "workspace"
        (folder / "locked").mkdir(parents=True)
        (folder / "locked" / "inner.txt").write_text("x")
        (folder / "unreadable.txt").write_text("x")
        (folder / "locked").chmod(0)
        (folder / "unreadable.txt").chmod(0)
        packed = pack(folder, ground / "result.zip")
        assert set(contents(ground / "result.zip")) == {"execution_log.txt", "task_logs.txt", "left_out.txt"}
        assert packed.left_out == ("locked: permission denied", "unreadable.txt: permission denied")
        Workspace().remove(folder)
        assert not folder.exists()
