"""Which way to a NATS server an address means: tls:// with a credential, nats:// within this computer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from nats.aio.client import Client

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.nats.connection import connect, connect_here
from hivemind_worker.pool.nats.credential import load
from hivemind_worker.pool.nats.engine import Connect

SECURE, HERE = "tls://", "nats://"


def entrance(address: str, credential: Path, user: str = "", password: str = "") -> Connect | Problem:
    """How to connect to tls://HOST:PORT with the credential in a file, or to nats://HOST:PORT. Blocks."""
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname and parts.port) and not (parts.path or parts.query or parts.username)
    except ValueError:
        usable = False
    if not usable or not address.startswith((SECURE, HERE)):
        about = f"{address!r}: a NATS server is tls://HOST:PORT, or nats://127.0.0.1:PORT on this computer"
        return Problem(code=FaultCode.BAD_ADDRESS, about=about)
    if address.startswith(HERE):

        async def here(ended: Callable[[], None]) -> Client | Problem:
            return await connect_here(address, user, password, on_close=ended)

        return here
    found = load(credential)
    if isinstance(found, Problem):
        return found
    # Of a cluster any server will do; an address that is none of them is tried alone: it may be mistyped.
    others = found.servers if address in found.servers else ()
    known = replace(found, servers=(address, *(each for each in others if each != address)))

    async def secure(ended: Callable[[], None]) -> Client | Problem:
        return await connect(known, on_close=ended)

    return secure
