"""One look at a pool for the command line: does this name and password open it?"""

from __future__ import annotations

from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.address import Interfaces, find_pool
from hivemind_worker.pool.channel import Answer
from hivemind_worker.pool.clock import SystemClock
from hivemind_worker.pool.session import Credentials, Deadlines, sign_in


async def check_login(
    address: str, user: str, password: str, *, interfaces: Interfaces, insist_plain_login: bool = False,
    deadlines: Deadlines | None = None,
) -> int | Problem | None:  # fmt: skip
    """Sign in once: the balance, None when the pool does not tell it, or why signing in fails."""
    names = NamedThread("names")
    try:
        target = await find_pool(address, interfaces, names, insist_plain_login=insist_plain_login)
    finally:
        names.close(wait=False)
    if isinstance(target, Problem):
        return target
    credentials = Credentials(user=user, password=password)
    session = await sign_in(target, credentials, SystemClock(), deadlines or Deadlines())
    if isinstance(session, Problem):
        return session
    try:
        outcome = await session.balance()
    finally:
        await session.close()
    told = isinstance(outcome, Answer) and outcome.message.success
    return int(outcome.message.balance) if told and isinstance(outcome, Answer) else None
