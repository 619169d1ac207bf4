"""The configuration of a nats-server for a pool, as text. Pure. The server reads a superset of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MESSAGE_BYTES = 1024 * 1024
GIB = 1024**3
ACCOUNTS, CERTIFICATE, KEY, AUTHORITY = "accounts", "server.pem", "server.key", "authority.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Servers that keep the same: where this one and the others listen for one another."""

    name: str
    host: str
    port: int
    others: tuple[str, ...]  # HOST:PORT of each


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlan:
    """Where one server listens and keeps its files, and how much it may keep.

    `folder` is where its files are written, `lies_in` where they will lie when it runs, if elsewhere.
    """

    name: str
    host: str
    port: int
    folder: Path
    keep_bytes: int = 50 * GIB
    lies_in: Path | None = None
    cluster: Cluster | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the server is to believe: public keys and signed claims, no secret."""

    operator: str
    system: str
    system_claim: str


def server_config(plan: ServerPlan, trust: Trust) -> str:
    """The file's text. Who connects needs TLS and a claim; a pool's tasks lie in the file store."""
    folder = plan.lies_in or plan.folder
    values: dict[str, Any] = {
        "server_name": plan.name,
        "listen": f"{plan.host}:{plan.port}",
        "max_payload": MESSAGE_BYTES,
        "max_control_line": 4096,
        "ping_interval": "20s",  # a machine that went away is noticed within a minute
        "ping_max": 2,
        "write_deadline": "10s",
        "tls": _certified(folder),
        "jetstream": {
            "store_dir": str(folder / "jetstream"),
            "max_memory_store": 0,
            "max_file_store": plan.keep_bytes,
        },
        "operator": trust.operator,
        "system_account": trust.system,
        # The pool's account lies in this folder and not in this file: what stands here would replace, at each
        # start, what the server has learnt since, and let those in again who were shut out.
        "resolver": {
            "type": "full",
            "dir": str(folder / ACCOUNTS),
            "allow_delete": False,
            "interval": "5s",  # so long a server that was away may let in whom the others have shut out
            "limit": 100,
        },
        "resolver_preload": {trust.system: trust.system_claim},
    }
    if plan.cluster is not None:
        values["cluster"] = _cluster(plan.cluster, folder)
    head = "# Written by `hivemind-worker pool nats-config`. Start: nats-server -c THIS_FILE\n"
    return head + "".join(f"{name}: {json.dumps(value, indent=2)}\n" for name, value in values.items())


def _certified(folder: Path) -> dict[str, Any]:
    return {"cert_file": str(folder / CERTIFICATE), "key_file": str(folder / KEY), "timeout": 5}


def _cluster(cluster: Cluster, folder: Path) -> dict[str, Any]:
    return {
        "name": cluster.name,
        "listen": f"{cluster.host}:{cluster.port}",
        "routes": [f"nats-route://{each}" for each in cluster.others],
        # Only who has a certificate of the pool's own authority is a server of the pool: workers have none.
        "tls": _certified(folder) | {"ca_file": str(folder / AUTHORITY), "verify": True},
    }
