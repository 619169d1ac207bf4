"""What a NATS server believes because it is signed: JSON Web Tokens of operator, account and user. Pure.

The server knows the operator's claim from its configuration; the operator signs accounts, an account its
users. So a new worker needs no change at the server; a worker that is shut out stands in the account's claim.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hivemind_worker.pool.nats.nkeys import KeyPair
from hivemind_worker.pool.nats.subjects import Permissions

UNLIMITED = -1
WORKER_SUBSCRIPTIONS = 32
CONNECTION_LIMITS = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
STREAM_LIMITS = ("mem_storage", "disk_storage", "streams", "consumer")
MESSAGE_BYTES = 1024 * 1024


def operator_claim(operator: KeyPair, name: str, at_s: int) -> str:
    """The root of all trust, signed by itself."""
    return _signed(operator, _head(operator.public, name, at_s), {"type": "operator"})


def account_claim(
    operator: KeyPair, account: str, name: str, at_s: int, *, revoked: Mapping[str, int], streams: bool
) -> str:
    """An account. `revoked`: users by public key, with the second up to which what was signed is void."""
    limits: dict[str, Any] = dict.fromkeys(CONNECTION_LIMITS + (STREAM_LIMITS if streams else ()), UNLIMITED)
    limits["wildcards"] = True
    body = {"type": "account", "limits": limits, "revocations": dict(revoked)}
    return _signed(operator, _head(account, name, at_s), body)


def user_claim(
    account: KeyPair, user: str, name: str, at_s: int, permissions: Permissions, *,
    subscriptions: int = UNLIMITED, ends_at_s: int | None = None, tags: Sequence[str] = (),
) -> str:  # fmt: skip
    """Who may connect, and what may be said there. `tags` are for who shows it: the server heeds none."""
    body: dict[str, Any] = {
        "type": "user",
        "pub": {"allow": list(permissions.publish)},
        "sub": {"allow": list(permissions.subscribe)},
        "subs": subscriptions,
        "data": UNLIMITED,
        "payload": MESSAGE_BYTES,
    } | ({"tags": list(tags)} if tags else {})
    ends = {} if ends_at_s is None else {"exp": ends_at_s}
    return _signed(account, _head(user, name, at_s) | ends, body)


def read_claim(token: str) -> dict[str, Any]:
    """What a token says; whether it is true is the server's to judge.

    Raises:
        ValueError: it is no such token.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("not a token of three parts")
    body = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not isinstance(body, dict):
        raise ValueError("not a claim")
    return body


def _signed(issuer: KeyPair, head: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    claim: dict[str, Any] = {**head, "iss": issuer.public, "nats": {**body, "version": 2}}
    digest = hashlib.sha512(json.dumps(claim, sort_keys=True).encode()).digest()
    claim["jti"] = base64.b32encode(digest[:20]).decode()
    kind = _part({"typ": "JWT", "alg": "ed25519-nkey"})
    content = f"{kind}.{_part(claim)}"
    return f"{content}.{_base64(issuer.sign(content.encode()))}"


def _head(subject: str, name: str, at_s: int) -> dict[str, Any]:
    return {"sub": subject, "name": name, "iat": at_s}


def _part(values: Mapping[str, Any]) -> str:
    return _base64(json.dumps(values, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
