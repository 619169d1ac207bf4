"""This worker's folders as the engine's computer names them, for a worker that itself runs in a container.

The engine mounts paths of its own computer into a task's container, and a worker in a container sees other
ones. Where it runs in none, names are the same inside and outside. Blocking calls, for a thread.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from docker import APIClient

MOUNTS_FILE = Path("/proc/self/mountinfo")

# The engine mounts these three files into every container, from a folder with the container's id.
OWN_FILES = re.compile(r"/containers/([0-9a-f]{64})/\S*(?:hostname|hosts|resolv\.conf) ")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def own_container(mountinfo: str) -> str:
    """The id of the container that this process runs in, "" when in none."""
    found = OWN_FILES.search(mountinfo)
    return found[1] if found else ""


class Outside:
    """Translates names; asks the engine once."""

    def __init__(self, mounts_file: Path = MOUNTS_FILE) -> None:
        self._mountinfo = _read(mounts_file)
        self._container = own_container(self._mountinfo)
        self._mounts: tuple[tuple[PurePosixPath, str], ...] | None = None

    @property
    def differs(self) -> bool:
        """Whether names may differ at all."""
        return bool(self._container)

    def name(self, api: APIClient, folder: Path) -> str:
        """The folder's name on the engine's computer.

        Raises:
            OSError: it lies in the container itself, where the engine cannot see it.
            docker.errors.DockerException: the engine.
        """
        if not self._container:
            return str(folder)
        if self._mounts is None:
            self._mounts = _mounts_of(api, self._container)
        inside = PurePosixPath(folder.as_posix())
        for place, source in self._mounts:
            if inside.is_relative_to(place):
                return str(PurePosixPath(source) / inside.relative_to(place))
        raise OSError(f"{folder} is not on a volume: start the worker's container with one there")

    def mark(self, folder: Path) -> str:
        """Tells this folder from one of the same name in another container."""
        name = str(folder.absolute())
        if not self._container:
            return name
        mounts = [line.split()[3:5] for line in self._mountinfo.splitlines()]
        holding = [(len(place), root) for root, place in mounts if folder.absolute().is_relative_to(place)]
        return f"{max(holding, default=(0, self._container))[1]}:{name}"


def _mounts_of(api: APIClient, container: str) -> tuple[tuple[PurePosixPath, str], ...]:
    """What is mounted into it and from where, the deepest first."""
    found = cast(Any, api).inspect_container(container).get("Mounts") or ()
    mounts = [(PurePosixPath(mount["Destination"]), str(mount["Source"])) for mount in found]
    return tuple(sorted(mounts, key=lambda mount: len(mount[0].parts), reverse=True))


OUTSIDE = Outside()
"""Of this process."""
