"""Parts of images and of a worker in a container, without an engine."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest

from hivemind_worker.model.settings import Settings
from hivemind_worker.runtimes.docker import debian_root
from hivemind_worker.runtimes.docker.debian_root import in_merged_usr
from hivemind_worker.runtimes.docker.image_build import _changes, _facts
from hivemind_worker.runtimes.docker.image_cleaning import ImageBook
from hivemind_worker.runtimes.docker.outside import Outside, own_container
from hivemind_worker.runtimes.docker.rules import docker_rules

ID = "ab" * 32
MOUNTS = f"""\
600 500 0:50 / / rw,relatime - overlay overlay rw
612 600 8:1 /var/lib/docker/volumes/one/_data /var/lib/hivemind rw,relatime - ext4 /dev/sda1 rw
613 600 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw
614 600 8:1 /run/docker.sock /run/docker.sock rw - tmpfs tmpfs rw
"""


class Inspected:
    """An engine that knows one container."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def inspect_container(self, name: str) -> dict[str, Any]:
        self.asked.append(name)
        volume = {"Destination": "/var/lib/hivemind", "Source": "/var/lib/docker/volumes/one/_data"}
        deeper = {"Destination": "/var/lib/hivemind/data/tasks", "Source": "/srv/tasks"}
        return {"Mounts": [volume, deeper]}


def test_a_worker_in_a_container_names_its_folders_as_the_engines_computer_does(tmp_path: Path) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS)
    outside, engine = Outside(file), Inspected()
    api = cast(Any, engine)
    assert outside.differs
    assert outside.name(api, Path("/var/lib/hivemind/data/docker")) == (
        "/var/lib/docker/volumes/one/_data/data/docker"
    )
    assert outside.name(api, Path("/var/lib/hivemind/data/tasks/x/workspace")) == "/srv/tasks/x/workspace"
    assert engine.asked == [ID]
    with pytest.raises(OSError, match="not on a volume"):
        outside.name(api, Path("/tmp/elsewhere"))


def test_two_workers_in_containers_do_not_take_each_others_containers_for_their_own(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(MOUNTS)
    second.write_text(MOUNTS.replace("volumes/one", "volumes/two"))
    folder = Path("/var/lib/hivemind/data/docker")
    assert Outside(first).mark(folder) != Outside(second).mark(folder)
    assert Outside(first).mark(folder) == Outside(first).mark(folder)


def test_a_worker_outside_of_containers_names_its_folders_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS.replace(f"containers/{ID}", "elsewhere"))
    for outside in (Outside(file), Outside(tmp_path / "absent")):
        assert not outside.differs
        assert outside.name(cast(Any, Inspected()), Path("/home/ann")) == "/home/ann"
        assert outside.mark(Path("/home/ann")) == "/home/ann"
    assert own_container("") == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [("./bin/bash", "usr/bin/bash"), ("lib64/ld.so", "usr/lib64/ld.so"), ("./", ""), (".", ""), ("bin", ""),
     ("./usr/bin/env", "usr/bin/env"), ("etc/passwd", "etc/passwd"), ("binary/x", "binary/x")],
)  # fmt: skip
def test_a_packages_files_go_where_a_merged_system_has_them(name: str, expected: str) -> None:
    assert in_merged_usr(name) == expected


def package(files: dict[str, tuple[int, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (mode, content) in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size, entry.uid = mode, len(content), 4711
            tar.addfile(entry, io.BytesIO(content))
        device = tarfile.TarInfo("./dev/sda")
        device.type = tarfile.BLKTYPE
        tar.addfile(device)
    return buffer.getvalue()


def test_no_set_uid_program_no_device_and_no_other_owner_goes_into_an_image(tmp_path: Path) -> None:
    opened, made = tmp_path / "one.tar", tmp_path / "root.tar"
    opened.write_bytes(
        package({"./usr/bin/su": (0o4755, b"x"), "./etc/passwd": (0o644, b"evil::0:0::/:/bin/sh")})
    )
    with tarfile.open(made, "w") as tar:
        merger = debian_root._Merger(tar)
        merger._begin()
        merger._add_package(opened)
        merger._finish()
    with tarfile.open(made) as tar:
        members = {member.name: member for member in tar}
        assert members["usr/bin/su"].mode == 0o755
        assert members["usr/bin/su"].uid == 0
        assert "dev/sda" not in members
        passwd = tar.extractfile("etc/passwd")
        assert passwd is not None
        assert b"evil" not in passwd.read()  # the contract's own accounts come first
        assert {"app/task", "workspace", "home/appuser"} <= members.keys()


def test_an_image_that_cannot_load_what_it_should_have_is_no_image() -> None:
    good = '{"broken": {}}\n{"python": "3.11.2", "packages": {"numpy": "1.24.2"}}'
    facts = _facts(good, 0)
    assert isinstance(facts, dict)
    assert 'LABEL io.hivemind.packages="numpy==1.24.2"' in _changes(facts, "debian packages", 2)
    broken = good.replace('"broken": {}', '"broken": {"numpy": "ImportError: no"}')
    for said, code in ((broken, 0), (good, 1), ("", 0), ("nonsense", 0)):
        assert not isinstance(_facts(said, code), dict)


def test_a_book_of_images_that_cannot_be_read_only_means_that_none_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "fetched.json"
    for text in ("", "[]", '{"sha256:0": {}}', '{"sha256:0": {"name": 1, "used_at_s": "x"}}'):
        file.write_text(text)
        assert ImageBook(file).rows == {}
    ImageBook(file).fetched("sha256:1", "tasks:1", 5.0)
    assert ImageBook(file).rows["sha256:1"].name == "tasks:1"


def test_an_image_is_fetched_unasked_only_where_docker_was_chosen() -> None:
    pulls = {
        runtime: docker_rules(Settings(runtime=runtime)).image.pulls for runtime in ("auto", "docker", "wasm")
    }
    assert pulls == {"auto": False, "docker": True, "wasm": False}
    assert not docker_rules(Settings(runtime="docker", pull_images=False)).image.pulls
    assert docker_rules(Settings(allowed_images="a/*, b:1 ,")).image.allowed == ("a/*", "b:1")
