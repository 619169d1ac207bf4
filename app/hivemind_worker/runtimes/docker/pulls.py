"""Fetches one image from its registry: follows the engine's progress, can be ended at once. Blocking.

Counterpart: `images`, which decides whether and how often.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.model.work import PullProgress

if TYPE_CHECKING:
    from docker import APIClient

STALL_S = 60.0
"""A registry that sends nothing for so long is given up."""
TELL_EVERY_S = 1.0
RATE_WINDOW_S = 10.0
FIRST_ROOM_BYTES = 1 << 30
"""Free before a pull begins: its size is known only when it runs."""

HOPELESS = ("not found", "manifest unknown", "denied", "unauthorized", "authentication required",
            "does not exist", "no matching manifest", "invalid reference", "repository name")  # fmt: skip
NO_SPACE = "no space left on device"

Tell = Callable[[PullProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """How one attempt ended: `problem` is None when the image is here; `again` says if trying may help."""

    problem: Problem | None = None
    again: bool = False


@dataclass(slots=True)
class _Layer:
    done_bytes: int = 0
    total_bytes: int = 0
    is_fetched: bool = False
    is_there: bool = False


@dataclass(slots=True)
class PullFollower:
    """Makes one picture of the many lines that the engine sends. Pure: the clock comes in."""

    image: str
    _layers: dict[str, _Layer] = field(default_factory=dict)
    _rates: deque[tuple[float, int]] = field(default_factory=deque)

    def feed(self, line: Mapping[str, Any], at_s: float) -> None:
        """One line of the engine's."""
        status, name = str(line.get("status", "")), line.get("id")
        if not isinstance(name, str) or status.startswith(("Pulling from", "Digest", "Status")):
            return
        layer = self._layers.setdefault(name, _Layer())
        detail = line.get("progressDetail") or {}
        match status:
            case "Downloading":
                layer.done_bytes = int(detail.get("current") or 0)
                layer.total_bytes = int(detail.get("total") or layer.total_bytes)
            case "Verifying Checksum" | "Download complete" | "Extracting":
                layer.done_bytes, layer.is_fetched = layer.total_bytes, True
            case "Pull complete" | "Already exists":
                layer.done_bytes, layer.is_fetched, layer.is_there = layer.total_bytes, True, True
        self._rates.append((at_s, self._done_bytes))
        while self._rates[0][0] < at_s - RATE_WINDOW_S:
            self._rates.popleft()

    @property
    def _done_bytes(self) -> int:
        return sum(layer.done_bytes for layer in self._layers.values())

    @property
    def fetched_bytes(self) -> int:
        """What has come over the network; layers that were here already have no size in these lines."""
        return self._done_bytes

    def progress(self) -> PullProgress:
        """The picture now."""
        layers = self._layers.values()
        total = sum(layer.total_bytes for layer in layers)
        return PullProgress(
            image=self.image, layers=len(layers), layers_done=sum(layer.is_there for layer in layers),
            done_bytes=self._done_bytes, total_bytes=total, seconds_left=self._seconds_left(total),
        )  # fmt: skip

    def _seconds_left(self, total: int) -> float | None:
        """None while it cannot be told: sizes of some layers are not known yet, or nothing moves."""
        if not self._rates or any(not (one.total_bytes or one.is_fetched) for one in self._layers.values()):
            return None
        (first_s, first), (last_s, last) = self._rates[0], self._rates[-1]
        if last_s - first_s < 1 or last <= first:
            return None
        return (total - last) * (last_s - first_s) / (last - first)


class Pull:
    """One attempt. `run` blocks in its thread; `end` is safe from any other and at any time."""

    def __init__(
        self, image: str, *, floor_bytes: int, stall_s: float = STALL_S, moved: Moved = uncounted
    ) -> None:
        self._image = image
        self._floor_bytes = floor_bytes
        self._stall_s = stall_s
        self._moved = moved
        self._follower = PullFollower(image)
        self._ended = threading.Event()
        self._response: Any = None

    def end(self) -> None:
        """Break off: the engine stops fetching when nobody listens any more."""
        self._ended.set()
        response = self._response
        if response is not None:
            with contextlib.suppress(Exception):  # whatever state it is in, the flag ends it as well
                response.raw.shutdown()

    def run(self, make_client: Callable[[float], APIClient], tell: Tell) -> Pulled:
        """Fetch it, telling how far it is at most twice a second."""
        import requests.exceptions  # noqa: PLC0415 - 200 ms that a worker without Docker does not need
        from docker.errors import DockerException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        client = None
        try:
            client = make_client(self._stall_s)
            return self._follow(client, tell)
        except (
            DockerException,
            requests.exceptions.RequestException,
            HTTPError,
            OSError,
            ValueError,
        ) as error:
            return self._failed(str(getattr(error, "explanation", None) or error))
        finally:
            self._moved(self._follower.fetched_bytes, 0)
            if self._response is not None:
                self._response.close()
            if client is not None:
                client.close()

    def _follow(self, client: APIClient, tell: Tell) -> Pulled:
        store = Path(str(client.info().get("DockerRootDir") or "/"))
        if problem := self._disk_problem(store, FIRST_ROOM_BYTES):
            return Pulled(problem=problem)
        client.hooks["response"].append(self._keep)
        follower, told_s = self._follower, 0.0
        repository, tag = name_and_tag(self._image)
        for line in cast(Any, client).pull(repository, tag=tag, stream=True, decode=True):
            if self._ended.is_set():
                break
            if "error" in line:
                return self._failed(str(line["error"]))
            now = time.monotonic()
            follower.feed(line, now)
            if now - told_s >= TELL_EVERY_S:
                told_s = now
                tell(follower.progress())
                if problem := self._disk_problem(store, 0):
                    return Pulled(problem=problem)
        if self._ended.is_set():
            return Pulled(problem=Problem(code=FaultCode.IMAGE_NOT_FETCHED, about="it was broken off"))
        tell(follower.progress())
        return Pulled()

    def _keep(self, response: Any, *_: Any, **__: Any) -> None:
        self._response = response

    def _disk_problem(self, store: Path, more_bytes: int) -> Problem | None:
        """Whether the disk of the engine would get too full; one on another computer is not ours to see."""
        try:
            free = shutil.disk_usage(store).free
        except OSError:
            return None
        if free >= self._floor_bytes + more_bytes:
            return None
        about = f"{free / 2**30:.1f} GiB free at {store}, too little for the image {self._image}"
        return Problem(code=FaultCode.DISK_FULL, about=about)

    def _failed(self, said: str) -> Pulled:
        text = " ".join(said.split())[:300]
        if NO_SPACE in text:
            return Pulled(problem=Problem(code=FaultCode.DISK_FULL, about=f"image {self._image}: {text}"))
        about = "it was broken off" if self._ended.is_set() else f"{self._image}: {text}"
        again = not self._ended.is_set() and not any(word in text.lower() for word in HOPELESS)
        return Pulled(problem=Problem(code=FaultCode.IMAGE_NOT_FETCHED, about=about), again=again)


def name_and_tag(image: str) -> tuple[str, str]:
    """Repository and tag (or digest); without one it is `latest`, never all of them."""
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")
