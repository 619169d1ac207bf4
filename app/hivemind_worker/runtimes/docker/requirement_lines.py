"""Reads the lines of a requirements.txt: which are plain names that may be installed. Pure.

A task's author writes these lines, so an option (another index, another file), an address or a
path never reaches pip. Counterpart: `packages`, which installs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

LINES_AT_MOST = 500


def stripped(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines that ask for something, without remarks."""
    bare = (line.partition(" #")[0].strip() for line in lines)
    return tuple(line for line in bare if line and not line.startswith("#"))


def unusable_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Those that are no plain name with versions: options, addresses, paths, nonsense."""
    asked = stripped(lines)
    return tuple(line for line in asked if _parsed(line) is None) + asked[LINES_AT_MOST:]


def wanted_lines(lines: Sequence[str], packages: Mapping[str, str], python: str) -> tuple[str, ...]:
    """Those that an image with `packages` (normal name to version) lacks, in a normal form, sorted."""
    found = set[str]()
    for line in stripped(lines):
        requirement = _parsed(line)
        if requirement is not None and not _is_met(requirement, packages, python):
            found.add(str(requirement))
    return tuple(sorted(found))


def _parsed(line: str) -> Requirement | None:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    return None if requirement.url is not None else requirement


def _is_met(requirement: Requirement, packages: Mapping[str, str], python: str) -> bool:
    if requirement.marker is not None:
        surroundings = {
            "python_version": ".".join(python.split(".")[:2]), "python_full_version": python, "extra": "",
            "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix",
        }  # fmt: skip
        try:
            if python and not requirement.marker.evaluate(surroundings):
                return True
        except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion):
            return False
    version = packages.get(canonicalize_name(requirement.name))
    if version is None or requirement.extras:
        return False
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False
