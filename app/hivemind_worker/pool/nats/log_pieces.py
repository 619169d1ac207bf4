"""The logs of tasks on a NATS server: one message a call, each knowing where it ends in the whole."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from hivemind_worker.model.pool_records import log_pieces
from hivemind_worker.model.task import TaskKey
from hivemind_worker.pool.local.turns import Turns
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.layout import LOG_SLACK_BYTES, LOGS, PIECE_BYTES, log_subject

END, SAID = "Hivemind-End", "Hivemind-Said"
REMEMBERED = 10_000


class LogEnd(NamedTuple):
    """Where a log ends in the whole, by which record, and under which name that was said."""

    byte: int
    revision: int
    said: str


EMPTY = LogEnd(0, 0, "")


class LogPieces:
    """Appends to logs and reads them; any number of processes at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._turns = engine, Turns()
        self._ends: OrderedDict[TaskKey, LogEnd] = OrderedDict()  # of the logs written to lately

    async def append(self, key: TaskKey, text: bytes, keep_bytes: int, said: str = "") -> None:
        """Append UTF-8, keeping at least the last `keep_bytes` of the log.

        `said` is of this text alone: what lies last under that name is not appended again (a try whose answer
        was lost).
        """
        for number, piece in enumerate(log_pieces(text, PIECE_BYTES)):
            async with self._turns.of(key):  # two at once would each refuse the other, and read
                end = await self._append(key, piece, f"{said}.{number}" if said else "")
            # Cutting reads the whole: it is done once each so many bytes.
            over = end > keep_bytes + LOG_SLACK_BYTES
            if over and end // LOG_SLACK_BYTES != (end - len(piece)) // LOG_SLACK_BYTES:
                await self._cut(log_subject(key), end - keep_bytes)

    async def _append(self, key: TaskKey, piece: bytes, said: str) -> int:
        # A log that this process has not written to is taken for empty, as a new one is. What is remembered
        # may be old, when another process wrote meanwhile: in both cases the server refuses.
        last = self._ends.pop(key, EMPTY)
        while not (said and last.said == said):
            end = last.byte + len(piece)
            headers = {END: str(end)} | ({SAID: said} if said else {})
            written = await self._engine.write(log_subject(key), piece, over=last.revision, headers=headers)
            if written is not None:
                last = LogEnd(end, written, said)
                break
            last = await self._end(key)
        self._ends[key] = last
        if len(self._ends) > REMEMBERED:
            self._ends.popitem(last=False)
        return last.byte

    async def _end(self, key: TaskKey) -> LogEnd:
        last = await self._engine.read(LOGS, log_subject(key))
        return LogEnd(int(last.headers[END]), last.revision, last.headers.get(SAID, "")) if last else EMPTY

    async def _cut(self, subject: str, from_byte: int) -> None:
        for kept in await self._engine.all_of(LOGS, subject):
            if int(kept.headers[END]) > from_byte:
                return
            await self._engine.delete(LOGS, kept.revision)

    async def read(self, key: TaskKey) -> tuple[int, str]:
        """Bytes cut off at the start so far, and the text that is left."""
        found = await self._engine.all_of(LOGS, log_subject(key))
        cut = int(found[0].headers[END]) - len(found[0].data) if found else 0
        return cut, b"".join(each.data for each in found).decode()
