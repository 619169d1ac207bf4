"""The pool's network under /api/v1/vpn: seen by all who are signed in, changed by the owner at this computer.

From another computer it is only looked at: whoever takes the tunnel down from there has lost the way back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.model.vpn import Rung, RungState, VpnState
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.vpn import (
    exposure_row,
    ladder_failure,
    ladder_rows,
    refusal_words,
    review_report,
    vpn_row,
)
from hivemind_worker.web.answers import Refusal, answer, refusal, refuse
from hivemind_worker.web.asked import object_of
from hivemind_worker.web.document import Doc, good
from hivemind_worker.web.routes import Access, Handler, Route
from hivemind_worker.web.schemas import (
    COUNT,
    FLAG,
    MAYBE_NUMBER,
    NOTHING,
    NUMBER,
    TEXT,
    closed,
    listed,
    record,
    ref,
    words,
)

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

VPN = "/api/v1/vpn"
PROFILE = {**closed(profile=TEXT, wide=FLAG), "required": ["profile"]}
FINDING = record(code=TEXT, line=COUNT, about=TEXT, refuses=FLAG, sentence=TEXT)
REVIEW = record(
    usable=FLAG, findings=listed(FINDING),
    rows=listed(record(name=TEXT, in_file=TEXT, used=TEXT, verdict=TEXT)), pool_key=TEXT, own_key=TEXT,
)  # fmt: skip
CHECK = record(
    number=COUNT, check=words(*Rung), state=words(*RungState, "not_checked"), title=TEXT, text=TEXT,
    action=TEXT, reason=TEXT, took_s=NUMBER,
)  # fmt: skip
CHECKS = record(passed=FLAG, failed_at=TEXT, checks=listed(CHECK))
PORT = record(
    name=TEXT, title=TEXT, address=TEXT, port=COUNT, vpn=TEXT, lan=FLAG, vpn_words=TEXT, lan_words=TEXT
)
PORTS = record(ports=listed(PORT))
SEEN = record(state=words(*VpnState), handshake_age_s=MAYBE_NUMBER)
STATE: dict[str, object] = {"allOf": [ref("Vpn"), SEEN]}
KEY = record(public_key=TEXT)

Wish = Callable[[], Awaitable[Problem | None]]


class VpnRoutes:
    """How it is, the checks, the ports; import, up, down, auto, back, remove, a new key."""

    def __init__(self, node: NodeFace, clock: Callable[[], float]) -> None:
        self._node = node
        self._clock = clock

    def table(self) -> list[Route]:
        """The routes."""
        vpn = self._node.vpn
        looks: tuple[tuple[str, Handler, str, dict[str, object]], ...] = (
            ("", self.state, "How the tunnel is, by its last handshake", STATE),
            ("/ports", self.ports, "Every port of the worker, and who can reach it", PORTS),
        )
        wishes: tuple[tuple[str, Handler, str, dict[str, object], dict[str, object]], ...] = (
            ("/check", self.check, "Eleven checks from the bottom up, until one fails", NOTHING, CHECKS),
            ("/review", self.review, "What a profile would do; changes nothing", PROFILE, REVIEW),
            ("/import", self.keep, "Put a profile in use; refused ones change nothing", PROFILE, REVIEW),
            ("/key", self.new_key, "Make a key pair for a pool that enrols by hand", NOTHING, KEY),
            ("/up", self._wish(vpn.up), "Bring the tunnel up, or make it anew", NOTHING, STATE),
            ("/down", self._wish(vpn.down), "Take it down until it is brought up again", NOTHING, STATE),
            ("/auto_on", self._wish(lambda: vpn.set_auto(True)), "Bring it up by itself", NOTHING, STATE),
            ("/auto_off", self._wish(lambda: vpn.set_auto(False)), "Do so only when told", NOTHING, STATE),
            ("/back", self._wish(vpn.go_back), "Put the previous profile in use again", NOTHING, STATE),
            ("/remove", self._wish(vpn.remove), "Take it down and forget the profiles", NOTHING, STATE),
        )
        return [
            *(
                Route(method="GET", path=VPN + path, handler=handler,
                      doc=Doc(summary=summary, tag="vpn", answers=good("So it is.", schema)))
                for path, handler, summary, schema in looks
            ),
            *(
                Route(method="POST", path=VPN + path, handler=_at_home(handler), access=Access.OWNER,
                      doc=Doc(summary=summary, tag="vpn", body=body, problems=(HTTPStatus.CONFLICT,),
                              answers=good("Done.", schema)))
                for path, handler, summary, body, schema in wishes
            ),
        ]  # fmt: skip

    async def state(self, _request: web.Request) -> web.Response:
        """The tunnel."""
        return self._state()

    def _state(self) -> web.Response:
        view, now_s = self._node.vpn.view, self._clock()
        age_s = None if view.handshake_s is None else max(0.0, round(now_s - view.handshake_s, 1))
        return answer({**vpn_row(view, now_s), "handshake_age_s": age_s})

    async def ports(self, _request: web.Request) -> web.Response:
        """Who can reach the worker."""
        return answer({"ports": [exposure_row(row) for row in await self._node.vpn.exposure()]})

    async def check(self, request: web.Request) -> web.Response:
        """Climb the ladder."""
        body = await object_of(request, ())
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        results = await self._node.vpn.check()
        failure = ladder_failure(results)
        return answer({
            "passed": failure is None, "failed_at": failure.rung.value if failure else "",
            "checks": ladder_rows(results),
        })  # fmt: skip

    async def review(self, request: web.Request) -> web.Response:
        """Read a profile."""
        asked = await _profile_of(request)
        if isinstance(asked, Refusal):
            return refuse(request.path, asked)
        return answer(review_report(self._node.vpn.review(*asked)))

    async def keep(self, request: web.Request) -> web.Response:
        """Read a profile and put it in use."""
        asked = await _profile_of(request)
        if isinstance(asked, Refusal):
            return refuse(request.path, asked)
        review = await self._node.vpn.keep(*asked)
        if isinstance(review, Problem):
            return refuse(request.path, Refusal(status=HTTPStatus.CONFLICT, problem=review))
        if not review.usable:
            about = refusal_words(review).rstrip(".")
            return refuse(request.path, refusal(HTTPStatus.BAD_REQUEST, about, FaultCode.BAD_PROFILE))
        return answer(review_report(review))

    async def new_key(self, request: web.Request) -> web.Response:
        """A new key pair; its private half stays here."""
        body = await object_of(request, ())
        made = body if isinstance(body, Refusal) else await self._node.vpn.new_key()
        if isinstance(made, Problem):
            made = Refusal(status=HTTPStatus.CONFLICT, problem=made)
        return refuse(request.path, made) if isinstance(made, Refusal) else answer({"public_key": made})

    def _wish(self, wish: Wish) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            body = await object_of(request, ())
            if isinstance(body, Refusal):
                return refuse(request.path, body)
            problem = await wish()
            if problem is not None:
                return refuse(request.path, Refusal(status=HTTPStatus.CONFLICT, problem=problem))
            return self._state()

        return handler


def _at_home(handler: Handler) -> Handler:
    """Only from this computer: what comes from others comes over TLS."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.secure:
            about = _("the VPN is changed only at the computer itself")
            return refuse(request.path, refusal(HTTPStatus.FORBIDDEN, about, FaultCode.FORBIDDEN))
        return await handler(request)

    return guarded


async def _profile_of(request: web.Request) -> tuple[bytes, bool] | Refusal:
    body = await object_of(request, ("profile", "wide"))
    if isinstance(body, Refusal):
        return body
    profile, wide = body.get("profile"), body.get("wide", False)
    if not isinstance(profile, str) or not isinstance(wide, bool):
        return refusal(
            HTTPStatus.BAD_REQUEST, _("The body must hold profile, a text, and at most wide, a flag.")
        )
    return profile.encode("utf-8", "surrogatepass"), wide
