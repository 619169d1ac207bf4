"""The configuration of a nats-server for a pool, as text. Pure. The server reads a superset of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MESSAGE_BYTES = 1024 * 1024
GIB = 1024**3
ACCOUNTS = "accounts"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlan:
    """Where one server listens and keeps its files, and how much it may keep."""

    name: str
    host: str
    port: int
    folder: Path
    keep_bytes: int = 50 * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the server is to believe: public keys and signed claims, no secret."""

    operator: str
    system: str
    system_claim: str


def server_config(plan: ServerPlan, trust: Trust) -> str:
    """The file's text. Who connects needs TLS and a claim; a pool's tasks lie in the file store."""
    values: dict[str, Any] = {
        "server_name": plan.name,
        "listen": f"{plan.host}:{plan.port}",
        "max_payload": MESSAGE_BYTES,
        "max_control_line": 4096,
        "ping_interval": "20s",  # a machine that went away is noticed within a minute
        "ping_max": 2,
        "write_deadline": "10s",
        "tls": {
            "cert_file": str(plan.folder / "server.pem"),
            "key_file": str(plan.folder / "server.key"),
            "timeout": 5,
        },
        "jetstream": {
            "store_dir": str(plan.folder / "jetstream"),
            "max_memory_store": 0,
            "max_file_store": plan.keep_bytes,
        },
        "operator": trust.operator,
        "system_account": trust.system,
        # The pool's account lies in this folder and not in this file: what stands here would replace, at each
        # start, what the server has learnt since, and let those in again who were shut out.
        "resolver": {
            "type": "full",
            "dir": str(plan.folder / ACCOUNTS),
            "allow_delete": False,
            "interval": "2m",
            "limit": 100,
        },
        "resolver_preload": {trust.system: trust.system_claim},
    }
    head = "# Written by `hivemind-worker pool nats-config`. Start: nats-server -c THIS_FILE\n"
    return head + "".join(f"{name}: {json.dumps(value, indent=2)}\n" for name, value in values.items())
