"""Reads the lines of a requirements.txt against what an interpreter pack has. Nothing is ever installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion


def missing_lines(lines: Sequence[str], packages: Mapping[str, str], python_version: str) -> tuple[str, ...]:
    """Those lines that `packages` (normal name to version) cannot satisfy, as they were written.

    Options, addresses and lines that cannot be read count as missing; a line whose marker does
    not hold in the sandbox asks for nothing.
    """
    surroundings = guest_environment(python_version)
    stripped = (line.split(" #")[0].strip() for line in lines)
    return tuple(
        line
        for line in stripped
        if line and not line.startswith("#") and not _has(line, packages, surroundings)
    )


def guest_environment(python_version: str) -> dict[str, str]:
    """What environment markers mean inside the sandbox."""
    return {
        **{name: str(value) for name, value in default_environment().items()},
        "implementation_name": "cpython",
        "implementation_version": python_version,
        "os_name": "posix",
        "platform_machine": "wasm32",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "",
        "platform_version": "",
        "python_full_version": python_version,
        "python_version": ".".join(python_version.split(".")[:2]),
        "sys_platform": "wasi",
        "extra": "",
    }


def _has(line: str, packages: Mapping[str, str], surroundings: dict[str, str]) -> bool:
    try:
        asked = Requirement(line)
        if asked.marker is not None and not asked.marker.evaluate(surroundings):
            return True
        version = packages.get(canonicalize_name(asked.name))
        if asked.url is not None or version is None:
            return False
        return not version or asked.specifier.contains(version, prereleases=True)
    except (InvalidRequirement, InvalidVersion, UndefinedComparison, UndefinedEnvironmentName):
        return False
