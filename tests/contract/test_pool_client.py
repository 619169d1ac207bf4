"""The worker's side of a session, against a scripted pool on a socket; time moves when told."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean

import grpc
import pytest

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.snapshot import LinkState
from hivemind_worker.model.task import Problem, TaskId
from hivemind_worker.model.work import Sent
from hivemind_worker.pool.bearer import USUAL_LIFETIME_S, bearer, lifetime_s
from hivemind_worker.pool.channel import KEEPALIVE, OPTIONS
from hivemind_worker.pool.login import check_login
from hivemind_worker.pool.pb import nodepool_pb2 as pb
from hivemind_worker.pool.retry import Backoff
from hivemind_worker.pool.session import Credentials
from tests.contract.link import ANN, SHORT, linked
from tests.fakes.pool import HANG, GrpcError, Once, ScriptedPool

T = TaskId("t")


@asynccontextmanager
async def noise_server() -> AsyncIterator[str]:
    """A gRPC server whose every answer is noise."""

    class Noise(grpc.GenericRpcHandler):
        def service(self, _: object) -> object:
            async def behaviour(request: bytes, context: object) -> bytes:
                return b"\xff\xff\xff"

            return grpc.unary_unary_rpc_method_handler(behaviour)

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Noise(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


# ---- a session ------------------------------------------------------------------------------


async def test_a_session_is_login_balance_status_registration_in_this_order() -> None:
    async with ScriptedPool(balance=77) as pool, linked(pool.address) as link:
        view = await link.shows(LinkState.REGISTERED)
        assert [call.method for call in pool.calls] == [
            "Login", "GetBalance", "ReportStatus", "RegisterWorkerNode",
        ]  # fmt: skip
        assert (view.balance, view.user, view.address) == (77, "ann", pool.address)
        assert view.last_heard_s == link.clock.now()
        assert link.links() == [LinkState.CONNECTING, LinkState.REGISTERED]


async def test_every_call_after_the_login_carries_the_token_in_header_and_field(tmp_path: Path) -> None:
    (tmp_path / "r.zip").write_bytes(b"zip")
    async with ScriptedPool(takes_status=True) as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        assert (await link.client.send_output(T, "hello")).delivered
        assert (await link.client.send_result(T, tmp_path / "r.zip")).delivered
        token = pool.of("GetBalance")[0].fields["token"]
        assert token
        for call in pool.calls[1:]:
            assert call.metadata["authorization"] == f"Bearer {token}"
            assert call.fields.get("token", token) == token
        assert "authorization" not in pool.of("Login")[0].metadata


async def test_registration_tells_what_was_announced() -> None:
    async with ScriptedPool() as pool, linked(pool.address):
        (call,) = await pool.heard("RegisterWorkerNode")
    assert call.fields == {
        "node_id": "ann", "hostname": "localhost", "cpu_cores": 4, "memory_gb": 8, "cpu_score": 400,
        "gpu_score": 0, "gpu_memory_gb": 0, "location": "Europe", "port": 50053,
        "gpu_name": "Not Detected", "docker_status": "disabled",
    }  # fmt: skip


def test_all_six_keepalive_options_of_the_documentation_are_used_exactly() -> None:
    assert dict(KEEPALIVE) == {
        "grpc.keepalive_time_ms": 30000,
        "grpc.keepalive_timeout_ms": 10000,
        "grpc.keepalive_permit_without_calls": True,
        "grpc.http2.max_pings_without_data": 0,
        "grpc.http2.min_time_between_pings_ms": 10000,
        "grpc.http2.min_ping_interval_without_data_ms": 300000,
    }
    assert set(KEEPALIVE) <= set(OPTIONS)


async def test_the_balance_is_asked_each_third_beat() -> None:
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        for beat in range(2, 8):
            assert await link.clock.next() == pytest.approx(10)
            await pool.heard("RegisterWorkerNode", beat)
        await link.clock.resting()
        assert len(pool.of("GetBalance")) == 3


async def test_a_call_to_wake_brings_the_next_beat_at_once_but_never_two_within_a_second() -> None:
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        await link.clock.resting()
        for _ in range(50):
            link.client.wake()
        assert await link.clock.next() <= 1  # the rest of the second
        await pool.heard("RegisterWorkerNode", 2)
        assert await link.clock.resting() == pytest.approx(10, abs=1)
        assert len(pool.of("RegisterWorkerNode")) == 2


async def test_a_registration_that_the_pool_refuses_is_shown_and_tried_again() -> None:
    async with ScriptedPool() as pool:
        pool.answers["RegisterWorkerNode"] = pb.StatusResponse(success=False, message="節點\n已滿")
        async with linked(pool.address) as link:
            await pool.heard("RegisterWorkerNode")
            await link.clock.resting()
            assert link.client.view.problem == Problem(code=FaultCode.POOL_REFUSED, about="節點 已滿")
            del pool.answers["RegisterWorkerNode"]
            await link.clock.next()
            await link.shows(LinkState.REGISTERED)
            assert link.client.view.problem is None


# ---- logins -----------------------------------------------------------------------------------


async def test_without_a_login_nothing_is_called_until_there_is_one() -> None:
    async with ScriptedPool() as pool, linked(pool.address, credentials=None) as link:
        view = await link.shows(LinkState.NOT_LOGGED_IN)
        assert view.problem == Problem(code=FaultCode.NOT_LOGGED_IN)
        await link.clock.next()
        await link.clock.resting()
        assert pool.calls == []
        link.credentials = ANN
        link.client.wake()
        await link.shows(LinkState.REGISTERED)


async def test_a_refused_login_is_not_hammered() -> None:
    wrong = Credentials(user="ann", password="wrong")
    async with ScriptedPool() as pool, linked(pool.address, credentials=wrong) as link:
        view = await link.shows(LinkState.LOGIN_REFUSED)
        assert view.problem == Problem(code=FaultCode.WRONG_PASSWORD, about="用户名或密码错误")
        before_s = link.clock.elapsed_s
        while len(pool.of("Login")) == 1:
            await link.clock.next()
            await link.clock.resting()
        assert link.clock.elapsed_s - before_s >= 600


@pytest.mark.parametrize("told", [True, False], ids=["told", "found by looking"])
async def test_after_a_refused_login_new_credentials_are_used_when(told: bool) -> None:
    wrong = Credentials(user="ann", password="wrong")
    async with ScriptedPool() as pool, linked(pool.address, credentials=wrong) as link:
        await link.shows(LinkState.LOGIN_REFUSED)
        link.credentials = ANN
        if told:
            link.client.wake()
        else:
            assert await link.clock.next() <= 30
        await link.shows(LinkState.REGISTERED)
        assert len(pool.of("Login")) == 2


async def test_signing_out_ends_the_session_and_silences_the_heartbeat() -> None:
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        link.credentials = None
        await link.clock.resting()
        link.client.wake()
        await link.clock.next()
        await link.shows(LinkState.NOT_LOGGED_IN)
        heard = len(pool.calls)
        await link.clock.next()
        await link.clock.resting()
        assert len(pool.calls) == heard


async def test_a_pool_that_logs_in_but_gives_no_token_is_a_refusal() -> None:
    async with ScriptedPool() as pool:
        pool.answers["Login"] = pb.LoginResponse(success=True, token="")
        async with linked(pool.address) as link:
            await link.shows(LinkState.LOGIN_REFUSED)


async def test_no_secret_has_a_repr() -> None:
    assert "right horse" not in repr(ANN)
    assert "abc" not in repr(bearer("abc", now_s=0, steady_s=0))


# ---- plain logins (G10) ---------------------------------------------------------------------
# 0.0.0.0 is no address of ours by any list, yet leads to this computer: it stands for an open network.


async def test_g10_no_password_leaves_for_an_open_network(tmp_path: Path) -> None:
    async with ScriptedPool() as pool, linked(f"0.0.0.0:{pool.port}") as link:
        view = await link.shows(LinkState.NOT_LOGGED_IN)
        assert view.problem == Problem(code=FaultCode.PLAIN_LOGIN, about=f"0.0.0.0:{pool.port}")
        problem = await check_login(f"0.0.0.0:{pool.port}", "ann", "right horse", interfaces={})
        assert problem == view.problem
        assert pool.calls == []


async def test_g10_the_login_follows_once_the_tunnel_is_up() -> None:
    async with ScriptedPool() as pool, linked(f"0.0.0.0:{pool.port}") as link:
        await link.shows(LinkState.NOT_LOGGED_IN)
        link.interfaces = {"hivemind-wg0": ["0.0.0.7"]}
        assert await link.clock.next() <= 10
        await link.shows(LinkState.REGISTERED)


async def test_g10_an_owner_who_insists_may_log_in_over_an_open_network() -> None:
    async with ScriptedPool() as pool, linked(f"0.0.0.0:{pool.port}", insist_plain_login=True) as link:
        await link.shows(LinkState.REGISTERED)


# ---- tokens -----------------------------------------------------------------------------------


async def test_a_token_is_refreshed_at_four_fifths_of_its_life() -> None:
    async with ScriptedPool(token_life_s=100) as pool, linked(pool.address) as link:
        link.clock.wall_offset_s = time.time()
        await link.shows(LinkState.REGISTERED)
        while not pool.of("RefreshToken"):
            await link.clock.next()
            await link.clock.resting()
        assert 80 <= link.clock.elapsed_s <= 90
        assert len(pool.of("Login")) == 1
        old, new = pool.of("RefreshToken")[0].fields["old_token"], pool.of("GetBalance")[-1]
        await link.client.send_output(T, "x")
        assert pool.of("TaskOutputUpload")[0].fields["token"] != old
        assert new.fields["username"] == "ann"  # though the new token has no such claim


@pytest.mark.parametrize(
    "refusal",
    [pb.RefreshTokenResponse(success=False, message="過期"), GrpcError(grpc.StatusCode.UNIMPLEMENTED)],
    ids=["no", "no such call"],
)
async def test_where_refreshing_fails_the_password_is_used(refusal: object) -> None:
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        pool.answers["RefreshToken"] = refusal
        await link.clock.advance(0.85 * 3600)
        await pool.heard("Login", 2)
        await pool.heard("RegisterWorkerNode", 2)
        assert (await link.client.send_output(T, "x")).delivered


@pytest.mark.parametrize("marker", ["TOKEN_EXPIRED", "INVALID_TOKEN", "Token is required"])
async def test_each_marker_of_a_bad_token_leads_to_one_new_login_and_the_call_again(marker: str) -> None:
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        pool.answers["TaskOutputUpload"] = Once(pb.TaskOutputUploadResponse(message=marker))
        assert await link.client.send_output(T, "x") == Sent(delivered=True)
        assert (len(pool.of("Login")), len(pool.of("TaskOutputUpload"))) == (2, 2)


async def test_words_that_only_contain_a_marker_mean_nothing() -> None:
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        pool.answers["TaskOutputUpload"] = pb.TaskOutputUploadResponse(message="task INVALID_TOKEN unknown")
        assert not (await link.client.send_output(T, "x")).retry
        assert len(pool.of("Login")) == 1


async def test_many_calls_that_find_the_token_bad_at_once_make_one_login() -> None:
    async with ScriptedPool(demands_bearer=True) as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        pool.invalidate_tokens()
        sent = await asyncio.gather(*(link.client.send_output(TaskId(f"t{n}"), "x") for n in range(20)))
        assert all(one.delivered for one in sent)
        assert len(pool.of("Login")) == 2


async def test_a_password_changed_at_the_pool_ends_in_a_refused_login() -> None:
    async with ScriptedPool(demands_bearer=True) as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        pool.users["ann"] = "another"
        pool.invalidate_tokens()
        assert (await link.client.send_output(T, "x")).retry
        await link.clock.next()
        async with asyncio.timeout(10):
            while link.client.view.link is not LinkState.LOGIN_REFUSED:
                await link.clock.next()
        assert len(pool.of("Login")) <= 4


@pytest.mark.parametrize(
    ("token", "life_s"),
    [
        ("", USUAL_LIFETIME_S),
        ("not.a.token", USUAL_LIFETIME_S),
        ("a.eyJleHAiOiAxMDAwfQ.c", 400.0),  # exp 1000 at 600
        ("a.eyJleHAiOiAxMDAwLCAiaWF0IjogMTAwfQ.c", 900.0),  # exp 1000, iat 100
        ("a.eyJleHAiOiA1MDB9.c", USUAL_LIFETIME_S),  # over by our clock: the clocks differ
        ("a.eyJleHAiOiAxZTk5fQ.c", USUAL_LIFETIME_S),
        ("a.eyJleHAiOiBOYU59.c", USUAL_LIFETIME_S),
        ("a.eyJleHAiOiB0cnVlfQ.c", USUAL_LIFETIME_S),
        ("a.WzFd.c", USUAL_LIFETIME_S),
        ("a." + "W1tb" * 1000 + ".c", USUAL_LIFETIME_S),
        ("a.\u00e9.c", USUAL_LIFETIME_S),
    ],
)
def test_the_life_of_a_token_is_read_where_it_makes_sense(token: str, life_s: float) -> None:
    assert lifetime_s(token, 600.0) == life_s


# ---- a pool that is away, mute or odd -----------------------------------------------------------


async def test_an_absent_pool_is_tried_with_growing_waits_and_found_again() -> None:
    async with ScriptedPool() as pool:
        pass  # only its port is needed: it is closed now
    async with linked(pool.address) as link:
        view = await link.shows(LinkState.UNREACHABLE)
        assert view.problem == Problem(code=FaultCode.POOL_UNREACHABLE, about=pool.address)
        for _ in range(9):
            assert await link.clock.next() <= 25
        await link.clock.resting()
        await pool.start()
        assert await link.clock.next() <= 25
        await link.shows(LinkState.REGISTERED)
        await pool.close()
        assert link.links() == [LinkState.CONNECTING, LinkState.UNREACHABLE, LinkState.REGISTERED]


def test_waits_have_full_jitter_under_a_ceiling_that_doubles_to_a_minute() -> None:
    rows = [
        [backoff.next_s() for _ in range(9)]
        for backoff in (Backoff(random.Random(n), 1e9) for n in range(500))
    ]
    columns = list(zip(*rows, strict=True))
    for column, ceiling in zip(columns, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert max(column) <= ceiling
        assert min(column) < ceiling / 20 and max(column) > ceiling * 0.95
        assert mean(column) == pytest.approx(ceiling / 2, rel=0.15)
    cut = Backoff(random.Random(1))
    assert max(cut.next_s() for _ in range(100)) == 25


async def test_a_pool_that_accepts_connections_but_says_nothing_is_mute() -> None:
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with linked(f"127.0.0.1:{port}", deadlines=SHORT) as link:
        view = await link.shows(LinkState.UNREACHABLE)
        assert view.problem == Problem(code=FaultCode.POOL_MUTE, about=f"127.0.0.1:{port}")
        sent = await link.client.send_output(T, "x")
        assert sent == Sent(delivered=False, retry=True, problem=view.problem)
    for writer in held:
        writer.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("method", ["Login", "GetBalance", "RegisterWorkerNode"])
async def test_a_call_without_an_answer_ends_at_its_deadline(method: str) -> None:
    answers = {method: Once(HANG)}
    async with ScriptedPool(answers=answers) as pool, linked(pool.address, deadlines=SHORT) as link:
        view = await link.shows(LinkState.UNREACHABLE)
        assert view.problem is not None and view.problem.code is FaultCode.POOL_MUTE
        await link.clock.next()
        await link.shows(LinkState.REGISTERED)


async def test_noise_instead_of_a_response_is_a_failed_call_not_a_crash() -> None:
    async with noise_server() as address, linked(address, deadlines=SHORT) as link:
        view = await link.shows(LinkState.UNREACHABLE)
        assert view.problem is not None
        await link.clock.next()
        await link.clock.resting()  # still trying


async def test_a_host_without_an_address_is_unreachable_and_tried_again() -> None:
    address = f"{'x' * 64}.invalid:50051"  # no resolver is asked: a label may have 63 letters
    async with linked(address) as link:
        view = await link.shows(LinkState.UNREACHABLE)
        assert view.problem == Problem(code=FaultCode.POOL_UNREACHABLE, about=address)


async def test_what_is_no_address_is_said() -> None:
    async with linked("10.0.0.1") as link:
        view = await link.shows(LinkState.UNREACHABLE)
        assert view.problem == Problem(code=FaultCode.BAD_ADDRESS, about="10.0.0.1")


async def test_after_a_long_sleep_of_the_computer_there_is_one_beat_not_a_burst() -> None:
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        await link.clock.advance(1800)
        await pool.heard("RegisterWorkerNode", 2)
        assert await link.clock.resting() == pytest.approx(10)
        assert len(pool.of("RegisterWorkerNode")) == 2


# ---- sending ------------------------------------------------------------------------------------


async def test_without_a_session_sending_is_to_be_tried_again(tmp_path: Path) -> None:
    async with linked("127.0.0.1:1", start=False) as link:
        for sent in (await link.client.send_output(T, "x"), await link.client.send_result(T, tmp_path / "r")):
            assert (sent.delivered, sent.retry) == (False, True)


FINAL = ("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "FAILED_PRECONDITION",
         "UNIMPLEMENTED", "OUT_OF_RANGE")  # fmt: skip
PASSING = (
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "UNKNOWN",
    "ABORTED",
    "CANCELLED",
    "UNAUTHENTICATED",
)


@pytest.mark.parametrize("name", FINAL + PASSING)
async def test_a_status_is_final_or_to_be_tried_again(tmp_path: Path, name: str) -> None:
    (tmp_path / "r.zip").write_bytes(b"zip")
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        pool.answers["TaskResultUpload"] = GrpcError(grpc.StatusCode[name], "words")
        sent = await link.client.send_result(T, tmp_path / "r.zip")
        assert (sent.delivered, sent.retry) == (False, name in PASSING)
        assert sent.problem is not None
        del pool.answers["TaskResultUpload"]
        assert (await link.client.send_result(T, tmp_path / "r.zip")).delivered


async def test_a_result_that_the_pool_has_already_counts_as_delivered(tmp_path: Path) -> None:
    (tmp_path / "r.zip").write_bytes(b"zip")
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        pool.answers["TaskResultUpload"] = GrpcError(grpc.StatusCode.ALREADY_EXISTS)
        assert await link.client.send_result(T, tmp_path / "r.zip") == Sent(delivered=True)


async def test_a_no_of_the_pool_is_final_and_carries_its_words(tmp_path: Path) -> None:
    (tmp_path / "r.zip").write_bytes(b"zip")
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        pool.answers["TaskResultUpload"] = pb.TaskResultUploadResponse(success=False, message="任务不存在")
        refused = Problem(code=FaultCode.POOL_REFUSED, about="任务不存在")
        assert await link.client.send_result(T, tmp_path / "r.zip") == Sent(delivered=False, problem=refused)
        assert len(pool.of("TaskResultUpload")) == 1


async def test_a_result_without_an_answer_is_to_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "r.zip").write_bytes(b"zip")
    async with ScriptedPool() as pool, linked(pool.address, deadlines=SHORT) as link:
        await link.shows(LinkState.REGISTERED)
        pool.answers["TaskResultUpload"] = HANG
        sent = await link.client.send_result(T, tmp_path / "r.zip")
        assert sent.retry and sent.problem is not None and sent.problem.code is FaultCode.POOL_MUTE


async def test_a_result_that_cannot_be_read_is_final(tmp_path: Path) -> None:
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        sent = await link.client.send_result(T, tmp_path / "gone.zip")
        assert (sent.retry, sent.problem and sent.problem.code) == (False, FaultCode.RESULT_UNREADABLE)
        assert pool.of("TaskResultUpload") == []


async def test_a_closing_session_tells_its_senders_to_try_again(tmp_path: Path) -> None:
    (tmp_path / "r.zip").write_bytes(b"zip")
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        pool.answers["TaskResultUpload"] = HANG
        sending = asyncio.ensure_future(link.client.send_result(T, tmp_path / "r.zip"))
        await pool.heard("TaskResultUpload")
        link.credentials = None
        link.client.wake()
        await link.clock.next()
        sent = await asyncio.wait_for(sending, 5)
        assert (sent.delivered, sent.retry) == (False, True)


async def test_output_is_always_valid_utf8() -> None:
    async with ScriptedPool() as pool, linked(pool.address) as link:
        await link.shows(LinkState.REGISTERED)
        assert (await link.client.send_output(T, "a\udcffb 任务")).delivered
        assert pool.outputs["t"] == "a?b 任务\n"


async def test_a_beat_that_waits_behind_a_large_upload_does_not_end_the_session(tmp_path: Path) -> None:
    (tmp_path / "r.zip").write_bytes(b"zip")
    deadlines = replace(SHORT, result_s=30.0)
    async with ScriptedPool() as pool, linked(pool.address, deadlines=deadlines) as link:
        await link.shows(LinkState.REGISTERED)
        release = asyncio.Event()

        async def slowly(request: object, call: object) -> object:
            await release.wait()
            return pb.TaskResultUploadResponse(success=True)

        pool.answers |= {"TaskResultUpload": slowly, "RegisterWorkerNode": Once(HANG)}
        sending = asyncio.ensure_future(link.client.send_result(T, tmp_path / "r.zip"))
        await pool.heard("TaskResultUpload")
        await link.clock.next()
        await pool.heard("RegisterWorkerNode", 2)
        await link.clock.next()
        await pool.heard("RegisterWorkerNode", 3)
        release.set()
        assert (await sending).delivered
        assert len(pool.of("Login")) == 1


# ---- looking once ---------------------------------------------------------------------------------


async def test_a_login_is_checked_once_for_the_command_line() -> None:
    async with ScriptedPool(balance=12) as pool:
        assert await check_login(pool.address, "ann", "right horse", interfaces={}) == 12
        wrong = await check_login(pool.address, "ann", "wrong", interfaces={})
        assert isinstance(wrong, Problem) and wrong.code is FaultCode.WRONG_PASSWORD
        pool.answers["GetBalance"] = pb.GetBalanceResponse(success=False, message="?")
        assert await check_login(pool.address, "ann", "right horse", interfaces={}) is None
        assert {call.method for call in pool.calls} == {"Login", "GetBalance"}
    gone = await check_login(pool.address, "ann", "right horse", interfaces={})
    assert gone == Problem(code=FaultCode.POOL_UNREACHABLE, about=pool.address)
