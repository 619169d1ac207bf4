"""A folder as a task's archive: always the same bytes, no droppings, no links, nothing useless."""

from __future__ import annotations

import os
import random
import zipfile
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.workspace.bundle import Bundle, bundle

MOST = 100 * 2**20


def made(folder: Path, scratch: Path, most: int = MOST) -> Bundle:
    scratch.mkdir(exist_ok=True)
    done = bundle(folder, scratch, most)
    assert isinstance(done, Bundle), done
    return done


def refused(path: Path, scratch: Path, most: int = MOST) -> Problem:
    scratch.mkdir(exist_ok=True)
    done = bundle(path, scratch, most)
    assert isinstance(done, Problem), done
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "task"
    (home / "data" / "deep").mkdir(parents=True)
    (home / "main.py").write_text("print(1)")
    (home / "data" / "deep" / "ü 1.txt").write_text("x")
    (home / "run.sh").write_text("#!/bin/sh\n")
    (home / "run.sh").chmod(0o755)
    return home


def test_the_same_folder_makes_the_same_bytes_whatever_its_times(folder: Path, tmp_path: Path) -> None:
    first = made(folder, tmp_path / "a").archive.read_bytes()
    for number, file in enumerate(folder.rglob("*")):
        os.utime(file, (number * 10_000, number * 10_000))
    assert made(folder, tmp_path / "b").archive.read_bytes() == first


def test_names_contents_and_the_right_to_execute_travel(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(made(folder, tmp_path / "a").archive) as archive:
        assert archive.namelist() == ["data/deep/ü 1.txt", "main.py", "run.sh"]
        assert archive.read("main.py") == b"print(1)"
        modes = {each.filename: each.external_attr >> 16 & 0o777 for each in archive.infolist()}
    assert (modes["run.sh"], modes["main.py"]) == (0o755, 0o644)


def test_droppings_of_tools_stay_at_home_and_are_named(folder: Path, tmp_path: Path) -> None:
    for name in (".git", "__pycache__", ".venv", "data/.idea", "my-env"):
        (folder / name).mkdir()
        (folder / name / "config").write_text("secret")
    (folder / "my-env" / "pyvenv.cfg").write_text("home = /usr")
    for name in ("old.pyc", "notes~", ".main.py.swp", ".DS_Store", "data/Thumbs.db"):
        (folder / name).write_text("secret")
    (folder / ".env").write_text("kept: it may be meant")
    bundled = made(folder, tmp_path / "a")
    with zipfile.ZipFile(bundled.archive) as archive:
        assert archive.namelist() == [".env", "data/deep/ü 1.txt", "main.py", "run.sh"]
    assert set(bundled.skipped) == {
        ".git/", "__pycache__/", ".venv/", "data/.idea/", "my-env/", "old.pyc", "notes~", ".main.py.swp",
        ".DS_Store", "data/Thumbs.db",
    }  # fmt: skip


@pytest.mark.parametrize("target", ["main.py", "data", "/etc/passwd", "nowhere"])
def test_links_are_refused_by_name(folder: Path, tmp_path: Path, target: str) -> None:
    (folder / "data" / "shortcut").symlink_to(target)
    problem = refused(folder, tmp_path / "a")
    assert problem.code is FaultCode.BAD_PATH and "data/shortcut" in problem.about


def test_pipes_are_refused_and_not_waited_for(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe")
    problem = refused(folder, tmp_path / "a")
    assert problem.code is FaultCode.BAD_PATH and "pipe" in problem.about


def test_a_name_that_is_no_text_is_refused(folder: Path, tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.txt"))).write_text("x")
    assert refused(folder, tmp_path / "a").code is FaultCode.BAD_PATH


def test_a_folder_over_the_limit_is_refused_before_it_fills_the_disk(folder: Path, tmp_path: Path) -> None:
    noise = random.Random(1)
    for number in range(4):
        (folder / f"noise{number}").write_bytes(noise.randbytes(2**20))
    problem = refused(folder, tmp_path / "a", 2 * 2**20)
    assert problem.code is FaultCode.TOO_BIG
    assert (tmp_path / "a" / "task.zip").stat().st_size < 4 * 2**20


def test_a_zip_is_taken_as_it_is(folder: Path, tmp_path: Path) -> None:
    archive = made(folder, tmp_path / "a").archive
    taken = made(archive, tmp_path / "b")
    assert (taken.archive, taken.size, taken.skipped) == (archive, archive.stat().st_size, ())


@pytest.mark.parametrize(
    "content, code",
    [(b"", FaultCode.BAD_ARCHIVE), (b"just text", FaultCode.BAD_PATH), (b"x" * 200, FaultCode.TOO_BIG)],
)
def test_a_file_that_is_no_usable_zip_is_refused(tmp_path: Path, content: bytes, code: FaultCode) -> None:
    file = tmp_path / "task.zip"
    file.write_bytes(content)
    assert refused(file, tmp_path / "a", 100).code is code


def test_what_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "absent", tmp_path / "a").code is FaultCode.BAD_PATH
    (tmp_path / "empty").mkdir()
    assert "no file" in refused(tmp_path / "empty", tmp_path / "b").about


def test_what_no_worker_would_take_is_told_here(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "readme.txt").write_text("no script")
    assert refused(tmp_path / "task", tmp_path / "a").code is FaultCode.NO_ENTRY_POINT
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../main.py", "print(1)")
    assert refused(tmp_path / "evil.zip", tmp_path / "b").code is FaultCode.UNSAFE_NAME
