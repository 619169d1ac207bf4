"""`python -m tests.drills.patched CHANGE,… VERB…`: the worker with named changes.

`hurry` and `impatient` shorten waits that would only make a drill long. `effects-first` and `no-retry` are
the faults that the drills must find: without them nobody knows whether they find anything.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from typing import Any, ClassVar

LATE_S = 5.0


def hurry() -> None:
    """Looks at the disk and retries of packing each second; the failure guard holds work for a second."""
    from hivemind_worker.core import guard
    from hivemind_worker.engine import performer
    from hivemind_worker.worker_node import facts

    guard.HOLDS_S = (1.0, 1.0, 1.0)  # a mixture may well have three failing ones in a row
    performer.DISK_RETRY_S = 1.0
    facts.EVERY_S = 1.0


def impatient() -> None:
    """Deadlines of an upload of 2 s: a pool that is slower than that gets the result once more."""
    from hivemind_worker.pool import client
    from hivemind_worker.pool.session import Deadlines

    vars(client)["Deadlines"] = functools.partial(Deadlines, result_s=2.0, result_per_mib_s=0.1)


def effects_first() -> None:
    """Act and answer first, write the journal later."""
    from hivemind_worker.engine.loop import Engine

    decide: Callable[..., Any] = Engine._decide

    async def decide_first(self: Any, group: Any) -> None:
        journal, self._journal = self._journal, _Late(self._journal)
        try:
            await decide(self, group)
        finally:
            self._journal = journal

    Engine._decide = decide_first  # type: ignore[method-assign]


class _Late:
    """A journal whose commits come too late."""

    tasks: ClassVar[set[asyncio.Task[None]]] = set()

    def __init__(self, journal: Any) -> None:
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def commit(self, entry: Any) -> None:
        self.tasks.add(asyncio.ensure_future(self._commit(entry)))

    async def _commit(self, entry: Any) -> None:
        await asyncio.sleep(LATE_S)
        await self._journal.commit(entry)


def no_retry() -> None:
    """Try each upload once."""
    from hivemind_worker.engine.outbox import Outbox

    async def once(self: Any, task: Any) -> None:
        sent = await self._try(task)
        if not sent.retry:
            await self._conclude(task, sent)

    Outbox._deliver = once  # type: ignore[method-assign]


CHANGES = {"hurry": hurry, "impatient": impatient, "effects-first": effects_first, "no-retry": no_retry}


def main(words: list[str]) -> int:
    """Change what is named, then be the ordinary program."""
    for name in filter(None, words[0].split(",")):
        CHANGES[name]()
    from hivemind_worker import cli

    return cli.main(words[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
