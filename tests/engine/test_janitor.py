"""What goes: never what is owed, delivered results by age and quota, ownerless folders at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hivemind_worker.engine.folders import Folders
from hivemind_worker.engine.janitor import clear_spool, tidy
from hivemind_worker.model.task import TaskKey
from hivemind_worker.places import find_places
from hivemind_worker.runtimes.workspace import Workspace

NOW_S = 1_000_000.0
DAY_S = 86400.0


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    places = find_places(str(tmp_path))
    places.make()
    return Folders(places)


def keep(folders: Folders, name: str, *, age_days: float, size: int = 100) -> TaskKey:
    """A kept result with its folder."""
    key = TaskKey(name)
    path = folders.result(key)
    path.write_bytes(bytes(size))
    os.utime(path, (NOW_S - age_days * DAY_S,) * 2)
    folders.workspace(key).mkdir(parents=True)
    folders.log(key).write_text("log")
    return key


def names(folders: Folders) -> tuple[set[str], set[str]]:
    results = {path.stem for path in folders.places.results.iterdir()}
    return results, {path.name for path in folders.places.tasks.iterdir()}


def tidy_now(folders: Folders, *open_keys: str, quota: int = 1 << 30) -> None:
    tidy(
        folders,
        Workspace(),
        {TaskKey(key) for key in open_keys},
        now_s=NOW_S,
        keep_s=7 * DAY_S,
        quota_bytes=quota,
    )


def test_results_older_than_a_week_go_with_their_folders(folders: Folders) -> None:
    keep(folders, "old", age_days=8)
    keep(folders, "new", age_days=6)
    tidy_now(folders)
    assert names(folders) == ({"new"}, {"new"})


def test_the_oldest_go_first_when_the_quota_is_reached(folders: Folders) -> None:
    for age in (1, 2, 3):
        keep(folders, f"day{age}", age_days=age, size=100)
    tidy_now(folders, quota=250)
    assert names(folders)[0] == {"day1", "day2"}


def test_what_is_owed_stays_however_old_and_large(folders: Folders) -> None:
    keep(folders, "owed", age_days=100, size=5000)
    tidy_now(folders, "owed", quota=10)
    assert names(folders) == ({"owed"}, {"owed"})


def test_a_folder_that_no_row_and_no_result_owns_goes(folders: Folders) -> None:
    folders.workspace(TaskKey("stray")).mkdir(parents=True)
    folders.workspace(TaskKey("running")).mkdir(parents=True)
    tidy_now(folders, "running")
    assert names(folders)[1] == {"running"}


def test_spooled_offers_of_an_earlier_life_go(folders: Folders) -> None:
    (folders.places.spool / "x.zip").write_bytes(b"x")
    clear_spool(folders)
    assert list(folders.places.spool.iterdir()) == []
