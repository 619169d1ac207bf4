"""A worker that front ends can talk to: fits engine.face.NodeFace, holds values, runs nothing.

It answers wishes as the engine does (pause, snooze, resume, finish, stop) so that what a
front end shows after one can be checked. The real node passes the same contract tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from hivemind_worker.engine.face import Command, LogEntry, NodeFace, Sample
from hivemind_worker.model.capacity import Offer
from hivemind_worker.model.checkup import Autostart, Check, CheckState
from hivemind_worker.model.days import day_of
from hivemind_worker.model.effects import Accepted, Refused, Reply
from hivemind_worker.model.events import (
    ConditionReported,
    FinishAsked,
    GpuPauseAsked,
    PauseAsked,
    ResumeAsked,
    RetryAsked,
    RunModeAsked,
    StopAsked,
    TaskPauseAsked,
)  # fmt: skip
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.fleet import Fleet, Machine, Standing, Told, WishKind
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.metrics import Place, Point, Step, TaskPage, TaskWindow
from hivemind_worker.model.network_view import NetworkView
from hivemind_worker.model.pools import Balance, KeptPool, Leaving
from hivemind_worker.model.preview import Preview
from hivemind_worker.model.receipts import KeptReceipt, Seal
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.rules import Rules, change_rules
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.settings import Settings, apply, with_live_changes
from hivemind_worker.model.snapshot import LinkState, Mode, NodeState, PoolView, RuntimeView, Snapshot
from hivemind_worker.model.task import Delivery, Phase, Problem, Task, TaskId, TaskKey, TaskState, key_of
from hivemind_worker.model.vpn import Exposure, Review, RungResult, VpnState, VpnView
from hivemind_worker.model.work import RunFigures, UsePoint
from hivemind_worker.model.worked import Metering, Work, WorkHistory
from hivemind_worker.model.yields import YieldTimes
from hivemind_worker.presentation.support import Private
from hivemind_worker.vpn.narrowing import membership, usable

NOW_S = 1_795_530_720.0  # 2026-11-24 14:32 UTC
TOTAL = Resources(cpu=200.0, memory_gb=4.0)


FIGURES = Sample(
    cpu_percent=25.0, memory_percent=50.0, memory_available_gb=4.0, memory_total_gb=8.0,
    disk_available_gb=100.0,
)  # fmt: skip


def make_task(task_id: str = "task_1", state: TaskState = TaskState.RUNNING, **fields: Any) -> Task:
    """A task of 10 s ago with sensible values; any field may be given."""
    base = Task(
        task_id=TaskId(task_id),
        key=key_of(TaskId(task_id)),
        attempt=1,
        body_sha256="0" * 64,
        demand=Resources(cpu=100.0, memory_gb=1.0),
        state=state,
        accepted_at_s=NOW_S - 10,
        started_at_s=None if state is TaskState.ALLOCATED else NOW_S - 8,
        runtime="" if state is TaskState.ALLOCATED else "wasm",
        ended_at_s=NOW_S - 1 if state.has_ended else None,
        delivery=Delivery.DELIVERED if state.has_ended else Delivery.NONE,
    )
    return replace(base, **fields)


def make_snapshot(
    *tasks: Task, mode: Mode = Mode.RUN, link: LinkState = LinkState.REGISTERED, **fields: Any
) -> Snapshot:
    """A worker that is registered at a pool on another computer; any field may be given."""
    base = Snapshot(
        at_s=NOW_S,
        node_id="worker-larch-50053",
        version="0.1.0",
        node=NodeState(mode=mode, mode_since_s=NOW_S - 60, trust_score=12),
        tasks=tasks,
        total=TOTAL,
        available=TOTAL,
        offer=Offer(offered=TOTAL, lent=TOTAL),
        trust_group="low",
        max_tasks=3,
        trust_threshold=50,
        pool=PoolView(address="10.0.0.1:50051", link=link, since_s=NOW_S - 120, user="anna", balance=7,
                      last_heard_s=NOW_S - 2),
        runtime=RuntimeView(name="wasm", ready=True, detail="CPython 3.12 (small)"),
        grpc_address="10.0.0.7:50053",
    )  # fmt: skip
    return replace(base, **fields)


def make_machine(name: str, status: str = "idle", *, online: bool = True, **fields: Any) -> Machine:
    """One of the owner's machines, as the pool shows it; any field may be given."""
    paused = status == "paused"
    text = _ELSEWHERE if paused else _WORKING if status == "running" else _WAITING
    standing = Standing(
        title=name, status=status, code="paused_elsewhere" if paused else "working", text=text,
        since_s=NOW_S - 3600, ends_at_s=None, running=2 if status == "running" else 0, places=3, trust=12,
        version="0.1.0",
    )  # fmt: skip
    base = Machine(
        name=name, standing=standing, seen_s=NOW_S - (4 if online else 90_000), online=online, earned=1_234
    )
    return replace(base, **fields)


_ELSEWHERE = "Paused from another of your machines (larch): no task runs until you resume."
_WORKING, _WAITING = "Working on 2 tasks.", "Connected to tls://pool.example:4222. Waiting for work."


class FakeFleet:
    """Set `shown` (a fleet, or why there is none); read `asked`."""

    def __init__(self, node: FakeNode) -> None:
        self._node = node
        self.shown: Fleet | Problem | None = None
        self.asked: list[tuple[WishKind, tuple[str, ...] | None, float | None]] = []

    async def machines(self) -> Fleet | Problem:
        none = Problem(code=FaultCode.NO_FLEET, about=self._node.picture.pool.address)
        return none if self.shown is None else self.shown

    async def wish(
        self, kind: WishKind, names: Iterable[str] | None, for_s: float | None = None
    ) -> Told | Problem:
        found = await self.machines()
        if isinstance(found, Problem):
            return found
        known = {each.name: each.online for each in found.machines}
        wanted = tuple(known) if names is None else tuple(names)
        if foreign := [name for name in wanted if name not in known]:
            return Problem(code=FaultCode.NO_SUCH_MACHINE, about=foreign[0])
        self.asked.append((kind, None if names is None else wanted, for_s))
        return Told(
            now=tuple(name for name in wanted if known[name]),
            later=tuple(name for name in wanted if not known[name]),
        )


class FakePools:
    """Set `rows`, `history` and `refuse_with`; read `asked`."""

    def __init__(self, node: FakeNode) -> None:
        self._node = node
        self.rows: list[KeptPool] = [
            KeptPool(address="10.0.0.1:50051", user="anna", signed_in=True, active=True)
        ]
        self.history: dict[str, list[Balance]] = {}
        self.refuse_with: Problem | None = None
        self.asked: list[tuple[object, ...]] = []
        self.demo_runs = False
        self.keyring = True

    def _answer(self, *asked: object) -> Problem | None:
        self.asked.append(asked)
        if self.refuse_with is None:
            self._node.picture = self._node.picture
        return self.refuse_with

    async def kept(self) -> tuple[KeptPool, ...]:
        return tuple(self.rows)

    async def balances(self, address: str, user: str, from_s: float) -> tuple[Balance, ...]:
        return tuple(row for row in self.history.get(address, []) if row.at_s >= from_s)

    async def has_keyring(self) -> bool:
        return self.keyring

    async def sign_in(
        self, address: str, user: str, password: str, *, plain: bool = False, keep: bool = True
    ) -> Problem | None:
        if self.refuse_with is None:
            others = [row for row in self.rows if row.address != address]
            active = any(row.address == address and row.active for row in self.rows)
            self.rows = [*others, KeptPool(address=address, user=user, signed_in=True, active=active)]
        return self._answer("sign in", address, user, password, plain, keep)

    async def join(self, address: str, proof: str, *, give_up: bool = False) -> str | Problem:
        name = address or "tls://pool.example:4222"
        problem = self._answer("join", address, proof, give_up)
        if problem is None:
            self.rows.append(KeptPool(address=name, user="larch", signed_in=True))
        return problem or name

    async def sign_out(self, address: str) -> None:
        self.rows = [replace(row, signed_in=row.signed_in and row.address != address) for row in self.rows]
        self._answer("sign out", address)

    async def forget(self, address: str) -> Problem | None:
        self.rows = [row for row in self.rows if row.address != address]
        return self._answer("forget", address)

    async def switch(self, address: str, leaving: Leaving) -> Problem | None:
        if self.refuse_with is None:
            self._node.picture = replace(self._node.picture, switching_to=address)
        return self._answer("switch", address, leaving)

    async def cancel_switch(self) -> None:
        self._node.picture = replace(self._node.picture, switching_to="")
        self._answer("cancel")

    async def start_demo(self, leaving: Leaving = Leaving.FINISH) -> Problem | None:
        self.demo_runs = self.refuse_with is None
        return self._answer("start demo", leaving)

    async def stop_demo(self, leaving: Leaving = Leaving.STOP) -> Problem | None:
        self.demo_runs = False
        return self._answer("stop demo", leaving)


def make_receipt(task: Task) -> Mapping[str, object]:
    """A receipt of the task as it would be kept; its signature is not looked at."""
    receipt = {
        "task_id": task.task_id, "state": task.state.value, "exit_code": task.exit_code,
        "code_sha256": task.body_sha256, "sandbox": task.runtime,
        "limits": {"cores": 1.0, "time_s": 3600.0}, "trust_change": task.trust_change,
        "used": {"cpu_s": task.usage.cpu_s, "peak_memory_bytes": task.usage.peak_memory_bytes},
    }  # fmt: skip
    return {"receipt": receipt, "public_key": "aa", "signature": "bb"}


class FakeCare:
    """Set `checks`, `starts` and `files`; read `asked`."""

    def __init__(self) -> None:
        self.checks: list[Check] = [
            Check(name="Python", state=CheckState.OK, text="CPython 3.12 on Linux"),
            Check(name="Sandbox", state=CheckState.OK, text="built-in; a test program ran"),
        ]
        self.last_checkup: tuple[Check, ...] = ()
        self.starts: Autostart | Problem = Autostart.OFF
        self.private: tuple[tuple[str, str], ...] = ()
        self.files: dict[str, str] = {
            "about.txt": "program: HiveMind Worker 0.1.0\n",
            "worker.log": "INFO up\n",
        }
        self.networks = NetworkView(
            interfaces={"lo": ("127.0.0.1",), "eth0": ("192.168.1.20",), "wg0": ("10.0.0.7",)},
            tunnels=("wg0",), dashboard="127.0.0.1:5000",
        )  # fmt: skip
        self.refuse_with: Problem | None = None
        self.asked: list[tuple[object, ...]] = []

    def redacted(self, text: str) -> str:
        return Private(words=self.private).removed_from(text)

    async def checkup(self) -> tuple[Check, ...]:
        self.asked.append(("checkup",))
        self.last_checkup = tuple(self.checks)
        return self.last_checkup

    def found(self) -> tuple[Check, ...]:
        return self.last_checkup

    async def autostart(self) -> Autostart | Problem:
        return self.starts

    async def set_autostart(self, on: bool) -> Problem | None:
        self.asked.append(("autostart", on))
        if self.refuse_with is None:
            self.starts = Autostart.ON if on else Autostart.OFF
        return self.refuse_with

    async def report(self) -> Mapping[str, str]:
        return dict(self.files)

    async def save_report(self, files: Mapping[str, str], target: Path) -> Problem | None:
        self.asked.append(("save", str(target), tuple(files)))
        return self.refuse_with

    async def network(self) -> NetworkView:
        return self.networks

    def own_costs(self) -> tuple[float, int]:
        return 12.5, 118 << 20


class FakeVpn:
    """Set `refuse_with`, `results` and `rows`; read `asked`. Profiles are really read."""

    def __init__(self, node: FakeNode) -> None:
        self._node = node
        self.refuse_with: Problem | None = None
        self.results: list[RungResult] = []
        self.rows: list[Exposure] = [
            Exposure(name="tasks", address="10.0.0.7", port=50053, vpn="pool_only", lan=False),
            Exposure(name="dashboard", address="127.0.0.1", port=5000, vpn="no", lan=False),
        ]
        self.site: bytes | Problem = b""
        self.asked: list[tuple[object, ...]] = []

    @property
    def view(self) -> VpnView:
        return self._node.picture.vpn

    def show(self, **changes: Any) -> None:
        self._node.picture = replace(self._node.picture, vpn=replace(self.view, **changes))

    def review(self, untrusted: bytes, wide: bool = False) -> Review:
        return usable(untrusted, membership("10.0.0.1", "10.0.0.0/24", wide))[1]

    async def keep(self, untrusted: bytes, wide: bool = False) -> Review | Problem:
        review = self.review(untrusted, wide)
        if review.usable and self.refuse_with is None:
            self.asked.append(("keep", wide))
            self.show(state=VpnState.OFF, has_profile=True, own_key=review.own_key, pool_key=review.pool_key)
        return self.refuse_with or review

    async def ask_site(self, site: str) -> bytes | Problem:
        self.asked.append(("site", site))
        return self.site

    async def new_key(self) -> str | Problem:
        self.asked.append(("key",))
        return "x4XTJ9mFUhgh68e11r3qAXrT2mmQZjMG3Rlt5WKk8lc="

    async def _do(self, *asked: object, **changes: Any) -> Problem | None:
        self.asked.append(asked)
        if self.refuse_with is None:
            self.show(**changes)
        return self.refuse_with

    async def up(self) -> Problem | None:
        return await self._do("up", state=VpnState.CONNECTED, handshake_s=NOW_S - 12, interface="hivemind0")

    async def down(self) -> Problem | None:
        return await self._do("down", state=VpnState.OFF, handshake_s=None, interface="")

    async def go_back(self) -> Problem | None:
        return await self._do("back")

    async def remove(self) -> Problem | None:
        return await self._do("remove", state=VpnState.NOT_SET_UP, has_profile=False)

    async def set_auto(self, on: bool) -> Problem | None:
        return await self._do("auto", on, joins_by_itself=on)

    async def check(
        self, tell: Callable[[RungResult], None] = lambda _result: None
    ) -> tuple[RungResult, ...]:
        self.asked.append(("check",))
        for result in self.results:
            tell(result)
        return tuple(self.results)

    async def exposure(self) -> tuple[Exposure, ...]:
        return tuple(self.rows)


class FakeSending:
    """Set `rows` and `log`; read `asked`."""

    def __init__(self, node: FakeNode) -> None:
        self._node = node
        self.rows: list[Sending] = []
        self.log: dict[str, list[str]] = {}
        self.asked: list[tuple[str, str]] = []

    def put(self, sending: Sending) -> None:
        """Add or replace one, and tell those who watch."""
        self.rows = [sending, *(row for row in self.rows if row.task_id != sending.task_id)]
        self._node.picture = self._node.picture

    def all(self) -> tuple[Sending, ...]:
        return tuple(self.rows)

    def lines(self, task_id: str) -> tuple[str, ...]:
        return tuple(self.log.get(task_id, ()))

    def send(self, path: Path) -> Sending:
        self.asked.append(("send", str(path)))
        sending = Sending(
            task_id=f"task_{len(self.rows) + 1}", name=path.name, path=str(path),
            pool=self._node.picture.pool.address, step=SendStep.PACKING,
            reached=((SendStep.PACKING, NOW_S),),
        )  # fmt: skip
        self.put(sending)
        return sending

    async def stop(self, task_id: str) -> Problem | None:
        self.asked.append(("stop", task_id))
        return None


class FakeRules:
    """Rules that are kept in memory; previews are what a test puts there."""

    def __init__(self) -> None:
        self.current = Rules()
        self.preview = Preview()
        self.yields = YieldTimes()

    async def change(self, untrusted_values: Mapping[str, object]) -> tuple[Problem, ...]:
        self.current, problems = change_rules(self.current, untrusted_values)
        return problems

    async def next_day(self, rules: Rules) -> Preview:
        return self.preview

    async def replay(self, rules: Rules) -> Preview:
        return self.preview

    async def yield_times(self) -> YieldTimes:
        return self.yields


class FakeNode:
    """Set `picture`, `ended`, `lines` and files under `folder`; read `asked`."""

    def __init__(self, folder: Path, clock: Callable[[], float] = lambda: NOW_S) -> None:
        self.settings = Settings()
        self.rules = FakeRules()
        self.pools = FakePools(self)
        self.fleet = FakeFleet(self)
        self.sending = FakeSending(self)
        self.vpn = FakeVpn(self)
        self.care = FakeCare()
        self.watchers: list[Callable[[], None]] = []
        self._picture = make_snapshot()
        self.ended: list[Task] = []
        self.lines: list[StoryLine] = []
        self.use_points: dict[TaskKey, tuple[UsePoint, ...]] = {}
        self.uses: dict[TaskKey, RunFigures] = {}
        self.receipts: dict[TaskKey, Mapping[str, object]] = {}
        self.seals: dict[TaskKey, Seal] = {}
        self.log: list[LogEntry] = []
        self.asked: list[Command] = []
        self.reconnects = 0
        self.fetches: list[str] = []
        self.links = 0
        self.refuse_with: Problem | None = None
        self.points: dict[Step, list[Point]] = {}
        self.kept: dict[str, object] = {}
        self.sources: dict[str, str] = {}
        self.work: list[Work] = []
        self.metering = Metering()
        self.samples = 0
        self.figures = FIGURES
        self.folder = folder
        self._clock = clock

    @property
    def picture(self) -> Snapshot:
        """What is shown; another one is told to those who watch."""
        return self._picture

    @picture.setter
    def picture(self, picture: Snapshot) -> None:
        self._picture = picture
        for changed in tuple(self.watchers):
            changed()

    def snapshot(self) -> Snapshot:
        return replace(self.picture, at_s=self._clock())

    def open_tasks(self) -> tuple[Task, ...]:
        return self.picture.tasks

    def reconnect(self) -> None:
        self.reconnects += 1

    def fetch_image(self) -> None:
        self.fetches.append("fetch")

    def stop_fetch(self) -> None:
        self.fetches.append("stop")

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(changed)
        return lambda: self.watchers.remove(changed)

    async def ask(self, command: Command) -> Reply:
        self.asked.append(command)
        if self.refuse_with is not None:
            return Refused(problem=self.refuse_with)
        node = self.picture.node
        match command:
            case PauseAsked():
                node = replace(node, mode=Mode.PAUSED, until_s=command.until_s, mode_since_s=command.at_s)
            case ResumeAsked():
                node = replace(node, mode=Mode.RUN, until_s=None, mode_since_s=command.at_s)
            case FinishAsked():
                node = replace(node, mode=Mode.FINISHING, quit_after=command.quit_after)
            case RunModeAsked():
                node = replace(
                    node, mode=Mode.RUN, until_s=None, mode_since_s=command.at_s,
                    ignores_rules=command.ignores_rules, ignores_until_s=command.until_s,
                )  # fmt: skip
            case GpuPauseAsked():
                node = replace(node, gpu_paused=command.paused, gpu_until_s=command.until_s)
            case ConditionReported():
                others = tuple(c for c in node.conditions if c.name != command.condition.name)
                node = replace(node, conditions=(*others, command.condition))
            case RetryAsked():
                node = replace(node, failures=())
            case StopAsked() | TaskPauseAsked():
                return self._about_task(command)
        self.picture = replace(self.picture, node=node)
        return Accepted()

    def _about_task(self, command: StopAsked | TaskPauseAsked) -> Reply:
        task = next((t for t in self.picture.tasks if t.key == command.key), None)
        if task is None:
            return Refused(problem=Problem(code=FaultCode.UNKNOWN_TASK))
        if isinstance(command, StopAsked):
            self.put(replace(task, stop_reason=command.reason, phase=Phase.STOPPING))
        else:
            state = TaskState.PAUSED if command.paused else TaskState.RUNNING
            self.put(replace(task, held=command.paused, state=state))
        return Accepted()

    def put(self, task: Task) -> None:
        """Add or replace an open task."""
        others = tuple(t for t in self.picture.tasks if t.key != task.key)
        self.picture = replace(self.picture, tasks=(*others, task))

    async def sample(self) -> Sample:
        self.samples += 1
        return self.figures

    async def ended_tasks(self, limit: int) -> tuple[Task, ...]:
        return tuple(self.ended[:limit])

    async def ended_page(
        self, limit: int, before: Place | None = None, state: TaskState | None = None
    ) -> TaskPage:
        rows = sorted(self.ended, key=_place, reverse=True)
        if before is not None:
            rows = [t for t in rows if _place(t) < (before.ended_at_s, before.key)]
        rows = [t for t in rows if state in (None, t.state)]
        page = rows[:limit]
        more = len(rows) > limit
        last = Place(ended_at_s=page[-1].ended_at_s or 0.0, key=page[-1].key) if more else None
        return TaskPage(tasks=tuple(page), following=last)

    async def ended_window(
        self, offset: int, limit: int, text: str = "", oldest_first: bool = False,
        states: tuple[TaskState, ...] = (),
    ) -> TaskWindow:  # fmt: skip
        rows = sorted(self.ended, key=_place, reverse=not oldest_first)
        rows = [t for t in rows if text.lower() in t.task_id.lower() or text in t.key or t.state in states]
        return TaskWindow(offset=offset, total=len(rows), tasks=tuple(rows[offset : offset + limit]))

    async def history(self, step: Step, from_s: float, most: int) -> tuple[Point, ...]:
        return tuple(p for p in self.points.get(step, []) if p.at_s >= from_s)[-most:]

    async def work_history(self, first: date, last: date) -> WorkHistory:
        settings = self.settings
        user = self.picture.pool.user
        return WorkHistory(
            today=day_of(self._clock()), metering=self.metering, full_load_w=settings.full_load_w,
            work=tuple(work for work in self.work if first <= work.place.day <= last),
            balances={(pool, user): tuple(rows) for pool, rows in self.pools.history.items()},
            price_per_kwh=settings.power_price, currency=settings.currency,
        )  # fmt: skip

    async def kept_settings(self) -> Mapping[str, object] | Problem:
        return dict(self.kept)

    def setting_sources(self) -> Mapping[str, str]:
        return self.sources

    async def change_settings(self, untrusted_values: Mapping[str, object]) -> tuple[Problem, ...]:
        given = {key: value for key, value in untrusted_values.items() if value is not None}
        settings, problems = apply(Settings(), given)
        if not problems:
            left = {key: value for key, value in self.kept.items() if key not in untrusted_values}
            self.kept = left | {key: getattr(settings, key) for key in given}
            self.settings = with_live_changes(self.settings, untrusted_values, self.sources)
            self.picture = self.picture
        return problems

    async def find_task(self, task_id: TaskId) -> Task | None:
        for task in (*self.picture.tasks, *self.ended):
            if task_id in (task.task_id, task.key) or (len(task_id) >= 8 and task.key.startswith(task_id)):
                return task
        return None

    def task_figures(self, task: Task) -> RunFigures | None:
        return self.uses.get(task.key)

    async def task_use(self, task: Task) -> tuple[UsePoint, ...]:
        return self.use_points.get(task.key, ())

    async def story(self, key: TaskKey) -> tuple[StoryLine, ...]:
        return tuple(line for line in self.lines if line.key == key)

    def output_log(self, key: TaskKey) -> Path:
        return self.folder / key / "output.log"

    async def receipt(self, key: TaskKey) -> Mapping[str, object] | None:
        return self.receipts.get(key)

    async def latest_receipts(self, most: int) -> tuple[KeptReceipt, ...]:
        return tuple(
            KeptReceipt(task=task, seal=self.seals.get(task.key, Seal.OURS))
            for task in self.ended[:most] if task.key in self.receipts
        )  # fmt: skip

    def result_archive(self, key: TaskKey) -> Path:
        return self.folder / f"{key}.zip"

    def dashboard_link(self) -> str:
        self.links += 1
        return "http://127.0.0.1:5000/login?t=once"

    def log_entries(self, after: int = 0) -> tuple[LogEntry, ...]:
        return tuple(entry for entry in self.log if entry.number > after)

    def write_log(self, task: Task, content: bytes) -> None:
        """Append to a task's output."""
        path = self.output_log(task.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)


def _place(task: Task) -> tuple[float, str]:
    return task.ended_at_s or 0.0, task.key


def _fits(node: FakeNode) -> NodeFace:
    return node  # mypy checks the shape
