"""The one declared table of settings: flags, environment, file, forms and the documentation come from it.

Each field of `Settings` is a row: key, type and default, and in its metadata bounds,
unit, environment name, help and whether a change needs a restart. Sources are read
elsewhere (store.settings_file); here values are only parsed and checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, TypeVar

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

Table = TypeVar("Table")
"""A frozen dataclass whose fields are made by `setting`."""

_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
SHAPES = {
    "hours": re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d"),
    "network": re.compile(rf"({_OCTET}\.){{3}}{_OCTET}/(1[6-9]|2\d|3[0-2])"),
    "currency": re.compile(r"[^\W\d_]{0,4}[$€£¥₩₹₽฿]?"),
    "interface": re.compile(r"(?!\.)[a-z0-9_=+.-]{1,15}"),
}
"""Each has its sentence in `Misfit` under the same name."""

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


def setting(
    default: Any,
    help_text: str,
    *,
    env: str = "",
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
    restart: bool = True,
    auto: bool = False,
    shape: str = "",
) -> Any:
    """One row of the table. `auto`: a zero or empty value means "found by the program". `shape` names a
    form that a text must have when it is not empty (SHAPES)."""
    return field(
        default=default,
        metadata={
            "help": help_text, "env": env, "low": low, "high": high, "unit": unit,
            "choices": choices, "restart": restart, "auto": auto, "shape": shape,
        },
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked. Zero or "" stands for "found by the program" where the help says so."""

    master_address: str = setting(
        "10.0.0.1:50051",
        "Address of the pool, HOST:PORT; tls://HOST:PORT for one that is asked over NATS.",
        env="MASTER_ADDRESS",
        restart=False,
    )
    node_port: int = setting(
        50053, "Port on which the pool reaches this worker.", env="NODE_PORT", low=0, high=65535
    )
    web_port: int = setting(
        5000, "Port of the local dashboard and API; the next free one when taken and not set by hand.",
        env="FLASK_PORT", low=0, high=65535,
    )  # fmt: skip
    node_id: str = setting(
        "", "Name of this worker in its own displays; empty: worker-<host>-<port>.", env="NODE_ID", auto=True
    )
    pool_name: str = setting(
        "account", "Name under which the pool knows this worker: account (paid) or machine (unpaid).",
        choices=("account", "machine"), env="HIVEMIND_POOL_NAME",
    )  # fmt: skip
    bind_address: str = setting(
        "", "Own address to listen on and to announce; empty: the VPN's, else loopback.",
        env="HIVEMIND_BIND_ADDRESS", auto=True,
    )  # fmt: skip
    pool_peers: str = setting(
        "", "Addresses that may send tasks, with commas; empty: that of the pool.",
        env="HIVEMIND_POOL_PEERS", auto=True,
    )  # fmt: skip
    region: str = setting(
        "Unknown", "Region told to the pool.", env="HIVEMIND_REGION",
        choices=("Asia", "Africa", "North America", "South America", "Europe", "Oceania", "Unknown"),
    )  # fmt: skip
    runtime: str = setting(
        "auto", "Where tasks run: auto, docker, or wasm (the built-in sandbox).",
        env="HIVEMIND_RUNTIME", choices=("auto", "docker", "wasm"),
    )  # fmt: skip
    docker_enabled: bool = setting(True, "Whether Docker may be used at all.", env="DOCKER_ENABLED")
    docker_network: str = setting(
        "hivemind", "Docker network for fetching packages, and of tasks that may use the internet.",
        env="DOCKER_NETWORK",
    )  # fmt: skip
    task_network: str = setting(
        "packages", "What tasks in Docker may reach: none; packages (what requirements.txt lists is fetched"
        " before the task, which itself has no network); internet (never your own network).",
        env="HIVEMIND_TASK_NETWORK", choices=("none", "packages", "internet"),
    )  # fmt: skip
    package_index: str = setting(
        "", "Address of the index that packages come from; empty: pip's own.",
        env="HIVEMIND_PACKAGE_INDEX", auto=True,
    )  # fmt: skip
    package_quota_gb: float = setting(
        8.0, "Disk for kept packages at most; those not used for longest go first.",
        env="HIVEMIND_PACKAGE_QUOTA_GB", low=0, high=65536, unit="GiB",
    )  # fmt: skip
    task_image: str = setting(
        "justin308/hivemind-worker:latest", "Image that tasks in Docker run in.", env="HIVEMIND_TASK_IMAGE"
    )
    allowed_images: str = setting(
        "", "Images that may be used, with commas: NAME, NAME:TAG, NAME@sha256:DIGEST, * at will; empty:"
        " task_image and the one made here.", env="HIVEMIND_ALLOWED_IMAGES", auto=True,
    )  # fmt: skip
    pull_images: bool = setting(
        True, "Whether a missing image is fetched, when Docker is chosen.", env="HIVEMIND_PULL_IMAGES"
    )
    image_quota_gb: float = setting(
        12.0, "Disk for fetched images at most; those not used for longest go first.",
        env="HIVEMIND_IMAGE_QUOTA_GB", low=0, high=65536, unit="GiB",
    )  # fmt: skip
    task_processes: int = setting(
        256, "Processes and threads of a task in Docker at most.", env="HIVEMIND_TASK_PROCESSES",
        low=16, high=32768,
    )  # fmt: skip
    docker_log_mb: float = setting(
        16.0, "Size of each of the two log files that Docker itself keeps of a task.",
        env="HIVEMIND_DOCKER_LOG_MB", low=1, high=4096, unit="MiB",
    )  # fmt: skip
    max_cpu_cores: float = setting(
        4.0, "Processor cores lent at most; at most half of the machine's when not set.",
        env="MAX_CPU_CORES", low=0.1, high=1024, unit="cores", restart=False,
    )  # fmt: skip
    max_memory_gb: float = setting(
        8.0, "Memory lent at most; at most half of the machine's when not set.",
        env="MAX_MEMORY_GB", low=0.5, high=65536, unit="GiB", restart=False,
    )  # fmt: skip
    web_listen: str = setting(
        "", "Address for access to the dashboard from other computers, over TLS: ADDRESS or ADDRESS:PORT"
        " (5443); empty: none.", env="HIVEMIND_WEB_LISTEN",
    )  # fmt: skip
    web_names: str = setting(
        "", "Host names under which other computers reach the dashboard, with commas.",
        env="HIVEMIND_WEB_NAMES",
    )  # fmt: skip
    max_concurrent_tasks: int = setting(
        3, "Tasks at once at most.", env="MAX_CONCURRENT_TASKS", low=1, high=256, restart=False
    )
    session_timeout_h: float = setting(
        24.0, "Length of a dashboard session.", env="SESSION_TIMEOUT", low=0.1, high=8760, unit="h"
    )
    trust_threshold: int = setting(
        50, "Trust score marked in displays; it never refuses work.", env="TRUST_THRESHOLD", low=0, high=100,
        restart=False,
    )  # fmt: skip
    task_time_limit_h: float = setting(
        24.0,
        "Running time of a task at most.",
        env="HIVEMIND_TASK_TIME_LIMIT_H",
        low=0.001,
        high=8760,
        unit="h",
    )
    task_disk_gb: float = setting(
        4.0, "Disk of a task at most.", env="HIVEMIND_TASK_DISK_GB", low=0.01, high=65536, unit="GiB"
    )
    task_log_mb: float = setting(
        64.0, "Log file of a task at most; then a cut mark.", env="HIVEMIND_TASK_LOG_MB",
        low=0.01, high=65536, unit="MiB",
    )  # fmt: skip
    keep_free_gb: float = setting(
        2.0, "Disk that stays free: below it no new task.", env="HIVEMIND_KEEP_FREE_GB",
        low=0, high=65536, unit="GiB", restart=False,
    )  # fmt: skip
    result_keep_days: float = setting(
        7.0, "Time for which delivered results are kept.", env="HIVEMIND_RESULT_KEEP_DAYS",
        low=0, high=3650, unit="days",
    )  # fmt: skip
    result_quota_gb: float = setting(
        2.0, "Disk for kept results at most, oldest removed first.", env="HIVEMIND_RESULT_QUOTA_GB",
        low=0, high=65536, unit="GiB",
    )  # fmt: skip
    vpn_auto: bool = setting(
        False, "Bring the pool's VPN up by itself: at start, after sleep, when the network changes.",
        env="HIVEMIND_VPN_AUTO", restart=False,
    )  # fmt: skip
    vpn_interface: str = setting(
        "hivemind0", "Name of the VPN's interface.", env="HIVEMIND_VPN_INTERFACE", shape="interface"
    )
    vpn_network: str = setting(
        "10.0.0.0/24", "The pool's network, as ADDRESS/LENGTH.", env="HIVEMIND_VPN_NETWORK", shape="network"
    )
    language: str = setting(
        "",
        "Language of displays: en or zh_TW; empty: the system's.",
        env="HIVEMIND_LANGUAGE",
        auto=True,
        choices=("", "en", "zh_TW"),
        restart=False,
    )
    theme: str = setting(
        "system", "Look of the window: light, dark, or as the system.", env="HIVEMIND_THEME",
        choices=("system", "light", "dark"), restart=False,
    )  # fmt: skip
    text_scale: int = setting(
        100, "Size of the window's text.", env="HIVEMIND_TEXT_SCALE", low=100, high=200, unit="%",
        restart=False,
    )  # fmt: skip
    notify_failures: bool = setting(
        True, "A notice when several tasks fail one after another.", env="HIVEMIND_NOTIFY_FAILURES",
        restart=False,
    )  # fmt: skip
    notify_connection: bool = setting(
        True, "A notice when the pool has not been reached for five minutes, or the login has ended.",
        env="HIVEMIND_NOTIFY_CONNECTION", restart=False,
    )  # fmt: skip
    notify_computer: bool = setting(
        True, "A notice when this computer keeps work away: no sandbox, a full disk.",
        env="HIVEMIND_NOTIFY_COMPUTER", restart=False,
    )  # fmt: skip
    notify_sent: bool = setting(
        True, "A notice when a task that you sent has ended.", env="HIVEMIND_NOTIFY_SENT", restart=False
    )
    notify_earned: bool = setting(
        False, "A notice at each 100 CPT earned.", env="HIVEMIND_NOTIFY_EARNED", restart=False
    )
    full_load_w: float = setting(
        65.0, "What this computer draws more at full load than at rest; energy is estimated by it where no"
        " meter tells.", env="HIVEMIND_FULL_LOAD_W", low=1, high=5000, unit="W", restart=False,
    )  # fmt: skip
    power_price: float = setting(
        0.0, "What a kilowatt-hour costs, for the history; 0: no cost is shown.", env="HIVEMIND_POWER_PRICE",
        low=0, high=1_000_000, unit="per kWh", restart=False,
    )  # fmt: skip
    currency: str = setting(
        "EUR", "Currency of that price.", env="HIVEMIND_CURRENCY", shape="currency", restart=False
    )
    look_for_versions: bool = setting(
        True, "Ask once a day whether there is a new version, and say so; nothing about you is sent.",
        env="HIVEMIND_LOOK_FOR_VERSIONS", restart=False,
    )  # fmt: skip
    quiet_hours: str = setting(
        "", "Hours without notices, e.g. 22:00-07:00; empty: none.", env="HIVEMIND_QUIET_HOURS",
        shape="hours", restart=False, auto=True,
    )  # fmt: skip


def rows() -> tuple[Field[Any], ...]:
    """The table's rows in display order."""
    return fields(Settings)


class Misfit(StrEnum):
    """What is wrong with a value, as a sentence of the catalogue that its name and the value stand before."""

    FLAG = "must be true or false"
    TEXT = "must be a text"
    NUMBER = "must be a number"
    WHOLE = "must be a whole number"
    CONTROL = "must not hold control characters"
    CHOICE = "must be one of {choices}"
    LOW = "must be at least {low}"
    HIGH = "must be at most {high}"
    HOURS = "must be two times such as 22:00-07:00"
    NETWORK = "must be a network such as 10.0.0.0/24"
    CURRENCY = "must be a currency such as EUR or NT$"
    INTERFACE = "must be at most 15 small letters, digits and -"


class MisfitError(ValueError):
    """A value that a row does not take."""

    def __init__(self, misfit: Misfit, **fields: str) -> None:
        self.misfit, self.fields = misfit, fields
        super().__init__(misfit.value.format(**fields))


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise MisfitError(Misfit.FLAG)


def fitting(row: Field[Any], untrusted_value: object) -> Any:
    """One value, of the row's type and inside its bounds.

    Raises:
        MisfitError: says what is wrong.
    """
    value = _of_type(type(row.default), untrusted_value)
    _check_bounds(row, value)
    return value


def parse_value(row: Field[Any], untrusted_value: object) -> Any:
    """As `fitting`.

    Raises:
        ValueError: says what is wrong, naming the row.
    """
    try:
        return fitting(row, untrusted_value)
    except MisfitError as error:
        name = row.metadata["env"] or row.name
        raise ValueError(f"{name} (setting {row.name}): {untrusted_value!r} {error}") from error


def _of_type(kind: type, untrusted_value: object) -> Any:
    if kind is bool:
        return untrusted_value if isinstance(untrusted_value, bool) else _boolean(str(untrusted_value))
    if isinstance(untrusted_value, bool):
        raise MisfitError(Misfit.TEXT if kind is str else Misfit.NUMBER)
    return _text(untrusted_value) if kind is str else _number(kind, untrusted_value)


def _text(untrusted_value: object) -> str:
    if not isinstance(untrusted_value, str):
        raise MisfitError(Misfit.TEXT)
    if any(ord(letter) < 32 for letter in untrusted_value):
        raise MisfitError(Misfit.CONTROL)
    return untrusted_value.strip()


def _number(kind: type, untrusted_value: object) -> int | float:
    try:
        number = float(str(untrusted_value))
    except ValueError:
        raise MisfitError(Misfit.NUMBER) from None
    if kind is not int:
        return number
    if not number.is_integer():
        raise MisfitError(Misfit.WHOLE)
    return int(number)


def _check_bounds(row: Field[Any], value: Any) -> None:
    about = row.metadata
    low, high, choices, shape = about["low"], about["high"], about["choices"], about["shape"]
    if choices and value not in choices:
        raise MisfitError(Misfit.CHOICE, choices=", ".join(filter(None, choices)))
    if low is not None and not value >= low:
        raise MisfitError(Misfit.LOW, low=f"{low:g}")
    if high is not None and not value <= high:
        raise MisfitError(Misfit.HIGH, high=f"{high:g}")
    if shape and value and SHAPES[shape].fullmatch(value) is None:
        raise MisfitError(Misfit[shape.upper()])


def apply(base: Table, untrusted_values: Mapping[str, object]) -> tuple[Table, tuple[Problem, ...]]:
    """`base` with the named values, or `base` unchanged and every reason why not."""
    known = {row.name: row for row in fields(base)}  # type: ignore[arg-type]
    parsed: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, untrusted_value in untrusted_values.items():
        try:
            if name not in known:
                raise ValueError(f"{name}: there is no such setting")
            parsed[name] = parse_value(known[name], untrusted_value)
        except ValueError as error:
            problems.append(Problem(code=FaultCode.BAD_SETTING, about=str(error)))
    if problems:
        return base, tuple(problems)
    return replace(base, **parsed), ()  # type: ignore[type-var]


OVERRULING = ("command line", "environment")
"""Sources that win over the settings file."""


def with_live_changes(
    in_force: Settings, changed: Mapping[str, object], sources: Mapping[str, str]
) -> Settings:
    """The settings in force after a change that was accepted: those rows that need no restart follow it."""
    live: dict[str, Any] = {
        row.name: row.default if changed[row.name] is None else parse_value(row, changed[row.name])
        for row in rows()
        if row.name in changed and not row.metadata["restart"] and sources.get(row.name) not in OVERRULING
    }
    return replace(in_force, **live)


def from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    """Values by key from the variables that the table names; absent and empty ones are left out."""
    names = {row.name: row.metadata["env"] for row in rows() if row.metadata["env"]}
    return {key: environment[env] for key, env in names.items() if environment.get(env, "") != ""}
