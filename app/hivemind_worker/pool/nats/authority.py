"""The pool's owner: keeps the keys, signs credentials, remembers who was let in and shut out. All block.

One folder, private to its owner: `keys.json` (the secrets), `members/KEY.json` (one a credential that was
signed), and what the server reads. The folder does not have to lie on the server: only `server/` goes there.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.owned_file import read_owned, write_owned
from hivemind_worker.pool.local.limits import TEXT_BYTES, bad_text
from hivemind_worker.pool.nats.certificates import Certified, new_authority, new_server
from hivemind_worker.pool.nats.claims import (
    WORKER_SUBSCRIPTIONS,
    account_claim,
    operator_claim,
    user_claim,
)
from hivemind_worker.pool.nats.credential import KEEP_TAG, Credential
from hivemind_worker.pool.nats.nkeys import KeyPair, Kind, from_seed, is_public, new_key
from hivemind_worker.pool.nats.server_config import (
    ACCOUNTS,
    AUTHORITY,
    CERTIFICATE,
    KEY,
    ServerPlan,
    Trust,
    server_config,
)
from hivemind_worker.pool.nats.subjects import (
    EVERYTHING,
    WORKER_NAME,
    Permissions,
    WorkerId,
    enrolment,
    inbox_of,
    of_invitation,
    of_worker,
)

POOL, SYSTEM = "pool", "system"
KEYS, MEMBERS, SERVER, CONFIG = "keys.json", "members", "server", "nats-server.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All that is secret, and where the servers are reached. No secret shows in a repr."""

    servers: tuple[str, ...]
    operator: str = field(repr=False)
    account: str = field(repr=False)
    system: str = field(repr=False)
    certificate: str
    certificate_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A worker to which a credential was given. `revoked_at_s` is 0 while it may connect."""

    name: str
    public: str
    joined_at_s: int
    revoked_at_s: int = 0
    account: str = ""

    @property
    def owner(self) -> str:
        """The account to which the worker belongs: that of its own name unless another one was said."""
        return self.account or self.name


class Authority:
    """What the owner of one pool decides about who may connect."""

    def __init__(self, folder: Path, keys: Keys, clock: Callable[[], float]) -> None:
        self.folder, self._keys, self._clock = folder, keys, clock
        self._operator, self._account = from_seed(keys.operator), from_seed(keys.account)
        self._system = from_seed(keys.system)

    @property
    def servers(self) -> tuple[str, ...]:
        """Addresses of the pool's servers, tls://HOST:PORT."""
        return self._keys.servers

    def now_s(self) -> int:
        """The time that claims are signed with."""
        return int(self._clock())

    def write_server(self, plan: ServerPlan, names: Sequence[str]) -> Path:
        """Write what a server needs, its certificate for `names`; returns the configuration file.

        Raises:
            OSError: a file cannot be written.
        """
        authority = Certified(certificate=self._keys.certificate, key=self._keys.certificate_key)
        made = new_server(authority, names, datetime.datetime.fromtimestamp(self._clock(), datetime.UTC))
        plan.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_owned(plan.folder / KEY, made.key.encode())
        write_owned(plan.folder / CERTIFICATE, made.certificate.encode())
        write_owned(plan.folder / AUTHORITY, self._keys.certificate.encode())
        accounts = plan.folder / ACCOUNTS
        accounts.mkdir(mode=0o700, exist_ok=True)
        write_owned(accounts / f"{self._account.public}.jwt", self.account().encode())
        config = plan.folder / CONFIG
        write_owned(config, server_config(plan, self._trust()).encode())
        return config

    def account(self) -> str:
        """The pool's account as its servers are to know it now, with everybody who is shut out.

        Servers of a cluster take the claim with the later date from one another, in whole seconds: with one
        more shut out it is always later, also in the same second, or a claim of before might come back.
        """
        revoked = {each.public: each.revoked_at_s for each in self.members() if each.revoked_at_s}
        at_s = max(revoked.values()) + len(revoked) if revoked else self.now_s()
        return account_claim(self._operator, self._account.public, POOL, at_s, revoked=revoked, streams=True)

    def for_pool(self, keep_bytes: int | None = None) -> Credential:
        """A new credential of the pool's own processes: all of the pool's account.

        `keep_bytes`: how much its servers may keep together; a server tells nobody.
        """
        return self._credential(self._account, POOL, EVERYTHING, keep_bytes=keep_bytes)

    def for_system(self) -> Credential:
        """A new credential to tell servers whom to shut out; ends in an hour."""
        return self._credential(self._system, SYSTEM, EVERYTHING, ends_at_s=self.now_s() + 3600)

    def invite(self, lasts_s: int) -> tuple[Credential, str]:
        """An invitation, and the subject on which its holder will ask."""
        key = new_key(Kind.USER)
        given = self._credential(
            self._account, "invitation", of_invitation(key.public), key=key,
            ends_at_s=self.now_s() + lasts_s, inbox=inbox_of(key.public),
        )  # fmt: skip
        return given, enrolment(key.public)

    def admit(self, name: str, public: str, account: str = "") -> str | Problem:
        """Sign the claim of a worker whose public key this is, and remember it.

        `account`: to which it belongs; "" for that of its own name.

        Raises:
            OSError: it cannot be remembered; then it was not signed.
        """
        if not is_public(public, Kind.USER):
            return Problem(code=FaultCode.BAD_CREDENTIAL, about="what the worker sent is no public key")
        problem = self.problem_with(name, account)
        if problem is not None:
            return problem
        member = Member(name=name, public=public, joined_at_s=self.now_s(), account=account)
        self._remember(member)
        return user_claim(
            self._account, public, name, member.joined_at_s,
            of_worker(WorkerId(name=name, account=member.owner)),
            subscriptions=WORKER_SUBSCRIPTIONS,
        )  # fmt: skip

    def problem_with(self, name: str, account: str = "") -> Problem | None:
        """Why no worker of this account can be let in under this name."""
        if not WORKER_NAME.fullmatch(name):
            about = f"{name!r} is no name for a worker: use a to z, 0 to 9 and -, up to 63"
            return Problem(code=FaultCode.BAD_USAGE, about=about)
        wrong = bad_text("name of the account", account, TEXT_BYTES, empty=True)
        if wrong is not None:
            return Problem(code=FaultCode.BAD_USAGE, about=wrong)
        if self._active(name) is not None:
            return Problem(code=FaultCode.NAME_TAKEN, about=name)
        return None

    def revoke(self, name: str) -> Member | Problem:
        """Shut a worker out: its claim is void from now on. The servers hear it from `account`.

        Once more is harmless: it is how servers hear of it that were away the first time.

        Raises:
            OSError: it cannot be remembered; then nothing was changed.
        """
        known = [each for each in self.members() if each.name == name]
        if not known:
            return Problem(code=FaultCode.NO_SUCH_WORKER, about=name)
        found = self._active(name)
        if found is None:
            return known[-1]
        gone = replace(found, revoked_at_s=max(self.now_s(), found.joined_at_s))
        self._remember(gone)
        return gone

    def members(self) -> tuple[Member, ...]:
        """All to whom a credential was given, by name, then by time.

        Raises:
            OSError: the folder cannot be read.
            ValueError: a file in it is spoilt. Who is shut out must not be forgotten in silence.
        """
        found = [_member(path) for path in (self.folder / MEMBERS).glob("*.json")]
        return tuple(sorted(found, key=lambda each: (each.name, each.joined_at_s, not each.revoked_at_s)))

    def _active(self, name: str) -> Member | None:
        return next((each for each in self.members() if each.name == name and not each.revoked_at_s), None)

    def _remember(self, member: Member) -> None:
        write_owned(self.folder / MEMBERS / f"{member.public}.json", json.dumps(asdict(member)).encode())

    def _trust(self) -> Trust:
        system = account_claim(
            self._operator, self._system.public, SYSTEM, self.now_s(), revoked={}, streams=False
        )
        return Trust(
            operator=operator_claim(self._operator, POOL, self.now_s()),
            system=self._system.public,
            system_claim=system,
        )

    def _credential(
        self, account: KeyPair, name: str, permissions: Permissions, *, key: KeyPair | None = None,
        ends_at_s: int | None = None, inbox: str = "_INBOX", keep_bytes: int | None = None,
    ) -> Credential:  # fmt: skip
        key = key or new_key(Kind.USER)
        tags = () if keep_bytes is None else (f"{KEEP_TAG}{keep_bytes}",)
        claim = user_claim(
            account, key.public, name, self.now_s(), permissions, ends_at_s=ends_at_s, tags=tags
        )
        return Credential(
            servers=self.servers, authority=self._keys.certificate, claim=claim, seed=key.seed, inbox=inbox
        )


def open_authority(folder: Path, clock: Callable[[], float]) -> Authority | Problem:
    """The authority that `make_authority` left in this folder."""
    content = read_owned(folder / KEYS)
    if content is None:
        return Problem(code=FaultCode.NO_AUTHORITY, about=str(folder))
    try:
        values = json.loads(content)
        keys = Keys(servers=tuple(values.pop("servers")), **values)
        return Authority(folder, keys, clock)
    except (ValueError, TypeError, KeyError) as error:
        return Problem(code=FaultCode.BAD_CREDENTIAL, about=f"{folder / KEYS}: {error}")


def make_authority(folder: Path, servers: Sequence[str], clock: Callable[[], float]) -> Authority | Problem:
    """The pool's keys, kept where there are any, with these addresses of its servers.

    Raises:
        OSError: the folder cannot be written.
    """
    for each in (folder, folder / MEMBERS, folder / SERVER):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / KEYS).exists():
        opened = open_authority(folder, clock)
        if isinstance(opened, Problem):
            return opened  # never over keys that somebody may still mend
        keys = replace(opened._keys, servers=tuple(servers))
    else:
        keys = _new_keys(tuple(servers), clock)
    write_owned(folder / KEYS, json.dumps(asdict(keys), indent=1).encode())
    return Authority(folder, keys, clock)


def _new_keys(servers: tuple[str, ...], clock: Callable[[], float]) -> Keys:
    now = datetime.datetime.fromtimestamp(clock(), datetime.UTC)
    certified = new_authority("HiveMind pool", now)
    return Keys(
        servers=servers,
        operator=new_key(Kind.OPERATOR).seed,
        account=new_key(Kind.ACCOUNT).seed,
        system=new_key(Kind.ACCOUNT).seed,
        certificate=certified.certificate,
        certificate_key=certified.key,
    )


def _member(path: Path) -> Member:
    content = read_owned(path)
    if content is None:
        raise ValueError(f"{path} cannot be read, or others may read it")
    try:
        return Member(**json.loads(content))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
