"""Two computers with real WireGuard tunnels for a module's tests; all of it ends with them, failed or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker import cli
from tests.vpn.corpus import GOOD, OWN
from tests.vpn.namespaces import Inside, Town, why_not

PASSWORD = "Zwölf-blaue-Kühe-42"


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    if reason := why_not():
        pytest.skip(reason)
    made = Town()
    try:
        made.build()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def password(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("password") / "password"
    file.write_text(PASSWORD + "\n")
    return file


@pytest.fixture(scope="module")
def pool(town: Town, tmp_path_factory: pytest.TempPathFactory, password: Path) -> Iterator[Inside]:
    """The embedded pool at 10.0.0.1, with accounts for a worker (wim) and a requester (rita)."""
    made = Inside(town, "pool", tmp_path_factory.mktemp("pool"))
    for name in ("wim", "rita"):
        done = made.run("pool", "user", "add", name, "--password-file", str(password))
        assert done.returncode == 0, done.stderr
    made.start("pool", "--json", "--listen", "10.0.0.1:50051")
    made.said('"ready"')
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def worker(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """The worker's computer and its home; nothing runs there yet."""
    made = Inside(town, "worker", tmp_path_factory.mktemp("worker"))
    try:
        yield made
    finally:
        made.end()


# --- the command line, in this process ------------------------------------------------------------


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def values(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


Run = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HIVEMIND_HOME", str(tmp_path / "home"))
    for name in ("MASTER_ADDRESS", "HIVEMIND_LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> Done:
        code = cli.main(["vpn", *words])
        out, err = capsys.readouterr()
        assert OWN not in out + err, "the private key was printed"
        return Done(code, out, err)

    return call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "from the owner.conf"
    path.write_text(GOOD)
    return path
