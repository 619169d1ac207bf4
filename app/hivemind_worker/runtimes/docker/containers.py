"""What is done with containers, each as one call of the engine. Ours alone: found by their labels."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from hivemind_worker.model.task import TaskKey
from hivemind_worker.runtimes.docker.engine import Engine, EngineError, Trouble
from hivemind_worker.runtimes.docker.hardening import LABEL_ATTEMPT, LABEL_HOME, LABEL_KEY

if TYPE_CHECKING:
    from docker import APIClient

NEVER = "0001-01-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A container of this home."""

    container: str
    name: str
    key: TaskKey
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What the engine says of one."""

    status: str  # created, running, paused, exited …
    exit_code: int
    out_of_memory: bool
    error: str
    pid: int
    has_started: bool
    container: str = ""  # its id, whatever name it was asked for by

    @property
    def is_alive(self) -> bool:
        """Whether anything of it runs, frozen or not."""
        return self.status in ("running", "paused", "restarting", "removing")


def name_of(key: TaskKey, attempt: int) -> str:
    """The name of a run's container, for people and for finding it again."""
    return f"task-{key}-{attempt}"


class Containers:
    """The containers of one home. Every call has a time limit and raises EngineError alone."""

    def __init__(self, engine: Engine, home: str) -> None:
        self._engine = engine
        self._home = home

    async def create(self, message: Mapping[str, Any], name: str) -> tuple[str, str]:
        """Make one; its id and the name that it got: another than `name` where somebody else has that."""
        try:
            return await self._create(message, name), name
        except EngineError as error:
            if error.trouble is not Trouble.CONFLICT:
                raise
        if await self._is_ours(name):  # left by a life that is gone: no run of this life has this name
            await self.remove(name)
        else:
            name = f"{name}-{secrets.token_hex(3)}"
        return await self._create(message, name), name

    async def _create(self, message: Mapping[str, Any], name: str) -> str:
        def create(api: APIClient) -> str:
            return str(cast(Any, api).create_container_from_config(dict(message), name)["Id"])

        return await self._engine.call(create)

    async def _is_ours(self, name: str) -> bool:
        found = await self._engine.call(lambda api: _inspected(api, name))
        return ((found.get("Config") or {}).get("Labels") or {}).get(LABEL_HOME) == self._home

    async def start(self, container: str) -> None:
        """Run its program."""
        await self._engine.call(lambda api: api.start(container))

    async def condition(self, container: str) -> Condition:
        """How it is now."""
        found = await self._engine.call(lambda api: _inspected(api, container))
        state = found.get("State") or {}
        return Condition(
            status=str(state.get("Status", "")), exit_code=int(state.get("ExitCode") or 0),
            out_of_memory=bool(state.get("OOMKilled")), error=str(state.get("Error") or ""),
            pid=int(state.get("Pid") or 0), has_started=not str(state.get("StartedAt")).startswith(NEVER),
            container=str(found.get("Id") or ""),
        )  # fmt: skip

    async def signal(self, container: str, name: str) -> None:
        """Send a signal to its first process, which hands it on; wakes a frozen one for it."""
        await self._engine.call(lambda api: api.kill(container, name))

    async def freeze(self, container: str) -> None:
        await self._engine.call(lambda api: api.pause(container))

    async def thaw(self, container: str) -> None:
        await self._engine.call(lambda api: api.unpause(container))

    async def share(self, container: str, cpu_quota: int) -> None:
        """Another share of the processor, from now on."""
        await self._engine.call(lambda api: api.update_container(container, cpu_quota=cpu_quota))

    async def stats(self, container: str) -> Mapping[str, Any]:
        """What it has used."""
        return await self._engine.call(
            lambda api: cast(Any, api).stats(container, stream=False, one_shot=True)
        )

    async def remove(self, container: str) -> None:
        """End it and take it away; one that is gone already is fine."""
        try:
            await self._engine.call(lambda api: api.remove_container(container, force=True, v=True))
        except EngineError as error:
            if error.trouble is not Trouble.GONE and "already in progress" not in str(error):
                raise

    async def ours(self) -> tuple[Found, ...]:
        """All of this home, also those that have ended."""
        rows = await self._engine.call(
            lambda api: api.containers(all=True, filters={"label": f"{LABEL_HOME}={self._home}"})
        )
        return tuple(found for row in rows if (found := _found(row)) is not None)


def _inspected(api: APIClient, container: str) -> Mapping[str, Any]:
    return dict(cast(Any, api).inspect_container(container))


def _found(row: Mapping[str, Any]) -> Found | None:
    labels = row.get("Labels") or {}
    try:
        attempt = int(labels[LABEL_ATTEMPT])
    except (KeyError, ValueError):
        return None
    names = row.get("Names") or ["/"]
    return Found(
        container=str(row["Id"]), name=str(names[0]).lstrip("/"),
        key=TaskKey(str(labels.get(LABEL_KEY, ""))), attempt=attempt,
    )  # fmt: skip
