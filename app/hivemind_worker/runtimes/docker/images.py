"""The images that tasks run in: which one, fetching it, and room for it. Use from the loop's thread.

The owner's settings name the image; a task or the pool cannot (row C7 of the security page). Where
it is not here, one made on this computer serves. Counterparts: `pulls` (one attempt to fetch),
`image_facts` (what is in one), `image_cleaning` (room), `image_build` (making one).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.task import Problem
from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.model.work import PullProgress
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.runtimes.docker.engine import Engine, EngineError
from hivemind_worker.runtimes.docker.image_cleaning import ImageBook, clean
from hivemind_worker.runtimes.docker.image_facts import ImageFacts, facts_of, inspect
from hivemind_worker.runtimes.docker.image_names import LOCAL_IMAGE, is_allowed, is_pinned_right
from hivemind_worker.runtimes.docker.pulls import Pull, Pulled

if TYPE_CHECKING:
    from docker import APIClient

log = logging.getLogger(__name__)

LOOK_LIMIT_S = 90.0  # the first look into an image starts a container of it
ATTEMPTS = 3
RETRY_S = 2.0
REST_S, REST_MOST_S = 60.0, 3600.0
"""Between one failed fetch and the next that nobody asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRules:
    """What the owner's settings say."""

    name: str
    allowed: tuple[str, ...] = ()  # patterns; none: the image of the settings, and the local one
    pulls: bool = False  # whether a missing image may be fetched
    quota_bytes: int = 12 << 30
    floor_bytes: int = 2 << 30  # of the engine's disk, stays free


class ImageShelf:
    """One for the worker; `close` it. `changed` is called when `pulling` shows something new."""

    def __init__(
        self, engine: Engine, folder: Path, rules: ImageRules, changed: Callable[[], None] = lambda: None,
        moved: Moved = uncounted,
    ) -> None:  # fmt: skip
        self._moved = moved
        self._engine = engine
        self._folder = folder
        self._rules = rules
        self._changed = changed
        self._book = ImageBook(folder / "fetched.json")
        self._thread = NamedThread("images")
        self._nursery = Nursery("images")
        self._known: dict[str, ImageFacts] = {}
        self._in_use: Counter[str] = Counter()
        self._fetching: asyncio.Task[Problem | None] | None = None
        self._waiting = 0
        self._is_wanted = False  # by the worker itself, not by a task
        self._failed: Problem | None = None
        self._rest_s, self._rests_until_s = REST_S, 0.0
        self._may_fetch = rules.pulls and is_allowed(rules.name, rules.allowed or (rules.name,))
        self.pulling: PullProgress | None = None

    # --- which image ------------------------------------------------------------------------

    async def look(self) -> ImageFacts | Problem:
        """The image that tasks would run in now. A missing one begins to be fetched, when that is allowed.

        Never raises; takes a few ms, and a second for an image that is new here.
        """
        found = await self._find()
        if isinstance(found, ImageFacts):
            self._failed, self._rest_s = None, REST_S
            return found
        if found.code is not FaultCode.IMAGE_MISSING or not self._may_fetch:
            return found
        self._fetch_by_itself()
        if self._fetching is not None:
            return Problem(code=FaultCode.SANDBOX_PREPARING, about=f"image {self._rules.name} is fetched")
        return self._failed or found

    async def take(self, tell: Callable[[PullProgress], None] | None = None) -> ImageFacts | Problem:
        """The image for one task, from now on in use: give it back with `give_back`.

        Fetches a missing one, when that is allowed, calling `tell` once when that begins.
        Cancelling ends the fetch when nobody else waits for it.
        """
        found = await self._find()
        if isinstance(found, Problem) and found.code is FaultCode.IMAGE_MISSING and self._may_fetch:
            found = await self._wait_for_fetch(tell) or await self._find()
        if isinstance(found, ImageFacts):
            self._in_use[found.digest] += 1
        return found

    def give_back(self, image: ImageFacts) -> None:
        """The task has ended: its image may go when room is needed."""
        self._in_use[image.digest] -= 1
        self._in_use += Counter()

    async def _find(self) -> ImageFacts | Problem:
        names = (self._rules.name, LOCAL_IMAGE)
        allowed = [name for name in names if is_allowed(name, self._rules.allowed or names)]
        if not allowed:
            about = (
                f"task_image {self._rules.name} is not in allowed_images ({', '.join(self._rules.allowed)})"
            )
            return Problem(code=FaultCode.BAD_SETTING, about=about)
        try:
            return await self._engine.call(lambda api: self._found(api, allowed), LOOK_LIMIT_S)
        except EngineError as error:
            return Problem(code=FaultCode.SANDBOX_FAILED, about=f"the container engine: {error}")

    def _found(self, api: APIClient, names: list[str]) -> ImageFacts | Problem:
        """Runs in a thread of the engine's: the first of these that is here."""
        for name in names:
            image = inspect(api, name)
            if image is None:
                continue
            known = self._known.get(image["Id"])
            facts = known if known and known.name == name else facts_of(api, name, image, self._folder)
            if isinstance(facts, Problem):
                return facts
            if not is_pinned_right(name, image.get("RepoDigests") or (), self._rules.allowed):
                about = f"{name} has another digest than allowed_images says"
                return Problem(code=FaultCode.BAD_SETTING, about=about)
            self._known[facts.digest] = facts
            self._book.used(facts.digest, time.time())
            return facts
        return Problem(code=FaultCode.IMAGE_MISSING, about=f"{names[0]} is not here")

    # --- fetching ---------------------------------------------------------------------------

    def _fetch_by_itself(self) -> None:
        if self._fetching is None and time.monotonic() >= self._rests_until_s:
            self._is_wanted = True
            self._begin()

    def _begin(self) -> asyncio.Task[Problem | None]:
        if self._fetching is None:
            self._fetching = self._nursery.start("fetch", self._fetch(self._rules.name))
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    def _fetched(self, _: asyncio.Task[Problem | None]) -> None:
        self._fetching, self._is_wanted, self.pulling = None, False, None
        self._changed()

    async def _wait_for_fetch(self, tell: Callable[[PullProgress], None] | None) -> Problem | None:
        fetching = self._begin()
        if tell is not None:
            tell(self.pulling or PullProgress(image=self._rules.name))
        self._waiting += 1
        try:
            return await _ended(fetching)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._is_wanted:
                fetching.cancel()

    def cancel(self) -> None:
        """Break off a fetch; tasks that wait for it end with that as their problem."""
        if self._fetching is not None:
            self._rests_until_s = time.monotonic() + REST_MOST_S
            self._fetching.cancel()

    def fetch(self) -> None:
        """Begin to fetch the image of the settings now, whatever went before; again is harmless."""
        self._is_wanted, self._rests_until_s = True, 0.0
        self._begin()
        self._changed()

    async def pull(self) -> ImageFacts | Problem:
        """Fetch the image of the settings now, also when it is here: there may be a newer one."""
        return await _ended(self._begin()) or await self._find()

    async def _fetch(self, name: str) -> Problem | None:
        """All attempts. The problem of the last is kept for `look`."""
        log.info("fetching the task image %s", name)
        problem = None
        for attempt in range(ATTEMPTS):
            pulled = await self._attempt(name)
            problem = pulled.problem
            if problem is None or not pulled.again:
                break
            log.warning("%s", sentence(problem.code, problem.about))
            await asyncio.sleep(RETRY_S * 2**attempt)
        if problem is None:
            await self._note_fetched(name)
        else:
            self._failed = problem
            self._rests_until_s = time.monotonic() + self._rest_s
            self._rest_s = min(2 * self._rest_s, REST_MOST_S)
            log.error("%s", sentence(problem.code, problem.about))
        return problem

    async def _attempt(self, name: str) -> Pulled:
        loop = asyncio.get_running_loop()

        def tell(progress: PullProgress) -> None:
            loop.call_soon_threadsafe(self._show, progress)

        pull = Pull(name, floor_bytes=self._rules.floor_bytes, moved=self._moved)
        running = self._nursery.start("attempt", self._thread.call(pull.run, self._new_client, tell))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            pull.end()
            await asyncio.wait({running})
            raise

    def _new_client(self, timeout_s: float) -> APIClient:
        return self._engine.new_client(timeout_s=timeout_s)

    def _show(self, progress: PullProgress) -> None:
        self.pulling = progress
        self._changed()

    async def _note_fetched(self, name: str) -> None:
        def note(api: APIClient) -> None:
            image = inspect(api, name)
            if image is not None:
                self._book.fetched(image["Id"], name, time.time())

        try:
            await self._engine.call(note)
        except EngineError as error:
            log.warning("the fetched image could not be looked at: %s", str(error))
        await self.tidy()

    # --- room -------------------------------------------------------------------------------

    async def tidy(self) -> tuple[str, ...]:
        """Remove what was fetched and not used for longest, until the quota holds; names of what went.

        Never one in use, never the one of the settings, never one that this worker did not fetch.
        """
        kept = frozenset(self._in_use)
        try:
            return await self._engine.call(
                lambda api: clean(api, self._book, self._rules.quota_bytes, kept, self._rules.name)
            )
        except EngineError as error:
            log.warning("images could not be tidied: %s", str(error))
            return ()

    async def close(self) -> None:
        """End a fetch, take no more calls."""
        await self._nursery.close()
        self._thread.close(wait=False)


async def _ended(fetching: asyncio.Task[Problem | None]) -> Problem | None:
    """How a fetch ended; cancelling the caller does not end it, ending it does not cancel the caller."""
    await asyncio.wait({fetching})
    if fetching.cancelled():
        return Problem(code=FaultCode.IMAGE_NOT_FETCHED, about="it was broken off")
    return fetching.result()
