"""What front ends may see and ask of a worker: `WorkerNode` fits it, tests bring a fake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Protocol

from hivemind_worker.model.checkup import Autostart, Check
from hivemind_worker.model.effects import Reply
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
from hivemind_worker.model.fleet import Fleet, Told, WishKind
from hivemind_worker.model.history import StoryLine
from hivemind_worker.model.machine import LogEntry, Sample
from hivemind_worker.model.metrics import Place, Point, Step, TaskPage, TaskWindow
from hivemind_worker.model.network_view import NetworkView
from hivemind_worker.model.pools import Balance, KeptPool, Leaving
from hivemind_worker.model.preview import Preview
from hivemind_worker.model.receipts import KeptReceipt
from hivemind_worker.model.rules import Rules
from hivemind_worker.model.sending import Sending
from hivemind_worker.model.settings import Settings
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.model.task import Problem, Task, TaskId, TaskKey, TaskState
from hivemind_worker.model.vpn import Exposure, Review, RungResult, VpnView
from hivemind_worker.model.work import RunFigures, UsePoint
from hivemind_worker.model.worked import WorkHistory
from hivemind_worker.model.yields import YieldTimes

__all__ = ["Command", "LogEntry", "NodeFace", "RulesFace", "Sample"]

Command = (
    StopAsked
    | TaskPauseAsked
    | PauseAsked
    | ResumeAsked
    | FinishAsked
    | RunModeAsked
    | GpuPauseAsked
    | ConditionReported
    | RetryAsked
)


class RulesFace(Protocol):
    """The owner's rules: seen, changed, tried out. What they say now stands in the snapshot."""

    @property
    def current(self) -> Rules:
        """The rules in force."""
        ...

    async def change(self, untrusted_values: Mapping[str, object]) -> tuple[Problem, ...]:
        """Use and keep these rows; None stands for the default. With a problem nothing changes."""
        ...

    async def next_day(self, rules: Rules) -> Preview:
        """The next 24 hours under these rules, if they go as usual."""
        ...

    async def replay(self, rules: Rules) -> Preview:
        """What these rules would have made of the last seven days."""
        ...

    async def yield_times(self) -> YieldTimes:
        """How fast the computer was given back, from the first input to all tasks frozen."""
        ...


class PoolsFace(Protocol):
    """The owner's pools: several kept, one active."""

    async def kept(self) -> tuple[KeptPool, ...]:
        """The pools, the active one first, then those used last."""
        ...

    async def balances(self, address: str, user: str, from_s: float) -> tuple[Balance, ...]:
        """An account's balance from a moment on, oldest first, the last one before it as the first."""
        ...

    async def has_keyring(self) -> bool:
        """Whether the system keeps passwords for us; else `sign_in` keeps one in a file."""
        ...

    async def sign_in(
        self, address: str, user: str, password: str, *, plain: bool = False, keep: bool = True
    ) -> Problem | None:
        """Try the login at the pool and keep it, or not longer than this process; taken up at once."""
        ...

    async def join(self, address: str, proof: str, *, give_up: bool = False) -> str | Problem:
        """Be let in by a pool that the worker asks over TLS; its address ("": the one that the proof names).

        `proof`: an invitation, the path of a credential file, or "" for the credential that is kept here;
        `give_up`: another one takes the place of that.
        """
        ...

    async def sign_out(self, address: str) -> None:
        """Forget the password; the pool stays on the list."""
        ...

    async def forget(self, address: str) -> Problem | None:
        """Take a pool off the list, with its login; the active one is refused."""
        ...

    async def switch(self, address: str, leaving: Leaving) -> Problem | None:
        """Begin to leave the active pool for this one; `Snapshot.switching_to` tells when it is done."""
        ...

    async def cancel_switch(self) -> None:
        """Stay with the active pool, and take work of it again."""
        ...

    async def start_demo(self, leaving: Leaving = Leaving.FINISH) -> Problem | None:
        """Start the pool that is built in, and switch to it for this run of the worker."""
        ...

    async def stop_demo(self, leaving: Leaving = Leaving.STOP) -> Problem | None:
        """Go back to the pool of before."""
        ...

    @property
    def demo_runs(self) -> bool:
        """Whether the active pool is the one built in."""
        ...


class CareFace(Protocol):
    """Looking after the worker: its checks, starting with the session, a report for support."""

    async def checkup(self) -> tuple[Check, ...]:
        """Look at everything that a worker needs; takes seconds. Those that need somebody come first."""
        ...

    def found(self) -> tuple[Check, ...]:
        """What the last checkup found; nothing before the first."""
        ...

    async def autostart(self) -> Autostart | Problem:
        """Whether this program starts with the user's session."""
        ...

    async def set_autostart(self, on: bool) -> Problem | None:
        """Have it start with the session, or not any more."""
        ...

    async def report(self) -> Mapping[str, str]:
        """The report for support, file by file, with what is private taken out."""
        ...

    def redacted(self, text: str) -> str:
        """A text of one fault as the report would tell it: names, addresses and keys taken out."""
        ...

    async def save_report(self, files: Mapping[str, str], target: Path) -> Problem | None:
        """Write a report, as it was shown, into a zip."""
        ...

    async def network(self) -> NetworkView:
        """Addresses of this computer by interface, and where the dashboard listens."""
        ...

    def own_costs(self) -> tuple[float, int]:
        """What this program itself takes: processor seconds since its start, resident bytes now."""
        ...


class VpnFace(Protocol):
    """The pool's network: its profile, its tunnel, and what is wrong with it."""

    @property
    def view(self) -> VpnView:
        """How the tunnel is; stands in the snapshot as well."""
        ...

    def review(self, untrusted: bytes, wide: bool = False) -> Review:
        """What a profile would do; changes nothing. `wide`: let the pool's whole network in."""
        ...

    async def keep(self, untrusted: bytes, wide: bool = False) -> Review | Problem:
        """Put a profile in use; one that its review refuses leaves the present one as it is."""
        ...

    async def ask_site(self, site: str) -> bytes | Problem:
        """Have the pool's site make a profile for this computer; check it like any other."""
        ...

    async def new_key(self) -> str | Problem:
        """Make a key pair for a profile that comes without one; the public key, for the pool's owner."""
        ...

    async def up(self) -> Problem | None:
        """Bring the tunnel up, or make it anew."""
        ...

    async def down(self) -> Problem | None:
        """Take it down; it stays down until `up` or the next start."""
        ...

    async def go_back(self) -> Problem | None:
        """Put the previous profile in use again."""
        ...

    async def remove(self) -> Problem | None:
        """Take the tunnel down and forget the profiles."""
        ...

    async def set_auto(self, on: bool) -> Problem | None:
        """Whether it comes up by itself."""
        ...

    async def check(
        self, tell: Callable[[RungResult], None] = lambda _result: None
    ) -> tuple[RungResult, ...]:
        """Climb the eleven checks until one fails; `tell` hears each as it ends."""
        ...

    async def exposure(self) -> tuple[Exposure, ...]:
        """Every port on which the worker listens, and who can reach it."""
        ...


class SendingFace(Protocol):
    """The owner as a requester at the active pool."""

    def all(self) -> tuple[Sending, ...]:
        """What is under way and what has ended, newest first."""
        ...

    def lines(self, task_id: str) -> tuple[str, ...]:
        """A sent task's log as far as it was followed in this run of the worker."""
        ...

    def send(self, path: Path) -> Sending:
        """Start sending a folder or a .zip; returns at once, `watch` tells how it goes on."""
        ...

    async def stop(self, task_id: str) -> Problem | None:
        """Have the pool stop a sent task."""
        ...


class FleetFace(Protocol):
    """The owner's machines at the active pool."""

    async def machines(self) -> Fleet | Problem:
        """All machines of the account, this one included; or why that is not known."""
        ...

    async def wish(
        self, kind: WishKind, names: Iterable[str] | None, for_s: float | None = None
    ) -> Told | Problem:
        """Ask it of these machines, or of all (None). `for_s`: the length of a pause."""
        ...


class NodeFace(Protocol):
    """The one object that a front end meets. Use from the loop's thread only."""

    @property
    def fleet(self) -> FleetFace:
        """The owner's machines."""
        ...

    @property
    def pools(self) -> PoolsFace:
        """Several kept, one active."""
        ...

    @property
    def care(self) -> CareFace:
        """Checks, starting with the session, report for support."""
        ...

    @property
    def vpn(self) -> VpnFace:
        """The pool's network."""
        ...

    @property
    def sending(self) -> SendingFace:
        """Tasks that the owner sends."""
        ...

    @property
    def rules(self) -> RulesFace:
        """When work is done and how much."""
        ...

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        ...

    def snapshot(self) -> Snapshot:
        """The latest picture; cheap."""
        ...

    def open_tasks(self) -> tuple[Task, ...]:
        """The open tasks alone, as in the latest picture: for who looks at each change."""
        ...

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called whenever the picture may have changed; call what this returns to end that."""
        ...

    async def ask(self, command: Command) -> Reply:
        """Have the engine decide on an owner's wish; durable when it returns."""
        ...

    def reconnect(self) -> None:
        """Look at the kept login and at the pool now."""
        ...

    def fetch_image(self) -> None:
        """Begin to fetch the image that containers need; without Docker nothing happens."""
        ...

    def stop_fetch(self) -> None:
        """Break that off; it is not begun again for a while by itself."""
        ...

    async def sample(self) -> Sample:
        """Figures of the computer, at most a second old."""
        ...

    async def history(self, step: Step, from_s: float, most: int) -> tuple[Point, ...]:
        """Figures over time from a moment on, oldest first; the newest when there are more than `most`."""
        ...

    async def work_history(self, first: date, last: date) -> WorkHistory:
        """What tasks of these local days came to, by day, pool and image."""
        ...

    async def kept_settings(self) -> Mapping[str, object] | Problem:
        """What the settings file holds now: it counts from the next start."""
        ...

    def setting_sources(self) -> Mapping[str, str]:
        """Where each setting in force that was set by hand comes from: command line, environment, file."""
        ...

    async def change_settings(self, untrusted_values: Mapping[str, object]) -> tuple[Problem, ...]:
        """Keep these values in the settings file; None takes one out. With a problem nothing changes."""
        ...

    async def ended_tasks(self, limit: int) -> tuple[Task, ...]:
        """The last ended tasks, newest first."""
        ...

    async def ended_page(
        self, limit: int, before: Place | None = None, state: TaskState | None = None
    ) -> TaskPage:
        """Ended tasks behind a place, newest first. Of a single state a page may be short of `limit`."""
        ...

    async def ended_window(
        self, offset: int, limit: int, text: str = "", oldest_first: bool = False,
        states: tuple[TaskState, ...] = (),
    ) -> TaskWindow:  # fmt: skip
        """Ended tasks by number, newest first; with a text those of the last 20,000 whose name holds it, or
        that are in one of these states."""
        ...

    async def find_task(self, task_id: TaskId) -> Task | None:
        """An open or ended task by the requester's id, its key, or the first 8 or more digits of its key."""
        ...

    def task_figures(self, task: Task) -> RunFigures | None:
        """What a running task uses now, where that is measured; asking keeps it measured each second."""
        ...

    async def task_use(self, task: Task) -> tuple[UsePoint, ...]:
        """What a task has used over its time, oldest first; nothing of one that was too short for it."""
        ...

    async def story(self, key: TaskKey) -> tuple[StoryLine, ...]:
        """What happened to a task, oldest first."""
        ...

    def output_log(self, key: TaskKey) -> Path:
        """Where the task's output is written; may not exist (yet, or any more)."""
        ...

    async def receipt(self, key: TaskKey) -> Mapping[str, object] | None:
        """The signed receipt of an ended task; None while there is none, or any more."""
        ...

    async def latest_receipts(self, most: int) -> tuple[KeptReceipt, ...]:
        """Of the tasks that ended last, at most so many, those with a receipt; newest first."""
        ...

    def result_archive(self, key: TaskKey) -> Path:
        """Where the packed result is kept; may not exist."""
        ...

    def dashboard_link(self) -> str:
        """A link that opens the dashboard signed in: good once, for a minute; "" while there is none."""
        ...

    def log_entries(self, after: int = 0) -> tuple[LogEntry, ...]:
        """The ring of the worker's own log, entries with a number above `after`."""
        ...
