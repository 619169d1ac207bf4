"""The owner's machines over the API and on their page: seen by who is signed in, told by the owner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hivemind_worker.model.accounts import Role
from hivemind_worker.model.fleet import Fleet, Wish, WishKind
from hivemind_worker.presentation.fleet import COLUMNS, fleet_rows
from tests.fakes.node import NOW_S, FakeNode, make_machine
from tests.web.conftest import Served
from tests.web.test_vpn_routes import fits

FLEET = "/api/v1/fleet"


def two_machines(node: FakeNode) -> None:
    """larch is this one, attic is away with a wish."""
    wish = Wish(kind=WishKind.PAUSE, by="larch", number=3, at_s=NOW_S - 60)
    pool = replace(node.picture.pool, address="tls://pool.example:4222")
    node.picture = replace(node.picture, pool=pool)
    node.fleet.shown = Fleet(
        account="anna", balance=7, at_s=NOW_S,
        machines=(make_machine("attic", online=False, waiting=wish), make_machine("larch", is_this=True)),
    )  # fmt: skip


async def test_the_machines_are_listed_as_documented(served: Served) -> None:
    two_machines(served.node)
    answer = (await served.get(FLEET)).values
    await fits(served, "get", FLEET, answer)
    assert [each["name"] for each in answer["machines"]] == ["attic", "larch"]
    assert answer["machines"][0]["waiting"]["by"] == "larch"
    assert answer["machines"][0]["status"] == "offline"


@pytest.mark.parametrize(
    "kind,body,asked",
    [
        ("pause", {"machines": ["attic"], "minutes": 15}, (WishKind.PAUSE, ("attic",), 900.0)),
        ("pause", {}, (WishKind.PAUSE, None, None)),
        ("resume", {"machines": ["attic", "larch"]}, (WishKind.RESUME, ("attic", "larch"), None)),
        ("finish", {}, (WishKind.FINISH, None, None)),
    ],
)
async def test_a_wish_is_passed_on_and_answered_as_documented(
    served: Served, kind: str, body: dict[str, object], asked: object
) -> None:
    two_machines(served.node)
    answer = await served.post(f"{FLEET}/{kind}", body=body)
    assert answer.status == 200, answer.body
    await fits(served, "post", f"{FLEET}/{kind}", answer.values)
    assert served.node.fleet.asked == [asked]


@pytest.mark.parametrize(
    "kind,body",
    [
        ("pause", {"machines": []}), ("pause", {"machines": "attic"}), ("pause", {"machines": [1]}),
        ("pause", {"machines": None}), ("pause", {"minutes": 0}), ("pause", {"minutes": 1e9}),
        ("pause", {"minutes": True}), ("resume", {"minutes": 5}), ("finish", {"quit": True}),
    ],
)  # fmt: skip
async def test_a_body_that_is_no_wish_is_refused_and_nothing_is_asked(
    served: Served, kind: str, body: dict[str, object]
) -> None:
    two_machines(served.node)
    answer = await served.post(f"{FLEET}/{kind}", body=body)
    assert (answer.status, served.node.fleet.asked) == (400, [])


async def test_who_is_refused_hears_why(served: Served) -> None:
    assert (await served.get(FLEET)).status == 404, "a pool that calls its workers lists no machines"
    refused = await served.post(f"{FLEET}/pause", body={})
    assert (refused.status, refused.values["code"]) == (409, "no_fleet")
    two_machines(served.node)
    unknown = await served.post(f"{FLEET}/pause", body={"machines": ["birch"]})
    assert (unknown.status, unknown.values["code"]) == (404, "no_such_machine")


async def test_one_who_may_only_read_sees_them_and_tells_them_nothing(served: Served) -> None:
    two_machines(served.node)
    reader = await served.sign_in("rea", Role.VIEWER)
    assert (await served.get(FLEET, token=None, headers=reader.headers())).status == 200
    refused = await served.post(f"{FLEET}/pause", token=None, headers=reader.headers(), body={})
    assert refused.status == 403
    page = await served.get("/fleet", token=None, headers=reader.headers())
    assert "data-fleet" not in str(page.body), "no button that does nothing"
    assert served.node.fleet.asked == []


async def test_the_page_shows_the_same_words_as_every_front_end(served: Served) -> None:
    two_machines(served.node)
    answer = (await served.get(FLEET)).values
    page = (await served.get("/fleet")).body.decode()
    assert answer["columns"] == list(COLUMNS)
    shown = served.node.fleet.shown
    assert isinstance(shown, Fleet)
    rows = fleet_rows(shown)
    assert [row["cells"] for row in answer["rows"]] == [list(row.cells) for row in rows]
    for row in rows:
        for cell in (row.title, row.why, row.waiting, row.tasks, row.seen):
            assert cell in page, cell
    assert 'data-fleet="pause" data-machine="larch"' in page
    assert "/fleet" in (await served.get("/pools")).body.decode()


async def test_what_a_machine_says_of_itself_is_shown_as_text(served: Served) -> None:
    two_machines(served.node)
    shown = served.node.fleet.shown
    assert isinstance(shown, Fleet)
    bad = make_machine("attic", "running")
    bad = replace(bad, standing=replace(bad.standing, text="<script>alert(1)</script>\u202e"))
    served.node.fleet.shown = replace(shown, machines=(bad,))
    page = (await served.get("/fleet")).body.decode()
    assert "<script>alert" not in page and "\u202e" not in page
