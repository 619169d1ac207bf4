"""A pool link without a pool: records what is sent and answers by script."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem, TaskId
from hivemind_worker.model.work import Sent

DELIVERED = Sent(delivered=True)
TRY_AGAIN = Sent(delivered=False, retry=True, problem=Problem(code=FaultCode.POOL_UNREACHABLE, about="x"))
NEVER = Sent(delivered=False, problem=Problem(code=FaultCode.POOL_REFUSED, about="no"))


class FakeLink:
    """Fits `engine.ports.PoolLink`. `results` are taken one a call, the last one stays."""

    def __init__(self, *, prompt: bool = True) -> None:
        self.prompt_results = prompt
        self.output: defaultdict[str, str] = defaultdict(str)
        self.output_calls: list[str] = []
        self.archives: dict[str, bytes] = {}
        self.tries: list[tuple[str, float]] = []
        self.results: list[Sent] = [DELIVERED]
        self.outputs: list[Sent] = [DELIVERED]
        self.output_pause_s = 0.0
        self.arrived = asyncio.Event()

    async def send_output(self, task_id: TaskId, text: str) -> Sent:
        await asyncio.sleep(self.output_pause_s)
        answer = self.outputs.pop(0) if len(self.outputs) > 1 else self.outputs[0]
        if answer.delivered:
            self.output[task_id] += text
            self.output_calls.append(text)
        return answer

    async def send_result(self, task_id: TaskId, archive: Path) -> Sent:
        self.tries.append((task_id, asyncio.get_running_loop().time()))
        answer = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if answer.delivered:
            self.archives[task_id] = archive.read_bytes()
        self.arrived.set()
        self.arrived = asyncio.Event()
        return answer
