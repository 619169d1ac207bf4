"""Every case of the corpus gets its verdict, leaves nothing behind, and costs little (rows Z1 to Z9)."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.faults import FAULTS, FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.work import Inspection
from hivemind_worker.runtimes.workspace import Workspace
from tests.contract.archives import CASES, Case, bombs

ROOT = Path(__file__).parents[2]
REFUSED = [case for case in CASES if case.verdict != "ok"]
GOOD = [case for case in CASES if case.verdict == "ok"]
BOMBS = [case for case in CASES if case.row == "Z6"]
Tree = dict[str, tuple[int, int]]


def tree(folder: Path) -> Tree:
    """Everything below a folder: path, mode and size."""
    seen = {path: path.lstat() for path in folder.rglob("*")}
    return {str(path.relative_to(folder)): (found.st_mode, found.st_size) for path, found in seen.items()}


def place(case: Case, folder: Path) -> tuple[Path, Path]:
    """The archive on disk, and where it is to be unpacked."""
    archive = folder / "spool" / "task.zip"
    archive.parent.mkdir()
    archive.write_bytes(case.build())
    (folder / "tasks").mkdir()
    return archive, folder / "tasks" / "workspace"


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def as_the_library_reads(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {item.filename: archive.read(item) for item in archive.infolist() if not item.is_dir()}


def test_the_corpus_is_whole() -> None:
    ids = [case.id for case in CASES]
    assert len(set(ids)) == len(ids)
    assert {case.row for case in CASES} == {f"Z{number}" for number in range(1, 10)}
    assert len(REFUSED) >= 85
    assert sum(case.row == "Z9" for case in CASES) >= 14


@pytest.mark.parametrize("case", [case for case in REFUSED if case.row != "Z6"], ids=lambda case: case.id)
def test_a_hostile_archive_is_refused_and_leaves_nothing(case: Case, tmp_path: Path) -> None:
    archive, folder = place(case, tmp_path)
    before = tree(tmp_path)
    workspace = Workspace()
    found = workspace.inspect(archive)
    assert isinstance(found, Inspection if case.late else Problem), found
    if case.verdict != "no_entry_point":
        refused = workspace.unpack(archive, folder)
        assert refused is not None
        assert refused.code == case.verdict
    if isinstance(found, Problem):
        assert found.code == case.verdict
        assert found.about.isprintable()
        assert found.about.isascii()
        assert len(found.about) <= 240
        assert FAULTS[found.code].incurable
    assert tree(tmp_path) == before


@pytest.mark.parametrize("case", BOMBS, ids=lambda case: case.id)
def test_a_bomb_costs_little_time_and_memory(case: Case, tmp_path: Path) -> None:
    archive, folder = place(case, tmp_path)
    before = tree(tmp_path)
    cost = cost_of(archive, folder)
    assert cost["verdict"] == case.verdict
    assert cost["seconds"] <= (10 if case.late else 2)
    assert cost["bytes"] <= 64 << 20
    assert tree(tmp_path) == before


def cost_of(*paths: Path) -> dict[str, Any]:
    """Verdict, seconds and bytes of memory of a process that looks at an archive."""
    command = [sys.executable, "-m", "tests.contract.archives.measure", *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)
    cost: dict[str, Any] = json.loads(done.stdout)
    return cost


def test_the_dearest_honest_directory_is_looked_at_in_time(tmp_path: Path) -> None:
    archive = tmp_path / "task.zip"
    archive.write_bytes(bombs.most_names())
    cost = cost_of(archive)
    assert cost["verdict"] == "ok"
    assert cost["seconds"] <= 2
    assert cost["bytes"] <= 64 << 20


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.id)
def test_a_good_archive_is_unpacked_exactly(case: Case, tmp_path: Path) -> None:
    archive, folder = place(case, tmp_path)
    before = tree(tmp_path)
    found = Workspace().inspect(archive)
    assert isinstance(found, Inspection), found
    assert Workspace().unpack(archive, folder) is None
    expected = case.files if case.files is not None else as_the_library_reads(archive.read_bytes())
    assert files_below(folder) == expected
    assert found.entry in expected
    assert found.opened_bytes == sum(len(content) for content in expected.values())
    after = tree(tmp_path)
    outside = {
        name: what for name, what in after.items() if not name.startswith(str(Path("tasks/workspace")))
    }
    assert outside == before
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
        assert modes <= {0o644, 0o755}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no permission bits")
def test_only_the_right_to_run_survives_of_a_mode(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "setuid-is-dropped")
    archive, folder = place(case, tmp_path)
    before = os.umask(0o077)
    try:
        assert Workspace().unpack(archive, folder) is None
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "main.py").stat().st_mode) == 0o644


def test_an_archive_over_the_quota_is_refused(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "8-mib-of-zeros")
    archive, folder = place(case, tmp_path)
    workspace = Workspace(quota_bytes=4 << 20)
    found = workspace.inspect(archive)
    assert isinstance(found, Problem)
    assert found.code is FaultCode.TOO_BIG
    refused = workspace.unpack(archive, folder)
    assert refused is not None
    assert refused.code is FaultCode.TOO_BIG


def test_what_an_interrupted_try_left_is_replaced(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "deflated")
    archive, folder = place(case, tmp_path)
    folder.mkdir()
    (folder / "half.txt").write_text("half")
    assert Workspace().unpack(archive, folder) is None
    assert "half.txt" not in files_below(folder)


def test_an_archive_that_is_not_there_is_a_problem_not_an_error(tmp_path: Path) -> None:
    for found in (
        Workspace().inspect(tmp_path / "no.zip"),
        Workspace().unpack(tmp_path / "no.zip", tmp_path / "x"),
    ):
        assert isinstance(found, Problem)
        assert found.code is FaultCode.BAD_ARCHIVE
    assert list(tmp_path.iterdir()) == []
