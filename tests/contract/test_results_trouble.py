"""Packing, unpacking and removing when the computer itself is in trouble: full disk, no rights, lost logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.runtimes.workspace import Workspace
from hivemind_worker.runtimes.workspace.limits import MIB
from hivemind_worker.runtimes.workspace.removal import remove_folder
from tests.contract.archives.raw import Part, build
from tests.contract.archives.rights import ordinary_user

ROOT = Path(__file__).parents[2]
OWN = (("execution_log.txt", b"ours\n"),)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the limits used here are those of POSIX")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing beyond `size` fails as on a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names_in(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as read:
        return set(read.namelist())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    (made / "table.bin").write_bytes(os.urandom(200_000))
    return made


def test_unpacking_onto_a_full_disk_is_a_problem_and_leaves_nothing(tmp_path: Path) -> None:
    archive = tmp_path / "task.zip"
    archive.write_bytes(build(Part(), Part(name="data/large", data=bytes(8 * MIB))))
    with files_of_at_most(MIB):
        problem = Workspace().unpack(archive, tmp_path / "workspace")
    assert problem is not None
    assert problem.code is FaultCode.DISK_FULL
    assert [path.name for path in tmp_path.iterdir()] == ["task.zip"]


def test_unpacking_without_the_right_to_write_is_a_problem() -> None:
    with ordinary_user() as ground:
        archive = ground / "task.zip"
        archive.write_bytes(build(Part()))
        (ground / "tasks").mkdir(mode=0o500)
        problem = Workspace().unpack(archive, ground / "tasks" / "workspace")
        assert problem is not None
        assert problem.code is FaultCode.NO_PERMISSION
        assert list((ground / "tasks").iterdir()) == []


def test_packing_onto_a_full_disk_still_gives_our_own_files(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.zip"
    with files_of_at_most(20_000):
        packed = Workspace().pack(folder, target, OWN)
    assert packed.problem is not None
    assert packed.problem.code is FaultCode.RESULT_UNREADABLE
    assert packed.result_bytes == target.stat().st_size
    assert names_in(target) == {"execution_log.txt", "error_log.txt", "left_out.txt"}


def test_when_nothing_at_all_can_be_written_there_is_no_archive_and_no_residue(
    folder: Path, tmp_path: Path
) -> None:
    with files_of_at_most(10):
        packed = Workspace().pack(folder, tmp_path / "result.zip", OWN)
    assert packed.result_bytes == 0
    assert packed.problem is not None
    assert packed.problem.code is FaultCode.DISK_FULL
    assert [path.name for path in tmp_path.iterdir()] == ["workspace"]


def test_an_earlier_result_stays_until_the_new_one_is_whole(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.zip"
    Workspace().pack(folder, target, OWN)
    before = target.read_bytes()
    with files_of_at_most(10):
        Workspace().pack(folder, target, OWN)
    assert target.read_bytes() == before


def test_what_a_killed_worker_left_beside_the_target_is_replaced(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.zip"
    (tmp_path / "result.zip.part").write_bytes(b"half")
    assert Workspace().pack(folder, target, OWN).problem is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.zip", "workspace"]


def test_a_log_that_is_lost_is_listed_and_the_rest_goes(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.zip"
    own = (*OWN, ("task_logs.txt", tmp_path / "no.log"), ("x.txt", tmp_path))
    packed = Workspace().pack(folder, target, own)
    assert packed.problem is None
    assert packed.left_out == ("task_logs.txt: no such file or directory", "x.txt: not a plain file")
    assert names_in(target) == {"execution_log.txt", "table.bin", "left_out.txt"}


def test_packing_95_mib_takes_little_memory(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    with (folder / "noise").open("wb") as noise, log.open("wb") as lines:
        for number in range(90):
            noise.write(os.urandom(MIB))
            lines.write(b"line %d of the log\n" % number * (MIB // 20))
    command = [
        sys.executable,
        "-m",
        "tests.contract.archives.measure_pack",
        *map(str, (folder, tmp_path / "r.zip", log)),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)
    cost = json.loads(done.stdout)
    assert cost["problem"] is None
    assert cost["bytes"] <= 16 * MIB
    assert cost["seconds"] <= 20


@pytest.mark.parametrize("pinned", [True, False], ids=["by-descriptors", "by-paths"])
def test_removing_stays_inside_and_follows_no_link(pinned: bool, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "keep.txt").write_text("keep")
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "to-folder").symlink_to(outside, target_is_directory=True)
    (folder / "to-folder").symlink_to(outside, target_is_directory=True)
    (folder / "a" / "to-file").symlink_to(outside / "keep.txt")
    os.link(outside / "keep.txt", folder / "a" / "hard")
    assert remove_folder(folder, pinned=pinned)
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "keep.txt").read_text() == "keep"
    assert outside.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("pinned", [True, False], ids=["by-descriptors", "by-paths"])
def test_removing_copes_with_any_mode_and_depth(pinned: bool) -> None:
    with ordinary_user() as ground:
        folder = inner = ground / "workspace"
        above = []
        for number in range(300):
            inner.mkdir()
            above.append(inner)
            inner = inner / f"{number % 10}"
        inner.write_text("x")
        for path in (above[299], above[2], above[1], folder):
            path.chmod(0)
        assert remove_folder(folder, pinned=pinned)
        assert list(ground.iterdir()) == []


def test_removing_a_link_in_the_place_of_the_folder_takes_the_link_alone(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    Workspace().remove(tmp_path / "link")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["workspace"]
    assert (folder / "table.bin").exists()


def test_removing_what_is_absent_is_fine(tmp_path: Path) -> None:
    Workspace().remove(tmp_path / "absent")
    Workspace().remove(tmp_path / "absent" / "deeper")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_is_logged_and_the_rest_goes(caplog: pytest.LogCaptureFixture) -> None:
    with ordinary_user() as ground:
        folder = ground / "tasks" / "workspace"
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "free.txt").write_text("x")
        (ground / "tasks").chmod(0o500)
        assert not remove_folder(folder)
        assert list(folder.iterdir()) == []
        (ground / "tasks").chmod(0o700)
        assert remove_folder(folder)
    assert "cannot be removed" in caplog.text
