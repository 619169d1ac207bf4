"""Names of images, and which of them the owner allows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

LOCAL_IMAGE = "hivemind-worker-task:local"
"""Made on this computer; runs tasks where the image of the settings is not there."""

HUB = ("docker.io/library/", "docker.io/", "index.docker.io/")


def plain(name: str) -> str:
    """The name as most people write it: without the registry that every engine takes by itself."""
    for prefix in HUB:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def without_tag(name: str) -> str:
    """The repository of a name with or without a tag."""
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def is_allowed(name: str, allowed: Sequence[str]) -> bool:
    """Whether one of the patterns fits: NAME (any tag), NAME:TAG, with * at will; @sha256:... pins it."""
    wanted = plain(name.partition("@")[0])
    for pattern in allowed:
        shape = plain(pattern.partition("@")[0])
        if fnmatchcase(wanted, shape) or fnmatchcase(without_tag(wanted), shape):
            return True
    return False


def is_pinned_right(name: str, repo_digests: Sequence[str], allowed: Sequence[str]) -> bool:
    """Whether the image under this name is one of those that its patterns pin; unpinned patterns take any."""
    fitting = [pattern for pattern in allowed if is_allowed(name, (pattern,))]
    pins = {pattern.partition("@")[2] for pattern in fitting}
    if not pins or "" in pins:
        return True
    return any(digest.partition("@")[2] in pins for digest in repo_digests)
