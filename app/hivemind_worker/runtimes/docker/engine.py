"""Talks to the engine: every call in one of its own threads and with a time limit; says how the engine is.

The SDK is loaded by the first call, not by importing this. Errors of the SDK and of its transport
come out as `EngineError`, whose `trouble` tells what can be done. Counterpart: `endpoint`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from hivemind_worker.nursery import NamedThread
from hivemind_worker.runtimes.docker.endpoint import Endpoint

if TYPE_CHECKING:
    from docker import APIClient

CALL_LIMIT_S = 10.0
LOOK_LIMIT_S = 5.0
CONNECT_THREADS = 12
OLDEST_API = (1, 40)
"""Docker 19.03: the first that has all that `hardening` asks for."""

Result = TypeVar("Result")


class Trouble(Enum):
    """What stands behind an error."""

    AWAY = "the engine does not answer"
    GONE = "there is no such thing"
    CONFLICT = "it is busy, or the name is taken"
    REFUSED = "the engine said no"


class EngineError(Exception):
    """A call that did not work."""

    def __init__(self, trouble: Trouble, text: str) -> None:
        super().__init__(text or trouble.value)
        self.trouble = trouble


class EngineState(StrEnum):
    """How the engine is."""

    READY = "ready"
    NOT_INSTALLED = "not_installed"
    NOT_RUNNING = "not_running"
    NO_PERMISSION = "no_permission"
    HUNG = "hung"
    TOO_OLD = "too_old"
    UNSUITABLE = "unsuitable"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What matters of a ready engine."""

    title: str  # for people, e.g. "Docker 20.10.24"
    api_version: str
    rootless: bool = False
    remapped: bool = False  # users of containers are not those of the computer
    selinux: bool = False
    podman: bool = False
    nvidia: bool = False  # whether it can give a container an NVIDIA card

    @property
    def level(self) -> str:
        """How strong its walls are, honestly."""
        return "container without root on the host" if self.rootless else "container"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineView:
    """What one look found."""

    state: EngineState
    detail: str
    facts: EngineFacts | None = None


class Engine:
    """One engine. Use from the loop's thread; `find` is asked anew after the engine was away."""

    def __init__(self, find: Callable[[], Endpoint], call_limit_s: float = CALL_LIMIT_S) -> None:
        self._find = find
        self._limit_s = call_limit_s
        self._threads = NamedThread("docker", threads=CONNECT_THREADS)
        self._look_thread = NamedThread("docker-look")
        self._clients = threading.local()
        self._endpoint = find()
        self._facts: EngineFacts | None = None

    @property
    def facts(self) -> EngineFacts | None:
        """Of the last look that found it ready."""
        return self._facts

    async def call(self, function: Callable[[APIClient], Result], limit_s: float | None = None) -> Result:
        """What `function` returns, run in a thread of the engine's with a client of that thread.

        Raises:
            EngineError: it did not work, or took longer than the limit.
        """
        return await self._within(self._threads, function, limit_s or self._limit_s)

    async def _within(
        self, threads: NamedThread, function: Callable[[APIClient], Result], limit_s: float
    ) -> Result:
        try:
            async with asyncio.timeout(limit_s):
                return await threads.call(self._guarded, function)
        except TimeoutError:
            raise EngineError(Trouble.AWAY, f"no answer within {limit_s:g} s") from None

    def _guarded(self, function: Callable[[APIClient], Result]) -> Result:
        try:
            _knock(self._endpoint, self._limit_s)
        except OSError as error:
            raise EngineError(Trouble.AWAY, " ".join(str(error).split())[:200]) from error
        import requests.exceptions  # noqa: PLC0415 - 200 ms that a worker without Docker does not need
        from docker.errors import DockerException  # noqa: PLC0415

        try:
            # It keeps a connection for every address it ever asked, and each container has its own.
            with contextlib.closing(self._client()) as client:
                return function(client)
        except (DockerException, requests.exceptions.RequestException, OSError) as error:
            raise as_engine_error(error) from error

    def _client(self) -> APIClient:
        """This thread's own client, which opens anew once closed: the SDK says nothing of sharing."""
        endpoint = self._endpoint
        kept: tuple[Endpoint, APIClient] | None = getattr(self._clients, "kept", None)
        if kept is not None and kept[0] == endpoint:
            return kept[1]
        client = self.new_client(endpoint, self._limit_s)
        self._clients.kept = (endpoint, client)
        return client

    def new_client(self, endpoint: Endpoint | None = None, timeout_s: float = CALL_LIMIT_S) -> APIClient:
        """A client of the SDK for use in one thread, with this limit for each answer. Blocks."""
        from docker import APIClient  # noqa: PLC0415
        from docker.tls import TLSConfig  # noqa: PLC0415

        endpoint = endpoint or self._endpoint
        tls: Any = False
        if endpoint.tls is not None:
            names = [str(endpoint.tls / name) for name in ("cert.pem", "key.pem")]
            tls = TLSConfig(
                client_cert=(names[0], names[1]), ca_cert=str(endpoint.tls / "ca.pem"), verify=True
            )
        version = self._facts.api_version if self._facts else "auto"
        # The SDK passes the limit on as it is: a fraction is as good as whole seconds.
        limit: Any = timeout_s
        return APIClient(base_url=endpoint.url, version=version, timeout=limit, tls=tls)

    @property
    def endpoint(self) -> Endpoint:
        """Where it is spoken to."""
        return self._endpoint

    @property
    def api_version(self) -> str:
        """The version of its language; the oldest that will do while it is not known."""
        return self._facts.api_version if self._facts else ".".join(map(str, OLDEST_API))

    async def look(self) -> EngineView:
        """How the engine is now; never raises, never waits longer than `LOOK_LIMIT_S`."""
        try:
            view = await self._within(self._look_thread, self._examine, min(self._limit_s, LOOK_LIMIT_S))
        except EngineError as error:
            self._facts = None
            view = self._explained(error)
            self._endpoint = self._find()
        return view

    def _examine(self, client: APIClient) -> EngineView:
        """Runs in the thread. A known engine is only asked whether it is there."""
        if self._facts is not None:
            client.ping()
            return EngineView(state=EngineState.READY, detail=self._facts.title, facts=self._facts)
        version, info = client.version(), client.info()
        view = judge(version, info)
        self._facts = view.facts
        return view

    def _explained(self, error: EngineError) -> EngineView:
        text = str(error)
        where = f"{self._endpoint.url}, found in {self._endpoint.source}"
        if _stems_from(error, PermissionError):
            return EngineView(state=EngineState.NO_PERMISSION, detail=f"this user may not use {where}")
        if _stems_from(error, TimeoutError) or "no answer within" in text or "timed out" in text.lower():
            return EngineView(state=EngineState.HUNG, detail=f"it does not answer at {where}")
        if _stems_from(error, FileNotFoundError) and not _is_installed():
            return EngineView(state=EngineState.NOT_INSTALLED, detail="no Docker on this computer")
        if _stems_from(error, FileNotFoundError) or _stems_from(error, ConnectionError):
            return EngineView(state=EngineState.NOT_RUNNING, detail=f"nothing answers at {where}")
        if error.trouble is Trouble.AWAY:
            return EngineView(state=EngineState.NOT_RUNNING, detail=f"{text} ({where})")
        return EngineView(state=EngineState.UNSUITABLE, detail=f"{text} ({where})")

    async def close(self) -> None:
        """Take no more calls; those that still wait end by their own limits."""
        for threads in (self._threads, self._look_thread):
            threads.close(wait=False)


def judge(version: dict[str, Any], info: dict[str, Any]) -> EngineView:
    """Whether an engine that answers can hold tasks."""
    components = {str(part.get("Name", "")) for part in version.get("Components") or ()}
    podman = any("podman" in name.lower() for name in components)
    title = f"{'Podman' if podman else 'Docker'} {version.get('Version', '?')}"
    api = str(version.get("ApiVersion", "0"))
    if _numbers(api) < OLDEST_API:
        return EngineView(
            state=EngineState.TOO_OLD, detail=f"{title} is too old: 19.03 is the oldest that will do"
        )
    if lacking := tuple(_lacking(info)):
        return EngineView(state=EngineState.UNSUITABLE, detail=f"{title} {', '.join(lacking)}")
    options = " ".join(map(str, info.get("SecurityOptions") or ()))
    facts = EngineFacts(
        title=title, api_version=api, rootless="name=rootless" in options, remapped="name=userns" in options,
        selinux="name=selinux" in options, podman=podman, nvidia="nvidia" in (info.get("Runtimes") or {}),
    )  # fmt: skip
    return EngineView(state=EngineState.READY, detail=title, facts=facts)


def _lacking(info: dict[str, Any]) -> list[str]:
    """Why tasks could not be held: each of these is a wall that would silently be missing."""
    found = []
    if info.get("OSType", "linux") != "linux":
        found.append("runs Windows containers")
    if not info.get("MemoryLimit", True):
        found.append("cannot limit memory")
    if not info.get("CpuCfsQuota", info.get("CPUCfsQuota", True)):
        found.append("cannot limit processors")
    if info.get("PidsLimit") is False:
        found.append("cannot limit processes")
    if not any("seccomp" in str(option) for option in info.get("SecurityOptions") or ("seccomp",)):
        found.append("cannot filter system calls")
    return found


def _numbers(version: str) -> tuple[int, ...]:
    with contextlib.suppress(ValueError):
        return tuple(int(part) for part in version.split(".")[:2])
    return (0, 0)


def _knock(endpoint: Endpoint, limit_s: float) -> None:
    """Whether anybody is at a socket, before the SDK asks: it leaves sockets behind that could not connect,
    and where there is no engine it need not even be loaded.

    Raises:
        OSError: nobody, or this user may not.
    """
    if endpoint.socket is not None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(limit_s)
            line.connect(str(endpoint.socket))


def _is_installed() -> bool:
    return any(shutil.which(name) for name in ("docker", "dockerd", "podman")) or os.name == "nt"


def _stems_from(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether `kind` is among the causes: the transport wraps the system's errors several times."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        found = waiting.pop()
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, kind):
            return True
        waiting += [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]
    return False


def as_engine_error(error: Exception) -> EngineError:
    """The trouble behind an error of the SDK or its transport."""
    from docker.errors import APIError, NotFound  # noqa: PLC0415

    if isinstance(error, NotFound):
        return EngineError(Trouble.GONE, str(error.explanation or ""))
    if isinstance(error, APIError):
        busy = error.status_code == 409
        text = " ".join(str(error.explanation or error).split())[:400]
        return EngineError(Trouble.CONFLICT if busy else Trouble.REFUSED, text)
    return EngineError(Trouble.AWAY, " ".join(str(error).split())[:200])
