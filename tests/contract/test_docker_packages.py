"""Packages without an open door (row C9 of the security page): real engine, real pip, an index of our own."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, cast

import docker
import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.runtimes.docker.figures import read_stats
from hivemind_worker.runtimes.docker.firewall import Firewall
from hivemind_worker.runtimes.docker.image_facts import ImageFacts, facts_of, inspect
from hivemind_worker.runtimes.docker.networks import NetworkPolicy, TaskNetwork
from hivemind_worker.runtimes.docker.packages import LABEL, PACKAGES_PLACE, Packages, PackageShelf
from hivemind_worker.runtimes.docker.requirement_lines import unusable_lines, wanted_lines
from tests.contract.docker_town import FAR, Town, session_town
from tests.contract.wheel_index import SERVE, list_files, make_wheel

INDEX_PORT = 8081
INDEX = f"http://{FAR}:{INDEX_PORT}/simple/"
LIMIT_S = 90.0


class Place:
    """The town, its index and shelves."""

    def __init__(self, town: Town, index: Path, facts: ImageFacts) -> None:
        self.town, self.index, self.facts = town, index, facts

    def api(self) -> docker.APIClient:
        return docker.APIClient(base_url=self.town.engine.url, version="auto", timeout=30)

    def asked(self) -> list[str]:
        """Addresses that the index was asked for."""
        log = self.index / "asked.log"
        return log.read_text().split() if log.exists() else []

    def shelf(self, folder: Path, **options: Any) -> PackageShelf:
        network = TaskNetwork(
            "hivemind", lambda bridge: Firewall(bridge, prefix=self.town.engine.prefix, resolver_files=())
        )
        return PackageShelf(folder, self.api, network, **{"index_url": INDEX, **options})

    def see(self, packages: Packages, code: str) -> str:
        """What a program prints that runs as a task would: no network, packages mounted read-only."""
        mount, path = f"{packages.folder}:{PACKAGES_PLACE}:ro", f"PYTHONPATH={PACKAGES_PLACE}"
        words = ["run", "--rm", "--network", "none", "--read-only", "--user", "65532:65532", "-v", mount]
        words += ["-e", path]
        return self.town.engine.docker(*words, self.facts.digest, "python3", "-c", code)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    town, index = session_town(), tmp_path_factory.mktemp("index")
    make_wheel(index, "parrot", "1.0")
    make_wheel(index, "parrot", "2.0")
    make_wheel(index, "cage", "1.0", needs="parrot<2")
    make_wheel(index, "slow", "1.0")
    _source_alone(index)
    town.settle(town.outer, "-c", SERVE, FAR, str(INDEX_PORT), str(index / "asked.log"), str(index))
    name = town.engine.import_image_with_pip()
    api = docker.APIClient(base_url=town.engine.url, version="auto", timeout=30)
    facts = facts_of(api, name, inspect(api, name) or {}, index / "facts")
    api.close()
    assert isinstance(facts, ImageFacts)
    return Place(town, index, facts)


def _source_alone(index: Path) -> None:
    """A package without a wheel, whose set-up script would leave a mark."""
    shelf = index / "simple" / "sourceonly"
    shelf.mkdir(parents=True)
    with tarfile.open(shelf / "sourceonly-1.0.tar.gz", "w:gz") as archive:
        for name, text in (
            ("setup.py", "open('/made/MARK', 'w')"),
            ("PKG-INFO", "Name: sourceonly\nVersion: 1.0"),
        ):
            entry = tarfile.TarInfo(f"sourceonly-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    list_files(shelf)


@pytest.fixture
async def shelf(place: Place, tmp_path: Path) -> AsyncIterator[PackageShelf]:
    made = place.shelf(tmp_path / "packages")
    await made.tidy()
    yield made
    made.close()
    assert not list((tmp_path / "packages").glob(".*"))
    left = place.town.engine.docker("ps", "-aq", "--filter", f"label={LABEL}")
    assert left == ""


async def until(happens: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not happens():
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_C9_packages_are_installed_once_and_seen_by_a_task_without_a_network(
    place: Place, shelf: PackageShelf
) -> None:
    first = await asyncio.wait_for(shelf.fetch(["cage", "# a remark"], place.facts), LIMIT_S)
    assert isinstance(first, Packages)
    told = place.see(first, "import cage, parrot; print(cage.VERSION, parrot.VERSION)")
    assert told == "1.0 1.0"
    write = f"import os; print(os.access({PACKAGES_PLACE!r}, os.W_OK))"
    assert place.see(first, write) == "False"
    asked, begun = len(place.asked()), time.monotonic()
    again = await shelf.fetch(["cage"], place.facts)
    assert again == first
    assert time.monotonic() - begun < 5
    assert len(place.asked()) == asked  # nobody was asked
    assert place.town.engine.docker("ps", "-aq") == ""


@pytest.mark.slow
async def test_C9_the_first_container_has_the_network_and_the_file_and_no_right(
    place: Place, shelf: PackageShelf, tmp_path: Path
) -> None:
    installing = asyncio.create_task(shelf.fetch(["slow"], place.facts))
    engine = place.town.engine
    await until(lambda: engine.docker("ps", "-q", "--filter", f"label={LABEL}"))
    [seen] = json.loads(engine.docker("inspect", *engine.docker("ps", "-q").split()))
    installing.cancel()
    begun = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await installing
    assert time.monotonic() - begun < 15
    host = seen["HostConfig"]
    assert host["NetworkMode"] == "hivemind"
    assert sorted(mount["Destination"] for mount in seen["Mounts"]) == ["/asked", "/made"]
    assert [mount["RW"] for mount in sorted(seen["Mounts"], key=lambda m: m["Destination"])] == [False, True]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
    assert "no-new-privileges" in host["SecurityOpt"]
    assert any(option.startswith("seccomp={") for option in host["SecurityOpt"])
    assert seen["Config"]["User"].partition(":")[0] not in ("", "0", "root")
    assert not any("HIVEMIND" in word or "TOKEN" in word for word in seen["Config"]["Env"])
    assert seen["Image"] == place.facts.digest
    assert ":all:" in seen["Config"]["Cmd"]


@pytest.mark.slow
async def test_C9_many_who_ask_at_once_are_served_by_one_installation(
    place: Place, shelf: PackageShelf
) -> None:
    before = len([path for path in place.asked() if path.endswith(".whl")])
    found = await asyncio.gather(*(shelf.fetch(["parrot==2.0"], place.facts) for _ in range(4)))
    assert len({packages.key for packages in found if isinstance(packages, Packages)}) == 1
    assert len([path for path in place.asked() if path.endswith(".whl")]) == before + 1


@pytest.mark.slow
async def test_C9_what_has_no_wheel_is_refused_by_name_and_its_setup_never_runs(
    place: Place, shelf: PackageShelf, tmp_path: Path
) -> None:
    found = await asyncio.wait_for(shelf.fetch(["sourceonly", "no-such-package"], place.facts), LIMIT_S)
    assert isinstance(found, Problem)
    assert found.code is FaultCode.MISSING_PACKAGES
    assert "sourceonly" in found.about or "no-such-package" in found.about
    assert not list((tmp_path / "packages").rglob("MARK"))


@pytest.mark.slow
async def test_C9_an_index_that_is_away_is_the_host_s_trouble_and_not_the_task_s(
    place: Place, tmp_path: Path
) -> None:
    away = place.shelf(tmp_path / "away", index_url=f"http://{FAR}:9/simple/")
    await away.tidy()
    found = await asyncio.wait_for(away.fetch(["parrot"], place.facts), LIMIT_S)
    away.close()
    assert isinstance(found, Problem)
    assert found.code is FaultCode.NO_NETWORK


@pytest.mark.slow
async def test_C9_too_much_or_too_long_is_ended(place: Place, tmp_path: Path) -> None:
    for options, lines, code in (
        ({"one_bytes": 1}, ["slow"], FaultCode.OUT_OF_DISK),
        ({"limit_s": 1.0}, ["slow"], FaultCode.TIMED_OUT),
    ):
        bounded = place.shelf(tmp_path / code.value, **options)
        await bounded.tidy()
        found = await asyncio.wait_for(bounded.fetch(lines, place.facts), LIMIT_S)
        bounded.close()
        assert isinstance(found, Problem)
        assert found.code is code


@pytest.mark.slow
async def test_room_for_packages_is_made_by_age_and_never_from_a_running_task(
    place: Place, tmp_path: Path
) -> None:
    small = place.shelf(tmp_path / "small", quota_bytes=1)
    await small.tidy()
    held = await small.fetch(["parrot==1.0"], place.facts)
    assert isinstance(held, Packages)
    idle = await small.fetch(["parrot==2.0"], place.facts)
    assert isinstance(idle, Packages)
    small.give_back(idle)
    third = await small.fetch(["cage"], place.facts)
    assert isinstance(third, Packages)
    assert [held.folder.exists(), idle.folder.exists(), third.folder.exists()] == [True, False, True]
    small.close()


@pytest.mark.slow
async def test_what_a_crash_left_is_removed_at_the_next_start(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    dead = place.shelf(folder)
    await dead.tidy()
    installing = asyncio.create_task(dead.fetch(["slow"], place.facts))
    engine = place.town.engine
    await until(lambda: engine.docker("ps", "-q", "--filter", f"label={LABEL}"))
    other = place.shelf(tmp_path / "another home")
    await other.tidy()
    assert engine.docker("ps", "-q", "--filter", f"label={LABEL}")  # not theirs
    await place.shelf(folder).tidy()
    assert engine.docker("ps", "-aq", "--filter", f"label={LABEL}") == ""
    assert not list(folder.glob(".*"))
    installing.cancel()
    await asyncio.wait({installing})
    dead.close()
    other.close()


@pytest.mark.release
async def test_what_an_installation_moves_counts_also_of_one_that_is_broken_off(
    place: Place, tmp_path: Path
) -> None:
    counted: list[tuple[int, int]] = []
    shelf = place.shelf(tmp_path / "counted", moved=lambda received, sent: counted.append((received, sent)))
    await shelf.tidy()
    found = await asyncio.wait_for(shelf.fetch(["cage"], place.facts), LIMIT_S)
    assert isinstance(found, Packages)
    wheels = [path for path in place.index.rglob("*.whl") if path.name.startswith(("cage", "parrot-1"))]
    [(received, sent)] = counted
    assert received > sum(path.stat().st_size for path in wheels) > 0
    assert 0 < sent < received
    installing = asyncio.create_task(shelf.fetch(["slow"], place.facts))
    await until(partial(has_asked, place))
    installing.cancel()
    await asyncio.wait({installing})
    shelf.close()
    assert len(counted) == 2
    assert min(counted[1]) > 0


def has_asked(place: Place) -> bool:
    """Whether an installation that runs has sent anything."""
    ids = place.town.engine.docker("ps", "-q", "--filter", f"label={LABEL}").split()
    with closing(place.api()) as api:
        stats = [cast(Any, api).stats(each, stream=False, one_shot=True) for each in ids]
    return any(read_stats(each, 0.0).net_out_bytes > 200 for each in stats)


# --- which lines ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["-e .", "--index-url http://evil/", "-r other.txt", "git+https://evil/x", "./local.whl", "x @ file:///etc",
     "https://evil/x.whl", "--trusted-host evil", "x==1 --hash=sha256:00", "x; rm -rf", "\x00"],
)  # fmt: skip
def test_C9_a_line_that_is_no_plain_name_never_reaches_pip(line: str) -> None:
    assert unusable_lines([line, "numpy"]) == (line,)


def test_lines_that_the_image_meets_are_not_installed_again() -> None:
    has = {"numpy": "1.24.2", "pillow": "9.4.0"}
    lines = ["numpy", "Pillow>=9", "numpy>=2", "requests[socks]", "six; python_version < '3'", "# no"]
    assert wanted_lines(lines, has, "3.11.2") == ("numpy>=2", "requests[socks]")


def test_without_a_way_to_packages_what_the_image_lacks_is_refused_at_the_door(tmp_path: Path) -> None:
    facts = ImageFacts(
        name="x", digest="sha256:0", platform="linux/amd64", python="3.11.2", packages={"numpy": "1.24.2"}
    )
    for policy, expected in (
        (NetworkPolicy.NONE, ("-e .", "scipy")), (NetworkPolicy.PACKAGES, ("-e .",)),
        (NetworkPolicy.INTERNET, ("-e .",)),
    ):  # fmt: skip
        shelf = PackageShelf(tmp_path, docker.APIClient, TaskNetwork("x"), policy=policy)
        assert shelf.lacking(["numpy", "-e .", "scipy"], facts) == expected
        shelf.close()
