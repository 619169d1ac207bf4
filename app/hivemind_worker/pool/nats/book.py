"""The pool's book on a NATS server: what `store.pool_book` is on a disk. Fits `pool.local.book.PoolBook`.

Every change is compare-and-set on one record, so any number of pool processes share the book and none of them
holds anything that the others need. What is open is also kept in memory, as the server tells of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.pool_figures import PoolCounts
from hivemind_worker.model.pool_records import (
    Demand,
    Moved,
    PoolAccount,
    PoolNode,
    PoolResult,
    PoolTask,
    PoolTaskState,
    Queue,
)
from hivemind_worker.model.task import Problem, TaskKey
from hivemind_worker.pool.nats.engine import Engine, why_not
from hivemind_worker.pool.nats.following import Kept
from hivemind_worker.pool.nats.layout import (
    ACCOUNTS,
    CLAIMS,
    DAY_S,
    FORMAT,
    FORMAT_MARK,
    LAST_USER_ID,
    LISTS,
    MOST_BACK,
    MOST_TRIES,
    NODES,
    OPEN_S,
    SIGNING_KEY,
    TASKS,
    AccountRecord,
    TaskRecord,
    account_record,
    claim_subject,
    held_limit_s,
    list_subject,
    node_of,
    node_subject,
    node_to_json,
    task_record,
    task_subject,
)
from hivemind_worker.pool.nats.log_pieces import LogPieces
from hivemind_worker.pool.nats.open_tasks import OpenTasks, is_untold
from hivemind_worker.pool.nats.payments import Payments

KEY_BYTES = 32
NODE_KEPT_S = 300.0
"""A node that goes on saying the same is written down so often."""

Change = Callable[[TaskRecord], TaskRecord | None]
"""A record's next form; None to leave it as it is."""


class NatsPoolBook:
    """The book of one pool process. `open` before use. Every call raises OSError while the server is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._payments = Payments(engine)
        self._pieces = LogPieces(engine)
        self._me = secrets.token_hex(8)
        self._open = OpenTasks()
        self._names: dict[TaskKey, str] = {}
        self._sent: dict[TaskKey, tuple[bytes, TaskRecord]] = {}  # is being written: as it is kept
        self._changed_s: dict[TaskKey, tuple[int, float]] = {}  # of what is open: sequence, server's time
        self._nodes: dict[str, PoolNode] = {}
        self._nodes_kept: dict[str, PoolNode] = {}
        self._to_tell: set[str] = set()
        self._heard: list[Callable[[PoolNode], None]] = []
        self._changed: list[Callable[[], None]] = []
        self._watching: list[Callable[[TaskRecord], None]] = []
        self.counts, self.outage = PoolCounts(), engine.outage
        self.problem: Problem | None = None
        self.ended = asyncio.Event()
        """Set when the pool is served no longer from here; `problem` says why."""
        self._earned: list[Callable[[str, int], Awaitable[None]]] = []
        self._paying: set[TaskKey] = set()
        self._stumbled: set[TaskKey] = set()

    async def open(self) -> Problem | None:
        """Take in what is open, and hear of every change from now on."""
        problem = await self._engine.open()
        if problem is None:
            try:
                problem = await self._agree_on_format()
                await self._engine.follow(NODES, NODES.subjects[0], self._take_node, self._nodes.clear)
                await self._engine.follow(TASKS, TASKS.subjects[0], self._take_task, self._open.clear)
            except OSError as error:
                problem = self.problem or why_not(error)
        return problem

    async def _agree_on_format(self) -> Problem | None:
        """Only with records that this program knows; a later process may raise their format at any time."""
        if await self._engine.read(ACCOUNTS, FORMAT_MARK) is None:
            with contextlib.suppress(OSError):  # a full server takes it at another start
                await self._engine.write(FORMAT_MARK, str(FORMAT).encode(), over=0)
        await self._engine.follow(ACCOUNTS, FORMAT_MARK, self._take_format, lambda: None)
        return self.problem

    def _take_format(self, kept: Kept) -> None:
        if int(kept.data) > FORMAT:
            about = f"format {int(kept.data)}; this program knows {FORMAT}"
            self.problem = Problem(code=FaultCode.LATER_POOL, about=about)
            self._engine.retire(sentence(self.problem.code, about))
            self.ended.set()

    async def close(self) -> None:
        """End the connection."""
        await self._engine.close()

    def listen(self, heard: Callable[[PoolNode], None], changed: Callable[[], None]) -> None:
        """Tell of nodes heard and tasks changed by whichever process."""
        self._heard.append(heard)
        self._changed.append(changed)

    def watch(self, changed: Callable[[TaskRecord], None]) -> None:
        """Tell of each task changed by whichever process, with what it is now."""
        self._watching.append(changed)

    def listen_to_rewards(self, earned: Callable[[str, int], Awaitable[None]]) -> None:
        """Tell which node earned how much, at most once each."""
        self._earned.append(earned)

    async def signing_key(self) -> bytes:
        """The key of the pool's tokens, the same for all its processes."""
        while True:
            kept = await self._engine.read(ACCOUNTS, SIGNING_KEY)
            if kept is not None and len(kept.data) == KEY_BYTES:
                return kept.data
            await self._engine.write(
                SIGNING_KEY, secrets.token_bytes(KEY_BYTES), over=kept.revision if kept else 0
            )

    # accounts

    async def add_account(self, name: str, salt: bytes, digest: bytes, balance: int) -> bool:
        """Open an account; False when the name is taken."""
        if await self._payments.read(name) is not None:
            return False
        account = PoolAccount(
            user_id=await self._next_user_id(), name=name, salt=salt, digest=digest, balance=balance
        )
        return await self._payments.write(AccountRecord(account=account, leaving={}), 0)

    async def _next_user_id(self) -> int:
        while True:
            kept = await self._engine.read(ACCOUNTS, LAST_USER_ID)
            number = int(kept.data) + 1 if kept else 1
            over = kept.revision if kept else 0
            if await self._engine.write(LAST_USER_ID, str(number).encode(), over=over) is not None:
                return number

    async def account(self, name: str) -> PoolAccount | None:
        """One account by its name."""
        found = await self._payments.read(name)
        return found[0].account if found else None

    async def account_lately(self, name: str) -> PoolAccount | None:
        """One account as it was within the last minute."""
        found = await self._payments.lately(name)
        return found.account if found else None

    async def has_account(self, name: str) -> bool:
        """Whether there is an account of this name; none is ever closed."""
        return await self._payments.lately(name) is not None

    async def _accounts(self) -> list[AccountRecord]:
        return [
            account_record(kept.data) for kept in await self._engine.all_of(ACCOUNTS, ACCOUNTS.subjects[0])
        ]

    async def accounts(self) -> tuple[PoolAccount, ...]:
        """All accounts by name."""
        return tuple(sorted((each.account for each in await self._accounts()), key=lambda each: each.name))

    async def transfer(self, sender: str, receiver: str, amount: int) -> Moved:
        """Move tokens between two accounts."""
        return await self._payments.move(secrets.token_hex(8), sender, receiver, amount)

    async def charge(self, key: TaskKey, receiver: str, amount: int) -> Moved:
        """Move a minute's pay from the task's owner and count the minute, once, whoever asks."""
        kept = self._open.get(key)
        task = kept[0].task if kept else await self.task(key)
        if task is None:
            raise LookupError(f"no task {key} in the book")
        minute = task.paid_minutes

        async def is_paid() -> bool:
            return (await self._read(key))[0].task.paid_minutes > minute

        async def count() -> None:
            if await self._count(key, minute):
                await self._tell_earned(task.node_id, amount)

        moved = await self._payments.move(
            f"{key}:{minute}", task.owner, receiver, amount, is_done=is_paid, noted=count
        )
        self.counts.note_charge(moved, amount)
        return moved

    async def _count(self, key: TaskKey, minute: int) -> bool:
        def counted(record: TaskRecord) -> TaskRecord | None:
            is_next = record.task.paid_minutes == minute
            return _with(record, paid_minutes=minute + 1) if is_next else None

        return (await self._change(key, counted))[1]

    async def _tell_earned(self, node_id: str, amount: int) -> None:
        for earned in self._earned:
            await earned(node_id, amount)

    # payments that were left in the middle (`arrears`)

    def stumbled(self) -> list[TaskKey]:
        """Tasks whose reward this process began to pay and could not."""
        return list(self._stumbled)

    def owed(self) -> list[TaskKey]:
        """Tasks whose reward is not paid yet, whoever is at it."""
        ended = self._open.in_state(PoolTaskState.COMPLETED)
        return [record.task.key for record in ended if record.owed and record.task.key not in self._paying]

    async def pay(self, key: TaskKey) -> None:
        """Pay what a task earned, if it is not paid by now."""
        kept = await self._engine.read(TASKS, task_subject(key))
        if kept is not None:
            await self._reward(task_record(kept.data), alone=False)
        else:
            self._stumbled.discard(key)

    async def leaving(self) -> dict[str, str]:
        """Payments that were taken off and have not arrived, each with the account that they leave."""
        return {payment: each.account.name for each in await self._accounts() for payment in each.leaving}

    async def go_on(self, payment: str, sender: str) -> None:
        """Finish one of them."""
        key, _, minute = payment.partition(":")
        if minute:
            await self._count(TaskKey(key), int(minute))
        await self._payments.arrive(payment, sender)

    async def _reward(self, record: TaskRecord, *, alone: bool) -> None:
        """Pay what a task earned, once; `alone`: no other process is at it."""
        key = record.task.key
        if record.owed is None:
            self._stumbled.discard(key)
        if record.owed is None or key in self._paying:
            return
        self._paying.add(key)
        self._stumbled.add(key)  # until it is done
        try:
            payment, (account, amount) = f"{key}:reward", record.owed
            if alone:
                await self._payments.credit(payment, account, amount)
            else:
                await self._payments.credit_while(payment, account, amount, lambda: self._owes(key))
            _, done = await self._change(key, lambda now: replace(now, owed=None) if now.owed else None)
            await self._payments.forget(payment, account)
            if done:
                await self._tell_earned(record.task.node_id, amount)
            self._stumbled.discard(key)
        finally:
            self._paying.discard(key)

    async def _owes(self, key: TaskKey) -> bool:
        return (await self._read(key))[0].owed is not None

    # nodes

    async def put_node(self, node: PoolNode) -> None:
        """Keep a node's latest registration."""
        self._nodes[node.node_id] = node
        await self._engine.write(node_subject(node.node_id), node_to_json(node))

    async def hear(self, node: PoolNode) -> None:
        """A node that asks was heard: kept when it says something new, or was kept some minutes ago.

        In between the other processes hear of it by `take_heard`: a thousand workers would else be written
        down a hundred times a second.
        """
        kept = self._nodes_kept.get(node.node_id)
        if kept is None or _is_news(kept, node):
            try:
                await self.put_node(node)
            except OSError as error:
                if kept is None or error.errno != errno.ENOSPC:
                    raise
                self._nodes_kept[node.node_id] = node  # until it is tried again; the sign of life counts
        self._to_tell.add(node.node_id)
        self._heard_now(node)

    def take_heard(self) -> list[str]:
        """Names of nodes that were heard here since the last call."""
        names, self._to_tell = list(self._to_tell), set()
        return names

    def heard_elsewhere(self, name: str, at_s: float) -> None:
        """Another process has heard this node."""
        node = self._nodes.get(name)
        if node is not None and node.asks:
            self._heard_now(replace(node, heard_at_s=at_s))

    def _heard_now(self, node: PoolNode) -> None:
        self._nodes[node.node_id] = node
        for heard in self._heard:
            heard(node)

    async def nodes(self) -> tuple[PoolNode, ...]:
        """All nodes heard from within the time that they are kept."""
        return tuple(sorted(self._nodes.values(), key=lambda node: node.node_id))

    def node(self, node_id: str) -> PoolNode | None:
        """One node as last heard of."""
        return self._nodes.get(node_id)

    def called_by(self, account: str) -> list[PoolNode]:
        """Nodes of an account that the pool calls."""
        return [node for node in self._nodes.values() if not node.asks and node.account == account]

    def _take_node(self, kept: Kept) -> None:
        node = node_of(kept.data)
        self._nodes_kept[node.node_id] = node
        known = self._nodes.get(node.node_id)
        later = max(node.heard_at_s, known.heard_at_s if known and known.asks else 0.0)
        self._heard_now(replace(node, heard_at_s=later))

    # tasks

    def new(self, key: TaskKey) -> str:
        """A name for the archive of the next `add_task` of this key."""
        self._names[key] = secrets.token_hex(8)
        return self._names[key]

    async def of(self, key: TaskKey) -> tuple[str, int]:
        """The name of a task's archive, and its size."""
        known = self._open.get(key)
        record, _ = known or await self._read(key)
        return record.archive, record.task.archive_bytes

    async def add_task(self, task: PoolTask) -> bool:
        """Keep a new task; False when its key is taken (rarely: who adds has looked)."""
        record = TaskRecord(task=task, order=time.time_ns(), archive=self._names.pop(task.key, ""))
        await self._engine.write(list_subject(task.owner), task.key.encode())
        return await self._write(record, 0) is not None

    async def _write(self, record: TaskRecord, over: int) -> int | None:
        key, content = record.task.key, record.to_json()
        self._sent[key] = (content, record)
        try:
            revision = await self._engine.write(task_subject(key), content, over=over)
        finally:
            self._sent.pop(key, None)
        if revision is not None:
            self._note(record, revision)
        return revision

    async def _read(self, key: TaskKey) -> tuple[TaskRecord, int]:
        kept = await self._engine.read(TASKS, task_subject(key))
        if kept is None:
            raise LookupError(f"no task {key} in the book")
        return task_record(kept.data), kept.revision

    async def _change(self, key: TaskKey, change: Change) -> tuple[TaskRecord, bool]:
        """The record now, and whether this call changed it."""
        known = self._open.get(key)
        while True:
            record, revision = known or await self._read(key)
            after = change(record)
            if after is None and known is None:
                return record, False
            if after is not None and await self._write(after, revision) is not None:
                return after, True
            known = None  # what is in memory was not the last word: judge again by the server's

    async def task(self, key: TaskKey) -> PoolTask | None:
        """One task by its key."""
        kept = await self._engine.read(TASKS, task_subject(key))
        return task_record(kept.data).task if kept else None

    async def tasks_in(self, state: PoolTaskState) -> tuple[PoolTask, ...]:
        """Tasks in PENDING or RUNNING, oldest first."""
        return tuple(each.task for each in self._open.in_state(state))

    async def demands(self) -> tuple[Demand, ...]:
        """What waiting tasks ask for, each once."""
        return tuple(self._open.demands())

    async def waiting(
        self, demands: Collection[Demand], most: int, besides: Collection[TaskKey]
    ) -> tuple[PoolTask, ...]:
        """Of the tasks that ask for this the `most` that have waited longest, oldest first."""
        return tuple(each.task for each in self._open.waiting(demands, most, besides))

    async def queues(self) -> tuple[Queue, ...]:
        """The waiting tasks, counted by what they ask for."""
        return tuple(self._open.queues())

    async def tasks_of(self, owner: str, limit: int) -> tuple[PoolTask, ...]:
        """The owner's latest tasks, newest first."""
        listed = await self._engine.all_of(LISTS, list_subject(owner))
        keys = list(dict.fromkeys(TaskKey(each.data.decode()) for each in reversed(listed)))[:limit]
        found = [await self.task(key) for key in keys]
        return tuple(task for task in found if task is not None and task.owner == owner)

    async def untold_stops(self) -> tuple[PoolTask, ...]:
        """Stopped tasks whose node has not heard of it."""
        stopped = self._open.in_state(PoolTaskState.STOPPED)
        return tuple(record.task for record in stopped if is_untold(record.task))

    async def offer(self, key: TaskKey, node_id: str) -> bool:
        """Note that this node may hold the task; False while another process offers it."""
        if not await self._claim(key):
            return False
        record, _ = await self._change(
            key, lambda record: replace(record, offered=(*record.offered, node_id))
            if node_id not in record.offered else None,
        )  # fmt: skip
        return record.task.state is PoolTaskState.PENDING

    async def _claim(self, key: TaskKey) -> bool:
        before = await self._engine.read(CLAIMS, claim_subject(key))
        if before is not None and before.data not in (b"", self._me.encode()):
            return False
        over = before.revision if before else 0
        return await self._engine.write(claim_subject(key), self._me.encode(), over=over) is not None

    async def _unclaim(self, key: TaskKey) -> None:
        await self._engine.write(claim_subject(key), b"")

    async def withdraw(self, key: TaskKey, node_id: str) -> None:
        """Note that this node does not hold the task."""

        def without(record: TaskRecord) -> TaskRecord | None:
            left = tuple(each for each in record.offered if each != node_id)
            return replace(record, offered=left) if left != record.offered else None

        await self._change(key, without)
        await self._unclaim(key)

    async def offered(self) -> tuple[tuple[TaskKey, str], ...]:
        """Waiting tasks, each with a node that may hold it."""
        waiting = self._open.in_state(PoolTaskState.PENDING)
        return tuple((record.task.key, node_id) for record in waiting for node_id in record.offered)

    async def holder(self, key: TaskKey, account: str) -> str | None:
        """The account's node that holds (or may hold) the task."""
        record, _ = await self._read(key)
        for node_id in (record.task.node_id, *record.offered):
            node = self._nodes.get(node_id)
            # A worker that asks is known by its own credential; an account of its name is somebody else.
            if node is not None and not node.asks and node.account == account:
                return node_id
        return None

    async def begin(self, key: TaskKey, node_id: str, at_s: float) -> PoolTask:
        """A node took the task. Where it runs on another one by now, that stays."""

        def begun(record: TaskRecord) -> TaskRecord | None:
            task = record.task
            if task.has_result or (task.state is PoolTaskState.RUNNING and task.node_id != node_id):
                return None
            state = PoolTaskState.RUNNING if task.state is PoolTaskState.PENDING else task.state
            started = at_s if task.started_at_s is None else task.started_at_s
            return _with(record, node_id=node_id, started_at_s=started, state=state)

        record, _ = await self._change(key, begun)
        self.counts.note_begin(record.task, at_s)
        await self._unclaim(key)
        return record.task

    async def end(self, key: TaskKey, state: PoolTaskState, message: str, at_s: float) -> bool:
        """An open task ends without a result."""
        _, done = await self._change(
            key, lambda record: None if record.task.state.has_ended
            else _with(record, state=state, message=message, ended_at_s=at_s),
        )  # fmt: skip
        self.counts.note_end(state, done)
        return done

    async def told(self, key: TaskKey) -> None:
        """The node heard of the stop."""
        await self._change(key, lambda record: _with(record, stop_told=True))

    async def finish(self, result: PoolResult) -> PoolTask:
        """Keep the one result of a task, with its reward; a second one changes nothing."""

        def finished(record: TaskRecord) -> TaskRecord | None:
            changes_nothing = record.task.has_result or (asks and _is_no_end(record.task, result))
            return None if changes_nothing else _finished(record, result)

        node = self._nodes.get(result.node_id)
        asks = node is not None and node.asks

        record, done = await self._change(result.key, finished)
        self.counts.note_finish(record.task, result)
        if done:  # else another process is at its payment: two that are, would pay twice
            await self._reward(record, alone=True)
        return record.task

    # tasks that workers ask for

    async def hand_out(
        self, node: PoolNode, has_room: Callable[[Demand], bool], may: Callable[[TaskRecord], bool],
        at_s: float, promised_s: float = 0.0,
    ) -> TaskRecord | None:  # fmt: skip
        """Give the oldest waiting task that fits to a node that asks; None when there is none.

        `promised_s`: so long the node lets a task run (0: it does not say).
        """

        def taken(record: TaskRecord) -> TaskRecord | None:
            if record.task.state is not PoolTaskState.PENDING:
                return None
            running = _with(record, node_id=node.node_id, started_at_s=at_s, state=PoolTaskState.RUNNING)
            # Nodes that lost it stay: a result that one of them sends after all counts, if it is the first.
            return replace(running, promised_s=promised_s, offered=(*record.offered, node.node_id))

        passed_over: list[TaskKey] = []
        try:
            while (waiting := self._open.pick(has_room, may)) is not None:
                key = waiting.task.key
                passed_over.append(key)  # until it is taken: also when the server goes away meanwhile
                if not (waiting.offered and await self._is_claimed(key)):
                    record, done = await self._change(key, taken)
                    if done:
                        self.counts.handed_out["asked"] += 1
                        return record
        finally:
            for key in passed_over:
                self._open.put_back(key)
        return None

    async def _is_claimed(self, key: TaskKey) -> bool:
        kept = await self._engine.read(CLAIMS, claim_subject(key))
        return kept is not None and kept.data != b""

    async def take_back(
        self, key: TaskKey, node_id: str, reason: str, at_s: float, *, lost: bool, refused: bool
    ) -> TaskRecord | None:  # fmt: skip
        """The node does not do the task: it waits again, or is FAILED when that was once too often.

        `lost`: it may have it still, and a result that comes first counts; `refused`: it never gets it again.
        """

        def back(record: TaskRecord) -> TaskRecord | None:
            task = record.task
            if task.state is not PoolTaskState.RUNNING or task.node_id != node_id:
                return None
            after = replace(
                record, lost=record.lost + (lost and not refused),
                back=record.back + (not lost and not refused),
                refused=(*record.refused, node_id) if refused else record.refused,
                offered=record.offered if lost else _less_one(record.offered, node_id),
            )  # fmt: skip
            if after.lost + len(after.refused) < MOST_TRIES and after.back < MOST_BACK:
                return _with(after, state=PoolTaskState.PENDING, node_id="", started_at_s=None)
            tries = after.lost + len(after.refused) + after.back
            message = f"Tried {tries} times without a result. The last time: {reason}"
            return _with(after, state=PoolTaskState.FAILED, message=message, ended_at_s=at_s)

        record, done = await self._change(key, back)
        if not done:
            return None
        if record.task.state is PoolTaskState.FAILED:
            self.counts.note_end(record.task.state, done)
        else:
            self.counts.taken_back["lost" if lost else "given_back"] += 1
        return record

    async def held_too_long(self, most_s: float) -> list[tuple[TaskRecord, float]]:
        """Running tasks that one worker has had for longer than it may, each with that time in seconds.

        By the clock of the server: a task's record does not change while it runs, but for minutes paid; then
        the clock of the process counts that handed it out.
        """
        running = [record for record in self._open.in_state(PoolTaskState.RUNNING) if self._asks(record)]
        now_s = await self._engine.now_s() if running else 0.0
        found = []
        for record in running:
            limit_s = held_limit_s(record.promised_s, most_s)
            since_s = self._since_s(record.task.key, now_s)
            if record.task.paid_minutes:
                since_s = min(since_s, record.task.started_at_s or since_s)
            if now_s - since_s > limit_s:
                found.append((record, limit_s))
        return found

    def _since_s(self, key: TaskKey, now_s: float) -> float:
        """When the record as we know it was written; what the server has not told of yet is new."""
        known, (revision, at_s) = self._open.get(key), self._changed_s.get(key, (0, now_s))
        return at_s if known is not None and known[1] == revision else now_s

    def _asks(self, record: TaskRecord) -> bool:
        node = self._nodes.get(record.task.node_id)
        return node is not None and node.asks

    async def overdue(self) -> list[TaskRecord]:
        """Tasks that have waited or run so long without a change that they would vanish before they end."""
        limit_s = await self._engine.now_s() - OPEN_S
        still_open = [
            *self._open.in_state(PoolTaskState.PENDING),
            *self._open.in_state(PoolTaskState.RUNNING),
        ]
        found = []
        for record in still_open:
            if (
                record.task.uploaded_at_s < limit_s + DAY_S
            ):  # of this one the server's own time is worth asking
                changed_s = await self._engine.changed_s(TASKS, task_subject(record.task.key))
                if changed_s is not None and changed_s < limit_s:
                    found.append(record)
        return found

    def known(self, key: TaskKey) -> TaskRecord | None:
        """An open task as this process last heard of it; None when it has not."""
        found = self._open.get(key)
        return found[0] if found else None

    def waits(self, key: TaskKey) -> bool:
        """Whether a task waits for a worker, and none is being given it here."""
        return self._open.waits(key)

    async def record(self, key: TaskKey) -> TaskRecord | None:
        """All that is known of a task."""
        kept = await self._engine.read(TASKS, task_subject(key))
        return task_record(kept.data) if kept else None

    def held_by(self, node_id: str) -> list[TaskRecord]:
        """Tasks not done with that a node has."""
        return self._open.of_node(node_id)

    # logs

    async def append_log(self, key: TaskKey, texts: Sequence[str], keep_bytes: int) -> None:
        """Append texts in order, keeping the last `keep_bytes`."""
        await self._pieces.append(key, "".join(texts).encode(), keep_bytes)

    async def append_once(self, key: TaskKey, text: str, keep_bytes: int, said: str) -> None:
        """The same for a text that may come again under the same name, while it is the last one there."""
        await self._pieces.append(key, text.encode(), keep_bytes, said)

    async def log(self, key: TaskKey) -> tuple[int, str]:
        """Bytes cut off at the start so far, and the text that is left."""
        return await self._pieces.read(key)

    # what is kept in memory

    def _take_task(self, kept: Kept) -> None:
        key = TaskKey(kept.subject.rpartition(".")[2])
        if not self._open.knows(key, kept.revision):
            sent = self._sent.get(key)  # what we write ourselves is told of before the write is answered
            record = sent[1] if sent and sent[0] == kept.data else task_record(kept.data)
            self._note(record, kept.revision)
        if self._open.get(key) is not None:
            self._changed_s[key] = (kept.revision, kept.at_s)
        else:
            self._changed_s.pop(key, None)

    def _note(self, record: TaskRecord, revision: int) -> None:
        if self._open.note(record, revision):
            for changed in self._changed:
                changed()
            for watching in self._watching:
                watching(record)


def _is_news(kept: PoolNode, node: PoolNode) -> bool:
    is_old = not 0.0 <= node.heard_at_s - kept.heard_at_s < NODE_KEPT_S
    return is_old or replace(node, heard_at_s=kept.heard_at_s) != kept


def _less_one(offered: tuple[str, ...], node_id: str) -> tuple[str, ...]:
    """Without the last time that it was offered to this node: it may have it still from a time before."""
    at = len(offered) - 1 - offered[::-1].index(node_id) if node_id in offered else len(offered)
    return (*offered[:at], *offered[at + 1 :])


def _with(record: TaskRecord, **changes: object) -> TaskRecord:
    return replace(record, task=replace(record.task, **changes))  # type: ignore[arg-type]


def _is_no_end(task: PoolTask, result: PoolResult) -> bool:
    """Whether one only stopped what was taken from it: the task waits for another, or runs there."""
    stopped = result.state is PoolTaskState.STOPPED
    return stopped and not task.state.has_ended and task.node_id != result.node_id


def _finished(record: TaskRecord, result: PoolResult) -> TaskRecord:
    # A stop is the requester's own word: a result that comes after it does not unsay it. Nor is a task that
    # was tried too often STOPPED because the last to try it was told to stop: its archive is kept.
    gave_up = record.task.state is PoolTaskState.FAILED and result.state is PoolTaskState.STOPPED
    stays = record.task.state is PoolTaskState.STOPPED or gave_up
    started = record.task.started_at_s
    ended = _with(
        record, node_id=result.node_id, state=record.task.state if stays else result.state,
        message=record.task.message if stays else result.message, result_sha256=result.sha256,
        result_bytes=result.size_bytes, started_at_s=result.at_s if started is None else started,
        ended_at_s=result.at_s,
    )  # fmt: skip
    earns = not stays and result.state is PoolTaskState.COMPLETED and result.reward > 0
    return replace(ended, owed=(result.account, result.reward) if earns else None)
