"""Sessions, accounts, one-time links and named tokens, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from hivemind_worker.model.accounts import Role
from hivemind_worker.web.login_limits import MOST, WINDOW_S, LoginLimits
from hivemind_worker.web.sign_in import local_path
from hivemind_worker.web.start_codes import LASTS_S, StartCodes
from hivemind_worker.web.start_codes import MOST as MOST_CODES
from tests.fakes.node import NOW_S, make_task
from tests.web import wire
from tests.web.conftest import PASSWORD, TOKEN, Served

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def form(served: Served, target: str, fields: dict[str, str], **headers: str) -> wire.Answer:
    content = urlencode(fields).encode()
    return await served.post(target, token=None, raw_body=content, headers={**FORM, **headers})


async def link(served: Served) -> str:
    answer = await served.post("/api/v1/sessions/link")
    assert answer.status == 200
    assert answer.values["expires_in_s"] == 60
    return str(answer.values["path"])


# --- one-time links -----------------------------------------------------------------------------


async def test_a_link_signs_in_once_and_is_swapped_for_a_cookie(served: Served) -> None:
    path = await link(served)
    came = await served.get(path, token=None, headers={"Sec-Fetch-Site": "none"})
    assert (came.status, came.headers["location"], came.body) == (303, "/dashboard", b"")
    cookie = came.headers["set-cookie"]
    name, _, rest = cookie.partition("=")
    assert re.fullmatch(r"hivemind-[0-9a-f]{16}", name)
    secret = rest.partition(";")[0]
    assert len(secret) >= 43
    assert "; HttpOnly; SameSite=Strict; Path=/; Max-Age=86400" in cookie
    assert came.headers["cache-control"] == "no-store"
    assert came.headers["referrer-policy"] == "no-referrer"
    who = await served.get("/api/v1/sessions/current", token=None, headers={"Cookie": f"{name}={secret}"})
    assert (who.values["user"], who.values["role"], who.values["by"]) == ("", "owner", "session")
    again = await served.get(path, token=None)
    assert again.status == 401
    assert "set-cookie" not in again.headers
    assert (await served.get("/login?t=wrong", token=None)).status == 401


async def test_a_link_is_made_by_the_holder_of_the_token_alone(served: Served) -> None:
    owner = await served.sign_in()
    assert (await served.post("/api/v1/sessions/link", token=None)).status == 401
    refused = await served.post("/api/v1/sessions/link", token=None, headers=owner.headers())
    assert refused.status == 403


def test_a_start_code_is_good_once_for_a_minute_and_few_are_out() -> None:
    codes = StartCodes()
    first, second = codes.make(100.0), codes.make(100.0)
    assert not codes.take(first, 100.0 + LASTS_S)
    assert codes.take(second, 99.0 + LASTS_S)
    assert not codes.take(second, 100.0)
    many = [codes.make(200.0) for _ in range(MOST_CODES + 1)]
    assert not codes.take(many[0], 200.0)
    assert codes.take(many[1], 200.0)


async def test_the_cookies_of_two_installs_have_different_names(
    served: Served, make_served: Callable[..., Any]
) -> None:
    from hivemind_worker.web.guard import Guard

    names = {Guard(token, None, lambda: NOW_S).cookie_name for token in (TOKEN, "u" * 43)}
    assert len(names) == 2
    assert not [name for name in names if TOKEN[:8] in name]


# --- accounts -----------------------------------------------------------------------------------


async def test_name_and_password_begin_a_session_with_a_csrf_token(served: Served) -> None:
    anna = await served.sign_in("anna", Role.OWNER)
    seen = await served.get("/api/status", token=None, headers=anna.headers(csrf=False))
    assert seen.status == 200
    paused = await served.post("/api/v1/actions/pause", token=None, headers=anna.headers())
    assert paused.status == 200
    assert len(served.node.asked) == 1


async def test_a_form_login_leads_to_the_page_that_was_wanted(served: Served) -> None:
    await served.sign_in("anna")
    fields = {"name": "anna", "password": PASSWORD, "next": "/tasks?state=ended"}
    came = await form(served, "/login", fields, Origin=f"http://127.0.0.1:{served.api.port}")
    assert (came.status, came.headers["location"]) == (303, "/tasks?state=ended")
    refused = await form(served, "/login", {**fields, "password": "wrong"})
    assert refused.status == 401
    assert refused.headers["content-type"].startswith("text/html")
    assert b"is not right" in refused.body
    assert PASSWORD.encode() not in refused.body


@pytest.mark.parametrize(
    "wanted",
    ["//evil.com", "http://evil.com", "/\\evil.com", "evil", "", "/login?t=x", "/logout", "/api/v1/state",
     "/a\r\nSet-Cookie: x=y", "/ä", "/" + "a" * 3000],
)  # fmt: skip
def test_w_a_login_never_leads_elsewhere(wanted: str) -> None:
    assert local_path(wanted) == "/dashboard"


async def test_w_unknown_names_and_wrong_passwords_get_the_same_words(served: Served) -> None:
    await served.sign_in("anna")
    bodies = [{"name": "anna", "password": "wrong"}, {"name": "nobody", "password": PASSWORD},
              {"name": "no name at all\n", "password": ""}]  # fmt: skip
    answers = [await served.post("/login", token=None, body=body) for body in bodies]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert answers[0].values["code"] == "unauthorised"
    assert not [answer for answer in answers if "set-cookie" in answer.headers]


@pytest.mark.parametrize(
    "body", [{}, {"name": "anna"}, {"name": 1, "password": "x"}, {"name": "a", "password": "b", "more": 1}]
)
async def test_a_login_without_name_and_password_is_bad_usage(served: Served, body: dict[str, Any]) -> None:
    assert (await served.post("/login", token=None, body=body)).status == 400


async def test_w_the_eleventh_login_is_refused_even_with_the_right_password(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hivemind_worker.web.login_limits.SLOWER_S", 0.001)
    await served.users.add_account("anna", PASSWORD, Role.OWNER, NOW_S)
    wrong = {"name": "anna", "password": "wrong"}
    assert [(await served.post("/login", token=None, body=wrong)).status for _ in range(10)] == [401] * 10
    for body in (wrong, {"name": "anna", "password": PASSWORD}, {"name": "ben", "password": "x"}):
        late = await served.post("/login", token=None, body=body)
        assert (late.status, late.values["code"]) == (429, "busy")
        assert 0 < int(late.headers["retry-after"]) <= WINDOW_S
    assert (await form(served, "/login", {"name": "anna", "password": PASSWORD})).status == 429
    by_link = await served.get(await link(served), token=None)
    assert by_link.status == 303, "the owner of the computer is never locked out"


async def test_w_logins_all_at_once_gain_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hivemind_worker.web.login_limits.SLOWER_S", 0.001)
    wrong = {"name": "anna", "password": "wrong"}
    answers = await asyncio.gather(*(served.post("/login", token=None, body=wrong) for _ in range(40)))
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= MOST


def test_attempts_are_held_back_longer_and_longer_and_forgotten_after_a_quarter_of_an_hour() -> None:
    limits = LoginLimits()
    delays = [limits.begin("1.2.3.4", "anna", float(n)) for n in range(11)]
    assert delays[0] == 0
    assert delays[:10] == sorted(delays[:10], key=lambda delay: delay or 0.0)
    assert delays[10] is None
    assert limits.begin("5.6.7.8", "ANNA", 11.0) is None, "the name counts whatever the address"
    assert limits.begin("1.2.3.4", "ben", 11.0) is None, "and the address whatever the name"
    assert limits.wait_s("1.2.3.4", "anna", 11.0) == WINDOW_S - 11.0
    assert limits.begin("1.2.3.4", "anna", WINDOW_S + 0.5) is not None


def test_a_login_that_succeeds_does_not_clear_what_its_address_tried_before() -> None:
    limits = LoginLimits()
    for n in range(9):
        assert limits.begin("1.2.3.4", "ben", float(n)) is not None
    assert limits.begin("1.2.3.4", "anna", 9.0) is not None
    limits.succeeded("1.2.3.4", "anna", 9.0)
    assert limits.begin("1.2.3.4", "carl", 10.0) is not None
    assert limits.begin("1.2.3.4", "carl", 11.0) is None


def test_many_addresses_together_are_limited_and_what_is_remembered_is_bounded() -> None:
    limits = LoginLimits()
    allowed = sum(limits.begin(f"10.0.0.{n}", f"name{n}", 0.0) is not None for n in range(5000))
    assert allowed == 100
    assert len(limits._tried) <= 1000


async def test_s_no_password_or_code_or_session_reaches_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        anna = await served.sign_in("anna")
        path = await link(served)
        await served.get(path, token=None)
        await served.post("/login", token=None, body={"name": "secret-as-name", "password": "hunter2hunter2"})
        await served.get(path, token=None)
    for secret in (PASSWORD, "hunter2", "secret-as-name", path, anna.cookie.partition("=")[2], anna.csrf):
        assert secret not in caplog.text
    assert "anna signed in from 127.0.0.1" in caplog.text


# --- roles, sessions, tokens --------------------------------------------------------------------


async def test_a_viewer_may_look_and_change_nothing(served: Served) -> None:
    served.node.put(make_task())
    ben = await served.sign_in("ben", Role.VIEWER)
    assert (await served.get("/api/v1/state", token=None, headers=ben.headers())).status == 200
    for target in ("/api/v1/actions/pause", "/api/stop_task/task_1", "/api/v1/tasks/task_1/stop"):
        refused = await served.post(target, token=None, headers=ben.headers())
        assert (refused.status, refused.values["code"]) == (403, "forbidden")
    assert served.node.asked == []


async def test_several_are_signed_in_at_once_and_each_ends_alone(served: Served) -> None:
    anna, ben = await served.sign_in("anna"), await served.sign_in("ben", Role.VIEWER)
    out = await served.post("/logout", token=None, headers=ben.headers())
    assert out.status == 200
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert (await served.get("/api/status", token=None, headers=ben.headers())).status == 401
    assert (await served.get("/api/status", token=None, headers=anna.headers())).status == 200


async def test_logout_by_a_form_wants_the_token_of_the_session(served: Served) -> None:
    anna, ben = await served.sign_in("anna"), await served.sign_in("ben")
    for fields in ({}, {"csrf": ""}, {"csrf": ben.csrf}):
        refused = await form(served, "/logout", fields, Cookie=anna.cookie)
        assert refused.status == 403
    assert (await served.get("/api/status", token=None, headers=anna.headers())).status == 200
    out = await form(served, "/logout", {"csrf": anna.csrf}, Cookie=anna.cookie)
    assert (out.status, out.headers["location"]) == (303, "/login")
    assert (await served.get("/api/status", token=None, headers=anna.headers())).status == 401
    assert (await served.get("/logout", token=None, headers=ben.headers())).status == 405


async def test_w_signing_in_gives_a_new_id_and_ends_the_one_before(served: Served) -> None:
    anna = await served.sign_in("anna")
    again = await served.post(
        "/login", token=None, body={"name": "anna", "password": PASSWORD}, headers={"Cookie": anna.cookie}
    )
    assert again.headers["set-cookie"].partition(";")[0] != anna.cookie
    assert (await served.get("/api/status", token=None, headers=anna.headers())).status == 401
    chosen = anna.cookie.partition("=")[0] + "=" + "x" * 43
    fixed = await served.post(
        "/login", token=None, body={"name": "anna", "password": PASSWORD}, headers={"Cookie": chosen}
    )
    assert "x" * 43 not in fixed.headers["set-cookie"]


async def test_sessions_are_listed_and_ended(served: Served) -> None:
    anna, ben = await served.sign_in("anna"), await served.sign_in("ben", Role.VIEWER)
    listed = (await served.get("/api/v1/sessions", token=None, headers=anna.headers())).values["sessions"]
    assert [(row["user"], row["current"]) for row in listed] == [("ben", False), ("anna", True)]
    assert not re.search(anna.cookie.partition("=")[2], json.dumps(listed))
    own = (await served.get("/api/v1/sessions", token=None, headers=ben.headers())).values["sessions"]
    assert [row["user"] for row in own] == ["ben"]
    target = {row["user"]: f"/api/v1/sessions/{row['number']}" for row in listed}
    for path, who, expected in (
        (target["anna"], ben, 404),
        (target["ben"], anna, 200),
        (target["ben"], anna, 404),
    ):
        answer = await wire.ask(served.api.port, path, method="DELETE", headers=who.headers())
        assert answer.status == expected
    assert (await served.get("/api/status", token=None, headers=ben.headers())).status == 401
    for odd in ("x", "0", "-1", "9" * 40, "%00", "²"):
        path = f"/api/v1/sessions/{odd}"
        assert (await wire.ask(served.api.port, path, method="DELETE", token=TOKEN)).status in (400, 404)


async def test_a_session_ends_after_the_setting(make_served: Callable[..., Any]) -> None:
    now = [NOW_S]
    async with make_served(clock=lambda: now[0]) as served:
        served.node.settings = replace(served.node.settings, session_timeout_h=2.0)
        anna = await served.sign_in("anna")
        now[0] += 2 * 3600 - 1
        assert (await served.get("/api/status", token=None, headers=anna.headers())).status == 200
        now[0] += 1
        assert (await served.get("/api/status", token=None, headers=anna.headers())).status == 401


async def test_a_named_token_reads_changes_nothing_and_can_be_revoked(served: Served) -> None:
    token = await served.users.add_token("grafana", NOW_S)
    assert isinstance(token, str)
    assert (await served.get("/api/v1/state", token=token)).status == 200
    assert (await served.get("/health", token=token)).values["checks"]["grpc"]["detail"]
    for target in ("/api/v1/actions/pause", "/api/v1/sessions/link"):
        assert (await served.post(target, token=token)).status == 403
    assert (await served.get("/api/status", token=token, headers={"X-API-Key": TOKEN})).status == 401
    await served.users.remove_token("grafana")
    assert (await served.get("/api/v1/state", token=token)).status == 401
    assert served.node.asked == []


async def test_w_a_cookie_alone_changes_nothing(served: Served) -> None:
    anna, ben = await served.sign_in("anna"), await served.sign_in("ben")
    for wrong in (None, "", "x" * 64, ben.csrf, anna.csrf[:-1]):
        headers = anna.headers(csrf=False) | ({"X-CSRF-Token": wrong} if wrong else {})
        refused = await served.post("/api/v1/actions/pause", token=None, headers=headers)
        assert (refused.status, refused.values["code"]) == (403, "forbidden"), wrong
    assert served.node.asked == []


async def test_when_the_accounts_cannot_be_read_sessions_get_503_and_the_token_works(served: Served) -> None:
    anna = await served.sign_in("anna")
    await served.users._thread.call(served.users._close)
    answer = await served.get("/api/status", token=None, headers=anna.headers())
    assert (answer.status, answer.values["code"]) == (503, "disk_full")
    assert (await served.get("/api/status")).status == 200
