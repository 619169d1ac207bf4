"""How a pool lies on a NATS server: streams, subjects, limits, and the form of each record. Pure.

Every record is one message of a subject of its own, of which the stream keeps the last: written with
compare-and-set on the sequence, so that any number of pool processes may change it. Workers
reach none of these subjects (see `subjects`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from hivemind_worker.model.pool_records import PoolAccount, PoolNode, PoolTask, PoolTaskState
from hivemind_worker.model.task import TaskId, TaskKey
from hivemind_worker.pool.nats.subjects import ROOT, WORKER_NAME, text_of, token

Record = TypeVar("Record")
FORMAT = 1
"""Of all records together, as `FORMAT_MARK` tells. A new field does not raise it: who does not know one
keeps it as it is. What older versions would misread does: they say so, write nothing more, and end."""
DAY_S = 24 * 60 * 60.0
KEPT_S = 90 * DAY_S
"""How long a task is kept after its last change: record, log and result go together."""
OPEN_S = 60 * DAY_S
"""How long a task may wait or run without a change: then it is FAILED and says so, before it would vanish."""
TASKS_LISTED = 100
PIECE_BYTES = 512 * 1024
"""Of an archive; a message may have 1 MiB."""
LOG_SLACK_BYTES = 256 * 1024
"""By so much a log may outgrow its limit before its beginning is cut off."""
CLAIM_S = 60.0
"""For so long one pool process alone offers a task to nodes that are pushed to; then another may."""
MOST_BACK = 1000
"""So often a task may be given back by workers that are busy: who always is must not keep it for ever."""
MOST_TRIES = 5
"""So many nodes in a row may lose a task before it is FAILED."""
HELD_S = 7 * DAY_S
"""For so long one worker may have a task, unless the pool's owner says otherwise (at most OPEN_S)."""
LATE_S = 4.0
"""By so much later than it has asked for a worker still hears the answer."""
PAUSES, PAUSES_S = 2, 3600.0
"""A worker's own limit counts no pauses, nor what comes before and after: so much longer it is waited for."""


def held_limit_s(promised_s: float, most_s: float) -> float:
    """For how long a worker may have a task that lets it run for `promised_s` (0: it does not say)."""
    return min(most_s, PAUSES * promised_s + PAUSES_S) if promised_s > 0 else most_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream: how many messages of a subject it keeps (-1: all), and how long (0: for ever)."""

    name: str
    subjects: tuple[str, ...]
    each: int = 1
    age_s: float = 0.0


TASKS = Stream(name="HIVEMIND_TASKS", subjects=(f"{ROOT}.task.*",), age_s=KEPT_S)
CLAIMS = Stream(name="HIVEMIND_CLAIMS", subjects=(f"{ROOT}.claim.*",), age_s=CLAIM_S)
LISTS = Stream(name="HIVEMIND_LISTS", subjects=(f"{ROOT}.list.*",), each=TASKS_LISTED, age_s=KEPT_S)
LOGS = Stream(name="HIVEMIND_LOGS", subjects=(f"{ROOT}.log.*",), each=-1, age_s=KEPT_S)
ARCHIVES = Stream(name="HIVEMIND_ARCHIVES", subjects=(f"{ROOT}.archive.>",), age_s=KEPT_S)
NODES = Stream(name="HIVEMIND_NODES", subjects=(f"{ROOT}.node.*",), age_s=KEPT_S)
FLEET = Stream(name="HIVEMIND_FLEET", subjects=(f"{ROOT}.machine.*", f"{ROOT}.wanted.*"), age_s=KEPT_S)
ACCOUNTS = Stream(name="HIVEMIND_ACCOUNTS", subjects=(f"{ROOT}.account.*", f"{ROOT}.pool.*"))
STREAMS = (TASKS, CLAIMS, LISTS, LOGS, ARCHIVES, NODES, FLEET, ACCOUNTS)


def stream_of(subject: str) -> Stream:
    """The stream that keeps a subject."""
    kind = subject.split(".")[1]
    return next(each for each in STREAMS if kind in {own.split(".")[1] for own in each.subjects})


CLOCK = f"{ROOT}.claim.clock"
SIGNING_KEY = f"{ROOT}.pool.signing-key"
LAST_USER_ID = f"{ROOT}.pool.last-user-id"
FORMAT_MARK = f"{ROOT}.pool.format"


def task_subject(key: TaskKey) -> str:
    """Where a task's record lies."""
    return f"{ROOT}.task.{key}"


def claim_subject(key: TaskKey) -> str:
    """Where it stands which pool process offers the task at present."""
    return f"{ROOT}.claim.{key}"


def log_subject(key: TaskKey) -> str:
    """Where the pieces of a task's log lie."""
    return f"{ROOT}.log.{key}"


def piece_subject(key: TaskKey, kind: str, name: str, number: int) -> str:
    """Where one piece of an archive lies."""
    return f"{ROOT}.archive.{key}.{kind}.{name}.{number}"


def list_subject(owner: str) -> str:
    """Where the keys of a requester's last tasks lie."""
    return f"{ROOT}.list.{token(owner)}"


def node_subject(node_id: str) -> str:
    """Where a node's last registration lies."""
    return f"{ROOT}.node.{token(node_id)}"


def machine_subject(worker: str) -> str:
    """Where it lies how a worker stands; one that the pool calls may have any name."""
    return f"{ROOT}.machine.{worker if WORKER_NAME.fullmatch(worker) else f'_{token(worker)}'}"


def machine_of(subject: str) -> str:
    """Whose `machine_subject` it is."""
    name = subject.rpartition(".")[2]
    return text_of(name[1:]) if name.startswith("_") else name


def wanted_subject(worker: str) -> str:
    """Where the last wish of a worker's owner lies."""
    return f"{ROOT}.wanted.{worker}"


def account_subject(name: str) -> str:
    """Where an account lies."""
    return f"{ROOT}.account.{token(name)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task with what only the engine's book needs to know of it."""

    task: PoolTask
    order: int = 0  # among tasks of the same second
    archive: str = ""  # under which name its archive lies: that of another upload of the id has another one
    offered: tuple[str, ...] = ()  # nodes that may hold it
    lost: int = 0  # times that a node that asked for it fell silent
    back: int = 0  # times that a node which asked for it was busy after all
    refused: tuple[str, ...] = ()  # nodes that asked for it and cannot do it
    promised_s: float = 0.0  # so long the worker that has it lets a task run (0: it does not say)
    owed: tuple[str, int] | None = None  # account and tokens of a reward that is on its way
    later: Mapping[str, Any] = field(default_factory=dict)  # fields of later versions, which stay as they are

    def to_json(self) -> bytes:
        """As it is kept."""
        values = {name: getattr(self, name) for name in RECORD_NAMES}
        later = dict(values.pop("later"))
        task = {**later.pop("task", {}), **_values(self.task, TASK_NAMES)}
        return json.dumps({**later, **values, "task": task}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord:
    """An account, and the payments on their way, so that a process that dies in the middle loses none."""

    account: PoolAccount
    leaving: Mapping[str, tuple[str, int]]  # taken off here, by the payment's id: to whom, and how much
    arrived: tuple[str, ...] = ()  # ids of payments added here that the other side does not know of yet
    later: Mapping[str, Any] = field(default_factory=dict)  # fields of later versions, which stay as they are

    def to_json(self) -> bytes:
        """As it is kept."""
        account = self.account
        values = {
            "user_id": account.user_id, "name": account.name, "salt": account.salt.hex(),
            "digest": account.digest.hex(), "balance": account.balance,
            "leaving": dict(self.leaving), "arrived": self.arrived,
        }  # fmt: skip
        return json.dumps({**self.later, **values}).encode()

    def with_balance(self, balance: int, **changes: Any) -> AccountRecord:
        """The same with another balance (and other payments)."""
        return replace(self, account=replace(self.account, balance=balance), **changes)


def task_record(content: bytes) -> TaskRecord:
    """What `to_json` wrote, by whichever version.

    Raises:
        OSError: it is of no form that this one knows.
    """
    return _readable("a task's", _task_record, content)


def _readable(whose: str, read: Callable[[dict[str, Any]], Record], content: bytes) -> Record:
    try:
        return read(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"{whose} record is unreadable ({error!r})") from error


def _task_record(values: dict[str, Any]) -> TaskRecord:
    later = unknown_of(TaskRecord, values)
    if later_of_task := unknown_of(PoolTask, values["task"]):
        later["task"] = later_of_task
    task = _known(PoolTask, values["task"])
    task["key"], task["task_id"] = TaskKey(task["key"]), TaskId(task["task_id"])
    task["state"] = PoolTaskState(task["state"])
    owed = values.get("owed")
    return TaskRecord(
        task=PoolTask(**task), order=values.get("order", 0),
        archive=values.get("archive", ""), offered=tuple(values.get("offered", ())),
        promised_s=values.get("promised_s", 0.0),
        lost=values.get("lost", 0), back=values.get("back", 0), refused=tuple(values.get("refused", ())),
        owed=(owed[0], owed[1]) if owed else None, later=later,
    )  # fmt: skip


def account_record(content: bytes) -> AccountRecord:
    """What `to_json` wrote, by whichever version.

    Raises:
        OSError: it is of no form that this one knows.
    """
    return _readable("an account's", _account_record, content)


def _account_record(values: dict[str, Any]) -> AccountRecord:
    account = PoolAccount(
        user_id=values.pop("user_id"), name=values.pop("name"), salt=bytes.fromhex(values.pop("salt")),
        digest=bytes.fromhex(values.pop("digest")), balance=values.pop("balance"),
    )  # fmt: skip
    leaving = {name: (to[0], to[1]) for name, to in values.pop("leaving").items()}
    arrived = tuple(values.pop("arrived"))
    return AccountRecord(account=account, leaving=leaving, arrived=arrived, later=values)


def node_to_json(node: PoolNode) -> bytes:
    """As it is kept."""
    return json.dumps(_values(node, NODE_NAMES)).encode()


def node_of(content: bytes) -> PoolNode:
    """What `node_to_json` wrote."""
    return PoolNode(**_known(PoolNode, json.loads(content)))


TASK_NAMES = tuple(each.name for each in fields(PoolTask))
NODE_NAMES = tuple(each.name for each in fields(PoolNode))
RECORD_NAMES = tuple(each.name for each in fields(TaskRecord))


def _values(record: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}  # `asdict` copies all that is in them


def _known(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in kind.__dataclass_fields__}


def unknown_of(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a later version has added."""
    return {name: value for name, value in values.items() if name not in kind.__dataclass_fields__}
