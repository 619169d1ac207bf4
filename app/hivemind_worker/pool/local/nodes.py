"""NodeManagerService: registrations, which are also heartbeats, and status reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hivemind_worker.model.pool_records import PoolAccount, PoolNode
from hivemind_worker.pool.local import tokens
from hivemind_worker.pool.local.book import PoolBook
from hivemind_worker.pool.local.dispatch import Dispatch
from hivemind_worker.pool.local.door import Caller, Entrance
from hivemind_worker.pool.local.identity import Identity
from hivemind_worker.pool.local.limits import (
    ID_BYTES,
    NODES_PER_ACCOUNT,
    TEXT_BYTES,
    bad_amounts,
    bad_endpoint,
    bad_text,
)
from hivemind_worker.pool.local.roster import Roster
from hivemind_worker.pool.pb import nodepool_pb2 as pb

REGISTERED = "Registered."
TAKEN = "This node name belongs to another account."


class Nodes:
    """The two calls of NodeManagerService."""

    def __init__(
        self,
        *,
        book: PoolBook,
        identity: Identity,
        roster: Roster,
        dispatch: Dispatch,
        clock: Callable[[], float],
    ) -> None:
        self._book, self._identity, self._roster = book, identity, roster
        self._dispatch, self._clock = dispatch, clock

    def entrances(self) -> dict[str, Entrance]:
        """The service's methods for the door."""
        return {
            "RegisterWorkerNode": Entrance(
                request=pb.RegisterWorkerNodeRequest, method=self.register, announces=True
            ),
            "ReportStatus": Entrance(request=pb.RunningStatusRequest, method=self.report),
        }

    async def register(self, request: pb.RegisterWorkerNodeRequest, caller: Caller) -> pb.StatusResponse:
        """Keep what the node announces and count it as heard from."""
        if (reason := _reason_against(request)) is not None:
            return pb.StatusResponse(success=False, message=reason)
        account = await self._account(request.node_id, caller)
        if account is None and not self._repeats(request):
            return pb.StatusResponse(success=False, message=tokens.MISSING)
        refusal = account if isinstance(account, str) else await self._not_theirs(request.node_id, account)
        if refusal is not None:
            return pb.StatusResponse(success=False, message=refusal)
        owner = account.name if isinstance(account, PoolAccount) else self._owner_of(request.node_id)
        await self._heard(_node(request, owner, caller.peer, self._clock()))
        return pb.StatusResponse(success=True, message=REGISTERED)

    async def report(self, request: pb.RunningStatusRequest, caller: Caller) -> pb.RunningStatusResponse:
        """A status report of a registered node, which counts as a heartbeat."""
        if (reason := bad_text("status", request.status, TEXT_BYTES, empty=True)) is not None:
            return pb.RunningStatusResponse(success=False, message=reason)
        account = await self._account(request.node_id, caller)
        node = self._roster.node(request.node_id)
        if isinstance(account, str):
            return pb.RunningStatusResponse(success=False, message=account)
        if node is None or (account is not None and account.name != node.account):
            return pb.RunningStatusResponse(success=False, message="This node is not registered.")
        await self._heard(replace(node, status=request.status or node.status, heard_at_s=self._clock()))
        return pb.RunningStatusResponse(success=True, message="OK")

    async def _heard(self, node: PoolNode) -> None:
        if await self._roster.heard(node):
            self._dispatch.freed(node.node_id)

    async def _account(self, node_id: str, caller: Caller) -> PoolAccount | str | None:
        """The caller's account, a marker, or None for a heartbeat that needs none.

        Workers of the original send their token with the first registration only and none with
        those that follow. From the same address a known node may say that it is alive; it can
        change nothing that way.
        """
        node = self._roster.node(node_id)
        if not caller.bearer and node is not None and node.peer == caller.peer:
            return None
        return await self._identity.of(caller.bearer)

    def _repeats(self, request: pb.RegisterWorkerNodeRequest) -> bool:
        node = self._roster.node(request.node_id)
        return node is not None and (node.hostname, node.port) == (request.hostname, request.port)

    def _owner_of(self, node_id: str) -> str:
        node = self._roster.node(node_id)
        return node.account if node is not None else ""

    async def _not_theirs(self, node_id: str, account: PoolAccount | None) -> str | None:
        """Nobody registers under another's name: neither an account's nor a node's."""
        if account is None:
            return None
        node = self._roster.node(node_id)
        if node is not None:
            return None if node.account == account.name and not node.asks else TAKEN
        if node_id != account.name and await self._book.account(node_id) is not None:
            return TAKEN
        full = self._roster.count_of(account.name) >= NODES_PER_ACCOUNT
        return "This account has too many nodes." if full else None


def _reason_against(request: pb.RegisterWorkerNodeRequest) -> str | None:
    return (
        bad_text("node id", request.node_id, ID_BYTES)
        or bad_endpoint(request.hostname, request.port)
        or bad_amounts(
            cpu_cores=request.cpu_cores,
            memory_gb=request.memory_gb,
            cpu_score=request.cpu_score,
            gpu_score=request.gpu_score,
            gpu_memory_gb=request.gpu_memory_gb,
        )
        or bad_text("location", request.location, TEXT_BYTES, empty=True)
        or bad_text("GPU name", request.gpu_name, TEXT_BYTES, empty=True)
        or bad_text("docker status", request.docker_status, TEXT_BYTES, empty=True)
    )


def _node(request: pb.RegisterWorkerNodeRequest, account: str, peer: str, at_s: float) -> PoolNode:
    return PoolNode(
        node_id=request.node_id,
        account=account,
        hostname=request.hostname,
        port=request.port,
        peer=peer,
        cpu_cores=request.cpu_cores,
        cpu_score=request.cpu_score,
        memory_gb=request.memory_gb,
        gpu_score=request.gpu_score,
        gpu_memory_gb=request.gpu_memory_gb,
        gpu_name=request.gpu_name,
        location=request.location,
        docker_status=request.docker_status,
        status="Idle",
        heard_at_s=at_s,
    )
