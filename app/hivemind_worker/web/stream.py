"""GET /api/v1/events: the ring of web.live as server-sent events, to at most eight readers.

A reader holds a number, never a queue: one that is slow falls behind in the ring and is dropped with a mark.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.web.answers import Refusal, refusal, refuse
from hivemind_worker.web.connection import Connection
from hivemind_worker.web.document import Doc, Text, Whole, good
from hivemind_worker.web.live import MOST_READERS, TYPES, Live, frame_of
from hivemind_worker.web.routes import Route
from hivemind_worker.web.visitors import By, visitor_of

HEARTBEAT_S, CHECK_S, WRITE_LIMIT_S = 15.0, 5.0, 10.0
RETRY_MS = 2000
MAX_NUMBER = 1 << 53
SINCE = Whole("since", "Number of the last event that was seen; also as Last-Event-ID.", None, 0, MAX_NUMBER)
KINDS = Text("types", f"Only these types, with commas: {', '.join(TYPES)}.", "^[a-z]+(,[a-z]+)*$")
Still = Callable[[web.Request], Awaitable[bool]]
"""Whether the sender of a request is still signed in."""


class Stream:
    """The route."""

    def __init__(self, live: Live, still: Still) -> None:
        self._live = live
        self._still = still

    def table(self) -> list[Route]:
        """The route."""
        doc = Doc(
            summary="What changes, as server-sent events with numbers", tag="state", query=(SINCE, KINDS),
            answers=good("The events, without an end.", {"type": "string"}, "text/event-stream"),
        )  # fmt: skip
        return [Route(method="GET", path="/api/v1/events", handler=self.events, stream=True, doc=doc)]

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Events as they come, after those that were missed."""
        since, kinds = _since(request), _kinds(request)
        for wrong in (since, kinds):
            if isinstance(wrong, Refusal):
                return refuse(request.path, wrong)
        if self._live.readers >= MOST_READERS or self._live.closing:
            return refuse(request.path, _full())
        assert not isinstance(since, Refusal)
        assert not isinstance(kinds, Refusal)
        response = web.StreamResponse()
        response.headers["Content-Type"] = "text/event-stream"
        with self._live.reader() as moved:
            if isinstance(request.protocol, Connection):
                request.protocol.when_lost(moved.set)
            last = await self._live.catch_up()
            await response.prepare(request)
            reader = _Reader(request, response, self._live, kinds, last if since is None else since)
            await reader.begin()
            while not self._live.closing and await reader.send():
                if not await self._still_in(request, reader):
                    break
                await reader.wait(moved)
        return response

    async def _still_in(self, request: web.Request, reader: _Reader) -> bool:
        """A session that has ended ends its streams."""
        if time.monotonic() < reader.check_at:
            return True
        reader.check_at = time.monotonic() + CHECK_S
        visitor = visitor_of(request)
        return (visitor is not None and visitor.by is By.TOKEN) or await self._still(request)


class _Reader:
    """One stream: where it is in the ring, and when it last said something."""

    def __init__(
        self, request: web.Request, response: web.StreamResponse, live: Live, kinds: frozenset[str], at: int
    ) -> None:
        self._request = request
        self._response = response
        self._live = live
        self._kinds = kinds
        self._at = at
        self._wrote_at = time.monotonic()
        self.check_at = time.monotonic() + CHECK_S

    async def begin(self) -> None:
        """The pause before another try, and a mark when what was missed is gone."""
        head = f"retry: {RETRY_MS}\n\n".encode()
        if self._live.after(self._at) is None:
            head += self._resync()
        await self._write(head)

    async def send(self) -> bool:
        """Everything new, or a sign of life when it is time for one; False when this stream must end."""
        if self._request.transport is None or self._request.transport.is_closing():
            return False
        events = self._live.after(self._at)
        if events is None:
            await self._write(self._resync())
            return False
        frames = b"".join(event.frame for event in events if event.kind in self._kinds)
        if events:
            self._at = events[-1].number
        if not frames and time.monotonic() >= self._wrote_at + HEARTBEAT_S:
            frames = b": heartbeat\n\n"
        return not frames or await self._write(frames)

    def _resync(self) -> bytes:
        self._at = self._live.number
        return frame_of(self._at, "resync", {"seq": self._at})

    async def _write(self, content: bytes) -> bool:
        """Send; a reader that takes nothing for ten seconds is cut off."""
        try:
            async with asyncio.timeout(WRITE_LIMIT_S):
                await self._response.write(content)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            return False
        self._wrote_at = time.monotonic()
        return True

    async def wait(self, moved: asyncio.Event) -> None:
        """Until there is something new, or it is time for a sign of life."""
        due = min(self._wrote_at + HEARTBEAT_S, self.check_at) - time.monotonic()
        try:
            async with asyncio.timeout(max(0.01, due)):
                await moved.wait()
        except TimeoutError:
            pass
        moved.clear()


def _since(request: web.Request) -> int | Refusal | None:
    """The browser's own number counts more than that of the address: it is the later one."""
    text = request.headers.get("Last-Event-ID", "")
    if text.isascii() and text.isdigit() and len(text) < 17:
        return int(text)
    return SINCE.read(request)


def _kinds(request: web.Request) -> frozenset[str] | Refusal:
    asked = request.query.get(KINDS.name)
    kinds = frozenset(TYPES if asked is None else asked.split(","))
    if not kinds <= set(TYPES):
        return refusal(HTTPStatus.BAD_REQUEST, f"types must be some of {', '.join(TYPES)}, with commas.")
    return kinds


def _full() -> Refusal:
    return refusal(
        HTTPStatus.SERVICE_UNAVAILABLE, "", FaultCode.BUSY, retry_s=HEARTBEAT_S,
        detail=_("{count} readers follow the events already.", count=MOST_READERS),
        fix=_("Close a page of the dashboard, or read GET /api/v1/state now and then."),
    )  # fmt: skip
