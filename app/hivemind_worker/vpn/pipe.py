"""Talking to the helper: one process, started when it is first needed, one order a line, one at a time.

Secrets go through its input, never its arguments. Counterpart: `helper`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from hivemind_worker.nursery.children import Child
from hivemind_worker.vpn.rights import Right

ANSWER_LIMIT_S = 60.0  # the system may ask its owner for a password first
MAX_ANSWER = 64 << 10

Answer = dict[str, Any]
SILENT: Answer = {"ok": False, "reason": "failed", "about": "the helper did not answer"}


class HelperPipe:
    """The helper of one right. Use from the loop's thread only; close it at the end."""

    def __init__(self, right: Right) -> None:
        self._right = right
        self._child: Child | None = None
        self._turn = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the helper runs, so that asking it disturbs nobody."""
        return self._child is not None and not self._child.has_ended

    async def ask(self, verb: str, order: Mapping[str, object]) -> Answer:
        """The helper's answer: "ok", or "reason" and "about"."""
        if not self._right.given:
            return {"ok": False, "reason": "no_permission", "about": ""}
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER_LIMIT_S):
                    return await self._exchange({"verb": verb, **order})
            except (TimeoutError, OSError, ValueError):
                await self._end()
                return SILENT

    async def _exchange(self, order: Mapping[str, object]) -> Answer:
        child = await self._helper()
        child.write(json.dumps(order).encode() + b"\n")
        line = bytearray()
        while not line.endswith(b"\n"):
            piece = await child.read()
            line += piece
            if not piece or len(line) > MAX_ANSWER:
                raise ValueError("no whole line")
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("no answer")
        return answer

    async def _helper(self) -> Child:
        if self._child is not None and self._child.has_ended:
            await self._end()
        if self._child is None:
            self._child = await Child.spawn("vpn-helper", self._right.argv, env=dict(self._right.env))
        return self._child

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.close()

    async def close(self) -> None:
        """End the helper; a tunnel that is up stays up."""
        await self._end()
