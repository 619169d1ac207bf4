"""Section W, walked over the whole route table: who should not, cannot, by any route, and nothing is done."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hivemind_worker.model.accounts import Role
from hivemind_worker.web.routes import Access, Route
from tests.fakes.node import NOW_S, make_task
from tests.vpn.corpus import GOOD
from tests.web import wire
from tests.web.conftest import TOKEN, Browser, Served

FILLED = {"{id}": "task_1", "{number}": "1", "{name}": "app.js", "{path}": "nowhere"}
PUBLIC = {
    ("GET", "/livez"), ("GET", "/readyz"), ("GET", "/health"), ("GET", "/login"), ("POST", "/login"),
    ("GET", "/assets/{name}"),
}  # fmt: skip
"""All that may be reached without a login. A route that joins these must be argued for here."""
BY_ANYBODY = {("POST", "/logout"), ("DELETE", "/api/v1/sessions/{number}")}
"""Writes that touch the caller's own session alone, so that viewers may use them."""
BODIES = {
    "/api/v1/actions/snooze": {"minutes": 5},
    "/api/v1/settings": {"trust_threshold": 77},
    "/api/v1/vpn/review": {"profile": GOOD},
    "/api/v1/vpn/import": {"profile": GOOD},
    "/api/v1/rules": {"idle_on": True},
    "/api/v1/conditions": {"name": "solar", "ok": False, "ttl_s": 60},
    "/api/v1/actions/mode": {"mode": "run"},
    "/api/v1/actions/gpu": {"paused": True},
    "/login": {"name": "anna", "password": "a wrong one"},
}


def walked(served: Served) -> list[tuple[str, str, str, Route]]:
    """Method, canonical path, an address that fits it, and the row, of every route."""
    rows = []
    for (method, path), route in sorted(served.api.table.items()):
        address = path
        for part, text in FILLED.items():
            address = address.replace(part, text)
        assert "{" not in address, f"{path} needs a filling"
        rows.append((method, path, address, route))
    assert len(rows) > 30
    return rows


def is_public(method: str, path: str) -> bool:
    return (method, path) in PUBLIC


async def knock(served: Served, method: str, path: str, address: str, **more: Any) -> wire.Answer:
    """One request, with the body that the route takes."""
    body = BODIES.get(path) if method != "GET" else None
    return await wire.ask(served.api.port, address, method=method, **{"body": body} | more)


class Watched:
    """What the worker and the book of users held; `untouched` tells whether they still do."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._before: Any = None

    async def look(self) -> Any:
        users, node = self._served.users, self._served.node
        return (
            node.asked[:], node.vpn.asked[:], dict(node.kept), node.settings, node.reconnects,
            node.fetches[:],
            await users.accounts(), await users.sessions(NOW_S), await users.tokens(),
            self._served.api._live.readers,
        )  # fmt: skip

    async def begin(self) -> None:
        self._before = await self.look()

    async def untouched(self) -> bool:
        return bool(await self.look() == self._before)


@pytest.fixture
async def watched(served: Served) -> Watched:
    served.node.put(make_task())
    return Watched(served)


def wrong_of(port: int) -> list[dict[str, Any]]:
    """Requests that come from elsewhere: a foreign or rebinding name, a foreign page."""
    hosts = ("evil.com", "127.evil.com", f"127.0.0.1.evil.com:{port}", f"localhost.evil.com:{port}",
             f"localhost:{port + 1}", f"0.0.0.0:{port}", f"worker.local:{port}")  # fmt: skip
    origins = ("http://evil.com", "null", f"http://localhost:{port + 1}", f"https://127.0.0.1:{port}")
    sites = ("cross-site", "same-site")
    return [
        *({"host": host} for host in hosts),
        *({"headers": {"Origin": origin}} for origin in origins),
        *({"headers": {"Sec-Fetch-Site": site}} for site in sites),
    ]


async def test_w_without_a_login_every_route_but_the_public_ones_is_refused(
    served: Served, watched: Watched
) -> None:
    await watched.begin()
    for method, path, address, route in walked(served):
        answer = await knock(served, method, path, address)
        if is_public(method, path):
            assert answer.status in (200, 303, 401, 404), (method, path, answer.status)
            assert route.access is Access.OPEN
        elif route.page:
            assert answer.status == 303, (method, path)
            assert re.fullmatch(r"/login(\?next=/[\w/%.-]*)?", answer.headers["location"]), path
            assert not answer.body
        else:
            assert answer.status == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "set-cookie" not in answer.headers
    assert await watched.untouched()


@pytest.mark.parametrize("kind", ["ended", "made up", "of another install", "timed out"])
async def test_w_a_stale_session_is_no_session(
    make_served: Callable[..., Any], kind: str, tmp_path: Path
) -> None:
    now = [NOW_S]
    async with make_served(clock=lambda: now[0]) as served:
        served.node.put(make_task())
        anna = await served.sign_in("anna")
        headers = anna.headers()
        if kind == "ended":
            await served.post("/logout", token=None, headers=headers)
        elif kind == "made up":
            headers["Cookie"] = anna.cookie.partition("=")[0] + "=" + "x" * 43
        elif kind == "of another install":
            headers["Cookie"] = "hivemind-0123456789abcdef=" + anna.cookie.partition("=")[2]
        else:
            now[0] += 24 * 3600
        watched = Watched(served)
        await watched.begin()
        for method, path, address, route in walked(served):
            if is_public(method, path):
                continue
            answer = await knock(served, method, path, address, headers=headers)
            assert answer.status == (303 if route.page else 401), (method, path)
        assert await watched.untouched()


async def test_w_from_elsewhere_every_route_is_refused_whoever_asks(served: Served, watched: Watched) -> None:
    anna = await served.sign_in("anna")
    await watched.begin()
    for wrong in wrong_of(served.api.port):
        for method, path, address, _route in walked(served):
            for who in ({}, {"Authorization": f"Bearer {TOKEN}"}, anna.headers()):
                request = {**wrong, "headers": {**who, **wrong.get("headers", {})}}
                answer = await knock(served, method, path, address, **request)
                assert answer.status == 403, (wrong, method, path)
                assert b"csrf" not in answer.body
    assert await watched.untouched()


async def test_w_a_write_by_cookie_without_its_csrf_token_is_refused(
    served: Served, watched: Watched
) -> None:
    anna, ben = await served.sign_in("anna"), await served.sign_in("ben")
    await watched.begin()
    writes = [row for row in walked(served) if row[0] != "GET" and not is_public(row[0], row[1])]
    assert len(writes) >= 10
    for method, path, address, _route in writes:
        for csrf in (None, "x", ben.csrf):
            headers = anna.headers(csrf=False) | ({"X-CSRF-Token": csrf} if csrf else {})
            answer = await knock(served, method, path, address, headers=headers)
            assert answer.status == 403, (method, path)
    assert await watched.untouched()


async def test_w_a_viewer_and_a_read_only_token_change_nothing_by_any_route(
    served: Served, watched: Watched
) -> None:
    ben = await served.sign_in("ben", Role.VIEWER)
    token = await served.users.add_token("grafana", NOW_S)
    assert isinstance(token, str)
    await watched.begin()
    for method, path, address, route in walked(served):
        if method == "GET" or is_public(method, path):
            continue
        assert (route.access is Access.VIEWER) == ((method, path) in BY_ANYBODY), "writes are an owner's"
        if (method, path) in BY_ANYBODY:
            continue
        assert (await knock(served, method, path, address, headers=ben.headers())).status == 403
        assert (await knock(served, method, path, address, token=token)).status == 403
    assert await watched.untouched()


async def test_w_no_get_changes_anything_whoever_asks(served: Served, watched: Watched) -> None:
    anna = await served.sign_in("anna")
    await watched.begin()
    for method, path, address, _route in walked(served):
        if method == "GET" and path != "/api/v1/events":
            answer = await knock(served, method, path, address, headers=anna.headers(csrf=False))
            assert answer.status in (200, 303, 404), (path, answer.status)
    assert await watched.untouched()


async def test_w_a_body_that_is_not_json_or_packed_is_refused_by_every_write(
    served: Served, watched: Watched
) -> None:
    await watched.begin()
    for method, path, address, route in walked(served):
        if method == "GET":
            continue
        kinds = ["text/plain", "multipart/form-data; boundary=x", ""]
        kinds += [] if route.form else ["application/x-www-form-urlencoded"]
        for kind in kinds:
            headers = {"Content-Type": kind}
            answer = await knock(served, method, path, address, token=TOKEN, body={"x": 1}, headers=headers)
            assert answer.status == 415, (method, path, kind)
        packed = {"Content-Encoding": "gzip"}
        answer = await knock(served, method, path, address, token=TOKEN, body={"x": 1}, headers=packed)
        assert answer.status == 415, (method, path)
    assert await watched.untouched()


async def test_w_a_body_that_is_too_large_is_refused_by_every_write(served: Served, watched: Watched) -> None:
    """All at once: the door waits a second with each for what was announced."""
    await watched.begin()
    large = {"Content-Length": str((1 << 20) + 1)}
    writes = [(method, path, address) for method, path, address, _row in walked(served) if method != "GET"]
    answers = await asyncio.gather(
        *(knock(served, *write, token=TOKEN, body={"x": 1}, headers=large) for write in writes)
    )
    assert {write: answer.status for write, answer in zip(writes, answers, strict=True)} == dict.fromkeys(
        writes, 413
    )
    assert await watched.untouched()


async def test_w_every_answer_is_closed_to_frames_sniffing_and_caches(
    served: Served, watched: Watched
) -> None:
    anna = await served.sign_in("anna")
    for method, path, address, _route in walked(served):
        if path == "/api/v1/events":
            continue
        for who in ({}, anna.headers()):
            answer = await knock(served, method if method == "GET" else "PUT", path, address, headers=who)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy, path
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "base-uri 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["server"] == "hivemind-worker"
            if not path.startswith("/assets/"):
                assert answer.headers["cache-control"] == "no-store", path
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_w_no_answer_shows_a_secret(served: Served) -> None:
    anna: Browser = await served.sign_in("anna")
    named = await served.users.add_token("grafana", NOW_S)
    secrets = (TOKEN, anna.cookie.partition("=")[2], str(named))
    for method, path, address, _route in walked(served):
        if method != "GET" or path == "/api/v1/events":
            continue
        answer = await knock(served, method, path, address, headers=anna.headers())
        text = answer.body.decode("utf-8", "replace") + json.dumps(answer.headers)
        assert not [secret for secret in secrets if secret in text], path
