"""The report for support: what is in it, with everything that is nobody's business taken out. Pure.

The reader sees every file before it is saved. Passwords and tokens are never put in; names of the user, of
the computer, of accounts, addresses and folders are replaced.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hivemind_worker.model.checkup import Check
from hivemind_worker.model.machine import LogEntry, Sample
from hivemind_worker.model.settings import Settings, rows
from hivemind_worker.model.snapshot import Snapshot
from hivemind_worker.presentation.amounts import iso
from hivemind_worker.presentation.status import state_report

MOST_LOG_LINES = 2000
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]*:[0-9A-Fa-f]*:[0-9A-Fa-f:]*(?![\w:])")
_SECRET = re.compile(
    r"(?i)\b(bearer|token|password|passwd|secret|api[-_]?key|private[-_ ]?key)\b(\s*[:=]?\s*)(\S+)"
)
_KEY = re.compile(r"\b[A-Za-z0-9+/_-]{40,}={0,2}")
PRIVATE_SETTINGS = frozenset(
    {"node_id", "master_address", "bind_address", "pool_peers", "web_listen", "web_names"}
)
KEPT_ADDRESSES = frozenset({"127.0.0.1", "0.0.0.0", "10.0.0.1"})  # noqa: S104 - in texts, as everybody's


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """What must not be read in the report, each with what stands in its place."""

    words: tuple[tuple[str, str], ...]

    def removed_from(self, text: str) -> str:
        """The text without them, and without addresses and anything like a key."""
        for word, instead in sorted(self.words, key=lambda pair: -len(pair[0])):
            if len(word) > 1:
                text = re.sub(rf"(?i)(?<![\w]){re.escape(word)}(?![\w])", instead, text)
        text = _SECRET.sub(lambda found: f"{found[1]}{found[2]}<removed>", text)
        text = _IPV4.sub(lambda found: found[0] if found[0] in KEPT_ADDRESSES else "<address>", text)
        text = _IPV6.sub(lambda found: _address(found[0]), text)
        return _KEY.sub("<key>", text)


def _address(text: str) -> str:
    """What stands for a text with colons: an address other than this computer's own is taken out."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:  # a time, for one
        return text
    return text if address.is_loopback else "<address>"


def private_words(
    *, user: str, computer: str, home: str, accounts: Iterable[str], settings: Settings
) -> Private:
    """What this owner's report must not tell."""
    found = [(home, "<home>"), (user, "<user>"), (computer, "<computer>")]
    found += [(account, "<account>") for account in accounts]
    found += [
        (part.strip(), f"<{name}>")
        for name in PRIVATE_SETTINGS
        for part in str(getattr(settings, name)).split(",")
        if part.strip() and part.strip() != "10.0.0.1:50051"
    ]
    return Private(words=tuple((word, instead) for word, instead in found if word))


def report(
    *, snapshot: Snapshot, sample: Sample, settings: Settings, sources: Mapping[str, str],
    checks: Sequence[Check], log: Sequence[LogEntry], system: Mapping[str, str], private: Private,
) -> dict[str, str]:  # fmt: skip
    """The files of the report by name, as they are saved and as they are shown before."""
    files = {
        "about.txt": _about(snapshot, system),
        "checks.txt": "".join(f"[{check.state.value}] {check.name}: {check.text}\n" for check in checks),
        "settings.txt": "".join(_setting(row.name, settings, sources) for row in rows()),
        "state.json": json.dumps(_state(snapshot, sample), indent=1, ensure_ascii=False),
        "worker.log": "".join(
            f"{entry.timestamp} {entry.level} {entry.message}\n" for entry in log[-MOST_LOG_LINES:]
        ),
    }
    return {name: private.removed_from(text) for name, text in files.items()}


def _about(snapshot: Snapshot, system: Mapping[str, str]) -> str:
    lines = {"program": f"HiveMind Worker {snapshot.version}", "made": iso(snapshot.at_s) or "", **system}
    return "".join(f"{name}: {value}\n" for name, value in lines.items())


def _setting(name: str, settings: Settings, sources: Mapping[str, str]) -> str:
    source = sources.get(name, "default")
    value = "<removed>" if name in PRIVATE_SETTINGS and source != "default" else getattr(settings, name)
    return f"{name} = {value} ({source})\n"


def _state(snapshot: Snapshot, sample: Sample) -> dict[str, object]:
    """The state without what tasks are called: their ids are the requesters' words."""
    state = state_report(snapshot)
    tasks = state["tasks"]
    assert isinstance(tasks, list)
    state["tasks"] = [{key: value for key, value in task.items() if key != "task_id"} for task in tasks]
    state["sample"] = {
        "cpu_percent": sample.cpu_percent, "memory_percent": sample.memory_percent,
        "disk_available_gb": round(sample.disk_available_gb, 1),
    }  # fmt: skip
    return state
