"""The pool's network over the API: seen by all who are signed in, changed by the owner, as documented."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema_rs
import pytest

from hivemind_worker.model.accounts import Role
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import Rung, RungResult, RungState, VpnState
from tests.vpn.corpus import GOOD, OWN, OWN_PUBLIC, REFUSED
from tests.web.conftest import Served

VPN = "/api/v1/vpn"
WISHES = ["up", "down", "auto_on", "auto_off", "back", "remove", "key", "check"]


async def fits(served: Served, method: str, path: str, answer: object) -> None:
    """The answer is what the OpenAPI document promises."""
    document = (await served.get("/api/v1/openapi.json")).values
    content = document["paths"][path][method]["responses"]["200"]["content"]
    schema = {**content["application/json"]["schema"], "components": document["components"]}
    jsonschema_rs.validate(schema, answer)


async def test_the_tunnel_is_told_with_the_age_of_its_handshake(served: Served) -> None:
    answer = (await served.get(VPN)).values
    assert answer["state"] == "not_set_up"
    await served.node.vpn.up()
    answer = (await served.get(VPN)).values
    assert (answer["state"], answer["handshake_age_s"]) == ("connected", 12.0)
    await fits(served, "get", VPN, answer)
    assert (await served.get("/api/status")).values["vpn"]["state"] == "connected"


@pytest.mark.parametrize("wish", WISHES)
async def test_each_wish_is_carried_out_and_answered_as_documented(served: Served, wish: str) -> None:
    answer = await served.post(f"{VPN}/{wish}", body={})
    assert answer.status == 200, answer.body
    await fits(served, "post", f"{VPN}/{wish}", answer.values)
    assert len(served.node.vpn.asked) == 1


@pytest.mark.parametrize("wish", ["up", "down", "back", "remove"])
async def test_what_cannot_be_done_is_a_conflict_with_its_reason_and_next_step(
    served: Served, wish: str
) -> None:
    served.node.vpn.refuse_with = Problem(code=FaultCode.VPN_NO_PERMISSION, about="sudo wg-quick up x.conf")
    answer = await served.post(f"{VPN}/{wish}", body={})
    assert answer.status == 409
    assert answer.values["code"] == "vpn_no_permission"
    assert "sudo wg-quick up x.conf" in answer.values["fix"]


async def test_a_profile_is_reviewed_without_a_change_and_kept_by_import_and_never_told_again(
    served: Served,
) -> None:
    for path in ("review", "import"):
        answer = await served.post(f"{VPN}/{path}", body={"profile": GOOD})
        assert answer.status == 200, answer.body
        assert answer.values["own_key"] == OWN_PUBLIC
        assert OWN not in json.dumps(answer.values)
        await fits(served, "post", f"{VPN}/{path}", answer.values)
        assert served.node.vpn.view.has_profile == (path == "import")


@pytest.mark.parametrize("case", REFUSED[::5], ids=lambda case: case.name)
async def test_a_refused_profile_changes_nothing_and_is_told_with_its_reason(
    served: Served, case: object
) -> None:
    text = case.content.decode("utf-8", "replace")  # type: ignore[attr-defined]
    answer = await served.post(f"{VPN}/import", body={"profile": text})
    assert answer.status == 400
    assert answer.values["code"] == "bad_profile"
    assert served.node.vpn.asked == []
    assert OWN not in json.dumps(answer.values)


@pytest.mark.parametrize(
    "body", [{}, {"profile": 7}, {"profile": GOOD, "wide": "yes"}, {"profile": GOOD, "x": 1}]
)
async def test_a_body_that_is_no_profile_is_refused(served: Served, body: dict[str, object]) -> None:
    assert (await served.post(f"{VPN}/import", body=body)).status == 400
    assert served.node.vpn.asked == []


async def test_one_who_may_only_read_sees_it_and_changes_nothing(served: Served) -> None:
    reader = await served.sign_in("rea", Role.VIEWER)
    assert (await served.get(VPN, token=None, headers=reader.headers())).status == 200
    for wish in WISHES:
        answer = await served.post(f"{VPN}/{wish}", token=None, headers=reader.headers(), body={})
        assert answer.status == 403
    assert served.node.vpn.asked == []


async def test_the_checks_stop_at_the_first_that_fails_with_one_sentence_and_one_action(
    served: Served,
) -> None:
    served.node.vpn.results = [
        RungResult(rung=Rung.PROFILE, state=RungState.PASSED, fields=(("file", "hivemind0.conf"),)),
        RungResult(rung=Rung.PERMISSION, state=RungState.FAILED, reason="no_right",
                   fields=(("command", "sudo wg-quick up x"),)),
    ]  # fmt: skip
    answer = (await served.post(f"{VPN}/check", body={})).values
    assert (answer["passed"], answer["failed_at"]) == (False, "permission")
    assert [row["state"] for row in answer["checks"]] == ["passed", "failed", *["not_checked"] * 9]
    assert answer["checks"][1]["action"] == "Run this in a terminal: sudo wg-quick up x"
    await fits(served, "post", f"{VPN}/check", answer)


async def test_health_judges_the_tunnel_by_its_handshake(served: Served) -> None:
    pool = replace(served.node.picture.pool, address="10.0.0.1:50051")
    served.node.picture = replace(served.node.picture, pool=pool)
    for state, status in (
        (VpnState.CONNECTED, "healthy"), (VpnState.STALE, "unhealthy"), (VpnState.BLOCKED, "unhealthy"),
        (VpnState.NO_PERMISSION, "unhealthy"),
    ):  # fmt: skip
        served.node.vpn.show(state=state, handshake_s=None if state is not VpnState.CONNECTED else 1.0)
        health = (await served.get("/health")).values
        assert health["checks"]["vpn"]["status"] == status, state
