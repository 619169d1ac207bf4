"""A connection to a pool's server: with a credential over TLS, after the server has shown who it is.

Without TLS only within this computer (`connect_here`), for trials and tests.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import random
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.errors import Error

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import heed_cancel
from hivemind_worker.pool.local.limits import is_loopback
from hivemind_worker.pool.nats.credential import Credential
from hivemind_worker.pool.nats.subjects import inbox_of

log = logging.getLogger(__name__)
CONNECT_S = 5
SHUT_S = 0.5
REFUSED = ("authorization violation", "authentication expired", "authentication revoked")
EOF_NOTE = "returning true from eof_received() has no effect when using ssl"
WITHOUT_TLS = "the server speaks without TLS"


def _no_note_of_each_end(record: logging.LogRecord) -> bool:
    """asyncio warns of each TLS connection of this library that the server ends; it ends all the same."""
    return record.msg != EOF_NOTE


logging.getLogger("asyncio").addFilter(_no_note_of_each_end)


async def connect(
    credential: Credential,
    *,
    on_error: Callable[[str], None] | None = None,
    on_close: Callable[[], None] | None = None,
) -> Client | Problem:
    """An open connection, the caller's to close, or why there is none. It does not reconnect by itself.

    `on_error` hears what the server says of the open connection: a subject refused, the credential revoked;
    `on_close` that it has ended, by whomever.
    """
    problem = Problem(code=FaultCode.POOL_UNREACHABLE, about=", ".join(credential.servers))
    for server in random.sample(credential.servers, len(credential.servers)):  # a cluster's share the load
        proof = {"inbox_prefix": credential.inbox.encode(), **_proof(credential)}
        found = await _try(server, proof, on_error, on_close)
        if isinstance(found, Client):
            return found
        if found is not None:
            problem = found
    return problem


async def connect_here(
    server: str,
    user: str = "",
    password: str = "",
    *,
    on_error: Callable[[str], None] | None = None,
    on_close: Callable[[], None] | None = None,
) -> Client | Problem:
    """The same to nats://HOST:PORT of this computer, with the server's own name and password if it has them.

    NATS_IN_THE_OPEN for any other host: there, whoever listens would have the password and every task.
    """
    host = urlsplit(server).hostname or ""
    if not is_loopback(host):
        return Problem(code=FaultCode.NATS_IN_THE_OPEN, about=server)
    proof: dict[str, Any] = {"user": user, "password": password} if user else {}
    if user:
        proof["inbox_prefix"] = inbox_of(user).encode()
    found = await _try(server, proof, on_error, on_close)
    return found or Problem(code=FaultCode.POOL_UNREACHABLE, about=server)


async def _try(
    server: str,
    proof: dict[str, Any],
    on_error: Callable[[str], None] | None,
    on_close: Callable[[], None] | None,
) -> Client | Problem | None:
    """The connection to one server; None when it cannot be reached."""
    told: list[str] = []
    is_open = False

    async def note(error: Exception) -> None:
        told.append(str(error) or type(error).__name__)
        log.debug("the pool's server: %s", told[-1])
        if on_error is not None:
            on_error(told[-1])

    async def closed() -> None:
        if is_open and on_close is not None:  # a try that failed is no connection that has ended
            on_close()

    client = Client()
    try:
        async with asyncio.timeout(CONNECT_S + 1):
            await client.connect(
                server, allow_reconnect=False, connect_timeout=CONNECT_S,
                max_reconnect_attempts=1, reconnect_time_wait=0,  # 0 attempts would be without end
                error_cb=note, closed_cb=closed, **proof,
            )  # fmt: skip
    except (Error, OSError, TimeoutError) as error:
        told.append(str(error))
        await _shut(client)
        heed_cancel()
        return _problem(told)
    try:
        heed_cancel()
    except asyncio.CancelledError:
        await _shut(client)
        raise
    is_open = True
    return _problem(told) if client.is_closed else client


async def _shut(client: Client) -> None:
    """The library leaves a failed socket open, and waits for ever for the end of one whose TLS has failed."""
    with contextlib.suppress(Error, OSError, TimeoutError):
        async with asyncio.timeout(SHUT_S):
            await client.close()


def _proof(credential: Credential) -> dict[str, Any]:
    """How we show who we are, and that we do so to the pool's server alone.

    The library would answer a server that does not ask for TLS in the open: whoever sits between could pass
    our answer on and be us. So nothing is answered before a handshake with a certificate of the pool's.
    """
    shaken: list[bool] = []

    class Noted(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            shaken.append(True)  # not itself: context and connection would keep each other for ever

    context = ssl.create_default_context(cadata=credential.authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = Noted
    key = credential.key

    def signature(nonce: str) -> bytes:
        if not shaken:
            raise ConnectionError(WITHOUT_TLS)
        return base64.b64encode(key.sign(nonce.encode()))

    return {
        "tls": context,
        "signature_cb": signature,
        "user_jwt_cb": lambda: bytearray(credential.claim.encode()),
    }


def _problem(told: list[str]) -> Problem | None:
    text = "; ".join(dict.fromkeys(each for each in told if each))
    if refused := [each for each in told if any(word in each.lower() for word in REFUSED)]:
        return Problem(code=FaultCode.CREDENTIAL_REFUSED, about=refused[0].removeprefix("nats: ").strip("'"))
    if WITHOUT_TLS in text or "certificate" in text.lower():
        return Problem(code=FaultCode.NOT_THE_POOL, about=text)
    return None
