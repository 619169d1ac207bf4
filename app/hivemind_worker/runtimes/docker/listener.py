"""Hears one container in a thread: its output, handed to the loop with back-pressure, then its end.

While the loop has not taken what was handed over nothing more is read; the engine's pipe fills up
and holds the program. Counterpart: `run`, which owns the container.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from hivemind_worker.runtimes.docker.engine import CALL_LIMIT_S, Engine, EngineError
from hivemind_worker.runtimes.docker.frames import Frames, Lines, Messages, Piece
from hivemind_worker.runtimes.docker.position import MisplacedError, Position, Replay, found_behind
from hivemind_worker.runtimes.docker.streams import EngineStream, open_stream

LOOK_UP_S = 1.0
QUIET_S = 0.1
BOTH = "stdout=1&stderr=1"
# The engine's log is bounded; when more than this has come its beginning may be gone.
SURE_BYTES = 8 << 20

Deliver = Callable[[Sequence[Piece]], Coroutine[Any, Any, None]]


class Listener:
    """For one container. `listen` blocks in a thread; `break_off` ends that from anywhere."""

    def __init__(self, engine: Engine, container: str, position: Position, deliver: Deliver) -> None:
        self._engine = engine
        self._container = container
        self._position = position
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._stream: EngineStream | None = None
        self._is_over = False

    def attach(self) -> None:
        """Open the live stream, before the start: then nothing is missed."""
        self._open("POST", f"attach?stream=1&{BOTH}", upgrade=True)

    def listen(self) -> int | None:
        """Hand over all output; the exit code, or None when the connection was lost before the end."""
        try:
            if self._stream is not None:
                self._pump(self._stream)
            else:
                self._replay()
            return self._end()
        except (OSError, EngineError):
            return None
        finally:
            self._let_go()

    def break_off(self) -> None:
        """Stop listening; what was not handed over yet is left."""
        with self._lock:
            self._is_over = True
            if self._stream is not None:
                self._stream.close()

    def _open(self, method: str, path: str, *, upgrade: bool = False) -> EngineStream:
        whole = f"/v{self._engine.api_version}/containers/{self._container}/{path}"
        stream = open_stream(self._engine.endpoint, method, whole, limit_s=CALL_LIMIT_S, upgrade=upgrade)
        self._let_go()
        with self._lock:
            self._stream = stream
            if self._is_over:
                stream.close()
        return stream

    def _let_go(self) -> None:
        with self._lock:
            if self._stream is not None:
                self._stream.close()
            self._stream = None

    def _pump(self, stream: EngineStream) -> None:
        frames, lines = Frames(), Lines()
        while True:
            try:
                data = stream.read(QUIET_S if lines.holds else None)
            except TimeoutError:  # a prompt, a row of dots: shown although the line has no end yet
                self._hand_over(lines.rest())
                continue
            if pieces := lines.feed(frames.feed(data)) if data else lines.rest():
                self._hand_over(pieces)
            if not data:
                return

    def _replay(self) -> None:
        """From the engine's log, behind what was handed over in an earlier life or before the engine went."""
        replay = Replay(self._position if self._position.total_bytes < SURE_BYTES else self._found())
        try:
            self._follow(replay)
        except MisplacedError:
            replay = Replay(self._found())
            with contextlib.suppress(MisplacedError):
                self._follow(replay)
        if replay.is_short:
            with contextlib.suppress(MisplacedError):
                self._follow(Replay(self._found()))

    def _follow(self, replay: Replay) -> None:
        stream, messages = self._open("GET", f"logs?follow=1&{BOTH}"), Messages()
        while data := stream.read():
            if pieces := replay.feed(messages.feed(data)):
                self._hand_over(pieces)
        self._let_go()

    def _found(self) -> Position:
        """Where in the log that the engine has now the output stood; a gap is said in the output."""
        stream, messages, log = self._open("GET", f"logs?{BOTH}"), Messages(), list[Piece]()
        while data := stream.read():
            log += messages.feed(data)
        self._let_go()
        position, is_whole = found_behind(log, self._position)
        if not is_whole:
            self._hand_over([(0, b"\n[some output is missing here: the worker was away for too long]\n")])
        return position

    def _end(self) -> int:
        """Wait for the engine to say how it ended."""
        self._let_go()
        stream, answer = self._open("POST", "wait"), b""
        while data := stream.read():
            answer += data
        try:
            return int(json.loads(answer)["StatusCode"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConnectionResetError("the engine ended the wait without an answer") from error

    def _hand_over(self, pieces: Sequence[Piece]) -> None:
        """Into the loop, and wait until it is taken."""
        taken = asyncio.run_coroutine_threadsafe(self._deliver(pieces), self._loop)
        while True:
            try:
                taken.result(LOOK_UP_S)
                return
            except concurrent.futures.CancelledError:
                raise ConnectionAbortedError("nobody listens any more") from None
            except TimeoutError:
                if self._is_over:
                    taken.cancel()
                    raise ConnectionAbortedError("nobody listens any more") from None
