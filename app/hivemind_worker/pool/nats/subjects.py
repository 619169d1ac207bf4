"""The subjects of a pool on a NATS server, and which of them each role may use. Pure.

Each worker has a tree of its own and no right to any other, nor to JetStream's own calls: it asks the pool,
the pool looks, and only the pool reads streams. A worker's name is one token of a subject, so the
server itself vouches for who speaks.
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


def said_by(worker: str) -> str:
    """All that a worker says to the pool: asking for tasks, progress, output, results."""
    return f"{ROOT}.from.{worker}.>"


def told_to(worker: str) -> str:
    """All that the pool tells one worker: stop, pause, finish."""
    return f"{ROOT}.to.{worker}.>"


def asks(worker: str, verb: str) -> str:
    """Where a worker asks the pool for one thing."""
    return f"{ROOT}.from.{worker}.{verb}"


def stop_subject(worker: str) -> str:
    """Where a worker hears which task to stop."""
    return f"{ROOT}.to.{worker}.stop"


def inbox_of(name: str) -> str:
    """Prefix of the subjects on which one connection hears its answers."""
    return f"_INBOX_{name}"


def enrolment(public: str) -> str:
    """Where the holder of one invitation asks for its credential."""
    return f"{ROOT}.enrol.{public}"


def of_worker(worker: str) -> Permissions:
    """What a worker may do."""
    return Permissions(
        publish=(said_by(worker),), subscribe=(told_to(worker), f"{inbox_of(worker)}.>")
    )  # fmt: skip


def of_invitation(public: str) -> Permissions:
    """What the holder of an invitation may do: ask once, hear the answer."""
    return Permissions(publish=(enrolment(public),), subscribe=(f"{inbox_of(public)}.>",))


EVERYTHING = Permissions(publish=(">",), subscribe=(">",))
"""Of the pool's own processes, inside the pool's account."""
