"""The images that tasks run in: fetched from a real registry, chosen by the owner, room made for them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.work import PullProgress
from hivemind_worker.runtimes.docker import images
from hivemind_worker.runtimes.docker.endpoint import Endpoint
from hivemind_worker.runtimes.docker.engine import Engine
from hivemind_worker.runtimes.docker.image_facts import ImageFacts
from hivemind_worker.runtimes.docker.image_names import LOCAL_IMAGE, is_allowed, is_pinned_right
from hivemind_worker.runtimes.docker.images import ImageRules, ImageShelf
from hivemind_worker.runtimes.docker.pulls import PullFollower, name_and_tag
from tests.contract.docker_engine import IMAGE, TestEngine
from tests.contract.docker_registry import Line, Registry, docker_engine, make_image, publish, registry

__all__ = ["docker_engine", "registry"]

MIB = 1 << 20
FAST_S, SLOW_S = 15.0, 40.0


class Shelves:
    """Makes shelves over one engine, and ends them."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self._made: list[ImageShelf] = []
        self.seen: list[PullProgress] = []

    def __call__(self, name: str, **rules: object) -> ImageShelf:
        shelf = ImageShelf(self._engine, self._folder, ImageRules(name=name, **rules), self._look)  # type: ignore[arg-type]
        self._made.append(shelf)
        return shelf

    def _look(self) -> None:
        if (now := self._made[-1].pulling) is not None:
            self.seen.append(now)

    async def close(self) -> None:
        for shelf in self._made:
            await shelf.close()
        await self._engine.close()


@pytest.fixture
async def shelves(docker_engine: TestEngine, tmp_path: Path) -> AsyncIterator[Shelves]:
    made = Shelves(Engine(lambda: Endpoint(url=docker_engine.url, source="the tests")), tmp_path / "images")
    yield made
    await made.close()


@pytest.fixture
def api(docker_engine: TestEngine) -> Iterator[docker.APIClient]:
    """A client; images that the test made are gone afterwards."""
    client = docker.APIClient(base_url=docker_engine.url, version="auto", timeout=30)
    before = {image["Id"] for image in client.images(all=True)}
    yield client
    for image in client.images(all=True):
        if image["Id"] not in before:
            with contextlib.suppress(docker.errors.APIError):
                client.remove_image(image["Id"], force=True)
    client.close()


@pytest.fixture
def line(registry: Registry) -> Iterator[Line]:
    made = Line(registry.port)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between attempts, shortened."""
    monkeypatch.setattr(images, "RETRY_S", 0.1)


async def until(happens: Callable[[], bool], limit_s: float = FAST_S) -> None:
    async with asyncio.timeout(limit_s):
        while not happens():
            await asyncio.sleep(0.02)


def is_here(api: docker.APIClient, name: str) -> bool:
    try:
        return bool(api.inspect_image(name))
    except docker.errors.ImageNotFound:
        return False


# --- fetching ---------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_missing_image_is_fetched_with_layers_bytes_and_time_and_its_digest_is_known(
    api: docker.APIClient, registry: Registry, line: Line, shelves: Shelves
) -> None:
    digest = publish(api, registry, "tasks:1", 3 * MIB, 3 * MIB, 3 * MIB)
    line.rate_bytes_s = 3 * MIB
    shelf, begun = shelves(f"{line.address}/tasks:1", pulls=True), list[PullProgress]()
    facts = await asyncio.wait_for(shelf.take(begun.append), SLOW_S)
    assert isinstance(facts, ImageFacts)
    assert (facts.source_digest, facts.python) == (digest, "3.11.2")
    assert dict(facts.packages) == {"numpy": "1.24.2"}
    assert facts.version == f"{line.address}/tasks:1@{digest}"
    assert [progress.image for progress in begun] == [f"{line.address}/tasks:1"]
    done = [progress.done_bytes for progress in shelves.seen]
    assert done == sorted(done)
    assert done[0] < done[-1]
    last = shelves.seen[-1]
    assert (last.layers, last.layers_done) == (3, 3)
    assert last.done_bytes == last.total_bytes >= 9 * MIB
    assert any(progress.seconds_left for progress in shelves.seen)
    assert shelf.pulling is None


@pytest.mark.slow
async def test_a_task_that_is_ended_breaks_its_fetch_off_and_the_next_one_fetches_it(
    api: docker.APIClient, registry: Registry, line: Line, shelves: Shelves
) -> None:
    publish(api, registry, "tasks:2", 8 * MIB)
    line.rate_bytes_s = 1 * MIB
    shelf = shelves(f"{line.address}/tasks:2", pulls=True)
    first = asyncio.create_task(shelf.take())
    await until(lambda: line.passed_bytes > MIB)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(first, FAST_S)
    await until(lambda: shelf.pulling is None)
    await asyncio.sleep(0.3)  # what was on its way
    passed = line.passed_bytes
    await asyncio.sleep(0.5)
    assert line.passed_bytes - passed < MIB / 4  # the engine no longer fetches
    line.rate_bytes_s = None
    assert isinstance(await asyncio.wait_for(shelf.take(), SLOW_S), ImageFacts)


@pytest.mark.slow
async def test_one_fetch_serves_all_who_wait_and_outlives_one_of_them(
    api: docker.APIClient, registry: Registry, line: Line, shelves: Shelves
) -> None:
    publish(api, registry, "tasks:3", 4 * MIB)
    line.rate_bytes_s = 4 * MIB
    shelf = shelves(f"{line.address}/tasks:3", pulls=True)
    waiting = [asyncio.create_task(shelf.take()) for _ in range(3)]
    await until(lambda: line.passed_bytes > MIB / 2)
    waiting[0].cancel()
    found = await asyncio.wait_for(asyncio.gather(*waiting[1:]), SLOW_S)
    assert all(isinstance(facts, ImageFacts) for facts in found)
    assert line.passed_bytes < 6 * MIB


@pytest.mark.slow
async def test_the_owner_breaks_a_fetch_off_and_those_who_wait_are_told(
    api: docker.APIClient, registry: Registry, line: Line, shelves: Shelves
) -> None:
    publish(api, registry, "tasks:4", 8 * MIB)
    line.rate_bytes_s = 1 * MIB
    shelf = shelves(f"{line.address}/tasks:4", pulls=True)
    waiting = asyncio.create_task(shelf.take())
    await until(lambda: line.passed_bytes > MIB / 2)
    shelf.cancel()
    told = await asyncio.wait_for(waiting, FAST_S)
    assert told == Problem(code=FaultCode.IMAGE_NOT_FETCHED, about="it was broken off")
    resting = await shelf.look()
    assert isinstance(resting, Problem)
    assert resting.code is FaultCode.IMAGE_MISSING  # not begun again by itself
    line.rate_bytes_s = None
    shelf.fetch()  # the owner thinks again
    shelf.fetch()
    async with asyncio.timeout(SLOW_S):
        while not isinstance(found := await shelf.look(), ImageFacts):
            assert found.code is FaultCode.SANDBOX_PREPARING
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_line_that_breaks_is_tried_again(
    api: docker.APIClient, registry: Registry, line: Line, shelves: Shelves
) -> None:
    publish(api, registry, "tasks:5", 3 * MIB)
    line.cuts, line.cut_after_bytes = 2, 0
    shelf = shelves(f"{line.address}/tasks:5", pulls=True)
    assert isinstance(await asyncio.wait_for(shelf.take(), SLOW_S), ImageFacts)
    assert line.cuts == 0


# --- F17 --------------------------------------------------------------------------------------


async def test_F17_a_missing_image_that_may_not_be_fetched_is_a_state(shelves: Shelves) -> None:
    found = await shelves("nobody/has-this:1").look()
    assert found == Problem(code=FaultCode.IMAGE_MISSING, about="nobody/has-this:1 is not here")


@pytest.mark.slow
async def test_F17_an_image_that_cannot_be_fetched_is_tried_in_the_background_and_its_reason_stays(
    registry: Registry, shelves: Shelves
) -> None:
    name = f"127.0.0.1:{registry.port}/no-such:1"
    shelf = shelves(name, pulls=True)
    found = await shelf.look()
    assert isinstance(found, Problem)
    assert found.code is FaultCode.SANDBOX_PREPARING
    while isinstance(found, Problem) and found.code is FaultCode.SANDBOX_PREPARING:
        await asyncio.sleep(0.05)
        found = await shelf.look()
    assert isinstance(found, Problem)
    assert found.code is FaultCode.IMAGE_NOT_FETCHED
    assert name in found.about
    assert shelf.pulling is None
    assert await shelf.look() == found  # it rests: no fetch a look


@pytest.mark.slow
async def test_F17_an_image_that_comes_back_is_taken_at_the_next_look(
    api: docker.APIClient, registry: Registry, shelves: Shelves
) -> None:
    name = f"127.0.0.1:{registry.port}/later:1"
    shelf = shelves(name)
    assert isinstance(await shelf.look(), Problem)
    make_image(api, name, 1000)
    assert isinstance(await shelf.look(), ImageFacts)
    api.remove_image(name)
    assert isinstance(await shelf.look(), Problem)


@pytest.mark.slow
async def test_F17_a_disk_too_small_for_the_image_is_said_before_it_is_full(
    api: docker.APIClient, registry: Registry, shelves: Shelves
) -> None:
    publish(api, registry, "tasks:6", MIB)
    name = f"127.0.0.1:{registry.port}/tasks:6"
    found = await shelves(name, pulls=True, floor_bytes=1 << 60).take()
    assert isinstance(found, Problem)
    assert found.code is FaultCode.DISK_FULL
    assert name in found.about
    assert not is_here(api, name)


async def test_an_engine_that_is_away_is_a_problem_and_no_exception(tmp_path: Path) -> None:
    engine = Engine(lambda: Endpoint(url=f"unix://{tmp_path}/none.sock", source="the tests"))
    shelf = ImageShelf(engine, tmp_path / "images", ImageRules(name=IMAGE, pulls=True))
    for found in (await shelf.look(), await shelf.take()):
        assert isinstance(found, Problem)
        assert found.code is FaultCode.SANDBOX_FAILED
    assert await shelf.tidy() == ()
    await shelf.close()
    await engine.close()
    gc.collect()


# --- which image: C7 --------------------------------------------------------------------------


@pytest.mark.slow
async def test_C7_an_image_that_the_owner_does_not_allow_is_neither_used_nor_fetched(
    api: docker.APIClient, registry: Registry, line: Line, shelves: Shelves
) -> None:
    publish(api, registry, "tasks:7", MIB)
    shelf = shelves(f"{line.address}/tasks:7", pulls=True, allowed=("hivemind/*",))
    found = await shelf.take()
    assert isinstance(found, Problem)
    assert found.code is FaultCode.BAD_SETTING
    assert "allowed_images (hivemind/*)" in found.about
    local_alone = shelves(f"{line.address}/tasks:7", pulls=True, allowed=(LOCAL_IMAGE,))
    assert await local_alone.take() == Problem(
        code=FaultCode.IMAGE_MISSING, about=f"{LOCAL_IMAGE} is not here"
    )
    assert line.passed_bytes == 0


@pytest.mark.slow
async def test_C7_a_pinned_image_is_used_under_its_digest_alone(
    api: docker.APIClient, registry: Registry, shelves: Shelves
) -> None:
    digest = publish(api, registry, "tasks:8", MIB)
    name = f"127.0.0.1:{registry.port}/tasks:8"
    assert isinstance(await shelves(name, pulls=True, allowed=(f"{name}@{digest}",)).take(), ImageFacts)
    other = f"{name}@sha256:{'0' * 64}"
    found = await shelves(name, pulls=True, allowed=(other,)).take()
    assert isinstance(found, Problem)
    assert "another digest" in found.about


@pytest.mark.slow
async def test_C7_a_name_that_moves_to_another_image_is_another_image(
    api: docker.APIClient, shelves: Shelves
) -> None:
    shelf = shelves("moves:1")
    first = make_image(api, "moves:1", 1000)
    before = await shelf.take()
    second = make_image(api, "moves:1", 1001)
    after = await shelf.take()
    assert isinstance(before, ImageFacts)
    assert isinstance(after, ImageFacts)
    assert [before.digest, after.digest] == [first, second]
    assert first != second


@pytest.mark.slow
async def test_the_image_made_here_serves_where_that_of_the_settings_is_missing(
    api: docker.APIClient, shelves: Shelves
) -> None:
    made = make_image(api, LOCAL_IMAGE, 1000)
    found = await shelves("nobody/has-this:1").look()
    assert isinstance(found, ImageFacts)
    assert (found.name, found.digest) == (LOCAL_IMAGE, made)


@pytest.mark.slow
async def test_an_image_without_labels_is_asked_once_what_it_has(
    api: docker.APIClient, docker_engine: TestEngine, shelves: Shelves, tmp_path: Path
) -> None:
    name = "hivemind-tests/unlabelled:1"
    docker_engine.import_image(name)
    found = await shelves(name).look()
    assert isinstance(found, ImageFacts)
    assert found.python.startswith("3.")
    [kept] = (tmp_path / "images").glob("*.json")
    kept.write_text('{"python": "9.9.9", "packages": {}}')
    again = await shelves(name).look()
    assert isinstance(again, ImageFacts)
    assert again.python == "9.9.9"
    assert docker_engine.containers() == []


@pytest.mark.slow
async def test_an_image_that_does_not_run_Python_is_said_to_be_none(
    api: docker.APIClient, shelves: Shelves, docker_engine: TestEngine
) -> None:
    make_image(api, "empty:1", 1000)
    make_image(api, "more:1", 1000, base="empty:1")  # has more layers than its label says: it is asked
    told = await shelves("more:1").look()
    assert isinstance(told, Problem)
    assert told.code is FaultCode.IMAGE_MISSING
    assert "does not run Python" in told.about
    assert docker_engine.containers() == []


# --- room -------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_images_unused_for_longest_go_first_and_never_one_in_use_or_of_the_owner(
    api: docker.APIClient, registry: Registry, shelves: Shelves
) -> None:
    names = [f"127.0.0.1:{registry.port}/room:{n}" for n in range(4)]
    held: list[ImageShelf] = []
    for n, name in enumerate(names):
        publish(api, registry, f"room:{n}", 2 * MIB)
        shelf = shelves(name, pulls=True, quota_bytes=100 * MIB)
        held.append(shelf)
        facts = await shelf.take()
        assert isinstance(facts, ImageFacts)
        if n != 1:  # the second stays in use
            shelf.give_back(facts)
    make_image(api, "owners:1", 2 * MIB)
    tidy = shelves(names[3], quota_bytes=5 * MIB)
    in_use = await shelves(names[1]).take()
    assert isinstance(in_use, ImageFacts)
    tidy._in_use[in_use.digest] += 1
    assert await tidy.tidy() == (names[0], names[2])
    assert [is_here(api, name) for name in (*names, "owners:1")] == [False, True, False, True, True]
    assert await tidy.tidy() == ()


@pytest.mark.slow
async def test_a_fetched_image_that_a_container_was_made_from_or_that_has_a_new_name_stays(
    api: docker.APIClient, registry: Registry, shelves: Shelves
) -> None:
    names = [f"127.0.0.1:{registry.port}/kept:{n}" for n in range(3)]
    for n, name in enumerate(names):
        publish(api, registry, f"kept:{n}", 2 * MIB)
        await shelves(name, pulls=True).take()
    container = api.create_container(names[0], ["x"])["Id"]
    api.tag(names[1], "mine:1")
    try:
        tidy = shelves(names[2], quota_bytes=1)
        assert await tidy.tidy() == ()
        assert all(is_here(api, name) for name in (*names, "mine:1"))
    finally:
        api.remove_container(container)


# --- pure parts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "allowed", "expected"),
    [
        ("justin308/hivemind-worker:latest", ("justin308/hivemind-worker",), True),
        ("justin308/hivemind-worker:latest", ("docker.io/justin308/hivemind-worker:latest",), True),
        ("justin308/hivemind-worker:2", ("justin308/hivemind-worker:latest",), False),
        ("justin308/hivemind-worker:2", ("justin308/*",), True),
        ("evil/hivemind-worker:2", ("justin308/*", "hivemind-worker-task:*"), False),
        ("justin308/hivemind-worker-x:2", ("justin308/hivemind-worker",), False),
        ("127.0.0.1:5000/tasks:1", ("127.0.0.1:5000/tasks",), True),
        ("127.0.0.1:5000/tasks", ("127.0.0.1:5001/tasks",), False),
    ],
)
def test_C7_what_the_owner_allows(name: str, allowed: tuple[str, ...], expected: bool) -> None:
    assert is_allowed(name, allowed) is expected


def test_C7_a_pin_beside_a_wider_pattern_is_no_pin() -> None:
    digests = ["x@sha256:aa"]
    assert is_pinned_right("x:1", digests, ("x@sha256:aa",))
    assert not is_pinned_right("x:1", digests, ("x@sha256:bb",))
    assert not is_pinned_right("x:1", [], ("x@sha256:aa",))
    assert is_pinned_right("x:1", digests, ("x@sha256:bb", "x:1"))
    assert is_pinned_right("x:1", [], ())


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("tasks", ("tasks", "latest")),
        ("host:5000/tasks", ("host:5000/tasks", "latest")),
        ("host:5000/tasks:2", ("host:5000/tasks", "2")),
        ("a/tasks@sha256:ff", ("a/tasks", "sha256:ff")),
    ],
)
def test_a_name_without_a_tag_means_the_latest_and_never_all(image: str, expected: tuple[str, str]) -> None:
    assert name_and_tag(image) == expected


def test_time_left_comes_from_the_last_seconds_and_is_not_told_before_sizes_are_known() -> None:
    follower = PullFollower(image="x")
    follower.feed({"status": "Pulling from x", "id": "1"}, 0)
    follower.feed({"status": "Pulling fs layer", "id": "a"}, 0)
    follower.feed({"status": "Pulling fs layer", "id": "b"}, 0)
    assert (follower.progress().layers, follower.progress().seconds_left) == (2, None)
    for second in range(5):
        detail = {"current": 100 * second, "total": 1000}
        follower.feed({"status": "Downloading", "id": "a", "progressDetail": detail}, second)
    assert follower.progress().seconds_left is None  # of b nothing is known
    follower.feed({"status": "Already exists", "id": "b"}, 4)
    assert follower.progress().seconds_left == pytest.approx(6.0)
    assert follower.progress().layers_done == 1
