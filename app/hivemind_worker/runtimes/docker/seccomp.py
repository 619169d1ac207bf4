"""System calls that a task may make, as the engine takes them: resources/seccomp.json less its remarks."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any


@functools.cache
def seccomp_text(path: Path) -> str:
    """The profile in one short line; read once.

    Raises:
        OSError: the file is not there.
        ValueError: it is not a profile.
    """
    profile = json.loads(path.read_text(encoding="utf-8"))
    rules = [{name: rule[name] for name in rule if name != "comment"} for rule in profile["syscalls"]]
    if profile.get("defaultAction") != "SCMP_ACT_ERRNO" or not rules:
        raise ValueError(f"{path.name} is not a list of what is allowed")
    kept: dict[str, Any] = {name: profile[name] for name in profile if name not in ("comment", "syscalls")}
    return json.dumps({**kept, "syscalls": rules}, separators=(",", ":"))
