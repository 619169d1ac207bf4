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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.traffic import Moved, uncounted
from hivemind_worker.nursery import NamedThread
from hivemind_worker.runtimes.docker.figures import read_stats
from hivemind_worker.runtimes.docker.image_facts import ImageFacts
from hivemind_worker.runtimes.docker.networks import NetworkPolicy, TaskNetwork
from hivemind_worker.runtimes.docker.outside import OUTSIDE
from hivemind_worker.runtimes.docker.requirement_lines import unusable_lines, wanted_lines
from hivemind_worker.runtimes.docker.side_containers import Bench, bench_of, closed_host

if TYPE_CHECKING:
    from docker import APIClient

log = logging.getLogger(__name__)

PACKAGES_PLACE = "/opt/hivemind/packages"
"""Where a task finds them: mounted read-only there, and on PYTHONPATH after its own folder."""

LABEL = "io.hivemind.packages-step"
INSTALL_LIMIT_S = 900.0
WATCH_EVERY_S = 1.0
QUOTA_BYTES = 8 << 30
ONE_BYTES = 4 << 30
LOG_LINES = 400
MOST_NAMED = 8

COUNTED = """
import atexit, runpy
def told():
    rows = [row.split() for row in open("/proc/net/dev").read().replace(":", " ").splitlines()[2:]]
    rows = [row for row in rows if row[0] != "lo"]
    print("hivemind-traffic", sum(int(row[1]) for row in rows), sum(int(row[9]) for row in rows))
atexit.register(told)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""pip, and at its end what has passed the container's own network: with it the engine's counters go."""
TRAFFIC = re.compile(r"^hivemind-traffic ([0-9]{1,15}) ([0-9]{1,15})$", re.MULTILINE)
NOT_FOUND = re.compile(r"No matching distribution found for ([^\s(;]+)|satisfies the requirement ([^\s(;]+)")
NO_WAY = ("NewConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "NameResolutionError",
          "Temporary failure in name resolution", "Network is unreachable", "ProxyError")  # fmt: skip


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
        make_client: Callable[[], APIClient],
        network: TaskNetwork,
        *,
        policy: NetworkPolicy = NetworkPolicy.PACKAGES,
        index_url: str = "",
        quota_bytes: int = QUOTA_BYTES,
        one_bytes: int = ONE_BYTES,
        limit_s: float = INSTALL_LIMIT_S,
        moved: Moved = uncounted,
    ) -> None:
        self._folder = folder
        self._make_client = make_client
        self._network = network
        self._policy = policy
        self._index_url = index_url
        self._quota_bytes = quota_bytes
        self._one_bytes = one_bytes
        self._limit_s = limit_s
        self._moved = moved
        self._thread = NamedThread("packages", threads=2)
        self._in_use: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._under_way: set[str] = set()

    def lacking(self, lines: Sequence[str], image: ImageFacts) -> tuple[str, ...]:
        """Those lines that can never be satisfied here: a task with them is refused at the door."""
        if self._policy is NetworkPolicy.NONE:
            return unusable_lines(lines) + wanted_lines(lines, image.packages, image.python)
        return unusable_lines(lines)

    async def fetch(self, lines: Sequence[str], image: ImageFacts) -> Packages | Problem | None:
        """What these lines of a requirements.txt ask for beyond the image; None when the image has it all.

        Installs once a key, however many tasks ask at once. Cancelling ends the installation.
        """
        bad = self.lacking(lines, image)
        if bad:
            return Problem(code=FaultCode.MISSING_PACKAGES, about=_shortened(bad))
        wanted = wanted_lines(lines, image.packages, image.python)
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
            make_client=self._make_client, image=image, name=name, draft=self._folder / f".{name}",
            limit_s=self._limit_s, one_bytes=self._one_bytes, moved=self._moved,
        )  # fmt: skip
        self._under_way.add(name)
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
            self._under_way.discard(name)

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
        import requests.exceptions  # noqa: PLC0415 - 200 ms that a worker without Docker does not need
        from docker.errors import DockerException  # noqa: PLC0415

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = folder_mark(self._folder)
        trouble = contextlib.suppress(DockerException, requests.exceptions.RequestException)
        with trouble, contextlib.closing(self._make_client()) as api:
            for left in api.containers(all=True, filters={"label": f"{LABEL}={mark}"}):
                if not {name.strip("/") for name in left.get("Names") or ()} & self._under_way:
                    api.remove_container(left["Id"], force=True, v=True)
        for draft in self._folder.glob(".hivemind-packages-*"):
            if draft.name.removeprefix(".") not in self._under_way:
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
    return hashlib.sha256(OUTSIDE.mark(folder).encode()).hexdigest()[:16]


def size_of(folder: Path) -> int:
    """Bytes of the files in it; files that go meanwhile count nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - thousands of them
    return total


def _shortened(words: Sequence[str]) -> str:
    shown = ", ".join(f"{word!a}"[1:-1][:80] for word in words[:MOST_NAMED])
    return shown + (f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else "")


class _Step:
    """One installation: a container and its draft folder. Blocking; ended from outside by `give_up`."""

    def __init__(
        self,
        *,
        make_client: Callable[[], APIClient],
        image: ImageFacts,
        name: str,
        draft: Path,
        limit_s: float,
        one_bytes: int,
        moved: Moved,
    ) -> None:
        self._make_client, self._image, self._name = make_client, image, name
        self.draft = draft
        self._limit_s, self._one_bytes, self._moved = limit_s, one_bytes, moved
        self._is_counted = False
        self._given_up = False
        self._bench: Bench

    def install(self, wanted: Sequence[str], network: TaskNetwork, index_url: str) -> Problem | None:
        """Fill `draft/packages`; a problem says what was missing."""
        import requests.exceptions  # noqa: PLC0415 - 200 ms that a worker without Docker does not need
        from docker.errors import DockerException  # noqa: PLC0415

        try:
            api = self._make_client()
        except DockerException as error:
            return _engine_problem(error)
        try:
            self._bench = bench_of(api)
            self._lay_out(wanted)
            mode = network.mode_for_install(api)
            return mode if isinstance(mode, Problem) else self._play(api, mode, index_url, wanted)
        except (DockerException, requests.exceptions.RequestException) as error:
            return _engine_problem(error)
        finally:
            api.close()

    def _play(self, api: APIClient, mode: str, index_url: str, wanted: Sequence[str]) -> Problem | None:
        container = str(api.create_container(**self._order(api, mode, index_url))["Id"])
        if self._given_up:
            self._remove(api)
            return _broken_off()
        api.start(container)
        ended = self._watch(api, container)
        if isinstance(ended, Problem):
            return ended
        said = api.logs(container, tail=LOG_LINES).decode("utf-8", "replace")
        if passed := TRAFFIC.findall(said):
            self._moved(*map(int, passed[-1]))
            self._is_counted = True
        return judged(ended, said, wanted)

    def _lay_out(self, wanted: Sequence[str]) -> None:
        """The draft: a file to read and an empty folder to fill, owned by whoever pip runs as."""
        places = [self.draft / name for name in ("asked", "packages", "packages/.unpacking")]
        for place in (self.draft, *places):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        asked = self.draft / "asked" / "requirements.txt"
        asked.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        if (owner := self._bench.owner) is not None:
            for place in (*places, asked):
                os.chown(place, owner, owner)

    def _order(self, api: APIClient, mode: str, index_url: str) -> dict[str, Any]:
        """The container of row C9: of this computer it has the file to read and the folder to fill."""
        bench = self._bench
        binds = {
            OUTSIDE.name(api, self.draft / "asked"): {"bind": "/asked", "mode": f"ro{bench.label}"},
            OUTSIDE.name(api, self.draft / "packages"): {"bind": "/made", "mode": f"rw{bench.label}"},
        }
        more = {"userns_mode": bench.userns_mode} if bench.userns_mode else {}
        return {
            "image": self._image.digest, "name": self._name, "command": pip_words(index_url),
            "entrypoint": [], "user": bench.user, "working_dir": "/tmp",  # noqa: S108 - inside it
            # Nothing of this computer's environment; unpacking beside the target, since /tmp is small.
            "environment": {"HOME": "/tmp", "TMPDIR": "/made/.unpacking", "LANG": "C.UTF-8"},  # noqa: S108
            "labels": {LABEL: folder_mark(self.draft.parent)},
            "host_config": closed_host(api, network_mode=mode, binds=binds, **more),
        }  # fmt: skip

    def _watch(self, api: APIClient, container: str) -> int | Problem:
        """Its exit code; or a problem when it has taken too long or too much disk."""
        import requests.exceptions  # noqa: PLC0415 - 200 ms that a worker without Docker does not need

        wait = cast(Any, api).wait  # a fraction of a second is as good a limit as whole ones
        ends_at = time.monotonic() + self._limit_s
        while time.monotonic() < ends_at:
            with contextlib.suppress(requests.exceptions.ConnectionError, requests.exceptions.ReadTimeout):
                return int(wait(container, timeout=WATCH_EVERY_S)["StatusCode"])
            if self._given_up:
                return _broken_off()
            if size_of(self.draft) > self._one_bytes:
                about = f"{self._one_bytes / 2**30:.3g} GiB for packages"
                return Problem(code=FaultCode.OUT_OF_DISK, about=about)
        return Problem(code=FaultCode.TIMED_OUT, about=f"{self._limit_s:g} s for installing packages")

    def give_up(self) -> None:
        """End it soon; safe from any thread and at any time."""
        self._given_up = True

    def clear(self) -> None:
        """Remove the container and the draft; absent is fine."""
        import requests.exceptions  # noqa: PLC0415 - 200 ms that a worker without Docker does not need
        from docker.errors import DockerException  # noqa: PLC0415

        try:
            with contextlib.closing(self._make_client()) as api:
                self._count_what_broke_off(api)
                self._remove(api)
        except (DockerException, requests.exceptions.RequestException) as error:
            log.warning("container %s is left, the next start removes it: %s", self._name, error)
        shutil.rmtree(self.draft, ignore_errors=True)

    def _count_what_broke_off(self, api: APIClient) -> None:
        """One that has not come to its end still runs, and the engine knows what has passed so far."""
        from docker.errors import DockerException  # noqa: PLC0415 - the SDK is there when a client is

        if not self._is_counted:
            with contextlib.suppress(DockerException):
                stats = cast(Any, api).stats(self._name, stream=False, one_shot=True)
                now = read_stats(stats, time.time())
                self._moved(now.net_in_bytes, now.net_out_bytes)

    def _remove(self, api: APIClient) -> None:
        from docker.errors import NotFound  # noqa: PLC0415 - the SDK is there when a client is

        with contextlib.suppress(NotFound):
            api.remove_container(self._name, force=True, v=True)


def _broken_off() -> Problem:
    return Problem(code=FaultCode.SANDBOX_FAILED, about="installing its packages was broken off")


def _engine_problem(error: Exception) -> Problem:
    reason = " ".join(str(getattr(error, "explanation", None) or error).split())[:200]
    return Problem(code=FaultCode.SANDBOX_FAILED, about=f"packages could not be installed: {reason}")


def pip_words(index_url: str) -> list[str]:
    """What runs in the first container. `--only-binary`: no setup.py of anybody is executed."""
    words = ["python3", "-c", COUNTED, "--isolated", "--no-input", "--no-color",
             "--disable-pip-version-check", "install", "--quiet", "--no-cache-dir", "--only-binary", ":all:",
             "--no-warn-script-location", "--retries", "2", "--timeout", "15", "--root-user-action", "ignore",
             "--target", "/made", "-r", "/asked/requirements.txt"]  # fmt: skip
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
