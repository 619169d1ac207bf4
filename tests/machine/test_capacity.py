"""The score of this computer: measured once at a quiet moment, kept with its hardware, told to the pool."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hivemind_worker.engine.picture import announcement
from hivemind_worker.machine.capacity import fingerprint, gpu_score, lent
from hivemind_worker.model.capacity import KeptScore, Offer, OfferReason
from hivemind_worker.model.judgement import Judgement
from hivemind_worker.model.machine import Gpu, GpuTrouble, Sample
from hivemind_worker.model.metrics import COLUMNS, Point
from hivemind_worker.model.resources import Resources
from hivemind_worker.model.settings import Settings
from hivemind_worker.nursery import NamedThread, Nursery
from hivemind_worker.places import find_places
from hivemind_worker.presentation.offer_words import card_offer_words, offer_words
from hivemind_worker.store.score_file import load_score, save_score
from hivemind_worker.worker_node.capacity import Capacity, score_in
from tests.core.test_decide import Walk

CARD = Gpu(name="RTX 4070", driver="560.1", memory_gb=12.0)
SCORE = KeptScore(one_core=88.0, spread_percent=1.0, at_s=5.0, fingerprint="here")


class Bench:
    """Stands for the parts of a worker that `Capacity` asks, and for the computer around it."""

    def __init__(self, folder: Path) -> None:
        self.places = find_places(str(folder))
        self.places.make()
        self.probe, self.files = NamedThread("probe"), NamedThread("files")
        self.nursery = Nursery("bench")
        self.tasks: list[object] = []
        self.engine = SimpleNamespace(
            state=SimpleNamespace(unended=lambda: self.tasks, judgement=Judgement())
        )
        self.history = SimpleNamespace(read=self._hours)
        self.cpu_percent, self.measured = 3.0, 0
        self.results: list[tuple[float, float] | None] = []

    async def _hours(self, *_: object) -> tuple[Point, ...]:
        values: list[float | None] = [None] * len(COLUMNS)
        values[COLUMNS.index("cpu_percent")], values[COLUMNS.index("memory_percent")] = 10.0, 30.0
        return (Point(at_s=0, values=tuple(values)),) * 6

    def lent(self) -> Resources:
        return Resources(cpu=400, memory_gb=8)

    async def measure(self) -> tuple[float, float] | None:
        self.measured += 1
        return self.results.pop(0)

    def around(self) -> Any:
        sample = Sample(
            cpu_percent=self.cpu_percent, memory_percent=0, memory_available_gb=1, disk_available_gb=1
        )
        return SimpleNamespace(sample=sample, sandbox=SimpleNamespace(name="wasm"))

    async def capacity(self) -> Capacity:
        made = Capacity(self, self.around, self.measure, first_s=0.0, look_s=0.001)  # type: ignore[arg-type]
        await made.open()
        return made


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.nursery.close()
    made.probe.close()
    made.files.close()


async def until_known(capacity: Capacity) -> Offer:
    async with asyncio.timeout(20):
        while capacity.offer.one_core is None:
            await asyncio.sleep(0.002)
    return capacity.offer


async def test_the_score_is_measured_once_and_kept_for_the_next_start(bench: Bench) -> None:
    bench.results = [None, (71.0, 9.0), (60.0, 1.0)]  # no answer, then a noisy one: neither counts
    first = await bench.capacity()
    assert first.offer.reason is OfferReason.UNMEASURED
    first.start()
    shown = await until_known(first)
    assert (shown.one_core, shown.offered.cpu, shown.reason) == (60.0, pytest.approx(264), OfferReason.RAISED)
    assert bench.measured == 3
    await bench.files.call(lambda: None)  # it has been written
    second = await bench.capacity()
    assert second.offer.one_core == 60.0
    second.start()
    await asyncio.sleep(0)
    assert bench.measured == 3


async def test_a_busy_moment_is_not_measured(bench: Bench) -> None:
    bench.results, bench.cpu_percent = [(60.0, 1.0)], 80.0
    capacity = await bench.capacity()
    capacity.start()
    await asyncio.sleep(0.1)
    assert bench.measured == 0
    bench.cpu_percent, bench.tasks = 3.0, [object()]
    await asyncio.sleep(0.1)
    assert bench.measured == 0
    bench.tasks = []
    await until_known(capacity)
    assert bench.measured == 1


def test_a_score_of_another_computer_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "score.json"
    save_score(file, SCORE)
    assert load_score(file, "here") == SCORE
    assert load_score(file, "elsewhere") is None
    assert fingerprint() == fingerprint()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"one_core": -1}', b'{"one_core": NaN}'])
def test_a_damaged_score_is_measured_anew(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "score.json").write_bytes(text)
    assert load_score(tmp_path / "score.json", "here") is None
    assert score_in(text) is None


@pytest.mark.slow
async def test_the_child_that_measures_is_this_very_program(bench: Bench) -> None:
    capacity = Capacity(bench, bench.around)  # type: ignore[arg-type]
    found = await capacity._measured_by_a_child()
    assert found is not None
    assert found[0] > 1


# --- what the pool hears ---------------------------------------------------------------------------


def told(offer: Offer, gpu_name: str = "") -> Any:
    sample = Sample(cpu_percent=0, memory_percent=0, memory_available_gb=1, disk_available_gb=1)
    return announcement(
        Walk().state, sample=sample, hostname="10.0.0.2", port=50053, region="Europe", docker=True,
        offer=offer, gpu_name=gpu_name,
    )  # fmt: skip


def test_the_offer_stands_in_the_registration_and_the_ledger_stays() -> None:
    before = Walk().state.total
    made = told(Offer(offered=Resources(cpu=264.4, memory_gb=7.9, gpu=2900, gpu_memory_gb=12)), CARD.name)
    assert (made.cpu_score, made.memory_gb, made.gpu_score, made.gpu_memory_gb) == (264, 7, 2900, 12)
    assert made.gpu_name == "RTX 4070"
    assert made.cpu_cores * 100 >= before.cpu
    assert Walk().state.total == before
    assert told(Offer(offered=Resources(cpu=100, memory_gb=1))).gpu_name == "Not Detected"


def test_a_card_is_lent_by_the_scale_that_pools_know() -> None:
    assert gpu_score([]) == 0
    assert gpu_score([CARD]) == 2900
    assert gpu_score([CARD, CARD]) == 5800
    whole = lent(Settings(), {"max_cpu_cores"}, [CARD])
    assert (whole.gpu, whole.gpu_memory_gb) == (2900, 12)


@pytest.mark.parametrize(
    ("cards", "gpu", "sandbox", "said"),
    [
        ((), 0, "docker", "No graphics card was found."),
        ((Gpu(name="NVIDIA", trouble=GpuTrouble.DRIVER_CHANGED),), 0, "docker", "restart the computer"),
        ((CARD,), 0, "wasm", "only tasks in Docker"),
        ((CARD,), 0, "docker", "no NVIDIA runtime"),
        ((CARD,), 2900, "docker", "score 2900 (RTX 4070)"),
    ],
)
def test_a_score_of_0_for_the_card_says_why(
    cards: tuple[Gpu, ...], gpu: float, sandbox: str, said: str
) -> None:
    offer = Offer(offered=Resources(cpu=100, memory_gb=1, gpu=gpu), cards=cards, sandbox=sandbox)
    assert said in card_offer_words(offer)
    assert json.dumps(offer_words(offer))
