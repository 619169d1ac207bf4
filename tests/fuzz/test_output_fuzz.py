"""A program's output in any pieces: the file holds all of it up to its limit, the pool gets text.

Found cases lie in corpus/output: each file is output as a program wrote it, cut at every place; `verdicts`
says what the pool is told of each.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import resource
import tempfile
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hivemind_worker.engine import output
from hivemind_worker.engine.output import LogFile, PoolStream, TaskOutput
from hivemind_worker.model.task import TaskId
from hivemind_worker.model.work import Sent
from hivemind_worker.nursery import NamedThread, Nursery
from tests.fakes.link import DELIVERED, TRY_AGAIN

CORPUS = Path(__file__).parent / "corpus" / "output"
VERDICTS = json.loads((CORPUS / "verdicts").read_text("utf-8"))
CUT = "\n[the log is cut here: its limit of {} bytes is reached]\n"
MISSING = re.compile(r"\[(\d+) lines left out here; all are in the result\]\n")
PIECES = st.lists(
    st.one_of(
        st.binary(max_size=50),
        st.text(max_size=30).map(str.encode),
        st.sampled_from(
            [b"\n", b"\r\n", b"\xf0\x9f", b"\x90\x9d", b"\xff", b"\0", b"\x1b[2J", b"\xed\xa0\x80"]
        ),
        st.integers(1, 20_000).map(lambda size: b"x" * size),
        st.integers(1, 2000).map(lambda lines: b"line of a program\n" * lines),
    ),
    max_size=30,
)
quick = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Link:
    """A pool that answers some calls with "try again", by chance; it keeps what it has taken."""

    prompt_results = True

    def __init__(self, chance: random.Random, fails: float) -> None:
        self.chance, self.fails = chance, fails
        self.taken: list[str] = []

    async def send_output(self, task_id: TaskId, text: str) -> Sent:
        text.encode("utf-8")  # the wire takes nothing else
        await asyncio.sleep(0)
        if self.chance.random() < self.fails:
            return TRY_AGAIN
        self.taken.append(text)
        return DELIVERED

    async def send_result(self, task_id: TaskId, archive: Path) -> Sent:
        raise AssertionError("no result is sent here")


async def to_file(path: Path, pieces: Sequence[bytes], limit_bytes: int) -> LogFile:
    files = NamedThread("files", 2)
    log = LogFile(path, limit_bytes, files)
    for piece in pieces:
        await log.write(piece)
    await log.close()
    files.close()
    return log


def check_file(pieces: Sequence[bytes], limit_bytes: int) -> None:
    whole = b"".join(pieces)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task" / "output.log"
        log = asyncio.run(to_file(path, pieces, limit_bytes))
        written = path.read_bytes() if path.exists() else b""
    mark = CUT.format(limit_bytes).encode() if len(whole) > limit_bytes else b""
    assert written == whole[:limit_bytes] + mark
    assert log.dropped_bytes == max(0, len(whole) - limit_bytes)


async def to_pool(pieces: Sequence[bytes], link: Link, rests: Sequence[int]) -> None:
    stream = PoolStream(TaskId("a"), link)
    sending = asyncio.ensure_future(stream.run())
    for number, piece in enumerate(pieces):
        stream.feed(piece)
        for _ in range(rests[number % len(rests)] if rests else 0):
            await asyncio.sleep(0)
    stream.close("[end]")
    await asyncio.wait_for(sending, 20)


def check_pool(pieces: Sequence[bytes], seed: int, fails: float, rests: Sequence[int]) -> str:
    """What the pool was told."""
    link = Link(random.Random(seed), fails)
    asyncio.run(to_pool(pieces, link, rests))
    told, whole = "".join(link.taken), b"".join(pieces).decode("utf-8", "replace")
    parts = MISSING.split(told)
    if len(parts) == 1:
        gap = "" if not whole or whole.endswith("\n") else "\n"
        assert told == whole + gap + "[end]\n"
        return told
    assert told.endswith("[end]\n")
    at = 0
    for part in parts[::2]:  # what is told stands in the whole, in order
        found = whole.find(part.removesuffix("[end]\n").removesuffix("\n"), at)
        assert found >= at
        at = found
    missing = sum(int(number) for number in parts[1::2])
    lines = whole.count("\n") - "".join(parts[::2]).count("\n")
    assert missing >= lines - 1, "lines went without being counted"
    return told


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "RETRY_S", 0.0)
    monkeypatch.setattr(output, "SEND_EVERY_S", 0.0)


@given(PIECES, st.one_of(st.just(1 << 26), st.integers(0, 200), st.integers(0, 100_000)))
@quick
def test_the_file_holds_every_byte_up_to_its_limit(pieces: list[bytes], limit_bytes: int) -> None:
    check_file(pieces, limit_bytes)


@given(PIECES, st.integers(0, 99), st.sampled_from([0.0, 0.3, 0.8]), st.lists(st.integers(0, 9), max_size=4))
@quick
def test_the_pool_gets_valid_text_and_all_of_it_unless_a_mark_counts_what_is_missing(
    pieces: list[bytes], seed: int, fails: float, rests: list[int]
) -> None:
    check_pool(pieces, seed, fails, rests)


def test_every_found_case_has_its_verdict() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {*VERDICTS, "verdicts"}


@pytest.mark.parametrize("name", VERDICTS)
def test_what_was_found_before_is_told_as_its_verdict_says(name: str) -> None:
    content = (CORPUS / name).read_bytes()
    for size in (1, 2, 3, 7, len(content) or 1):
        pieces = [content[at : at + size] for at in range(0, len(content), size)]
        check_file(pieces, 1 << 20)
        check_file(pieces, len(content) // 2)
        check_pool(pieces, 0, 0.3, [1])
        assert check_pool(pieces, 0, 0.0, [1]) == VERDICTS[name]


@asynccontextmanager
async def task_output(path: Path) -> AsyncIterator[tuple[TaskOutput, NamedThread]]:
    files, nursery = NamedThread("files", 2), Nursery("test")
    made = TaskOutput(
        task_id=TaskId("a"), path=path, limit_bytes=1 << 20, files=files, link=Link(random.Random(0), 0),
        start=nursery.start,
    )  # fmt: skip
    yield made, files
    await nursery.close()
    files.close()


async def test_a_program_that_ends_while_the_disk_is_busy_loses_none_of_its_log(tmp_path: Path) -> None:
    path = tmp_path / "task" / "output.log"
    async with task_output(path) as (made, files):
        await made.write(b"first\n")
        go_on = threading.Event()
        busy = [asyncio.ensure_future(files.call(go_on.wait, 10)) for _ in range(2)]
        await made.write(b"second\n")  # soon after the first: left pending for the next turn
        writing = asyncio.ensure_future(made.file.flush())
        await asyncio.sleep(0.3)  # by now the writer beside it waits for the disk as well
        closing = asyncio.ensure_future(made.close_file())
        await asyncio.sleep(0.05)
        go_on.set()
        await asyncio.gather(writing, closing, *busy)
        assert path.read_bytes() == b"first\nsecond\n"
        await made.close_stream("[end]")


async def test_what_a_full_disk_would_not_take_is_a_gap_with_its_size(tmp_path: Path) -> None:
    path, files = tmp_path / "output.log", NamedThread("files")
    log = LogFile(path, 1 << 20, files)
    await log.write(b"a" * 900)
    await log.flush()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        await log.write(b"b" * 300)
        await log.flush()
        await log.write(b"c" * 50)
        await log.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await log.write(b"end\n")
    await log.close()
    files.close()
    gap = b"\n[250 bytes are missing here: the disk was full]\n"
    assert path.read_bytes() == b"a" * 900 + b"b" * 100 + gap + b"end\n"
    assert log.dropped_bytes == 0
