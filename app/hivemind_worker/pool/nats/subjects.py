"""The subjects of a pool on a NATS server, and which of them each role may use. Pure.

Each worker has a tree of its own and no right to any other, nor to JetStream's own calls: it asks the pool,
the pool looks, and only the pool reads streams. A worker's name and the account to which it belongs are
tokens of its subjects, so the server itself vouches for who speaks and for whose machine it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ROOT = "hivemind"
WORKER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Subjects that a connection may publish to and subscribe to; everything else is refused."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerId:
    """A worker as the pool's server knows it: its own name, and the account to which it belongs."""

    name: str
    account: str


def token(text: str) -> str:
    """Any text as one token of a subject; different for different texts."""
    return text.encode("utf-8", "surrogatepass").hex() or "-"


def text_of(token_: str) -> str:
    """What `token` was given.

    Raises:
        ValueError: it was given nothing.
    """
    return bytes.fromhex(token_).decode("utf-8", "surrogatepass")


def said_by(worker: WorkerId) -> str:
    """All that a worker says to the pool: asking for tasks, progress, output, results, its standing."""
    return f"{ROOT}.from.{token(worker.account)}.{worker.name}.>"


def told_to(worker: str) -> str:
    """All that the pool tells one worker: which task to stop, what its owner wishes."""
    return f"{ROOT}.to.{worker}.>"


def asks(worker: WorkerId, verb: str) -> str:
    """Where a worker asks the pool for one thing."""
    return f"{ROOT}.from.{token(worker.account)}.{worker.name}.{verb}"


ASKED = f"{ROOT}.from.*.*.*"
"""All that workers ask."""


HEARD = f"{ROOT}.heard"
"""On which the pool's processes tell each other, each second, which workers they have heard."""


def who_asks(subject: str) -> tuple[WorkerId, str]:
    """Who asks on a subject of `ASKED`, and for what.

    Raises:
        ValueError: it is no such subject.
    """
    _, _, account, name, verb = subject.split(".")
    if not WORKER_NAME.fullmatch(name):
        raise ValueError("no name of a worker")
    return WorkerId(name=name, account=text_of(account)), verb


def owner_in(permission: str, name: str) -> str | None:
    """The account of a worker of this name that may say so; None when it is no such permission."""
    found = re.fullmatch(rf"{ROOT}\.from\.([0-9a-f]+)\.{re.escape(name)}\.>", permission)
    try:
        return text_of(found[1]) if found else None
    except ValueError:
        return None


def stop_subject(worker: str) -> str:
    """Where a worker hears which task to stop."""
    return f"{ROOT}.to.{worker}.stop"


def wish_subject(worker: str) -> str:
    """Where a worker hears what its owner wishes of it from another machine."""
    return f"{ROOT}.to.{worker}.wish"


def inbox_of(name: str) -> str:
    """Prefix of the subjects on which one connection hears its answers."""
    return f"_INBOX_{name}"


def enrolment(public: str) -> str:
    """Where the holder of one invitation asks for its credential."""
    return f"{ROOT}.enrol.{public}"


def of_worker(worker: WorkerId) -> Permissions:
    """What a worker may do."""
    return Permissions(
        publish=(said_by(worker),), subscribe=(told_to(worker.name), f"{inbox_of(worker.name)}.>")
    )  # fmt: skip


def of_invitation(public: str) -> Permissions:
    """What the holder of an invitation may do: ask once, hear the answer."""
    return Permissions(publish=(enrolment(public),), subscribe=(f"{inbox_of(public)}.>",))


EVERYTHING = Permissions(publish=(">",), subscribe=(">",))
"""Of the pool's own processes, inside the pool's account."""
