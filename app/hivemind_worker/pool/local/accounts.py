"""Opening accounts in a pool's book; the protocol has no call for it."""

from __future__ import annotations

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pool_records import MOST_TOKENS
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.local import passwords
from hivemind_worker.pool.local.book import PoolBook, StoreAwayError
from hivemind_worker.pool.local.limits import bad_text

NAME_BYTES = 128


async def open_account(
    book: PoolBook, hashing: NamedThread, name: str, password: str, tokens: int
) -> Problem | None:
    """Open an account with so many tokens; BAD_USAGE says what is wrong. Works beside a running pool."""
    reason = _reason_against(name, password, tokens)
    if reason is None:
        salt, digest = await hashing.call(passwords.seal, password)
        try:
            if await book.add_account(name, salt, digest, tokens):
                return None
        except StoreAwayError as away:
            return away.problem
        reason = f"There is an account of that name already: {name}."
    return Problem(code=FaultCode.BAD_USAGE, about=reason)


def _reason_against(name: str, password: str, tokens: int) -> str | None:
    if (reason := bad_text("name", name, NAME_BYTES)) is not None:
        return reason
    if name != name.strip():
        return "The name begins or ends with a space."
    if not password:
        return "The password is empty."
    if len(password) > passwords.PASSWORD_BYTES_MOST:
        return f"The password is longer than {passwords.PASSWORD_BYTES_MOST} characters."
    if not 0 <= tokens <= MOST_TOKENS:
        return f"The number of tokens must be from 0 to {MOST_TOKENS}."
    return None
