"""A server that is brought back from an earlier copy under a pool process and workers that run on."""

from __future__ import annotations

import shutil
from pathlib import Path

from hivemind_worker.model.fleet import Told, WishKind
from hivemind_worker.model.snapshot import LinkState
from tests.contract.local_pool import until
from tests.nats.here import Here, PoolOnEngine
from tests.nats.worker import AskingWorker, asking_worker

LIMIT_S = 30.0


async def pause(worker: AskingWorker) -> int:
    """Ask it of the machine itself, through the pool; how many wishes it has heard after a moment."""
    heard = len(worker.wishes)
    assert await worker.client.fleet.wish(WishKind.PAUSE, [worker.name]) == Told(now=("larch",), later=())

    async def obeyed() -> bool:
        return len(worker.wishes) > heard

    await until(obeyed, 10)
    return len(worker.wishes)


async def test_what_ran_on_believes_the_copy_and_no_wish_is_taken_for_an_old_one(
    pool: PoolOnEngine, here: Here, tmp_path: Path
) -> None:
    token, kept = await pool.account("ada"), tmp_path / "server" / "jetstream"
    async with asking_worker(here.address, "larch", tmp_path / "w") as worker:
        await worker.shows(LinkState.REGISTERED)
        assert (await pool.upload(token, "before", gpu_score=5)).success
        await here.end()
        shutil.copytree(kept, tmp_path / "copy")
        await here.start_again()
        await worker.shows(LinkState.REGISTERED, LIMIT_S)
        await pause(worker)
        assert (await pool.upload(token, "after", gpu_score=5)).success

        await here.end()
        shutil.rmtree(kept)
        shutil.copytree(tmp_path / "copy", kept)
        await here.start_again()
        await worker.shows(LinkState.REGISTERED, LIMIT_S)
        assert await pause(worker) == 2
        waiting = [each.task_id for each in await pool.book.tasks_in("PENDING")]
        assert waiting == ["before"]
