"""Sandbox children: started fresh, or taken from the one spare that waits with the engine already loaded.

A spare saves a task the half of its start that does not depend on the task. There is at most
one, and it goes after a while without work, so that an idle worker stays small.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from hivemind_worker.nursery import Nursery
from hivemind_worker.nursery.children import Child
from hivemind_worker.nursery.keepers import Keeper
from hivemind_worker.runtimes.wasm.orders import preparation_line, sandbox_program

SPARE_LIFE_S = 30.0


class Spares:
    """Gives out sandbox children. Use from the loop's thread only."""

    def __init__(self, nursery: Nursery, life_s: float = SPARE_LIFE_S) -> None:
        self._nursery = nursery
        self._life_s = life_s
        self._spare: tuple[Path, Child] | None = None
        self._starting = False
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, module: Path, keeper: Keeper | None) -> Child:
        """A child that has been told to load `module`; the caller closes it.

        Raises:
            OSError: no process can be started.
        """
        spare = self._let_go()
        if spare is not None:
            loaded, child = spare
            if loaded == module and not child.has_ended:
                return child
            await child.close()
        return await self._start(module, keeper)

    def restock(self, module: Path, keeper: Keeper | None) -> None:
        """Have a spare for the next task, unless there is one or one is coming."""
        if self._spare is None and not self._starting:
            self._starting = True
            self._nursery.start("spare", self._stock(module, keeper))

    async def _stock(self, module: Path, keeper: Keeper | None) -> None:
        try:
            child = await self._start(module, keeper)
        finally:
            self._starting = False
        self._spare = (module, child)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._life_s, self._expire)

    def _expire(self) -> None:
        spare = self._let_go()
        if spare is not None:
            self._nursery.start("spare-end", spare[1].close())

    def _let_go(self) -> tuple[Path, Child] | None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        spare, self._spare = self._spare, None
        return spare

    @staticmethod
    async def _start(module: Path, keeper: Keeper | None) -> Child:
        program = sandbox_program()
        child = await Child.spawn("sandbox", program.argv, env=dict(program.env), keeper=keeper)
        child.write(preparation_line(module, watched_by_kernel=keeper is None))
        return child

    async def close(self) -> None:
        """End the spare."""
        spare = self._let_go()
        if spare is not None:
            await spare[1].close()
