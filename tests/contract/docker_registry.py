"""A real image registry on loopback, and a line to it that can be slow or break."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from hivemind_worker.runtimes.docker import image_facts
from tests.contract.docker_engine import TestEngine, die_with_the_tests, shared_engine

PROGRAM = Path(__file__).parents[2] / "build/tools/usr/bin/docker-registry"
START_LIMIT_S = 10.0
PIECE_BYTES = 16 << 10


def find_registry() -> str | None:
    """The program: the system's, or the one that `make` fetched."""
    return shutil.which("docker-registry") or (str(PROGRAM) if PROGRAM.exists() else None)


class Registry:
    """One registry in a folder of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        config = folder / "config.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}'}}\n"
        )
        self._process = subprocess.Popen(
            [program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_the_tests,  # noqa: PLW1509
        )  # fmt: skip
        limit = time.monotonic() + START_LIMIT_S
        while not self._answers():
            assert time.monotonic() < limit, "the registry did not start"
            assert self._process.poll() is None, "the registry ended"
            time.sleep(0.05)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def close(self) -> None:
        self._process.kill()
        self._process.wait(5)


class Line:
    """Passes everything between a port of its own and the registry, as slowly as told, or cuts it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.rate_bytes_s: float | None = None
        self.cuts = 0  # so many times the line breaks in the middle of an answer
        self.cut_after_bytes = 1 << 20
        self.passed_bytes = 0
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._lines += [near, far]
                threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        here = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                if answers:
                    here += len(piece)
                    self.passed_bytes += len(piece)
                    if self.rate_bytes_s:
                        time.sleep(len(piece) / self.rate_bytes_s)
                    if self.cuts and here > self.cut_after_bytes:
                        self.cuts -= 1
                        break
                target.sendall(piece)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for end in (self._door, *self._lines):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


def tar_of(**files: bytes) -> io.BytesIO:
    """A tar archive with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def make_image(api: docker.APIClient, name: str, *layer_bytes: int, base: str = "scratch") -> str:
    """An image with layers of such sizes that cannot be packed smaller, labelled as a task image; its id."""
    labels = {
        image_facts.LABEL_LAYERS: str(len(layer_bytes)), image_facts.LABEL_PYTHON: "3.11.2",
        image_facts.LABEL_PACKAGES: "numpy==1.24.2",
    }  # fmt: skip
    lines = [f"FROM {base}", *(f"COPY layer{n} /layer{n}" for n in range(len(layer_bytes)))]
    lines += [f"LABEL {key}={value}" for key, value in labels.items()]
    files = {f"layer{n}": os.urandom(size) for n, size in enumerate(layer_bytes)}
    context = tar_of(Dockerfile="\n".join(lines).encode(), **files)
    for line in api.build(fileobj=context, custom_context=True, tag=name, rm=True, decode=True):
        assert "error" not in line, line
    return str(api.inspect_image(name)["Id"])


def publish(api: docker.APIClient, registry: Registry, name: str, *layer_bytes: int) -> str:
    """Put an image into the registry, and out of the engine again; its digest there."""
    full = f"127.0.0.1:{registry.port}/{name}"
    make_image(api, full, *layer_bytes)
    repository, _, tag = full.rpartition(":")
    for line in api.push(repository, tag=tag, stream=True, decode=True):
        assert "error" not in line, line
    digest = str(api.inspect_image(full)["RepoDigests"][0]).partition("@")[2]
    api.remove_image(full)
    return digest


@pytest.fixture(scope="session")
def docker_engine() -> TestEngine:
    """The session's engine; skips where there can be none."""
    return shared_engine()


@pytest.fixture(scope="module")
def registry(docker_engine: TestEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A running registry; skips where the program is missing."""
    program = find_registry()
    if program is None:
        pytest.skip("no image registry here (docker-registry not found): see README.md")
    made = Registry(program, tmp_path_factory.mktemp("registry"))
    yield made
    made.close()
