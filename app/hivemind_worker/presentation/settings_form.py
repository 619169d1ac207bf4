"""The form of the settings as values: groups of rows, what holds, what waits, why a value is refused.

Made from the declared table (model.settings); every row of it stands in a group here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass
from typing import Any

from hivemind_worker.model.settings import OVERRULING, MisfitError, Settings, fitting, rows
from hivemind_worker.presentation.amounts import with_unit
from hivemind_worker.presentation.catalogue import LANGUAGES, _, mark

FLAG, CHOICE, WHOLE, NUMBER, TEXT = "flag", "choice", "whole", "number", "text"
KINDS = {bool: FLAG, int: WHOLE, float: NUMBER, str: TEXT}

GROUPS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("limits", mark("Limits"), (
        ("max_cpu_cores", mark("Cores at most")), ("max_memory_gb", mark("Memory at most")),
        ("max_concurrent_tasks", mark("Tasks at once")), ("task_time_limit_h", mark("Time of a task")),
        ("task_disk_gb", mark("Disk of a task")), ("task_log_mb", mark("Log of a task")),
        ("keep_free_gb", mark("Keep free")), ("task_processes", mark("Processes of a task")),
    )),
    ("pool", mark("Node and pool"), (
        ("node_id", mark("Name of this node")), ("master_address", mark("Pool's address")),
        ("node_port", mark("Port for tasks")), ("bind_address", mark("Own address")),
        ("pool_peers", mark("Who may send tasks")), ("pool_name", mark("Known to the pool as")),
        ("region", mark("Region")), ("trust_threshold", mark("Trust mark")),
    )),
    ("vpn", mark("VPN"), (
        ("vpn_auto", mark("VPN comes up by itself")), ("vpn_interface", mark("Name of the interface")),
        ("vpn_network", mark("Pool's network")),
    )),
    ("sandbox", mark("Sandboxes"), (
        ("runtime", mark("Where tasks run")), ("docker_enabled", mark("Use Docker")),
        ("docker_network", mark("Network in Docker")), ("task_network", mark("What tasks may reach")),
        ("package_index", mark("Index of packages")), ("task_image", mark("Image of tasks")),
        ("allowed_images", mark("Images allowed")), ("pull_images", mark("Fetch missing images")),
        ("docker_log_mb", mark("Docker's own log")),
    )),
    ("web", mark("Web dashboard"), (
        ("web_port", mark("Port")), ("session_timeout_h", mark("Sign-in lasts")),
        ("web_listen", mark("Access from elsewhere")), ("web_names", mark("Host names")),
    )),
    ("notices", mark("Notices"), (
        ("notify_failures", mark("Failing tasks")), ("notify_connection", mark("Connection")),
        ("notify_computer", mark("This computer")), ("notify_sent", mark("Tasks that I sent")),
        ("notify_earned", mark("Credits earned")), ("look_for_versions", mark("New versions")),
        ("quiet_hours", mark("Quiet hours")),
    )),
    ("look", mark("Language and look"), (
        ("language", mark("Language")), ("theme", mark("Theme")), ("text_scale", mark("Text size")),
    )),
    ("energy", mark("Energy"), (
        ("full_load_w", mark("Power at full load")), ("power_price", mark("Price of energy")),
        ("currency", mark("Currency")),
    )),
    ("storage", mark("Storage"), (
        ("result_keep_days", mark("Keep results for")), ("result_quota_gb", mark("Results at most")),
        ("package_quota_gb", mark("Packages at most")), ("image_quota_gb", mark("Images at most")),
    )),
)  # fmt: skip
OTHERS = ("other", mark("Other"))
"""Where a row stands that no group names yet."""

CHOICE_WORDS = {
    "auto": mark("Automatic"),
    "docker": mark("Docker"),
    "wasm": mark("Built-in sandbox"),
    "account": mark("Account (paid)"),
    "machine": mark("Machine (unpaid)"),
    "system": mark("As the system"),
    "light": mark("Light colours"),
    "dark": mark("Dark colours"),
    "none": mark("Nothing"),
    "packages": mark("Packages, before the task"),
    "internet": mark("The internet"),
    "": mark("As the system"),
}
SOURCES = {"command line": mark("the command line"), "environment": mark("the environment")}


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRow:
    """One setting. `value` is what the field shows: what is kept, else what holds.

    `locked` says why it cannot be changed here; `due` that it waits for a restart, and `holds` what is
    in force until then; `hint` what it means; `unit` is the declared one, said by `amounts.unit_words`.
    """

    name: str
    label: str
    env: str
    kind: str
    value: Any
    default: Any
    hint: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[tuple[str, str], ...] = ()
    locked: str = ""
    due: bool = False
    holds: str = ""
    restart: bool = False
    changed: bool = False

    def matches(self, text: str) -> bool:
        """Whether the reader looks for this row: by label, key, variable or help."""
        return text.casefold() in "\n".join((self.label, self.name, self.env, self.hint)).casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class FormGroup:
    """Rows that belong together; `note` says when their changes act."""

    name: str
    title: str
    note: str
    rows: tuple[FormRow, ...]


def form(in_force: Settings, kept: Mapping[str, object], sources: Mapping[str, str]) -> tuple[FormGroup, ...]:
    """The whole form in the order in which it is read."""
    table = {row.name: row for row in rows()}
    grouped = [(name, title, labels) for name, title, labels in GROUPS]
    named = {setting for _name, _title, labels in GROUPS for setting, _label in labels}
    rest = tuple((name, name) for name in table if name not in named)
    if rest:
        grouped.append((*OTHERS, rest))
    return tuple(
        _group(name, title, tuple(_row(table[key], label, in_force, kept, sources)
                                  for key, label in labels if key in table))
        for name, title, labels in grouped
    )  # fmt: skip


def _group(name: str, title: str, made: tuple[FormRow, ...]) -> FormGroup:
    live = not any(row.restart for row in made)
    return FormGroup(name=name, title=_(title), note=_("act at once") if live else "", rows=made)


def _row(
    row: Field[Any], label: str, in_force: Settings, kept: Mapping[str, object], sources: Mapping[str, str]
) -> FormRow:
    about, source = row.metadata, sources.get(row.name, "")
    holds = getattr(in_force, row.name)
    locked = source in OVERRULING
    why = _("Set by {source}, so it cannot be changed here.", source=_(SOURCES[source])) if locked else ""
    value = holds if locked else kept.get(row.name, row.default if source == "file" else holds)
    due = not locked and about["restart"] and value != holds
    return FormRow(
        name=row.name, label=_(label), env=about["env"], value=value, default=row.default,
        kind=CHOICE if about["choices"] else KINDS[type(row.default)], hint=_(about["help"]),
        unit=about["unit"], low=about["low"], high=about["high"],
        choices=tuple((choice, _choice(row.name, choice)) for choice in about["choices"]),
        locked=why,
        due=due, holds=shown(row.name, holds, about["unit"]) if due else "", restart=about["restart"],
        changed=row.name in kept,
    )  # fmt: skip


def _choice(name: str, choice: str) -> str:
    if name == "language" and choice:
        return LANGUAGES[choice]
    return _(CHOICE_WORDS.get(choice, choice))


def shown(name: str, value: object, unit: str) -> str:
    """A value as a sentence names it."""
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if isinstance(value, str):
        return _choice(name, value) if value else _("found by itself")
    assert isinstance(value, int | float)
    return with_unit(value, unit)


def reason_against(name: str, untrusted_value: object) -> str:
    """Why this row does not take this value, "" when it does: "80 must be at least 1024"."""
    row = next(row for row in rows() if row.name == name)
    try:
        fitting(row, untrusted_value)
    except MisfitError as error:
        wrong = _(error.misfit.value, **error.fields)
        return _(
            "{value} is refused: it {wrong}.", value=str(untrusted_value).strip() or _("Nothing"), wrong=wrong
        )
    return ""


def waiting(groups: tuple[FormGroup, ...]) -> tuple[FormRow, ...]:
    """The rows whose change waits for a restart."""
    return tuple(row for group in groups for row in group.rows if row.due)
