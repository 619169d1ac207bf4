"""JSON Schemas of what the API answers and takes. Counterparts: presentation.rows, presentation.status."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import Field
from typing import Any

from hivemind_worker.model.capacity import OfferReason
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.metrics import COLUMNS
from hivemind_worker.model.settings import rows
from hivemind_worker.model.snapshot import LinkState, Mode
from hivemind_worker.model.task import Delivery, Phase, StopReason, TaskState
from hivemind_worker.model.vpn import VpnState

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
MAYBE_WHOLE: Schema = {"type": ["integer", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
STATUS = ("starting", "offline", "idle", "running", "paused", "finishing", "stopping")
MOST_LETTERS = 1000
NO_CONTROLS = "^[^\\x00-\\x1f]*$"


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def words(*allowed: str) -> Schema:
    return {"type": "string", "enum": list(allowed)}


def record(**properties: Schema) -> Schema:
    """An object that has all of these keys, and may get more in a later version."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def closed(**properties: Schema) -> Schema:
    """A body: any of these keys, and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


NOTHING = closed()
RESOURCES = record(cpu=NUMBER, memory_gb=NUMBER, gpu=NUMBER, gpu_memory_gb=NUMBER)
FAULT = record(code=words(*(code.value for code in FaultCode)), about=TEXT, sentence=TEXT, next_step=TEXT)
SEED_TASK: dict[str, Schema] = {
    "task_id": TEXT, "status": words(*TaskState), "start_time": MAYBE_TIME, "elapsed": NUMBER,
    "resources": ref("Resources"), "key": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "phase": words(*Phase), "runtime": TEXT, "exit_code": MAYBE_WHOLE, "delivery": words(*Delivery),
    "problem": maybe(ref("Fault")),
}  # fmt: skip
TASK: dict[str, Schema] = {
    **SEED_TASK, "attempt": COUNT, "accepted_at": MAYBE_TIME, "started_at": MAYBE_TIME,
    "ended_at": MAYBE_TIME, "delivered_at": MAYBE_TIME,
    "held": FLAG, "stop_reason": {"enum": [*StopReason, None]},
    "where": TEXT, "image": TEXT, "pool": TEXT, "result_bytes": MAYBE_WHOLE,
    "trust_change": WHOLE, "usage": record(cpu_s=NUMBER, wall_s=NUMBER, peak_memory_bytes=COUNT),
}  # fmt: skip
POOL = record(
    address=TEXT, link=words(*LinkState), since=MAYBE_TIME, user=TEXT, problem=maybe(ref("Fault")),
    balance=MAYBE_WHOLE, last_heard=MAYBE_TIME,
)  # fmt: skip
PULL = record(
    image=TEXT, layers=COUNT, layers_done=COUNT, done_bytes=COUNT, total_bytes=COUNT,
    seconds_left=MAYBE_NUMBER,
)  # fmt: skip
RUNTIME = record(
    name=TEXT, ready=FLAG, detail=TEXT, problem=maybe(ref("Fault")), docker_available=FLAG, pull=maybe(PULL)
)
VPN = record(
    state=words(*VpnState), title=TEXT, sentence=TEXT, next_step=TEXT, since=MAYBE_TIME, interface=TEXT,
    address=TEXT, endpoint=TEXT, handshake_at=MAYBE_TIME, rx_bytes=MAYBE_WHOLE, tx_bytes=MAYBE_WHOLE,
    peers=COUNT, allowed=TEXT, is_ours=FLAG, has_profile=FLAG, has_previous=FLAG, joins_by_itself=FLAG,
    own_key=TEXT, pool_key=TEXT, command=TEXT, problem=maybe(ref("Fault")),
)  # fmt: skip
OFFER = record(
    offered=ref("Resources"), reason=words(*OfferReason), one_core_score=MAYBE_NUMBER,
    cpu_percent=MAYBE_NUMBER, memory_percent=MAYBE_NUMBER, hours=COUNT, text=TEXT, gpu_text=TEXT,
)  # fmt: skip
OWN_KEYS: dict[str, Schema] = {
    "version": TEXT, "mode": words(*Mode), "max_concurrent_tasks": COUNT, "trust_threshold": WHOLE,
    "owed_results": COUNT, "grpc_address": TEXT, "pool": ref("Pool"), "runtime": ref("Runtime"),
    "vpn": ref("Vpn"),
    "offer": OFFER,
}  # fmt: skip
STATE: dict[str, Schema] = {
    "seq": COUNT, "at": TIME, "node_id": TEXT, "status": words(*STATUS), "mode_since": MAYBE_TIME,
    "mode_until": MAYBE_TIME, "quit_after": FLAG, "trust_score": WHOLE, "trust_group": TEXT,
    "total_resources": ref("Resources"), "available_resources": ref("Resources"),
    "blocker": maybe(ref("Fault")), "recovery": TEXT, "tasks": listed(ref("Task")), **OWN_KEYS,
    "verdicts": listed(ref("Verdict")),
}  # fmt: skip
SEED_STATUS: dict[str, Schema] = {
    "node_id": TEXT, "status": words(*STATUS), "is_registered": FLAG, "docker_available": FLAG,
    "cpu_percent": NUMBER, "memory_percent": NUMBER, "available_resources": ref("Resources"),
    "total_resources": ref("Resources"), "running_tasks": COUNT, "trust_score": WHOLE, "trust_group": TEXT,
    "ip": TEXT, "task_count": COUNT, "current_task_id": TEXT, "tasks": listed(ref("SeedTask")),
    "docker_status": TEXT, "cpt_balance": MAYBE_WHOLE, "cpu_cores": NUMBER, "cpu_score": NUMBER,
    "gpu_score": NUMBER, "gpu_memory_gb": NUMBER, "memory_available_gb": NUMBER, "memory_total_gb": NUMBER,
    "memory_used_gb": NUMBER, **OWN_KEYS, "verdicts": listed(ref("Verdict")),
}  # fmt: skip
SESSION = record(
    number=COUNT, user=TEXT, role=words("viewer", "owner"), began_at=MAYBE_TIME, ends_at=MAYBE_TIME,
    address=TEXT, agent=TEXT, current=FLAG,
)  # fmt: skip
VISITOR = record(
    user=TEXT, role=words("viewer", "owner"), by=words("session", "token", "named_token"), csrf=MAYBE_TEXT,
    ends_at=MAYBE_TIME,
)  # fmt: skip
CHECK: Schema = {
    "type": "object",
    "properties": {"status": words("healthy", "unhealthy", "not_required"), "detail": TEXT},
    "required": ["status"],
}
HEALTH = record(
    status=words("healthy", "unhealthy"), timestamp=TIME,
    checks=record(docker=CHECK, grpc=CHECK, resources=CHECK, vpn=CHECK),
)  # fmt: skip
LOG_PIECE = record(
    text=TEXT, offset=COUNT, next=COUNT, size=COUNT, ended=FLAG, kept=FLAG, status=words(*TaskState)
)
STORY = record(
    task=ref("Task"), where=TEXT, folder=TEXT,
    lines=listed(record(at=MAYBE_TIME, what=TEXT, text=TEXT, sentence=TEXT)),
)  # fmt: skip
LOG = record(entries=listed(record(number=COUNT, timestamp=TEXT, level=TEXT, message=TEXT)), next=COUNT)
HISTORY = record(
    res=words("1s", "1m", "1h"), step_s=COUNT, at=listed(COUNT),
    values=record(**{name: listed(MAYBE_NUMBER) for name in COLUMNS}),
)  # fmt: skip
SETTING = record(
    key=TEXT, value={}, kept={}, default={}, source=words("default", "file", "environment", "command line"),
    type=words("text", "number", "whole", "flag"), unit=TEXT, env=TEXT, help=TEXT, restart=FLAG, auto=FLAG,
    low=MAYBE_NUMBER, high=MAYBE_NUMBER, choices=listed(TEXT),
)  # fmt: skip
CHANGED = record(
    changed=listed(TEXT), restart_needed=listed(TEXT), overruled=listed(TEXT), settings=listed(ref("Setting"))
)
RECEIPT = record(receipt={"type": "object"}, public_key=TEXT, signature=TEXT)
SEED_TASKS = record(
    tasks=listed(ref("SeedTask")), available_resources=ref("Resources"), total_resources=ref("Resources")
)
FREE = record(
    cpu_available=NUMBER, cpu_percent=NUMBER, memory_available=NUMBER, disk_available=NUMBER,
    gpu_percent=MAYBE_NUMBER, running_tasks=COUNT,
)  # fmt: skip
TASKS = record(tasks=listed(ref("Task")), next=MAYBE_TEXT)
DONE = record(success=FLAG, message=TEXT, status=words(*STATUS), verdicts=listed(ref("Verdict")))
SUCCESS = record(success=FLAG, message=TEXT)
PROBLEM = record(
    type=TEXT, title=TEXT, status=WHOLE, detail=TEXT, code=words(*(code.value for code in FaultCode)),
    fix=TEXT, about=TEXT,
)  # fmt: skip

COMPONENTS: dict[str, Schema] = {
    "Resources": RESOURCES,
    "Fault": FAULT,
    "Task": record(**TASK),
    "TaskDetail": record(**TASK, result_kept=FLAG, log_bytes=COUNT, uses=maybe(ref("TaskUses"))),
    "TaskUses": record(
        at=TIME,
        at_s=NUMBER,
        cores=NUMBER,
        memory_bytes=COUNT,
        memory_limit_bytes=COUNT,
        disk_bytes=COUNT,
        net_in_bytes=COUNT,
        net_out_bytes=COUNT,
        read_bytes=maybe(COUNT),
        write_bytes=maybe(COUNT),
        gpu_percent=maybe(NUMBER),
        gpu_memory_bytes=maybe(COUNT),
    ),
    "SeedTask": record(**SEED_TASK),
    "Verdict": record(code=TEXT, text=TEXT, since=MAYBE_TIME, ends_at=MAYBE_TIME, action=TEXT),
    "Pool": POOL,
    "Runtime": RUNTIME,
    "Vpn": VPN,
    "Session": SESSION,
    "Setting": SETTING,
    "Problem": PROBLEM,
    "SeedError": record(success={"const": False}, error=TEXT, code=TEXT),
}


def setting_schema(row: Field[Any]) -> Schema:
    """What a change of this setting may hold; null stands for its default."""
    kind = {bool: "boolean", int: "integer", float: "number", str: "string"}[type(row.default)]
    found: Schema = {"type": [kind, "null"], "description": row.metadata["help"]}
    if row.metadata["choices"]:
        return {**found, "enum": [*row.metadata["choices"], None]}
    if kind == "string":
        return {**found, "maxLength": MOST_LETTERS, "pattern": NO_CONTROLS}
    bounds = {"minimum": row.metadata["low"], "maximum": row.metadata["high"]}
    return {**found, **{name: bound for name, bound in bounds.items() if bound is not None}}


def settings_schema() -> Schema:
    """The body of a change: any of the settings, at least one."""
    return {**closed(**{row.name: setting_schema(row) for row in rows()}), "minProperties": 1}


_KINDS = {"boolean": bool, "string": str}


def misfit(schema: Mapping[str, Any], value: object) -> str:
    """What is wrong with a value by a schema of `setting_schema`; "" when nothing is."""
    kind = schema["type"][0]
    if value is None:
        return ""
    if kind in _KINDS:
        if not isinstance(value, _KINDS[kind]):
            return f"must be a {kind}"
    elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "must be a number"
    elif kind == "integer" and value != int(value):
        return "must be a whole number"
    return _out_of_bounds(schema, value)


def _out_of_bounds(schema: Mapping[str, Any], value: Any) -> str:
    if "enum" in schema and value not in schema["enum"]:
        return "must be one of " + ", ".join(word for word in schema["enum"] if word)
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        return f"must have at most {schema['maxLength']} letters"
    if "pattern" in schema and not re.search(schema["pattern"].replace("$", "\\Z"), value):
        return "must not hold control characters"
    if "minimum" in schema and value < schema["minimum"]:
        return f"must be at least {schema['minimum']:g}"
    if "maximum" in schema and value > schema["maximum"]:
        return f"must be at most {schema['maximum']:g}"
    return ""
