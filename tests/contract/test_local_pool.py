"""The embedded pool over a socket: accounts, registrations, uploads and every refusal of its services."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.pool_records import MOST_TOKENS
from hivemind_worker.model.task import Problem
from hivemind_worker.pool.local.pool import LocalPool
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.store.pool_book import SqlitePoolBook
from tests.contract.http2 import pings_answered
from tests.contract.local_pool import (
    PASSWORD,
    Pool,
    TinyWorker,
    result_zip,
    running_pool,
    tiny_worker,
    zipped,
)

import grpc  # isort: skip
import grpc.aio  # isort: skip


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[Pool]:
    async with running_pool(tmp_path / "pool") as running:
        yield running


async def test_login_gives_a_signed_token_with_the_three_claims_for_an_hour(pool: Pool) -> None:
    token = await pool.account("ada")
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert claims == {"user_id": 1, "username": "ada", "exp": int(pool.clock.now) + 3600}


async def test_login_announces_that_results_are_taken_at_once(pool: Pool) -> None:
    await pool.account("ada")
    call = pool.users.Login(pb.LoginRequest(username="ada", password=PASSWORD))
    assert ("hivemind-prompt-results", "1") in tuple(await call.initial_metadata())
    await call


async def test_a_flood_of_pings_is_answered_as_any_other(pool: Pool) -> None:
    assert await pings_answered(pool.address, "/nodepool.UserService/Login", 5000) == 5000


@pytest.mark.parametrize(
    "name, password", [("ada", "wrong"), ("nobody", PASSWORD), ("ada", ""), ("", ""), ("ada", "x" * 5000)]
)
async def test_a_wrong_name_or_password_gets_the_same_words_and_no_token(
    pool: Pool, name: str, password: str
) -> None:
    await pool.account("ada")
    answer = await pool.users.Login(pb.LoginRequest(username=name, password=password))
    assert (answer.success, answer.message, answer.token) == (False, "Wrong name or password.", "")


async def test_passwords_are_not_in_the_book_and_its_files_are_private(pool: Pool) -> None:
    token = await pool.account("ada")
    await pool.upload(token, "t")
    for file in (each for each in pool.folder.rglob("*") if each.is_file()):
        assert PASSWORD.encode() not in file.read_bytes(), file
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(pool.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((pool.folder / "archives").stat().st_mode) == 0o700


async def test_a_token_ends_after_sixty_minutes_and_renewing_gives_sixty_more(pool: Pool) -> None:
    token = await pool.account("ada")
    pool.pass_time(3000)
    renewed = await pool.users.RefreshToken(pb.RefreshTokenRequest(old_token=token))
    assert renewed.success
    pool.pass_time(601)
    late = await pool.users.RefreshToken(pb.RefreshTokenRequest(old_token=token))
    assert (late.success, late.message) == (False, "TOKEN_EXPIRED")
    assert await pool.balance("ada", renewed.new_token) == 100
    pool.pass_time(3000)
    answer = await pool.users.GetBalance(pb.GetBalanceRequest(username="ada", token=renewed.new_token))
    assert (answer.success, answer.message) == (False, "TOKEN_EXPIRED")


def forged(token: str, **changes: Any) -> str:
    """The token with other claims and its old signature."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | changes
    return ".".join(
        [head, base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode(), signature]
    )


async def test_every_call_with_a_token_answers_with_the_three_markers(pool: Pool) -> None:
    token = await pool.account("ada")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    unsigned = none + "." + token.split(".")[1] + "."
    for bad, marker in [
        ("", "Token is required"),
        ("x", "INVALID_TOKEN"),
        ("ö.ü.ä", "INVALID_TOKEN"),
        (token[:-2], "INVALID_TOKEN"),
        (forged(token, username="bob"), "INVALID_TOKEN"),
        (forged(token, exp=2**40), "INVALID_TOKEN"),
        (unsigned, "INVALID_TOKEN"),
        ("y" * 100_000, "INVALID_TOKEN"),
    ]:
        answers = [
            await pool.users.GetBalance(pb.GetBalanceRequest(username="ada", token=bad)),
            await pool.users.RefreshToken(pb.RefreshTokenRequest(old_token=bad)),
            await pool.users.Transfer(pb.TransferRequest(token=bad, receiver_username="b", amount=1)),
            await pool.upload(bad, "t"),
            await pool.requests.GetTaskResult(pb.GetTaskResultRequest(task_id="t", token=bad)),
            await pool.requests.StopTask(pb.StopTaskRequest(task_id="t", token=bad)),
            await pool.workers.TaskOutputUpload(pb.TaskOutputUploadRequest(task_id="t", token=bad)),
            await pool.workers.TaskResultUpload(
                pb.TaskResultUploadRequest(task_id="t", result_zip=b"x", token=bad)
            ),
            await pool.workers.TaskUsage(pb.TaskUsageRequest(task_id="t", token=bad)),
            await pool.workers.TaskOutput(pb.TaskOutputRequest(task_id="t", token=bad)),
        ]
        assert [(each.success, each.message) for each in answers] == [(False, marker)] * len(answers), bad
        for call in (
            pool.requests.GetTasklog(pb.TasklogRequest(task_id="t", token=bad)),
            pool.requests.GetAllUserTasks(pb.GetAllUserTasksRequest(token=bad)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert caught.value.details() == marker


async def test_a_token_in_the_header_alone_is_enough(pool: Pool) -> None:
    token = await pool.account("ada")
    header = (("authorization", f"Bearer {token}"),)
    answer = await pool.users.GetBalance(pb.GetBalanceRequest(username="ada"), metadata=header)
    assert answer.balance == 100


async def test_nobody_reads_the_balance_of_another(pool: Pool) -> None:
    token = await pool.account("ada")
    await pool.account("bob")
    answer = await pool.users.GetBalance(pb.GetBalanceRequest(username="bob", token=token))
    assert not answer.success and answer.balance == 0


async def test_a_transfer_moves_tokens_once(pool: Pool) -> None:
    ada, bob = await pool.account("ada", 100), await pool.account("bob", 5)
    answer = await pool.users.Transfer(pb.TransferRequest(token=ada, receiver_username="bob", amount=60))
    assert answer.success
    assert (await pool.balance("ada", ada), await pool.balance("bob", bob)) == (40, 65)


@pytest.mark.parametrize(
    "receiver, amount",
    [
        ("bob", 0),
        ("bob", -5),
        ("bob", 101),
        ("nobody", 1),
        ("ada", 1),
        ("", 1),
        ("bob", 2**63 - 1),
        ("bob", -(2**63)),
        ("rich", 1),
    ],
)
async def test_a_transfer_that_makes_no_sense_moves_nothing(pool: Pool, receiver: str, amount: int) -> None:
    ada, bob = await pool.account("ada", 100), await pool.account("bob", 5)
    rich = await pool.account("rich", MOST_TOKENS)
    answer = await pool.users.Transfer(
        pb.TransferRequest(token=ada, receiver_username=receiver, amount=amount)
    )
    assert not answer.success and answer.message
    balances = [await pool.balance(n, t) for n, t in (("ada", ada), ("bob", bob), ("rich", rich))]
    assert balances == [100, 5, MOST_TOKENS]


async def test_transfers_at_the_same_time_never_spend_a_token_twice(pool: Pool) -> None:
    ada, bob = await pool.account("ada", 100), await pool.account("bob", 0)
    calls = [
        pool.users.Transfer(pb.TransferRequest(token=ada, receiver_username="bob", amount=30))
        for _ in range(20)
    ]
    answers = await asyncio.gather(*calls)
    assert sum(each.success for each in answers) == 3
    assert (await pool.balance("ada", ada), await pool.balance("bob", bob)) == (10, 90)


@pytest.mark.parametrize(
    "name, password, tokens",
    [
        ("", "x", 0),
        ("a\nb", "x", 0),
        (" a", "x", 0),
        ("n" * 129, "x", 0),
        ("ok", "", 0),
        ("ok", "x" * 1025, 0),
        ("ok", "x", -1),
        ("ok", "x", 2**63),
    ],
)
async def test_an_account_needs_a_usable_name_password_and_balance(
    pool: Pool, name: str, password: str, tokens: int
) -> None:
    problem = await pool.local.add_account(name, password, tokens)
    assert isinstance(problem, Problem) and problem.code is FaultCode.BAD_USAGE


async def test_a_second_account_of_a_name_is_refused_and_the_first_keeps_its_password(pool: Pool) -> None:
    await pool.account("ada")
    assert isinstance(await pool.local.add_account("ada", "another", 7), Problem)
    assert await pool.token("ada")


# registration


async def test_registration_announces_prompt_results_and_takes_loopback(pool: Pool) -> None:
    async with tiny_worker(pool, "wim") as worker:
        call = pool.nodes.RegisterWorkerNode(
            pb.RegisterWorkerNodeRequest(node_id="wim", hostname="127.0.0.1", port=worker.port),
            metadata=(("authorization", f"Bearer {worker.token}"),),
        )
        assert ("hivemind-prompt-results", "1") in tuple(await call.initial_metadata())
        assert (await call).success


@pytest.mark.parametrize(
    "changes",
    [
        {"node_id": ""},
        {"node_id": "x" * 513},
        {"node_id": "a\x00b"},
        {"hostname": ""},
        {"hostname": "unix:/tmp/x"},
        {"hostname": "a b"},
        {"hostname": "http://x"},
        {"port": 0},
        {"port": -1},
        {"port": 65536},
        {"cpu_score": -1},
        {"memory_gb": -5},
        {"cpu_cores": -1},
        {"gpu_score": -1},
        {"gpu_memory_gb": -1},
        {"gpu_name": "x" * 300},
        {"location": "a\nb"},
        {"docker_status": "\x1b[2J"},
    ],
)
async def test_a_registration_with_nonsense_is_refused_with_words(
    pool: Pool, changes: dict[str, Any]
) -> None:
    async with tiny_worker(pool, "wim") as worker:
        answer = await worker.register(**changes)
        assert not answer.success and answer.message


async def test_a_registration_without_a_token_is_refused(pool: Pool) -> None:
    answer = await pool.nodes.RegisterWorkerNode(
        pb.RegisterWorkerNodeRequest(node_id="wim", hostname="127.0.0.1", port=5)
    )
    assert (answer.success, answer.message) == (False, "Token is required")


async def test_a_later_heartbeat_without_a_token_counts_only_when_nothing_changes(pool: Pool) -> None:
    async with tiny_worker(pool, "wim") as worker:
        heartbeat = pb.RegisterWorkerNodeRequest(
            node_id="wim", hostname="127.0.0.1", port=worker.port, cpu_score=400
        )
        assert (await pool.nodes.RegisterWorkerNode(heartbeat)).success
        heartbeat.port += 1
        answer = await pool.nodes.RegisterWorkerNode(heartbeat)
        assert (answer.success, answer.message) == (False, "Token is required")


async def test_nobody_registers_under_the_name_of_another_account_or_node(pool: Pool) -> None:
    await pool.account("ada")
    async with tiny_worker(pool, "wim"), tiny_worker(pool, "eve", "cellar") as eve:
        for name in ("ada", "wim"):
            assert not (await eve.register(node_id=name)).success
    async with tiny_worker(pool, "bob") as bob:
        assert not (await bob.register(node_id="cellar")).success
        assert (await bob.register(node_id="attic")).success


async def test_an_account_registers_a_limited_number_of_nodes(pool: Pool) -> None:
    async with tiny_worker(pool, "wim") as worker:
        answers = [await worker.register(node_id=f"n{number}") for number in range(260)]
    assert [each.success for each in answers] == [True] * 255 + [False] * 5


async def test_status_reports_work_for_registered_nodes_of_the_account(pool: Pool) -> None:
    async with tiny_worker(pool, "wim") as worker, tiny_worker(pool, "eve") as eve:
        header = (("authorization", f"Bearer {worker.token}"),)
        report = pb.RunningStatusRequest(node_id="wim", status="Idle", cpu_usage=3)
        assert (await pool.nodes.ReportStatus(report, metadata=header)).success
        other = (("authorization", f"Bearer {eve.token}"),)
        assert not (await pool.nodes.ReportStatus(report, metadata=other)).success
        report.node_id = "unknown"
        assert not (await pool.nodes.ReportStatus(report, metadata=header)).success


# uploads


@pytest.mark.parametrize(
    "task_id",
    [
        "a",
        "x" * 512,
        "ß" * 256,
        "../../etc/passwd",
        "a b/c",
        "-v",
        "任务 7",
        "con",
        "a'; DROP TABLE tasks; --",
    ],
)
async def test_ids_are_free_text_and_never_a_path(pool: Pool, task_id: str, tmp_path: Path) -> None:
    token = await pool.account("ada")
    before = {each for each in tmp_path.rglob("*") if pool.folder not in each.parents}
    assert (await pool.upload(token, task_id)).success
    assert (await pool.task(token, task_id)).status == "PENDING"
    assert {each for each in tmp_path.rglob("*") if pool.folder not in each.parents} == before


@pytest.mark.parametrize(
    "fields",
    [
        {"task_id": ""},
        {"task_id": "x" * 513},
        {"task_id": "a\nb"},
        {"task_id": "a\x00"},
        {"task_id": "\x9b"},
        {"task_zip": b""},
        {"cpu_score": -1},
        {"memory_gb": -1},
        {"gpu_score": -(2**31)},
        {"gpu_memory_gb": -1},
        {"gpu_name": "x" * 300},
        {"location": "\x07"},
    ],
)
async def test_an_upload_with_nonsense_is_refused_with_words_and_leaves_nothing(
    pool: Pool, fields: dict[str, Any]
) -> None:
    token = await pool.account("ada")
    values = {"task_id": "t", "task_zip": b"zip", "token": token, **fields}
    answer = await pool.requests.UploadTask(pb.UploadTaskRequest(**values))
    assert not answer.success and answer.message
    assert await pool.archives_kept() == []
    listed = await pool.requests.GetAllUserTasks(pb.GetAllUserTasksRequest(token=token))
    assert not listed.tasks


async def test_a_known_id_is_refused_also_to_another_account(pool: Pool) -> None:
    ada, bob = await pool.account("ada"), await pool.account("bob")
    assert (await pool.upload(ada, "t", zipped(main_py="1"))).success
    for token in (ada, bob):
        assert not (await pool.upload(token, "t", zipped(main_py="2"))).success
    assert await pool.archives_kept() == [zipped(main_py="1")]


async def test_of_racing_uploads_of_one_id_exactly_one_wins(pool: Pool) -> None:
    token = await pool.account("ada")
    answers = await asyncio.gather(*(pool.upload(token, "t", zipped(main_py=str(n))) for n in range(10)))
    assert sum(each.success for each in answers) == 1
    (kept,) = await pool.archives_kept()
    winner = next(n for n, each in enumerate(answers) if each.success)
    assert kept == zipped(main_py=str(winner))


async def test_an_archive_over_the_message_limit_is_refused(pool: Pool) -> None:
    token = await pool.account("ada")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.upload(token, "t", bytes(100 * 1024 * 1024))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_full_disk_refuses_uploads_with_words(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await pool.account("ada")
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    answer = await pool.upload(token, "t")
    assert not answer.success and "full" in answer.message


async def test_only_the_last_hundred_tasks_are_listed_newest_first(pool: Pool) -> None:
    token = await pool.account("ada")
    for number in range(103):
        pool.pass_time(1)
        assert (await pool.upload(token, f"t{number}", b"zip")).success
    listed = await pool.requests.GetAllUserTasks(pb.GetAllUserTasksRequest(token=token))
    assert [each.task_id for each in listed.tasks] == [f"t{n}" for n in range(102, 2, -1)]


async def test_requesters_see_nothing_of_each_other(pool: Pool) -> None:
    ada, eve = await pool.account("ada"), await pool.account("eve")
    await pool.upload(ada, "t")
    assert not (await pool.requests.GetAllUserTasks(pb.GetAllUserTasksRequest(token=eve))).tasks
    assert not (await pool.requests.StopTask(pb.StopTaskRequest(task_id="t", token=eve))).success
    result = await pool.requests.GetTaskResult(pb.GetTaskResultRequest(task_id="t", token=eve))
    assert not result.success and not result.result_zip
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.log(eve, "t")
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert (await pool.task(ada, "t")).status == "PENDING"


async def test_unknown_ids_are_said_to_be_unknown(pool: Pool) -> None:
    token = await pool.account("ada")
    for bad_id in ("nothing", "", "x" * 10_000, "a\x00b"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pool.log(token, bad_id)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert not (await pool.requests.StopTask(pb.StopTaskRequest(task_id=bad_id, token=token))).success
        assert not (
            await pool.requests.GetTaskResult(pb.GetTaskResultRequest(task_id=bad_id, token=token))
        ).success


async def test_a_waiting_task_has_no_result_and_can_be_stopped_once(pool: Pool) -> None:
    token = await pool.account("ada")
    await pool.upload(token, "t")
    result = await pool.requests.GetTaskResult(pb.GetTaskResultRequest(task_id="t", token=token))
    assert not result.success and "PENDING" in result.message
    assert (await pool.requests.StopTask(pb.StopTaskRequest(task_id="t", token=token))).success
    assert (await pool.task(token, "t")).status == "STOPPED"
    again = await pool.requests.StopTask(pb.StopTaskRequest(task_id="t", token=token))
    assert not again.success and "STOPPED" in again.message
    assert await pool.archives_kept() == []


# the door


async def raw_call(pool: Pool, path: str, raw: bytes) -> grpc.StatusCode:
    try:
        await pool.channel.unary_unary(f"/nodepool.{path}")(raw, timeout=10)
    except grpc.aio.AioRpcError as error:
        assert "Traceback" not in (error.details() or "")
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize(
    "path",
    [
        "UserService/Login",
        "MasterNodeService/UploadTask",
        "MasterNodeService/GetTasklog",
        "WorkerNodeService/TaskResultUpload",
        "NodeManagerService/RegisterWorkerNode",
    ],
)
@pytest.mark.parametrize(
    "raw",
    [
        b"\xff",
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0a\x02\xc3\x28",
        b"\x0f\x01",
        b"\x0b" * 50,
        b"\x80" * 40,
        b"\x0a\x05abc",
    ],
)
async def test_unreadable_messages_are_invalid_arguments(pool: Pool, path: str, raw: bytes) -> None:
    assert await raw_call(pool, path, raw) is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_message_of_endless_small_fields_is_refused_at_once(pool: Pool) -> None:
    raw = b"\x98\x06\x01" * 3_000_000
    assert await raw_call(pool, "MasterNodeService/UploadTask", raw) is grpc.StatusCode.INVALID_ARGUMENT
    assert await raw_call(pool, "UserService/Login", raw) is grpc.StatusCode.RESOURCE_EXHAUSTED
    few, many = b"\x98\x06\x01" * 60, b"\x98\x06\x01" * 70
    assert await raw_call(pool, "MasterNodeService/UploadTask", few) is grpc.StatusCode.OK
    assert await raw_call(pool, "MasterNodeService/UploadTask", many) is grpc.StatusCode.INVALID_ARGUMENT


async def test_fields_of_a_later_protocol_are_ignored(pool: Pool) -> None:
    token = await pool.account("ada")
    request = pb.UploadTaskRequest(task_id="t", task_zip=b"zip", token=token).SerializeToString()
    later = request + bytes([10 << 3, 3]) + b"\x65\x00\x00\x80\x3f"  # host_count, and a float field
    assert await raw_call(pool, "MasterNodeService/UploadTask", later) is grpc.StatusCode.OK
    assert (await pool.task(token, "t")).status == "PENDING"


async def test_a_pool_runs_no_tasks_itself(pool: Pool) -> None:
    answer = await pool.workers.ExecuteTask(pb.ExecuteTaskRequest(task_id="t", task_zip=b"zip"))
    stop = await pool.workers.StopTaskExecution(pb.StopTaskExecutionRequest(task_id="t"))
    assert not answer.success and not stop.success


async def test_a_mistake_in_the_pool_is_answered_without_its_particulars(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_name: str) -> None:
        raise LookupError("secret detail")

    monkeypatch.setattr(pool.book, "account", broken)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.users.Login(pb.LoginRequest(username="ada", password="x"))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (caught.value.details() or "")
    assert "secret detail" in caplog.text


async def test_a_failing_disk_is_unavailable_and_work_goes_on_afterwards(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await pool.account("ada")

    def full(*_given: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(pool.local._archives, "write", full)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pool.upload(token, "t")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert (await pool.upload(token, "t")).success


# starting


async def test_a_port_in_use_is_a_problem_and_leaves_nothing_running(pool: Pool, tmp_path: Path) -> None:
    book = SqlitePoolBook(tmp_path / "other")
    assert await book.open() is None
    port = pool.address.rpartition(":")[2]
    problem = await LocalPool(book, tmp_path / "other", pool.address).start()
    assert problem == Problem(code=FaultCode.PORT_IN_USE, about=port)
    await book.close()


@pytest.mark.parametrize(
    "listen",
    ["", "nonsense", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "192.0.2.1:0", "127.0.0.1:-1", "a b:1"],
)
async def test_an_address_that_is_none_or_not_ours_is_a_problem(tmp_path: Path, listen: str) -> None:
    book = SqlitePoolBook(tmp_path)
    assert await book.open() is None
    problem = await LocalPool(book, tmp_path, listen).start()
    assert isinstance(problem, Problem) and problem.code is FaultCode.BAD_ADDRESS
    await book.close()


async def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "archives").write_text("in the way")
    book = SqlitePoolBook(tmp_path)
    assert await book.open() is None
    problem = await LocalPool(book, tmp_path, "127.0.0.1:0").start()
    assert isinstance(problem, Problem) and problem.code is FaultCode.NO_PERMISSION
    await book.close()


async def test_two_pools_never_share_a_book(tmp_path: Path) -> None:
    first, second = SqlitePoolBook(tmp_path), SqlitePoolBook(tmp_path)
    assert await first.open() is None and await second.open() is None
    assert await first.claim()
    assert not await second.claim()
    await first.close()
    assert await second.claim()
    await second.close()


@pytest.mark.parametrize("content", [b"this is no database" * 100, os.urandom(8192)])
async def test_a_spoilt_book_is_set_aside_and_a_new_one_begun(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "book.sqlite3").write_bytes(content)
    book = SqlitePoolBook(tmp_path)
    problem = await book.open()
    assert isinstance(problem, Problem) and problem.code is FaultCode.BAD_JOURNAL
    assert (tmp_path / "book.sqlite3.bad-1").read_bytes() == content
    assert await book.accounts() == ()
    await book.close()


async def test_a_spoilt_signing_key_is_replaced(tmp_path: Path) -> None:
    async with running_pool(tmp_path) as pool:
        token = await pool.account("ada")
        await pool.stop()
        (tmp_path / "signing.key").write_bytes(b"short")
        await pool.start()
        answer = await pool.users.GetBalance(pb.GetBalanceRequest(username="ada", token=token))
        assert (answer.success, answer.message) == (False, "INVALID_TOKEN")
        assert (tmp_path / "signing.key").stat().st_size == 32


async def test_accounts_tokens_and_waiting_tasks_survive_a_restart(pool: Pool) -> None:
    token = await pool.account("ada", 55)
    await pool.upload(token, "t", zipped(main_py="print('kept')"))
    await pool.restart()
    assert await pool.balance("ada", token) == 55
    assert (await pool.task(token, "t")).status == "PENDING"
    async with tiny_worker(pool, "wim") as worker:
        await pool.until(token, "t", "RUNNING")
        assert worker.offers[0][1].task_zip == zipped(main_py="print('kept')")


async def test_a_hundred_uploads_at_once_are_all_kept_and_offered_once(pool: Pool) -> None:
    token = await pool.account("ada")
    async with tiny_worker(pool, "wim", cpu_score=100_000, memory_gb=1000) as worker:
        answers = await asyncio.gather(
            *(pool.upload(token, f"t{n}", zipped(main_py=f"print({n})"), cpu_score=100) for n in range(100))
        )
        assert all(each.success for each in answers)
        for number in range(100):
            await pool.until(token, f"t{number}", "RUNNING", limit_s=20)
        assert sorted(each.task_id for _, each in worker.offers) == sorted(f"t{n}" for n in range(100))
        for number in range(100):
            assert (await worker.send_result(f"t{number}", result_zip())).success
        for number in range(100):
            assert (await pool.task(token, f"t{number}")).status == "COMPLETED"
    assert isinstance(worker, TinyWorker)
