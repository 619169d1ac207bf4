"""Mutated archives: refused or unpacked exactly, never an exception, never anything outside the folder.

What a longer run finds is added to archive_finds.txt (verdict and base64, one a line) and tried on every run.
"""

from __future__ import annotations

import base64
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.workspace import Workspace
from tests.contract.archives import good
from tests.contract.archives.raw import Part, build, end_record

BASES = [
    *(
        good.GOOD[name]()
        for name in ("stored", "deflated", "streamed", "zip64-member", "zip64-end", "dos-attributes")
    ),
    *(good.GOOD[name]() for name in ("chinese", "folders-with-rows", "times-field", "with-a-comment")),
    build(
        Part(), Part(name="requirements.txt", data=b"numpy\n" * 30), Part(name="a/b/c.bin", data=bytes(4000))
    ),
]
FINDS = Path(__file__).with_name("archive_finds.txt").read_text().splitlines()
FIGURES = [0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1]


def tricky_places(archive: bytes) -> list[int]:
    """Where the headers are: mutations there are worth more than in the contents."""
    return [at for at in range(len(archive) - 1) if archive.startswith(b"PK", at)]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    archive = bytearray(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        places = tricky_places(archive)
        near = st.sampled_from(places).flatmap(lambda at: st.integers(at, at + 60)) if places else st.just(0)
        at = min(draw(st.one_of(near, st.integers(0, max(0, len(archive) - 1)))), len(archive))
        match draw(st.sampled_from(["flip", "flip", "flip", "figure", "figure", "cut", "splice", "repeat"])):
            case "flip":
                archive[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "figure":
                size = draw(st.sampled_from([1, 2, 4, 8]))
                figure = draw(st.sampled_from(FIGURES)) & ((1 << 8 * size) - 1)
                archive[at : at + size] = figure.to_bytes(size, "little")
            case "cut":
                del archive[at : at + draw(st.integers(1, 100))]
            case "splice":
                other = draw(st.sampled_from(BASES))
                start = draw(st.integers(0, len(other)))
                archive[at:at] = other[start : start + draw(st.integers(1, 200))]
            case "repeat":
                archive[at:at] = archive[at : at + draw(st.integers(1, 100))]
    return bytes(archive)


def check(content: bytes) -> str:
    """One archive through both doors, its verdict; the folder around must stay as it was."""
    with tempfile.TemporaryDirectory() as name:
        ground = Path(name)
        archive = ground / "task.zip"
        archive.write_bytes(content)
        start = time.monotonic()
        Workspace().inspect(archive)
        problem = Workspace().unpack(archive, ground / "workspace")
        assert time.monotonic() - start < 10
        around = sorted(path.name for path in ground.iterdir())
        if isinstance(problem, Problem):
            assert around == ["task.zip"]
            return problem.code
        assert around == ["task.zip", "workspace"]
        check_exact(archive, ground / "workspace")
        return "good"


def check_exact(archive: Path, folder: Path) -> None:
    """Every file is one that the directory promises, with its checksum, and none is missing."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    assert all(path.is_file() and not path.is_symlink() for path in files.values())
    try:
        read = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
        return  # the library is stricter about parts that nobody needs, e.g. the version to extract with
    with read:
        promised = {item.filename: item for item in read.infolist() if not item.is_dir()}
    assert {zlib.crc32(path.read_bytes()) for path in files.values()} == {
        item.CRC for item in promised.values()
    }
    assert len(files) == len(promised)


@pytest.mark.parametrize("find", FINDS)
def test_what_was_found_before_stays_mended(find: str) -> None:
    verdict, content = find.split()
    assert check(base64.b64decode(content)) == verdict


@pytest.mark.parametrize("base", range(len(BASES)))
def test_the_bases_are_good(base: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        archive = Path(name) / "task.zip"
        archive.write_bytes(BASES[base])
        assert Workspace().unpack(archive, Path(name) / "workspace") is None


@pytest.mark.release
@settings(max_examples=1500, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_a_mutated_archive_is_refused_or_unpacked_exactly(content: bytes) -> None:
    check(content)


@settings(max_examples=300, deadline=None, database=None)
@given(st.binary(max_size=400), st.binary(max_size=200), st.integers(0, 5))
def test_noise_before_a_fitting_end_is_never_an_exception(noise: bytes, directory: bytes, rows: int) -> None:
    check(noise + directory + end_record(rows, len(directory), len(noise)))
