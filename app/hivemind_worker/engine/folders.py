"""Names of a task's files. Every name comes from the key, never from the requester's id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hivemind_worker.model.task import TaskKey
from hivemind_worker.places import Places


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the engine keeps what belongs to tasks."""

    places: Places

    def spooled(self, name: str) -> Path:
        return self.places.spool / name

    def task(self, key: TaskKey) -> Path:
        return self.places.tasks / key

    def workspace(self, key: TaskKey) -> Path:
        return self.task(key) / "workspace"

    def log(self, key: TaskKey) -> Path:
        return self.task(key) / "output.log"

    def bookmark(self, key: TaskKey) -> Path:
        return self.task(key) / "output.mark"

    def use(self, key: TaskKey) -> Path:
        return self.task(key) / "use.json"

    def result(self, key: TaskKey) -> Path:
        return self.places.results / f"{key}.zip"
