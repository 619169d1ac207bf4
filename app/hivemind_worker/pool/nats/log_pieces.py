"""The logs of tasks on a NATS server: one message a call, each knowing where it ends in the whole."""

from __future__ import annotations

from collections import OrderedDict

from hivemind_worker.model.pool_records import log_pieces
from hivemind_worker.model.task import TaskKey
from hivemind_worker.pool.local.turns import Turns
from hivemind_worker.pool.nats.engine import Engine
from hivemind_worker.pool.nats.layout import LOG_SLACK_BYTES, LOGS, PIECE_BYTES, log_subject

END = "Hivemind-End"
REMEMBERED = 10_000


class LogPieces:
    """Appends to logs and reads them; any number of processes at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._turns = engine, Turns()
        # Where each of the logs written to lately ended, and by which record.
        self._ends: OrderedDict[TaskKey, tuple[int, int]] = OrderedDict()

    async def append(self, key: TaskKey, text: bytes, keep_bytes: int) -> None:
        """Append UTF-8, keeping at least the last `keep_bytes` of the log."""
        for piece in log_pieces(text, PIECE_BYTES):
            async with self._turns.of(key):  # two at once would each refuse the other, and read
                end = await self._append(key, piece)
            # Cutting reads the whole: it is done once each so many bytes.
            over = end > keep_bytes + LOG_SLACK_BYTES
            if over and end // LOG_SLACK_BYTES != (end - len(piece)) // LOG_SLACK_BYTES:
                await self._cut(log_subject(key), end - keep_bytes)

    async def _append(self, key: TaskKey, piece: bytes) -> int:
        # A log that this process has not written to is taken for empty, as a new one is. What is remembered
        # may be old, when another process wrote meanwhile: in both cases the server refuses.
        last, over = self._ends.pop(key, (0, 0))
        while True:
            end = last + len(piece)
            written = await self._engine.write(log_subject(key), piece, over=over, headers={END: str(end)})
            if written is not None:
                self._ends[key] = (end, written)
                if len(self._ends) > REMEMBERED:
                    self._ends.popitem(last=False)
                return end
            last, over = await self._end(key)

    async def _end(self, key: TaskKey) -> tuple[int, int]:
        last = await self._engine.read(LOGS, log_subject(key))
        return (int(last.headers[END]), last.revision) if last else (0, 0)

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
