"""The settings under /api/v1/settings: the declared table with its values, and changing some of them at once.

A change is kept in the settings file and counts from the next start, unless its row needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.settings import OVERRULING, rows
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.faults import words
from hivemind_worker.web.answers import Refusal, answer, refusal, refuse
from hivemind_worker.web.asked import object_of
from hivemind_worker.web.document import Doc, good
from hivemind_worker.web.routes import Access, Route
from hivemind_worker.web.schemas import CHANGED, listed, misfit, record, ref, setting_schema, settings_schema

if TYPE_CHECKING:
    from hivemind_worker.engine.face import NodeFace

SETTINGS = "/api/v1/settings"
KINDS = {bool: "flag", int: "whole", float: "number", str: "text"}


class SettingRoutes:
    """GET and PATCH."""

    def __init__(self, node: NodeFace) -> None:
        self._node = node

    def table(self) -> list[Route]:
        """The routes."""
        shown = record(settings=listed(ref("Setting")), schema={"type": "object"})
        return [
            Route(method="GET", path=SETTINGS, handler=self.settings, doc=Doc(
                summary="Every setting, with the value in force, the kept one, and what it may hold",
                tag="settings", problems=(HTTPStatus.CONFLICT,), answers=good("The settings.", shown))),
            Route(method="PATCH", path=SETTINGS, handler=self.change, access=Access.OWNER, doc=Doc(
                summary="Keep these values; null stands for the default. All of them, or none",
                tag="settings", body=settings_schema(), problems=(HTTPStatus.CONFLICT,),
                answers=good("Kept.", CHANGED))),
        ]  # fmt: skip

    async def settings(self, request: web.Request) -> web.Response:
        """The table."""
        table = await self._rows()
        if isinstance(table, Refusal):
            return refuse(request.path, table)
        return answer({"settings": table, "schema": settings_schema()})

    async def change(self, request: web.Request) -> web.Response:
        """Some new values; with a bad one among them nothing changes, and each bad one is named."""
        known = {row.name: row for row in rows()}
        body = await object_of(request, tuple(known))
        if isinstance(body, Refusal):
            return refuse(request.path, body)
        refused = await self._keep(known, body)
        table = refused or await self._rows()
        if isinstance(table, Refusal):
            return refuse(request.path, table)
        sources = self._node.setting_sources()
        overruled = [name for name in body if sources.get(name) in OVERRULING]
        waiting = [name for name in body if known[name].metadata["restart"]]
        return answer(
            {"changed": list(body), "restart_needed": waiting, "overruled": overruled, "settings": table}
        )

    async def _keep(self, known: Mapping[str, Field[Any]], body: Mapping[str, object]) -> Refusal | None:
        if not body:
            return refusal(HTTPStatus.BAD_REQUEST, "The body must hold at least one setting.")
        misfits = {name: misfit(setting_schema(known[name]), value) for name, value in body.items()}
        errors = tuple(f"{name} {wrong}." for name, wrong in misfits.items() if wrong)
        if errors:
            return _bad(errors)
        problems = await self._node.change_settings(body)
        if not problems:
            return None
        if problems[0].code in (FaultCode.BAD_SETTING, FaultCode.BAD_ADDRESS):
            return _bad(tuple(words(problem)[0] for problem in problems))
        return Refusal(status=HTTPStatus.CONFLICT, problem=problems[0])

    async def _rows(self) -> list[dict[str, object]] | Refusal:
        kept = await self._node.kept_settings()
        if isinstance(kept, Problem):
            return Refusal(status=HTTPStatus.CONFLICT, problem=kept)
        sources = self._node.setting_sources()
        return [self._row(row, kept, sources.get(row.name, "default")) for row in rows()]

    def _row(self, row: Field[Any], kept: Mapping[str, object], source: str) -> dict[str, object]:
        about = row.metadata
        return {
            "key": row.name, "value": getattr(self._node.settings, row.name),
            "kept": kept.get(row.name, row.default), "default": row.default, "source": source,
            "type": KINDS[type(row.default)], "unit": about["unit"], "env": about["env"],
            "help": _(about["help"]), "restart": about["restart"], "auto": about["auto"],
            "low": about["low"], "high": about["high"], "choices": list(about["choices"]),
        }  # fmt: skip


def _bad(errors: tuple[str, ...]) -> Refusal:
    about = errors[0].rstrip(".")
    return refusal(
        HTTPStatus.BAD_REQUEST, about, FaultCode.BAD_SETTING, errors=errors,
        fix=_("Nothing was changed; what each setting may hold is told by GET {path}.", path=SETTINGS),
    )  # fmt: skip
