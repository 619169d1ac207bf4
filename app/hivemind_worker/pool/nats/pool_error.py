"""What a request to a pool ends with when it is not answered, or with a no."""

from __future__ import annotations

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem


class PoolError(Exception):
    """The pool said no, or nothing; `retry` when it may say otherwise later."""

    def __init__(self, words: str, *, retry: bool, code: FaultCode = FaultCode.POOL_REFUSED) -> None:
        super().__init__(words)
        self.retry, self.problem = retry, Problem(code=code, about=words)
