"""Packages for tasks: installed once in a container of their own, then mounted read-only without a network.

Row C9 of the security page. The first container has the network and sees the requirements file
and an empty folder, nothing else; wheels alone, so that no code of a package runs in it; no secret, no
right. What it leaves is kept under a key of file, image and platform. Counterpart:
`requirement_lines` (what may be asked for), `networks` (which bridge).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.nursery import NamedThread
from hivemind_worker.runtimes.docker.networks import TaskNetwork
from hivemind_worker.runtimes.docker.requirement_lines import unusable_lines, wanted_lines

log = logging.getLogger(__name__)

PACKAGES_PLACE = "/opt/hivemind/packages"
"""Where a task finds them: mounted read-only there, and on PYTHONPATH after its own folder."""

LABEL = "io.hivemind.packages-step"
INSTALL_LIMIT_S = 900.0
WATCH_EVERY_S = 1.0
MEMORY_BYTES = 2 << 30
NANO_CPUS = 2_000_000_000
PIDS = 128
QUOTA_BYTES = 8 << 30
ONE_BYTES = 4 << 30
LOG_LINES = 400
UNPRIVILEGED_UID = 65532

NOT_FOUND = re.compile(r"No matching distribution found for ([^\s(;]+)|satisfies the requirement ([^\s(;]+)")
NO_WAY = ("NewConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "NameResolutionError",
          "Temporary failure in name resolution", "Network is unreachable", "ProxyError")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """The image that a task runs in: what is in it decides what must be installed."""

    digest: str
    platform: str  # e.g. linux/amd64
    python: str = ""
    packages: Mapping[str, str] | None = None  # normal name to version


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """A folder of installed packages in use by one task; give it back with `PackageShelf.give_back`."""

    key: str
    folder: Path


class PackageShelf:
    """Installed packages by key. Use from the loop's thread only; `close` it.

    `index_url` is the owner's package index, empty for pip's own; tasks cannot name one.
    """

    def __init__(
        self,
        folder: Path,
        api: docker.APIClient,
        network: TaskNetwork,
        *,
        index_url: str = "",
        quota_bytes: int = QUOTA_BYTES,
        one_bytes: int = ONE_BYTES,
        limit_s: float = INSTALL_LIMIT_S,
    ) -> None:
        self._folder = folder
        self._api = api
        self._network = network
        self._index_url = index_url
        self._quota_bytes = quota_bytes
        self._one_bytes = one_bytes
        self._limit_s = limit_s
        self._thread = NamedThread("packages", threads=2)
        self._in_use: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def fetch(self, lines: Sequence[str], image: ImageFacts) -> Packages | Problem | None:
        """What these lines of a requirements.txt ask for beyond the image; None when the image has it all.

        Installs once a key, however many tasks ask at once. Cancelling ends the installation.
        """
        bad = unusable_lines(lines)
        if bad:
            return Problem(code=FaultCode.MISSING_PACKAGES, about=_shortened(bad))
        wanted = wanted_lines(lines, image.packages or {}, image.python)
        if not wanted:
            return None
        key = key_of_packages(wanted, image)
        self._in_use[key] = self._in_use.get(key, 0) + 1
        try:
            async with self._locks.setdefault(key, asyncio.Lock()):
                problem = await self._be_there(key, wanted, image)
        except BaseException:
            self._release(key)
            raise
        if problem is not None:
            self._release(key)
            return problem
        return Packages(key=key, folder=self._folder / key)

    def give_back(self, packages: Packages) -> None:
        """The task has ended: its packages may be removed when room is needed."""
        self._release(packages.key)

    def _release(self, key: str) -> None:
        left = self._in_use.get(key, 0) - 1
        if left > 0:
            self._in_use[key] = left
        else:
            self._in_use.pop(key, None)
            self._locks.pop(key, None)

    async def _be_there(self, key: str, wanted: Sequence[str], image: ImageFacts) -> Problem | None:
        if await self._thread.call(self._touch, key):
            return None
        name = f"hivemind-packages-{key[:12]}-{secrets.token_hex(4)}"
        step = _Step(
            api=self._api, image=image, name=name, draft=self._folder / f".{name}", limit_s=self._limit_s,
            one_bytes=self._one_bytes,
        )  # fmt: skip
        try:
            problem = await self._thread.call(step.install, wanted, self._network, self._index_url)
            if problem is None:
                await self._thread.call(self._put_up, step.draft / "packages", key)
                await self._thread.call(self._make_room)
            return problem
        except OSError as error:
            about = f"packages cannot be kept: {error.strerror or error}"
            return Problem(code=FaultCode.DISK_FULL, about=about)
        finally:
            # Also after a cancellation: its thread still waits for a container that this ends.
            step.give_up()
            await asyncio.shield(self._thread.call(step.clear))

    def _touch(self, key: str) -> bool:
        """Whether it is there; from now on it counts as used last."""
        folder = self._folder / key
        if not folder.is_dir():
            return False
        os.utime(folder)
        return True

    def _put_up(self, made: Path, key: str) -> None:
        """Into its place in one step: a folder under its key is always whole."""
        made.chmod(0o755)
        os.utime(made)
        made.rename(self._folder / key)

    def _make_room(self) -> None:
        """Remove those unused for longest until all fit the quota; never one in use."""
        kept = sorted(
            (path for path in self._folder.iterdir() if not path.name.startswith(".")),
            key=lambda path: path.stat().st_mtime,
        )
        sizes = {path: size_of(path) for path in kept}
        for path in kept:
            if sum(sizes.values()) <= self._quota_bytes:
                return
            if path.name not in self._in_use:
                shutil.rmtree(path, ignore_errors=True)
                del sizes[path]

    async def tidy(self) -> None:
        """After a crash: end containers and remove drafts that an earlier worker left."""
        await self._thread.call(self._tidy)

    def _tidy(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = folder_mark(self._folder)
        with contextlib.suppress(docker.errors.DockerException, requests.exceptions.RequestException):
            for left in self._api.containers(all=True, filters={"label": f"{LABEL}={mark}"}):
                self._api.remove_container(left["Id"], force=True, v=True)
        for draft in self._folder.glob(".hivemind-packages-*"):
            shutil.rmtree(draft, ignore_errors=True)

    def close(self) -> None:
        """Take no more calls."""
        self._thread.close(wait=False)


def key_of_packages(wanted: Sequence[str], image: ImageFacts) -> str:
    """A name for what these lines become in this image on this platform."""
    parts = (image.digest, image.platform, image.python, *wanted)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def folder_mark(folder: Path) -> str:
    """Tells the containers of one home from those of another."""
    return hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16]


def size_of(folder: Path) -> int:
    """Bytes of the files in it; files that go meanwhile count nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - thousands of them
    return total


def _shortened(words: Sequence[str]) -> str:
    shown = ", ".join(f"{word!a}"[1:-1][:80] for word in words[:8])
    return shown + (f" and {len(words) - 8} more" if len(words) > 8 else "")


class _Step:
    """One installation: a container and its draft folder. Blocking; ended from outside by `give_up`."""

    def __init__(
        self,
        *,
        api: docker.APIClient,
        image: ImageFacts,
        name: str,
        draft: Path,
        limit_s: float,
        one_bytes: int,
    ) -> None:
        self._api, self._image, self._name = api, image, name
        self.draft = draft
        self._limit_s, self._one_bytes = limit_s, one_bytes
        self._given_up = False

    def install(self, wanted: Sequence[str], network: TaskNetwork, index_url: str) -> Problem | None:
        """Fill `draft/packages`; a problem says what was missing."""
        mode = network.mode_for_install()
        if isinstance(mode, Problem):
            return mode
        self._lay_out(wanted)
        try:
            container = self._api.create_container(**self._order(mode, index_url))["Id"]
            if self._given_up:
                return Problem(code=FaultCode.SANDBOX_FAILED, about="the installation was ended")
            self._api.start(container)
            ended = self._watch(container)
            said = self._api.logs(container, tail=LOG_LINES).decode("utf-8", "replace")
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            reason = " ".join(str(getattr(error, "explanation", None) or error).split())[:200]
            return Problem(code=FaultCode.SANDBOX_FAILED, about=f"packages could not be installed: {reason}")
        return ended if isinstance(ended, Problem) else judged(ended, said, wanted)

    def _lay_out(self, wanted: Sequence[str]) -> None:
        """The draft: a file to read and an empty folder to fill, owned by whoever pip runs as."""
        for name in ("", "asked", "packages", "packages/.unpacking"):
            (self.draft / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        asked = self.draft / "asked" / "requirements.txt"
        asked.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        if os.name == "posix" and os.getuid() == 0:
            for path in (
                self.draft / "asked",
                asked,
                self.draft / "packages",
                self.draft / "packages/.unpacking",
            ):
                os.chown(path, UNPRIVILEGED_UID, UNPRIVILEGED_UID)

    def _order(self, mode: str, index_url: str) -> dict[str, Any]:
        """The container, each line of it because row C9 asks for it."""
        order: dict[str, Any] = {
            "image": self._image.digest,
            "name": self._name,
            "command": pip_words(index_url),
            "entrypoint": [],
            "user": who_installs(),
            "working_dir": "/tmp",  # noqa: S108 - inside the container
            # Nothing of this computer's environment; unpacking beside the target, since /tmp is small.
            "environment": {"HOME": "/tmp", "TMPDIR": "/made/.unpacking", "LANG": "C.UTF-8"},  # noqa: S108
            "labels": {LABEL: folder_mark(self.draft.parent)},
            "host_config": self._api.create_host_config(
                binds={
                    str(self.draft / "asked"): {"bind": "/asked", "mode": "ro"},
                    str(self.draft / "packages"): {"bind": "/made", "mode": "rw"},
                },
                network_mode=mode, read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges"],
                pids_limit=PIDS, mem_limit=MEMORY_BYTES, memswap_limit=MEMORY_BYTES, nano_cpus=NANO_CPUS,
                ipc_mode="private", tmpfs={"/tmp": "size=64m,nosuid,nodev,noexec"},  # noqa: S108
                log_config={"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
                ulimits=[docker.types.Ulimit(name="core", soft=0, hard=0),
                         docker.types.Ulimit(name="nofile", soft=1024, hard=1024)],
                init=False,
            ),
        }  # fmt: skip
        return order

    def _watch(self, container: str) -> int | Problem:
        """Until it ends by itself, or has taken too long or too much disk."""
        ends_at = time.monotonic() + self._limit_s
        while time.monotonic() < ends_at:
            with contextlib.suppress(requests.exceptions.ConnectionError, requests.exceptions.ReadTimeout):
                return int(self._api.wait(container, timeout=WATCH_EVERY_S)["StatusCode"])
            if self._given_up:
                return Problem(code=FaultCode.SANDBOX_FAILED, about="the installation was ended")
            if size_of(self.draft) > self._one_bytes:
                about = f"{self._one_bytes / 2**30:.3g} GiB for packages"
                return Problem(code=FaultCode.OUT_OF_DISK, about=about)
        return Problem(code=FaultCode.TIMED_OUT, about=f"{self._limit_s:g} s for installing packages")

    def give_up(self) -> None:
        """End it soon; safe from any thread and at any time."""
        self._given_up = True

    def clear(self) -> None:
        """Remove the container and the draft; absent is fine."""
        try:
            self._api.remove_container(self._name, force=True, v=True)
        except docker.errors.NotFound:
            pass
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            log.warning("container %s is left, the next start removes it: %s", self._name, error)
        shutil.rmtree(self.draft, ignore_errors=True)


def who_installs() -> str:
    """The volunteer, so that the files are theirs; never root."""
    if os.name != "posix" or os.getuid() == 0:
        return f"{UNPRIVILEGED_UID}:{UNPRIVILEGED_UID}"
    return f"{os.getuid()}:{os.getgid()}"


def pip_words(index_url: str) -> list[str]:
    """What runs in the first container. `--only-binary`: no setup.py of anybody is executed."""
    words = ["python3", "-m", "pip", "--isolated", "--no-input", "--no-color", "--disable-pip-version-check",
             "install", "--quiet", "--no-cache-dir", "--only-binary", ":all:", "--no-warn-script-location",
             "--retries", "2", "--timeout", "15", "--root-user-action", "ignore", "--target", "/made",
             "-r", "/asked/requirements.txt"]  # fmt: skip
    if index_url:
        words += ["--index-url", index_url]
        if index_url.startswith("http://"):
            words += ["--trusted-host", re.sub(r"^http://(?:[^@/]*@)?([^/:]+).*$", r"\1", index_url)]
    return words


def judged(code: int, untrusted_said: str, wanted: Sequence[str]) -> Problem | None:
    """What pip's end means: nothing, names that it could not find, or no way to the index."""
    if code == 0:
        return None
    if any(word in untrusted_said for word in NO_WAY):
        return Problem(code=FaultCode.NO_NETWORK, about="the package index could not be reached")
    names = dict.fromkeys(a or b for a, b in NOT_FOUND.findall(untrusted_said))
    if names:
        return Problem(code=FaultCode.MISSING_PACKAGES, about=_shortened(tuple(names)))
    if "No module named pip" in untrusted_said:
        about = f"{_shortened(tuple(wanted))} (the task image has no pip)"
        return Problem(code=FaultCode.MISSING_PACKAGES, about=about)
    errors = [line for line in untrusted_said.splitlines() if line.startswith("ERROR")]
    last = (errors or [f"pip ended with code {code}"])[-1].removeprefix("ERROR: ")
    return Problem(code=FaultCode.MISSING_PACKAGES, about=f"{_shortened(tuple(wanted))} ({last!a:.160})")
