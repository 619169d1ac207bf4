"""Receipts: what ran is signed; any change is found; commands need no worker and no network."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from hivemind_worker.cli import main
from hivemind_worker.model.receipts import Seal
from hivemind_worker.model.task import TaskState
from hivemind_worker.places import find_places
from hivemind_worker.store.receipts import Receipts, files_of, is_genuine, read_receipt, signed
from tests.engine.harness import Rig, ScriptedRuntime, zip_of
from tests.fakes.link import FakeLink
from tests.fakes.node import make_task


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HIVEMIND_HOME", str(tmp_path))
    find_places(str(tmp_path)).make()
    return tmp_path


def written(home: Path, task_id: str = "task_1") -> Path:
    places = find_places(str(home))
    book, folder, result = Receipts(places.receipts, places.node_key), home / "t", home / "result.zip"
    folder.mkdir(exist_ok=True)
    archive = home / "in.zip"
    archive.write_bytes(zip_of({"main.py": "print(1)"}))
    result.write_bytes(zip_of({"out.txt": "done"}))
    book.note_inputs(archive, folder)
    task = make_task(task_id, TaskState.COMPLETED, exit_code=0, trust_change=2, image="python@sha256:ab")
    book.write(task, {"cores": 1.0, "memory_bytes": 1 << 30}, folder, result, "larch")
    return book.path(task.key)


def test_a_receipt_tells_what_ran_and_with_which_files(home: Path) -> None:
    document = read_receipt(written(home))
    receipt = document["receipt"]
    assert receipt["files_in"] == [
        {"name": "main.py", "bytes": 8, "sha256": hashlib.sha256(b"print(1)").hexdigest()}
    ]
    assert receipt["files_out"][0]["name"] == "out.txt"
    assert (receipt["image"], receipt["trust_change"], receipt["exit_code"]) == ("python@sha256:ab", 2, 0)
    assert is_genuine(document)
    assert (find_places(str(home)).node_key.stat().st_mode & 0o777) == 0o600


@pytest.mark.parametrize(
    "name", ["exit_code", "code_sha256", "trust_change", "files_out", "task_id", "limits"]
)
def test_any_change_of_a_receipt_is_found(home: Path, name: str) -> None:
    document = read_receipt(written(home))
    document["receipt"][name] = 7
    assert not is_genuine(document)


def test_a_receipt_signed_by_somebody_else_is_not_this_nodes(home: Path, tmp_path: Path) -> None:
    document = read_receipt(written(home))
    other = Receipts(tmp_path / "o", tmp_path / "other-key")
    other._key()
    key = other.public_key()
    assert key is not None
    assert not is_genuine(document, key)
    assert is_genuine(document, document["public_key"].upper())
    assert not is_genuine({**document, "public_key": "zz"})
    assert not is_genuine({**document, "signature": None})


def test_the_receipts_of_the_last_tasks_are_looked_at_one_by_one(home: Path) -> None:
    places = find_places(str(home))
    book, tasks = Receipts(places.receipts, places.node_key), [make_task(each) for each in "abcd"]
    paths = [written(home, task.task_id) for task in tasks[:3]]
    stranger = Receipts(places.receipts, home / "another-key")
    document = read_receipt(paths[1])
    paths[1].write_text(json.dumps(signed(document["receipt"], stranger._key())))
    paths[2].write_text("{")
    found = [(each.task.task_id, each.seal) for each in book.kept(tasks)]
    assert found == [("a", Seal.OURS), ("b", Seal.OTHER_KEY), ("c", Seal.BROKEN)]
    document["receipt"]["exit_code"] = 7
    paths[0].write_text(json.dumps(document))
    assert book.kept(tasks[:1])[0].seal is Seal.BROKEN
    places.node_key.unlink()
    assert [each.seal for each in book.kept(tasks[:2])] == [Seal.BROKEN, Seal.OTHER_KEY]


def test_the_commands_work_without_a_worker(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(home)
    for name in ("task_1", path.stem, path.stem[:8], str(path)):
        assert main(["receipt", "show", name]) == 0
        assert "print" not in capsys.readouterr().err
        assert main(["receipt", "verify", name]) == 0
        assert "signed by this node" in capsys.readouterr().out
    document = json.loads(path.read_text())
    document["receipt"]["exit_code"] = 1
    path.write_text(json.dumps(document))
    assert main(["receipt", "verify", "task_1"]) == 1
    assert "Not genuine" in capsys.readouterr().out
    assert main(["receipt", "verify", "task_1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["genuine"] is False


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"receipt": 3}', b"\xff\xfe", b"[" * 200_000])
def test_what_is_no_receipt_is_said_so(
    home: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = home / "x.json"
    path.write_bytes(content)
    assert main(["receipt", "verify", str(path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["receipt", "show", "no such task"]) == 2
    assert "no receipt" in capsys.readouterr().err


def test_an_archive_that_cannot_be_read_has_no_files(tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 not really")
    assert files_of(tmp_path / "bad.zip") == []


async def test_every_task_of_the_engine_leaves_a_genuine_receipt(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ScriptedRuntime(), FakeLink())
    book = Receipts(rig.places.receipts, rig.places.node_key)
    await rig.start()
    rig.performer._receipts = book
    try:
        await rig.offer("mine", zip_of())
        await rig.delivered("mine")
        paths: list[Path] = []
        async with asyncio.timeout(10):
            while not paths:
                paths = list(rig.places.receipts.glob("*.json")) if rig.places.receipts.exists() else []
                await asyncio.sleep(0.01)
        document = read_receipt(paths[0])
        assert is_genuine(document)
        assert document["receipt"]["task_id"] == "mine"
        assert {file["name"] for file in document["receipt"]["files_out"]} >= {"out.txt", "execution_log.txt"}
    finally:
        await rig.crash()
