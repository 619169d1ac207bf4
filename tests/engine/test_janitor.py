"""What goes: never what is owed, delivered results by age and quota, ownerless folders at once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hivemind_worker.engine.folders import Folders
from hivemind_worker.engine.janitor import Janitor, clear_spool
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Delivery, Problem, Task, TaskKey, TaskState
from hivemind_worker.nursery import NamedThread
from hivemind_worker.places import find_places
from hivemind_worker.runtimes.workspace import Workspace
from tests.fakes.node import make_task

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


@pytest.fixture
async def files() -> AsyncIterator[NamedThread]:
    thread = NamedThread("files")
    yield thread
    thread.close()


class Tidy:
    """A janitor; `open_keys` and `rows` may change while it works."""

    def __init__(self, folders: Folders, files: NamedThread, quota: int = 1 << 30) -> None:
        self.open_keys: set[str] = set()
        self.rows: dict[str, Task] = {}
        self.opens_meanwhile = ""
        self.janitor = Janitor(
            folders=folders, workspaces=Workspace(), files=files, find=self.find,
            is_open=self.open_keys.__contains__, clock=lambda: NOW_S, keep_s=7 * DAY_S, quota_bytes=quota,
        )  # fmt: skip

    async def find(self, key: TaskKey) -> Task | None:
        self.open_keys.add(self.opens_meanwhile)
        return self.rows.get(key)


async def test_results_older_than_a_week_go_with_their_folders(folders: Folders, files: NamedThread) -> None:
    keep(folders, "old", age_days=8)
    keep(folders, "new", age_days=6)
    await Tidy(folders, files).janitor.tidy()
    assert names(folders) == ({"new"}, {"new"})


async def test_the_oldest_go_first_when_the_quota_is_reached(folders: Folders, files: NamedThread) -> None:
    for age in (1, 2, 3):
        keep(folders, f"day{age}", age_days=age, size=100)
    await Tidy(folders, files, 250).janitor.tidy()
    assert names(folders)[0] == {"day1", "day2"}


async def test_what_is_owed_stays_however_old_and_large(folders: Folders, files: NamedThread) -> None:
    keep(folders, "owed", age_days=100, size=5000)
    tidy = Tidy(folders, files, 10)
    tidy.open_keys.add("owed")
    await tidy.janitor.tidy()
    assert names(folders) == ({"owed"}, {"owed"})


async def test_a_folder_that_no_row_and_no_result_owns_goes(folders: Folders, files: NamedThread) -> None:
    folders.workspace(TaskKey("stray")).mkdir(parents=True)
    folders.workspace(TaskKey("running")).mkdir(parents=True)
    folders.workspace(TaskKey("stray.going")).mkdir(parents=True)  # a crash cut the last time short
    tidy = Tidy(folders, files)
    tidy.open_keys.add("running")
    await tidy.janitor.tidy()
    assert names(folders)[1] == {"running"}


async def test_a_task_that_is_accepted_meanwhile_keeps_its_folder(
    folders: Folders, files: NamedThread
) -> None:
    folders.workspace(TaskKey("new")).mkdir(parents=True)
    tidy = Tidy(folders, files)
    tidy.opens_meanwhile = "new"  # after the folders were listed, before its turn comes
    await tidy.janitor.tidy()
    assert folders.workspace(TaskKey("new")).exists()


async def test_a_workspace_that_a_crash_left_after_the_delivery_goes(
    folders: Folders, files: NamedThread
) -> None:
    tidy = Tidy(folders, files)
    too_large = Problem(code=FaultCode.RESULT_TOO_LARGE)
    tidy.rows = {
        "delivered": make_task(state=TaskState.COMPLETED),
        "too-large": make_task(state=TaskState.COMPLETED, problem=too_large, delivery=Delivery.DELIVERED),
    }
    for name in tidy.rows:
        keep(folders, name, age_days=1)
    await tidy.janitor.tidy()
    assert not folders.workspace(TaskKey("delivered")).exists()
    assert folders.log(TaskKey("delivered")).exists()
    assert folders.workspace(TaskKey("too-large")).exists()


def test_spooled_offers_of_an_earlier_life_go(folders: Folders) -> None:
    (folders.places.spool / "x.zip").write_bytes(b"x")
    clear_spool(folders)
    assert list(folders.places.spool.iterdir()) == []
