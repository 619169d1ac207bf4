"""What every front end sees: one read-only picture of the worker, published after each decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hivemind_worker.model.capacity import Offer
from hivemind_worker.model.facts import Condition
from hivemind_worker.model.judgement import Judgement
from hivemind_worker.model.release import Newer
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.task import Problem, Task
from hivemind_worker.model.vpn import NO_VPN, VpnView
from hivemind_worker.model.work import PullProgress


class Mode(StrEnum):
    """What the owner wants."""

    RUN = "run"
    PAUSED = "paused"
    FINISHING = "finishing"
    STOPPING = "stopping"


class LinkState(StrEnum):
    """How things stand with the pool."""

    NOT_LOGGED_IN = "not_logged_in"
    CONNECTING = "connecting"
    REGISTERED = "registered"
    WAITING = "waiting"  # deliberately silent: paused with nothing running
    UNREACHABLE = "unreachable"
    LOGIN_REFUSED = "login_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRun:
    """Failures in a row of one image (or of the built-in sandbox), and the hold that they led to."""

    image: str
    count: int = 0
    holds: int = 0  # how often it was held back since it last worked
    since_s: float = 0.0
    until_s: float | None = None
    last_code: str = ""
    last_about: str = ""  # particulars of the fault, as those of a problem
    last_task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """The owner's wishes and the node's standing, kept in the journal."""

    mode: Mode = Mode.RUN
    mode_since_s: float = 0.0
    until_s: float | None = None  # end of a snooze
    quit_after: bool = False
    asked_by: str = ""  # the owner's other machine that asked for this mode
    trust_score: int = 0
    ignores_rules: bool = False  # "Run", whatever the rules say
    ignores_until_s: float | None = None
    gpu_paused: bool = False
    gpu_until_s: float | None = None
    conditions: tuple[Condition, ...] = ()
    failures: tuple[FailureRun, ...] = ()  # the image that failed last is the last


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """The pool as the link sees it."""

    address: str
    link: LinkState
    since_s: float
    user: str = ""
    problem: Problem | None = None
    balance: int | None = None
    last_heard_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeView:
    """The sandbox in use."""

    name: str  # "wasm" or "docker"; "" when there is none
    ready: bool
    detail: str = ""  # interpreter and pack, e.g. "CPython 3.12 (small)"
    problem: Problem | None = None
    docker_available: bool = False
    pull: PullProgress | None = None  # the image that is being fetched
    takes_gpus: bool = False  # whether tasks in it can be given a graphics card


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The worker at one moment. `tasks` are the open ones in order of acceptance."""

    at_s: float
    node_id: str
    version: str
    node: NodeState
    tasks: tuple[Task, ...]
    total: Resources
    available: Resources
    trust_group: str
    max_tasks: int
    trust_threshold: int
    pool: PoolView
    runtime: RuntimeView
    blocker: Problem | None = None
    owed_results: int = 0
    grpc_address: str = ""
    switching_to: str = ""  # the pool that the active one is being left for
    judgement: Judgement = field(default_factory=Judgement)
    offer: Offer = field(default_factory=Offer)
    recovery: str = ""  # what the last start found, "" when there was nothing to recover
    vpn: VpnView = NO_VPN
    newer: Newer | None = None
