"""Which script is started, and what its requirements.txt asks for, read from the archive alone."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.work import Inspection
from hivemind_worker.runtimes.workspace import Workspace
from hivemind_worker.runtimes.workspace.entry import NAMED, find_entry
from tests.contract.archives.raw import Part, build


@pytest.mark.parametrize("place", range(len(NAMED)))
def test_the_named_scripts_are_tried_in_their_order(place: int) -> None:
    assert find_entry(reversed([*NAMED[place:], "aaa.py"])) == NAMED[place]


@pytest.mark.parametrize(
    ("files", "entry"),
    [
        (["zeta.py", "beta.py", "lib/main.py"], "beta.py"),
        (["readme.txt", "lib/main.py"], "lib/main.py"),
        (["task/app.py", "task/data.csv", "task/aaa.py"], "task/app.py"),
        (["a/b/c/run.py", "a/b/c/data.csv"], "a/b/c/run.py"),
        (["task/main.py", "notes.txt", "aaa/deep/x.py"], "task/main.py"),
        (["notes.txt", "b/x.py", "a/deep/x.py"], "b/x.py"),
        (["setup.py", "conftest.py", "zeta.py"], "zeta.py"),
        (["setup.py", "src/tool.py"], "src/tool.py"),
        (["setup.py", "conftest.py"], "conftest.py"),
        (["pkg/__init__.py", "pkg/core.py"], "pkg/core.py"),
        (["__init__.py"], "__init__.py"),
        (["__MACOSX/._main.py", "task/.DS_Store", "task/main.py"], "task/main.py"),
        ([".hidden.py", "x.py"], "x.py"),
        (["main.PY", "readme"], None),
        (["MAIN.py", "b.py"], "MAIN.py"),
        (["run.sh", "main.pyc"], None),
        ([], None),
    ],
)
def test_the_script_that_is_started(files: list[str], entry: str | None) -> None:
    assert find_entry(files) == entry


def look(folder: Path, *parts: Part) -> Inspection | Problem:
    archive = folder / "task.zip"
    archive.write_bytes(build(*parts))
    return Workspace().inspect(archive)


def test_requirements_are_lines_without_comments_and_blanks(tmp_path: Path) -> None:
    text = (
        b"# tools\n\nnumpy>=1.26  # arrays\npandas\r\n-r more.txt\n--index-url https://example.org/simple\n"
    )
    text += b"pkg @ https://example.org/p.whl#sha256=00\nlong==1 \\\n  --hash=sha256:00\n   \n"
    found = look(tmp_path, Part(), Part(name="requirements.txt", data=text))
    assert isinstance(found, Inspection)
    assert found.requirements == (
        "numpy>=1.26",
        "pandas",
        "-r more.txt",
        "--index-url https://example.org/simple",
        "pkg @ https://example.org/p.whl#sha256=00",
        "long==1    --hash=sha256:00",
    )


def test_requirements_beside_the_script_count_when_there_are_none_at_the_top(tmp_path: Path) -> None:
    inner = Part(name="task/requirements.txt", data=b"inner\n")
    found = look(tmp_path, Part(name="task/main.py"), inner)
    assert isinstance(found, Inspection)
    assert found.requirements == ("inner",)
    found = look(tmp_path, Part(name="task/main.py"), inner, Part(name="requirements.txt", data=b"outer\n"))
    assert isinstance(found, Inspection)
    assert found.requirements == ("outer",)


@pytest.mark.parametrize(
    "text",
    [codecs.BOM_UTF8 + b"numpy\n", "numpy\n".encode("utf-16"), b"numpy\n\xff\xfe"],
    ids=["bom", "utf16", "bytes"],
)
def test_requirements_of_odd_editors_are_read(text: bytes, tmp_path: Path) -> None:
    found = look(tmp_path, Part(), Part(name="requirements.txt", data=text))
    assert isinstance(found, Inspection)
    assert found.requirements[0] == "numpy"


def test_damaged_requirements_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    lie = {"crc": 1}
    found = look(tmp_path, Part(), Part(name="requirements.txt", data=b"numpy\n", central=lie, local=lie))
    assert isinstance(found, Problem)
    assert found.code is FaultCode.BAD_ARCHIVE


def test_counts_are_those_of_the_directory(tmp_path: Path) -> None:
    found = look(tmp_path, Part(data=b"12345"), Part(name="a/", data=b""), Part(name="a/b", data=b"123"))
    assert found == Inspection(entry="main.py", requirements=(), members=3, opened_bytes=8)
