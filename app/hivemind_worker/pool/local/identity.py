"""Which account a call comes from: tokens are checked against the book here and nowhere else."""

from __future__ import annotations

from hivemind_worker.model.pool_records import PoolAccount
from hivemind_worker.pool.local import tokens
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.tokens import Claims, Tokens


class Identity:
    """Answers with the account, or with the marker that workers and requesters know."""

    def __init__(self, book: PoolBook, issued: Tokens) -> None:
        self._book, self._issued = book, issued

    def token_for(self, account: PoolAccount) -> str:
        """A new token of the account."""
        return self._issued.issue(Claims(user_id=account.user_id, username=account.name))

    async def of(self, *untrusted_tokens: str) -> PoolAccount | str:
        """The account of the first good token (a field and a header may each bring one)."""
        marker = tokens.MISSING
        for token in filter(None, untrusted_tokens):
            account = await self._of_one(token)
            if isinstance(account, PoolAccount):
                return account
            marker = account if marker == tokens.MISSING else marker
        return marker

    async def _of_one(self, token: str) -> PoolAccount | str:
        claims = self._issued.read(token)
        if isinstance(claims, str):
            return claims
        account = await self._book.account_lately(claims.username)  # none is closed, none gets another number
        if account is None or account.user_id != claims.user_id:
            return tokens.INVALID
        return account
