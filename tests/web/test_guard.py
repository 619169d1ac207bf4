"""Section W of the requirements: who may ask, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from hivemind_worker import __version__
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.web.connection import HEAD_LIMIT_S, MAX_CONNECTIONS
from hivemind_worker.web.local_api import LocalApi
from hivemind_worker.web.token import proof_of
from tests.fakes.node import FakeNode, make_task
from tests.web import wire
from tests.web.conftest import TOKEN, Served

GETS = ["/api/status", "/api/tasks", "/api/resources", "/api/v1/state", "/api/v1/log", "/api/v1/tasks/task_1",
        "/api/v1/tasks/task_1/story", "/api/v1/tasks/task_1/logs", "/api/v1/tasks/task_1/result"]  # fmt: skip
POSTS = ["/api/stop_task/task_1", "/api/v1/tasks/task_1/stop", "/api/v1/actions/pause",
         "/api/v1/actions/resume", "/api/v1/actions/snooze", "/api/v1/actions/finish"]  # fmt: skip
OPEN = ["/livez", "/health"]


async def test_w_every_route_but_livez_and_bare_health_wants_the_token(served: Served) -> None:
    served.node.put(make_task())
    for target in [*GETS, "/nowhere", "/api/v1/nowhere", "/openapi.json"]:
        answers = [await served.get(target, token=wrong) for wrong in (None, "", "x" * 43, TOKEN[:-1])]
        assert {answer.status for answer in answers} == {401}, target
        assert len({answer.body for answer in answers}) == 1, "the words must not tell what was wrong"
    for target in POSTS:
        assert (await served.post(target, token=None)).status == 401, target
    assert served.node.asked == []


async def test_w_the_token_is_taken_as_bearer_and_as_api_key(served: Served) -> None:
    assert (await served.get("/api/status")).status == 200
    assert (await served.get("/api/status", token=None, headers={"X-API-Key": TOKEN})).status == 200
    assert (
        await served.get("/api/status", token=None, headers={"Authorization": f"bearer {TOKEN}"})
    ).status == 200
    wrong_too = {"X-API-Key": "wrong"}
    assert (await served.get("/api/status", headers=wrong_too)).status == 401
    odd = {"Authorization": "Bearer \udcff\udcfe"}
    assert (await served.get("/api/status", token=None, headers=odd)).status == 401


async def test_w_a_host_that_is_not_ours_is_refused_first_on_every_route(served: Served) -> None:
    port = served.api.port
    wrong = ["127.evil.com", f"127.evil.com:{port}", f"localhost.evil.com:{port}", f"localhost:{port + 1}",
             "localhost", f"0.0.0.0:{port}", f"127.0.0.2:{port}", f"[::2]:{port}", f"user@localhost:{port}",
             f"localhost:{port}.", "evil.com"]  # fmt: skip
    for host in wrong:
        for target in [*GETS, *OPEN, "/nowhere"]:
            assert (await served.get(target, host=host)).status == 403, (host, target)
        assert (await served.post("/api/v1/actions/pause", host=host)).status == 403
    for host in (f"localhost:{port}", f"LOCALHOST:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert (await served.get("/api/status", host=host)).status == 200, host
    assert served.node.asked == []


async def test_w_no_host_or_two_hosts_are_refused(served: Served) -> None:
    port = served.api.port
    none = wire.parse(await wire.exchange(port, b"GET /livez HTTP/1.0\r\n\r\n"))
    assert none.status in (400, 403)
    two = f"GET /livez HTTP/1.1\r\nHost: localhost:{port}\r\nHost: evil.com\r\nConnection: close\r\n\r\n"
    assert wire.parse(await wire.exchange(port, two.encode())).status in (400, 403)
    elsewhere = f"GET http://evil.com/livez HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    assert wire.parse(await wire.exchange(port, elsewhere.encode())).status in (400, 403)


async def test_w_pages_of_other_origins_are_refused_even_with_the_token(served: Served) -> None:
    port = served.api.port
    for origin in ("http://evil.com", "null", f"https://localhost:{port}", f"http://localhost:{port + 1}",
                   f"http://localhost:{port}.evil.com", "http://127.0.0.1"):  # fmt: skip
        assert (await served.post("/api/v1/actions/pause", headers={"Origin": origin})).status == 403, origin
        assert (await served.get("/api/status", headers={"Origin": origin})).status == 403, origin
    for site in ("cross-site", "same-site", "nonsense"):
        assert (await served.get("/livez", headers={"Sec-Fetch-Site": site})).status == 403, site
    assert served.node.asked == []
    other_name = {"Origin": f"http://localhost:{port}"}
    assert (await served.post("/api/v1/actions/pause", headers=other_name)).status == 403
    assert served.node.asked == []
    ours = {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
    assert (await served.post("/api/v1/actions/pause", headers=ours)).status == 200


async def test_w_a_preflight_gets_no_permission(served: Served) -> None:
    headers = {"Access-Control-Request-Method": "POST"}
    answer = await wire.ask(
        served.api.port, "/api/v1/actions/pause", method="OPTIONS", token=TOKEN, headers=headers
    )
    assert answer.status == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_w_a_write_with_a_body_must_be_json(served: Served) -> None:
    for kind in (
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "text/json",
    ):
        answer = await served.post("/api/v1/actions/pause", body={}, headers={"Content-Type": kind})
        assert answer.status == 415, kind
    answer = await served.post("/api/v1/actions/pause", body={}, headers={"Content-Type": ""})
    assert answer.status == 415
    packed = await served.post("/api/v1/actions/pause", body={}, headers={"Content-Encoding": "gzip"})
    assert packed.status == 415
    assert served.node.asked == []
    with_charset = {"Content-Type": "application/json; charset=utf-8"}
    assert (await served.post("/api/v1/actions/pause", body={}, headers=with_charset)).status == 200


NONSENSE = [
    b"{", b"[]", b"3", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"surprise":1}', b'{"until_s":"soon"}',
    b'{"until_s":1e999}', b'{"until_s":NaN}', b'{"until_s":true}', b'{"until_s":5}',
    b'{"until_s":' + b"9" * 5000 + b"}", b'{"until_s":"2026-11-24T15:00:00"}',
]  # fmt: skip


@pytest.mark.parametrize("content", NONSENSE, ids=range(len(NONSENSE)))
async def test_w_a_body_that_makes_no_sense_changes_nothing(served: Served, content: bytes) -> None:
    answer = await served.post("/api/v1/actions/pause", raw_body=content)
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert served.node.asked == []


async def test_w_a_body_over_one_mebibyte_is_refused(served: Served) -> None:
    size = {"Content-Type": "application/json", "Content-Length": str((1 << 20) + 1)}
    declared = await served.post("/api/v1/actions/pause", headers=size)
    assert declared.status == 413
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = (f"POST /api/v1/actions/pause HTTP/1.1\r\nHost: localhost:{served.api.port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")  # fmt: skip
    streamed = wire.parse(await wire.exchange(served.api.port, head.encode() + chunk * 17 + b"0\r\n\r\n"))
    assert streamed.status == 413
    assert served.node.asked == []


async def test_w_a_head_over_eight_kibibytes_is_refused(served: Served) -> None:
    many = {f"X-Filler-{number}": "y" * 1000 for number in range(9)}
    assert (await served.get("/livez", headers=many)).status == 431
    one = await served.get("/livez", headers={"X-Filler": "y" * 9000})
    assert one.status in (400, 431)
    assert b"yyyy" not in one.body, "what was sent must not come back"
    assert (await served.get("/" + "y" * 9000)).status in (400, 414, 431)
    hundred = {f"X-{number}": "y" for number in range(100)}
    assert (await served.get("/livez", headers=hundred)).status in (400, 431)


NOISE = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "script": b"<script>alert(1)</script>\r\n\r\n",
    "version": b"GET / HTTP/9.9\r\n\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "zeros": b"\x00" * 100 + b"\r\n\r\n",
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
async def test_w_noise_gets_a_plain_answer_or_none(
    served: Served, noise: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        raw = await wire.exchange(served.api.port, noise)
    if raw:
        answer = wire.parse(raw)
        assert answer.status == 400
        assert b"script" not in answer.body
        assert answer.headers["server"] == "hivemind-worker"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Traceback" not in caplog.text
    assert (await served.get("/livez")).status == 200


async def test_w_every_answer_carries_the_security_headers(served: Served) -> None:
    served.node.put(make_task())
    served.node.result_archive(make_task().key).write_bytes(b"PK")
    answers = [await served.get(target) for target in [*GETS, *OPEN, "/nowhere"]]
    answers += [await served.get("/api/status", token=None), await served.get("/livez", host="evil.com")]
    answers += [await served.post("/api/v1/actions/finish", body={"quit": "perhaps"})]
    answers += [await served.get("/livez", headers={"Expect": "something"})]
    for answer in answers:
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-hivemind-worker"] == __version__
        assert answer.headers["server"] == "hivemind-worker", "no names and versions of libraries"


async def test_w_no_get_changes_anything(served: Served) -> None:
    served.node.put(make_task())
    for target in POSTS:
        answer = await served.get(target)
        assert answer.status == 405, target
        assert answer.headers["allow"] == "POST"
    for method in ("PUT", "DELETE", "PATCH", "HEAD", "TRACE"):
        for target in ("/api/v1/actions/pause", "/api/stop_task/task_1"):
            refused = await wire.ask(served.api.port, target, method=method, token=TOKEN)
            assert refused.status in (400, 405), (method, target)
    assert served.node.asked == []


async def test_w_a_half_sent_head_is_cut_off_although_drops_keep_coming(
    make_served: Callable[..., Any],
) -> None:
    async with make_served(head_limit_s=0.4) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.api.port)
        writer.write(f"GET /livez HTTP/1.1\r\nHost: localhost:{served.api.port}\r\n".encode())
        began = time.monotonic()

        async def drip() -> None:
            while True:
                writer.write(b"X-Drop: 1\r\n")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(5):
            ending = await reader.read()
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.close()
        assert ending == b""
        assert 0.3 < time.monotonic() - began < 3


async def test_w_a_connection_that_idles_after_an_answer_is_cut_off(make_served: Callable[..., Any]) -> None:
    async with make_served(head_limit_s=0.4) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.api.port)
        head = f"GET /livez HTTP/1.1\r\nHost: localhost:{served.api.port}\r\n"
        writer.write(head.encode() + b"\r\n" + head.encode())  # one whole request and half of the next
        async with asyncio.timeout(5):
            everything = await reader.read()
        writer.close()
        assert everything.count(b"HTTP/1.1 200") == 1


async def test_w_a_body_that_never_comes_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hivemind_worker.web.asked.BODY_LIMIT_S", 0.2)
    answer = await served.post("/api/v1/actions/pause", headers={"Content-Type": "application/json",
                                                                "Content-Length": "50"})  # fmt: skip
    assert answer.status == 408
    assert served.node.asked == []


async def test_w_connections_over_the_cap_are_turned_away_and_the_rest_is_served(
    make_served: Callable[..., Any],
) -> None:
    async with make_served(max_connections=5) as served:
        held = [await asyncio.open_connection("127.0.0.1", served.api.port) for _ in range(5)]
        # Each one is answered, so that all five count before the sixth comes.
        for reader, writer in held:
            writer.write(f"GET /livez HTTP/1.1\r\nHost: localhost:{served.api.port}\r\n\r\n".encode())
            assert b" 200 " in await reader.readuntil(b"\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", served.api.port)
        async with asyncio.timeout(5):
            assert await _all_of(reader) == b"", "the sixth is cut off without an answer"
        writer.close()
        for _, kept in held:
            kept.close()
            await kept.wait_closed()
        await _until_served(served)


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def _until_served(served: Served) -> None:
    """A closed connection stops counting when the server's loop has seen it."""
    async with asyncio.timeout(5):
        while True:
            try:
                if (await served.get("/livez")).status == 200:
                    return
            except (ConnectionError, IndexError):
                await asyncio.sleep(0.01)


def test_w_the_limits_in_use_are_those_that_were_decided() -> None:
    assert HEAD_LIMIT_S == 10.0
    assert MAX_CONNECTIONS == 200


async def test_w_a_bug_in_a_route_is_answered_without_details_and_logged(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_task_id: str) -> None:
        raise RuntimeError("the secret path /home/anna")

    monkeypatch.setattr(served.node, "find_task", broken)
    answer = await served.get("/api/v1/tasks/a%0A%1B%5B31mforged")
    assert answer.status == 500
    assert answer.values["code"] == "bug"
    assert b"anna" not in answer.body
    assert b"Traceback" not in answer.body
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert messages
    assert all("\n" not in text and "\x1b" not in text for text in messages), "ids must not forge log lines"
    seed = await served.post("/api/stop_task/x")
    assert (seed.status, seed.values["success"]) == (500, False)


async def test_w_the_server_listens_on_loopback_only(tmp_path: Any) -> None:
    api = LocalApi(FakeNode(tmp_path), TOKEN)
    for host in ("0.0.0.0", "::", "192.168.1.5"):
        with pytest.raises(ValueError, match="loopback"):
            await api.start(host=host, port=0)
    port = await api.start(port=0)
    assert isinstance(port, int)
    with socket.socket() as other, pytest.raises(OSError):
        other.connect(("127.0.0.2", port))
    await api.close()


async def test_w_both_loopback_addresses_answer(served: Served) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        hosts = ["127.0.0.1"]
    else:
        hosts = ["127.0.0.1", "::1"]
    head = f"GET /livez HTTP/1.1\r\nHost: localhost:{served.api.port}\r\nConnection: close\r\n\r\n".encode()
    for host in hosts:
        assert wire.parse(await wire.exchange(served.api.port, head, host)).values == {"ok": True}


async def test_a_taken_port_is_searched_upwards_or_named(tmp_path: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        strict, searching = LocalApi(FakeNode(tmp_path), TOKEN), LocalApi(FakeNode(tmp_path), TOKEN)
        problem = await strict.start(port=port, search=False)
        assert isinstance(problem, Problem)
        assert problem.code is FaultCode.PORT_IN_USE
        assert str(port) in problem.about
        assert "FLASK_PORT" in problem.about
        found = await searching.start(port=port, search=True)
        assert isinstance(found, int)
        assert port < found <= port + 50
        await strict.close()
        await searching.close()


async def test_livez_proves_that_the_server_knows_the_token_without_telling_it(served: Served) -> None:
    nonce = "n" * 32
    answer = await served.get("/livez", token=None, headers={"X-HiveMind-Proof": nonce})
    assert answer.values == {"ok": True}
    assert answer.headers["x-hivemind-proof"] == proof_of(TOKEN, nonce)
    assert TOKEN not in json.dumps(answer.headers)
    for bad in ("short", "n" * 500, "n n" * 20):
        assert (
            "x-hivemind-proof" not in (await served.get("/livez", headers={"X-HiveMind-Proof": bad})).headers
        )
