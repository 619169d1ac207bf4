"""The one file with which a worker (or a process of the pool) opens its connection; and invitations.

Both are JSON: the servers, the certificate that vouches for them, the claim, the secret key. A credential
lies in a file of mode 0600; an invitation is the same as text to paste, for asking once, for a short time.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.owned_file import MAX_BYTES, read_owned, write_owned
from hivemind_worker.pool.nats.claims import read_claim
from hivemind_worker.pool.nats.nkeys import KeyPair, Kind, from_seed
from hivemind_worker.pool.nats.subjects import WorkerId, owner_in

INVITATION = "hivemind-invitation-"
KEEP_TAG = "keep-bytes:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Who we are for a server. Its secret half never shows in a repr."""

    servers: tuple[str, ...]
    authority: str  # the certificate, PEM
    claim: str = field(repr=False)
    seed: str = field(repr=False)
    inbox: str

    @property
    def key(self) -> KeyPair:
        """The key that answers the server's question."""
        return from_seed(self.seed)

    @property
    def name(self) -> str:
        """The name that the pool's owner gave."""
        return str(read_claim(self.claim)["name"])

    @property
    def keep_bytes(self) -> int | None:
        """How much the pool's servers may keep together, as a pool process's claim says (or None)."""
        body = read_claim(self.claim).get("nats")
        tags = body.get("tags", []) if isinstance(body, dict) else []
        found = [str(each).removeprefix(KEEP_TAG) for each in tags if str(each).startswith(KEEP_TAG)]
        return int(found[0]) if found and found[0].isascii() and found[0].isdigit() else None

    @property
    def worker(self) -> WorkerId | None:
        """The worker whose credential this is, with the account to which it belongs; None if it is none's."""
        body = read_claim(self.claim).get("nats")
        allowed = body.get("pub", {}).get("allow", []) if isinstance(body, dict) else []
        found = (owner_in(str(each), self.name) for each in allowed)
        return next((WorkerId(name=self.name, account=each) for each in found if each is not None), None)

    def as_json(self) -> bytes:
        """What a file holds."""
        return json.dumps(asdict(self), indent=1).encode()

    def as_invitation(self) -> str:
        """One word of about 1,200 letters."""
        packed = zlib.compress(json.dumps(asdict(self), separators=(",", ":")).encode(), 9)
        return INVITATION + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def from_json(content: bytes) -> Credential:
    """The credential in a file's content.

    Raises:
        ValueError: it is none.
    """
    try:
        untrusted = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(untrusted, dict) or set(untrusted) != set(Credential.__dataclass_fields__):
        raise ValueError("other fields than a credential has")
    servers = untrusted.pop("servers")
    texts = [*untrusted.values(), *(servers if isinstance(servers, list) else [None])]
    if not servers or not all(isinstance(each, str) and each for each in texts):
        raise ValueError("a field is empty or no text")
    if not all(each.startswith("tls://") for each in servers):
        raise ValueError("a server's address does not begin with tls://")
    found = Credential(servers=tuple(servers), **untrusted)
    claim = read_claim(found.claim)
    if found.key.kind is not Kind.USER or claim.get("sub") != found.key.public:
        raise ValueError("the key does not belong to the claim")
    if not isinstance(claim.get("name"), str):
        raise ValueError("its claim has no name")
    return found


def from_invitation(text: str) -> Credential | Problem:
    """The credential in an invitation, blanks and line ends in it ignored."""
    word = "".join(text.split())
    try:
        if not word.startswith(INVITATION):
            raise ValueError(f"it does not begin with {INVITATION}")
        body = word.removeprefix(INVITATION)
        packed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        return from_json(zlib.decompressobj().decompress(packed, MAX_BYTES))
    except (ValueError, binascii.Error, zlib.error) as error:
        return Problem(code=FaultCode.BAD_INVITATION, about=str(error))


def load(path: Path) -> Credential | Problem:
    """The credential in a file that only its owner may read. Blocks."""
    content = read_owned(path)
    if content is None:
        return Problem(code=FaultCode.BAD_CREDENTIAL, about=f"{path} is absent, or others may read it")
    try:
        return from_json(content)
    except ValueError as error:
        return Problem(code=FaultCode.BAD_CREDENTIAL, about=f"{path}: {error}")


def keep(path: Path, credential: Credential) -> None:
    """Write the file, mode 0600. Blocks.

    Raises:
        OSError: nothing was changed.
    """
    write_owned(path, credential.as_json())
