"""Makes a root file system, as one tar file, from Debian packages: no privilege, no script of theirs is run.

Owns the choice of packages, their download through the system's own apt (which checks the
signatures) and the merging. Never talks to the engine: `image_build` hands the tar to it.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem

Progress = Callable[[float, str], None]

PLAIN = ("base-files", "bash", "ca-certificates", "coreutils", "findutils", "grep", "gzip", "libstdc++6",
         "media-types", "netbase", "python3", "python3-pip", "sed", "tzdata")  # fmt: skip
SCIENTIFIC = ("python3-numpy", "python3-pandas", "python3-matplotlib", "python3-pil", "python3-sklearn",
              "python3-requests")  # fmt: skip

APT_LIMIT_S = 600.0
DEB_LIMIT_S = 120.0

# Drawn in by the compiler that scipy's packages name, or by scripts that are never run here.
UNWANTED = ("binutils", "cpp", "debconf", "dpkg", "g++", "gcc", "libasan", "libboost", "libcc1", "libgcc-1",
            "libgprofng", "libitm", "liblsan", "libperl", "libstdc++-", "libtsan", "libubsan",
            "linux-libc-dev", "mawk", "openssl", "perl", "python3-pythran", "python3-sympy",
            "unicode-data")  # fmt: skip
WANTED_ALL_THE_SAME = ("gcc-12-base", "libgcc-s1")

# Nothing a program reads; a third of the size.
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian",
            "usr/share/bug", "usr/share/matplotlib/sample_data", "usr/share/python-wheels/tests",
            "var/cache", "var/lib/apt", "var/lib/dpkg")  # fmt: skip

# Folders of libraries of which update-alternatives would choose one; the faster first.
MATHEMATICS = ("openblas-pthread", "blas", "lapack")
MATHEMATICS_LIBRARIES = ("libblas.so.3", "liblapack.so.3", "libopenblas.so.0")

# A merged /usr, as these systems have it: packages may name either place.
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")

ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\n"
    "appuser:x:1000:1000::/home/appuser:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nappuser:x:1000:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
LINKS = {
    "usr/bin/python": "python3",
    "usr/bin/sh": "bash",
    "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
}
FOLDERS = {
    "app/task": 0o755,
    "workspace": 0o755,
    "dev": 0o755,
    "home/appuser": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "var/tmp": 0o1777,
}
AUTHORITIES = "usr/share/ca-certificates/mozilla/"
AUTHORITY_BUNDLE = "etc/ssl/certs/ca-certificates.crt"


def can_make() -> bool:
    """Whether this system has the two programs that it takes."""
    return all(shutil.which(name) is not None for name in ("apt-get", "dpkg-deb"))


def make_root_tar(packages: tuple[str, ...], folder: Path, progress: Progress) -> Path | Problem:
    """Write `root.tar` into `folder` (which the caller removes): `packages` and all that they need.

    Blocks for seconds (a minute with the scientific ones) and needs three times the size of the packages.
    """
    progress(0.0, "Fetching packages")
    try:
        debs = _download(packages, folder)
        target = folder / "root.tar"
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
            _Merger(tar).fill(debs, folder / "one.tar", progress)
    except subprocess.CalledProcessError as error:
        return _no_packages((error.stderr or b"").decode("utf-8", "replace"))
    except subprocess.TimeoutExpired:
        return _no_packages(f"no end within {APT_LIMIT_S:g} s")
    except (OSError, tarfile.TarError) as error:
        return Problem(code=FaultCode.SANDBOX_FAILED, about=f"no root file system: {error}")
    finally:
        shutil.rmtree(folder / "archives", ignore_errors=True)
    return target


def _no_packages(notes: str) -> Problem:
    lines = [line.strip() for line in notes.splitlines() if line.startswith("E:")]
    about = "Debian packages could not be fetched" + (f" ({lines[0][3:]})" if lines else "")
    return Problem(code=FaultCode.NO_NETWORK, about=about)


def _download(packages: tuple[str, ...], folder: Path) -> list[Path]:
    """Fetch what is needed as if nothing were installed; with lists of our own when the system's are old."""
    for part in ("archives/partial", "lists/partial"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    own = ["-o", f"Dir::State::status={folder / 'status'}", "-o", f"Dir::Cache={folder}",
           "-o", f"Dir::Cache::archives={folder / 'archives'}", "-o", "APT::Install-Recommends=0",
           "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]  # fmt: skip
    fresh = ["-o", f"Dir::State::lists={folder / 'lists'}"]
    install = ["--yes", "--download-only", "--no-install-recommends", "install", *packages]
    try:
        _apt([*own, *install])
    except subprocess.CalledProcessError:
        _apt([*own, *fresh, "update"])
        _apt([*own, *fresh, *install])
    return sorted(deb for deb in (folder / "archives").glob("*.deb") if _is_wanted(deb.name.split("_")[0]))


def _apt(words: list[str]) -> None:
    subprocess.run(
        ["apt-get", "--quiet", *words], check=True, capture_output=True, timeout=APT_LIMIT_S,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def _is_wanted(name: str) -> bool:
    if name in WANTED_ALL_THE_SAME:
        return True
    return not name.startswith(UNWANTED) and not name.endswith(("-dev", "-doc"))


class _Merger:
    """Puts the contents of packages into one tar: owned by root, nothing set-uid, no name twice."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._known: set[str] = set()
        self._authorities = bytearray()
        self._mathematics: dict[str, PurePosixPath] = {}

    def fill(self, debs: list[Path], scratch: Path, progress: Progress) -> None:
        """Merge all of them; `scratch` holds one opened package at a time."""
        self._begin()
        for count, deb in enumerate(debs):
            progress(count / len(debs), "Merging packages")
            with scratch.open("wb") as opened:
                subprocess.run(
                    ["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, stdout=opened,
                    stderr=subprocess.PIPE, timeout=DEB_LIMIT_S,
                )  # fmt: skip
            self._add_package(scratch)
            deb.unlink()
        scratch.unlink(missing_ok=True)
        self._finish()

    def _add_package(self, opened: Path) -> None:
        with tarfile.open(opened) as package:
            for member in package:
                if member.isfile() and member.name.removeprefix("./").startswith(AUTHORITIES):
                    content = package.extractfile(member)
                    self._authorities += content.read() if content is not None else b""
                for ready in self._prepared(member):
                    self._tar.addfile(ready, package.extractfile(member) if ready.isfile() else None)

    def _prepared(self, member: tarfile.TarInfo) -> Iterator[tarfile.TarInfo]:
        """The member as it goes into the image, unless it is left out."""
        name = in_merged_usr(member.name)
        if not name or name in self._known or name.startswith(LEFT_OUT) or member.ischr() or member.isblk():
            return
        self._known.add(name)
        ready = member.replace(
            name=name, mode=member.mode & 0o1777, uid=0, gid=0, uname="root", gname="root", deep=True
        )
        ready.linkname = in_merged_usr(member.linkname) if member.islnk() else member.linkname
        ready.pax_headers = {}
        library = PurePosixPath(name)
        if library.parent.name in MATHEMATICS and library.name in MATHEMATICS_LIBRARIES:
            known = self._mathematics.get(library.name)
            if known is None or MATHEMATICS.index(library.parent.name) < MATHEMATICS.index(known.parent.name):
                self._mathematics[library.name] = library
        yield ready

    def _begin(self) -> None:
        """The contract of a task image first: what a package says of the same names is passed over."""
        links = {**{name: f"usr/{name}" for name in MERGED}, **LINKS}
        for name, target in links.items():
            self._link(name, target)
        for name, text in ACCOUNTS.items():
            self._file(name, text.encode())
        for name, mode in FOLDERS.items():
            self._folder(name, mode)

    def _finish(self) -> None:
        """What scripts of the packages would have done."""
        for library, place in self._mathematics.items():
            self._link(str(place.parents[1] / library), f"{place.parent.name}/{library}")
        if self._authorities:
            self._file(AUTHORITY_BUNDLE, bytes(self._authorities))

    def _entry(self, name: str, mode: int) -> tarfile.TarInfo:
        self._known.add(name)
        entry = tarfile.TarInfo(name)
        entry.mode = mode
        return entry

    def _link(self, name: str, target: str) -> None:
        entry = self._entry(name, 0o777)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(entry)

    def _file(self, name: str, content: bytes) -> None:
        entry = self._entry(name, 0o644)
        entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content))

    def _folder(self, name: str, mode: int) -> None:
        entry = self._entry(name, mode)
        entry.type = tarfile.DIRTYPE
        if name == "home/appuser":
            entry.uid = entry.gid = 1000
        self._tar.addfile(entry)


def in_merged_usr(name: str) -> str:
    """A member's name without "./", and under usr/ where the system has merged it; "" at the top."""
    plain = name.removeprefix("./").strip("/")
    first, _, rest = plain.partition("/")
    if first not in MERGED:
        return "" if plain == "." else plain
    return f"usr/{plain}" if rest else ""
