"""UserService: login, tokens and balances."""

from __future__ import annotations

from hivemind_worker.model.pool_records import Moved, PoolAccount
from hivemind_worker.nursery import NamedThread
from hivemind_worker.pool.local import passwords
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.door import Caller, Entrance
from hivemind_worker.pool.local.identity import Identity
from hivemind_worker.pool.pb import nodepool_pb2 as pb

MOVED_TEXT = {
    Moved.DONE: "Transferred.",
    Moved.UNKNOWN: "There is no account of that name.",
    Moved.SHORT: "Your balance is too small.",
    Moved.OVERFLOW: "The receiver's balance cannot hold that much.",
}


class Users:
    """The four calls of UserService."""

    def __init__(self, book: PoolBook, identity: Identity, hashing: NamedThread) -> None:
        self._book, self._identity, self._hashing = book, identity, hashing

    def entrances(self) -> dict[str, Entrance]:
        """The service's methods for the door."""
        return {
            "Login": Entrance(request=pb.LoginRequest, method=self.login, announces=True),
            "Transfer": Entrance(request=pb.TransferRequest, method=self.transfer),
            "GetBalance": Entrance(request=pb.GetBalanceRequest, method=self.balance),
            "RefreshToken": Entrance(request=pb.RefreshTokenRequest, method=self.refresh),
        }

    async def login(self, request: pb.LoginRequest, _caller: Caller) -> pb.LoginResponse:
        """A token for a name and its password; the same words and time for every wrong pair."""
        account = await self._book.account(request.username)
        salt, digest = (account.salt, account.digest) if account else (b"", b"")
        too_long = len(request.password) > passwords.PASSWORD_BYTES_MOST
        password = "" if too_long else request.password
        matches = await self._hashing.call(passwords.matches, password, salt, digest)
        if account is None or too_long or not matches:
            return pb.LoginResponse(success=False, message="Wrong name or password.")
        token = self._identity.token_for(account)
        return pb.LoginResponse(success=True, message="Welcome.", token=token)

    async def refresh(self, request: pb.RefreshTokenRequest, _caller: Caller) -> pb.RefreshTokenResponse:
        """A new token for one that is still good."""
        account = await self._identity.of(request.old_token)
        if not isinstance(account, PoolAccount):
            return pb.RefreshTokenResponse(success=False, message=account)
        token = self._identity.token_for(account)
        return pb.RefreshTokenResponse(success=True, message="Renewed.", new_token=token)

    async def balance(self, request: pb.GetBalanceRequest, caller: Caller) -> pb.GetBalanceResponse:
        """The balance of the caller's own account."""
        account = await self._identity.of(request.token, caller.bearer)
        if not isinstance(account, PoolAccount):
            return pb.GetBalanceResponse(success=False, message=account)
        if request.username not in ("", account.name):
            return pb.GetBalanceResponse(success=False, message="Only your own balance can be read.")
        now = await self._book.account(account.name)
        balance = now.balance if now is not None else 0
        return pb.GetBalanceResponse(success=True, message="OK", balance=balance)

    async def transfer(self, request: pb.TransferRequest, caller: Caller) -> pb.TransferResponse:
        """Move tokens from the caller's account to another."""
        account = await self._identity.of(request.token, caller.bearer)
        if not isinstance(account, PoolAccount):
            return pb.TransferResponse(success=False, message=account)
        if request.amount <= 0:
            return pb.TransferResponse(success=False, message="The amount must be a number from 1 up.")
        if request.receiver_username == account.name:
            return pb.TransferResponse(success=False, message="That is your own account.")
        moved = await self._book.transfer(account.name, request.receiver_username, request.amount)
        return pb.TransferResponse(success=moved is Moved.DONE, message=MOVED_TEXT[moved])
