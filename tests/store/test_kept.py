"""What is kept of pools: logins, the list of pools, sent tasks, balances over time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pools import Balance
from hivemind_worker.model.sending import Sending, SendStep
from hivemind_worker.model.task import Problem
from hivemind_worker.store.balances import EVERY_S, FILE_NAME, BalanceBook
from hivemind_worker.store.kept_lists import PoolList, SentList
from hivemind_worker.store.secrets import Login, LoginStore


def login(pool: str, user: str = "ann") -> Login:
    return Login(pool=pool, user=user, password=f"secret of {pool}")


def test_one_login_a_pool_is_kept_the_last_kept_first(tmp_path: Path) -> None:
    store = LoginStore(tmp_path / "login.json", use_keyring=False)
    for pool, user in (("one:1", "ann"), ("two:2", "bob"), ("one:1", "carla")):
        assert store.keep(login(pool, user)) is None
    assert [(each.pool, each.user) for each in store.all()] == [("one:1", "carla"), ("two:2", "bob")]
    found = store.find("two:2")
    assert found == login("two:2", "bob")
    assert store.find("three:3") is None
    store.forget("one:1")
    assert store.find() == login("two:2", "bob")
    store.forget()
    assert (store.all(), (tmp_path / "login.json").exists()) == ((), False)


def test_a_login_kept_by_an_earlier_version_is_found(tmp_path: Path) -> None:
    file = tmp_path / "login.json"
    file.write_text('{"pool": "one:1", "user": "ann", "password": "x", "plain": true}')
    file.chmod(0o600)
    assert LoginStore(file, use_keyring=False).find("one:1") == Login(
        pool="one:1", user="ann", password="x", plain=True
    )


@pytest.mark.parametrize("content", ["", "null", "[1, 2]", "{", '[{"pool": "x"}]', '"text"'])
def test_a_damaged_list_of_logins_is_an_empty_one(tmp_path: Path, content: str) -> None:
    file = tmp_path / "login.json"
    file.write_text(content)
    file.chmod(0o600)
    assert LoginStore(file, use_keyring=False).all() == ()


def test_pools_are_listed_by_their_last_use_which_never_goes_back(tmp_path: Path) -> None:
    pools = PoolList(tmp_path / "pools.json")
    pools.note("one:1", "ann", 100.0)
    pools.note("two:2", "bob", 300.0)
    pools.note("one:1", "carla", 0.0)
    rows = [(pool.address, pool.user, pool.used_until_s) for pool in pools.all()]
    assert rows == [("two:2", "bob", 300.0), ("one:1", "carla", 100.0)]
    pools.remove("two:2")
    assert [pool.address for pool in pools.all()] == ["one:1"]
    assert (tmp_path / "pools.json").stat().st_mode & 0o077 == 0


def sending(number: int, step: SendStep = SendStep.COMPLETED) -> Sending:
    return Sending(
        task_id=f"task_{number}", name="coast-tiles", path="/home/ann/coast-tiles", pool="one:1", step=step,
        reached=((SendStep.PACKING, 1.0), (step, 2.5)), packed_bytes=100, node="worker-larch",
        message="it says é", result="/home/ann/result",
    )  # fmt: skip


def test_sent_tasks_are_read_as_they_were_written_and_never_too_many_to_be_read(tmp_path: Path) -> None:
    sent = SentList(tmp_path / "sent.json")
    sent.write((sending(0),))
    assert sent.all() == (sending(0),)
    problem = Problem(code=FaultCode.NO_ENTRY_POINT, about="x" * 1000)
    sent.write(tuple(replace(sending(number), problem=problem if number else None) for number in range(500)))
    found = sent.all()
    assert 50 <= len(found) < 500
    assert found[0] == sending(0), "the oldest went"


@pytest.mark.parametrize("content", [b"{}", b"[{}]", b"\xff\xfe", b'[{"task_id": "x", "step": "flying"}]'])
def test_damaged_lists_are_empty_ones(tmp_path: Path, content: bytes) -> None:
    for name in ("pools.json", "sent.json"):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    assert PoolList(tmp_path / "pools.json").all() == ()
    assert SentList(tmp_path / "sent.json").all() == ()


async def test_balances_are_kept_an_account_and_survive_a_restart(tmp_path: Path) -> None:
    book = BalanceBook(tmp_path)
    for at_s, amount in ((0.0, 100), (5.0, 102), (10.0, 101), (EVERY_S + 1.0, 130), (3 * EVERY_S + 1.0, 90)):
        assert book.is_news("one:1", "ann", amount)
        await book.note("one:1", "ann", Balance(at_s=at_s, amount=amount))
    assert not book.is_news("one:1", "ann", 90)
    await book.note("one:1", "bob", Balance(at_s=5.0, amount=7))
    await book.close()
    book = BalanceBook(tmp_path)
    rows = await book.read("one:1", "ann", 0.0)
    assert [row.amount for row in rows] == [100, 101, 130, 90], "what it begins with stays known"
    assert [row.amount for row in await book.read("one:1", "ann", 2.0 * EVERY_S)] == [130, 90], (
        "the last one before tells where the line begins"
    )
    await book.close()


async def test_a_damaged_file_of_balances_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 100)
    book = BalanceBook(tmp_path)
    await book.note("one:1", "ann", Balance(at_s=1.0, amount=5))
    assert [row.amount for row in await book.read("one:1", "ann", 0.0)] == [5]
    await book.close()
