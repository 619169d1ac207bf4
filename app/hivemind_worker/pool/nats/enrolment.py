"""How a worker gets its credential: the owner waits with an invitation, the worker asks once with it.

The worker makes its own key and sends the public half; the secret half never leaves its computer. The key
that signs stays with the owner: no server and no process of the pool holds it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from nats.aio.msg import Msg
from nats.errors import Error, NoRespondersError

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.nats.authority import Authority, Member
from hivemind_worker.pool.nats.connection import connect
from hivemind_worker.pool.nats.credential import Credential, from_json
from hivemind_worker.pool.nats.nkeys import Kind, new_key
from hivemind_worker.pool.nats.subjects import enrolment, inbox_of

log = logging.getLogger(__name__)
ANSWER_S = 10.0
FLUSH_S = 10
CLAIMS = "$SYS.REQ.CLAIMS.UPDATE"
REQUEST_BYTES = 256


async def host(
    authority: Authority, name: str, lasts_s: int, invited: Callable[[Credential], None], account: str = ""
) -> Member | Problem:
    """Wait until one worker has come with the invitation that `invited` is given, at most `lasts_s`.

    It belongs to `account`, or to that of its own name.

    Cancelling it makes the invitation void. Raises OSError when the worker cannot be remembered.
    """
    joined: asyncio.Future[Member | Problem] = asyncio.get_running_loop().create_future()

    def lost() -> None:
        if not joined.done():
            joined.set_result(_away(authority, "the connection ended"))

    problem = authority.problem_with(name, account)
    client = problem or await connect(authority.for_pool(), on_close=lost)
    if isinstance(client, Problem):
        return client
    try:
        given, subject = authority.invite(lasts_s)
        asked = await client.subscribe(subject, cb=partial(_answer, authority, name, account, joined))
        await client.flush(timeout=FLUSH_S)
        invited(given)
        async with asyncio.timeout(lasts_s):
            member = await joined
        if isinstance(member, Member):
            await asked.drain()  # type: ignore[no-untyped-call]  # whoever asked in the same moment is answered too
        return member
    except Error as error:
        return joined.result() if joined.done() else _away(authority, str(error))
    except TimeoutError:
        return Problem(code=FaultCode.INVITATION_OVER, about=name)
    finally:
        await client.close()


def _away(authority: Authority, about: str) -> Problem:
    return Problem(code=FaultCode.POOL_MUTE, about=f"{authority.servers[0]} ({about})")


async def _answer(
    authority: Authority, name: str, account: str, joined: asyncio.Future[Member | Problem], request: Msg
) -> None:
    """Let in whoever asks first; a request without a key lets nobody in."""
    if not request.reply:
        return
    if joined.done():
        await _say(request, problem="somebody else has taken this invitation")
        return
    public = request.data[:REQUEST_BYTES].decode("ascii", "replace")
    try:
        claim = authority.admit(name, public, account)
    except OSError as error:
        joined.set_exception(error)
        return
    if isinstance(claim, Problem):
        await _say(request, problem=claim.about)
        return
    await _say(request, claim=claim)
    joined.set_result(next(each for each in authority.members() if each.public == public))


async def _say(request: Msg, **values: str) -> None:
    await request.respond(json.dumps(values).encode())


async def enrol(invitation: Credential) -> Credential | Problem:
    """Ask for a credential of our own with an invitation; nothing is kept here."""
    client = await connect(invitation)
    if isinstance(client, Problem):
        is_over = client.code is FaultCode.CREDENTIAL_REFUSED
        return replace(client, code=FaultCode.INVITATION_OVER) if is_over else client
    key = new_key(Kind.USER)
    try:
        answer = await client.request(
            enrolment(invitation.key.public), key.public.encode(), timeout=ANSWER_S
        )  # fmt: skip
        return _taken(invitation, key.seed, json.loads(answer.data))
    except NoRespondersError:
        return Problem(code=FaultCode.INVITATION_OVER, about="nobody waits for it any more")
    except (Error, TimeoutError, ValueError) as error:
        return Problem(code=FaultCode.POOL_MUTE, about=f"{invitation.servers[0]} ({error})")
    finally:
        await client.close()


def _taken(invitation: Credential, seed: str, answer: Any) -> Credential | Problem:
    claim = answer.get("claim") if isinstance(answer, dict) else None
    if not isinstance(claim, str):
        told = str(answer.get("problem", "")) if isinstance(answer, dict) else ""
        return Problem(code=FaultCode.POOL_REFUSED, about=told or "it gave no claim")
    made = replace(invitation, claim=claim, seed=seed)
    named = from_json(made.as_json())  # every bound checked, as when it is read back
    return replace(named, inbox=inbox_of(named.name))


async def tell_servers(authority: Authority) -> Problem | None:
    """Have the pool's servers take up who is shut out: at once, also in what is connected already.

    One server tells the others of its cluster.
    """
    client = await connect(authority.for_system())
    if isinstance(client, Problem):
        return client
    try:
        answer = await client.request(CLAIMS, authority.account().encode(), timeout=ANSWER_S)
        failed = json.loads(answer.data).get("error")
    except (Error, TimeoutError, ValueError) as error:
        return Problem(code=FaultCode.POOL_MUTE, about=f"{authority.servers[0]} ({error})")
    finally:
        await client.close()
    return Problem(code=FaultCode.POOL_REFUSED, about=str(failed)) if failed else None
