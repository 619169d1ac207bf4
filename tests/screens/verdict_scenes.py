"""A worker for each code of a verdict; their pictures: `python -m tests.screens.verdict_scenes FOLDER`.

The rules' scenes are those of tests/contract/test_verdicts, by the worker's own decisions.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPainter

from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.release import Newer
from hivemind_worker.model.snapshot import LinkState, Mode, RuntimeView, Snapshot
from hivemind_worker.model.task import Problem, TaskState
from hivemind_worker.model.vpn import VpnState
from hivemind_worker.model.work import PullProgress
from tests.contract.test_verdicts import REMARKS, ROWS, WISHES, shown
from tests.core.test_giving_way import Life, running
from tests.fakes.node import FakeNode, make_snapshot, make_task

POOL = "10.0.0.1:50051"
IMAGE = "hivemind/worker-python:3.12"
SOCKET = "unix:///var/run/docker.sock, found in the usual place"
BLOCKERS = {
    FaultCode.ENGINE_MISSING: "no Docker on this computer",
    FaultCode.ENGINE_DOWN: f"nothing answers at {SOCKET}",
    FaultCode.ENGINE_FORBIDDEN: f"this user may not use {SOCKET}",
    FaultCode.ENGINE_HUNG: f"it does not answer at {SOCKET}",
    FaultCode.ENGINE_UNSUITABLE: "Docker 18.09 is too old: 19.03 is the oldest that will do",
    FaultCode.IMAGE_MISSING: f"{IMAGE} is not here",
    FaultCode.IMAGE_NOT_FETCHED: f"{IMAGE}: dial tcp: lookup registry: no such host",
    FaultCode.SANDBOX_PREPARING: "preparing CPython 3.12, standard library (once): 40%",
    FaultCode.SANDBOX_MISSING: "no interpreter is installed",
    FaultCode.SANDBOX_FAILED: "its interpreter could not be prepared: the compiler ended without a word",
    FaultCode.BAD_PACK: "python-3.12.0.wasm has digest 0c8e6a3b92f1…",
    FaultCode.NO_PERMISSION: "/home/mira/.local/share/HiveMind Worker/sandbox/modules: Permission denied",
    FaultCode.BAD_SETTING: f"task_image {IMAGE} is not in allowed_images (example/other:1)",
    FaultCode.DISK_FULL: "0.4 GiB free, a task needs 6.0 GiB",
    FaultCode.JOURNAL_UNWRITABLE: "Read-only file system",
    FaultCode.PROGRAM_REPLACED: "",
    FaultCode.VPN_DOWN: "10.0.0.17:50053",
}


def of_rules() -> dict[str, Snapshot]:
    """By the worker's own decisions."""
    found = {}
    for code, way, facts, seconds in (*ROWS, *REMARKS):
        life = Life(running(0), running(1))
        life.see(20)
        way(life)
        life.see(seconds, **facts)
        found[code] = shown(life)
    for name, code, wish in WISHES:
        life = Life(running(0))
        life.see(20)
        life.tell(wish)
        found[code if name != "to quit" else "finishing to quit"] = shown(life)
    life = Life()
    life.see(5)
    life.at_s += 7200
    life.see()
    return {**found, "clock_set": shown(life)}


def of_the_pool() -> dict[str, Snapshot]:
    """How things may stand with it."""

    def link(state: LinkState, code: FaultCode | None = None, about: str = POOL) -> Snapshot:
        made = make_snapshot(link=state)
        problem = Problem(code=code, about=about) if code else None
        heard = None if state is LinkState.NOT_LOGGED_IN else made.pool.last_heard_s
        return replace(made, pool=replace(made.pool, problem=problem, last_heard_s=heard))

    away = link(LinkState.UNREACHABLE, FaultCode.POOL_UNREACHABLE)
    return {
        "not_logged_in": link(LinkState.NOT_LOGGED_IN, FaultCode.NOT_LOGGED_IN),
        "not_logged_in plainly": link(LinkState.NOT_LOGGED_IN, FaultCode.PLAIN_LOGIN, "192.0.2.7:50051"),
        "login_refused": link(
            LinkState.LOGIN_REFUSED, FaultCode.WRONG_PASSWORD, "wrong user name or password"
        ),
        "pool_unreachable": away,
        "pool_mute": link(LinkState.UNREACHABLE, FaultCode.POOL_MUTE),
        "connecting": link(LinkState.CONNECTING),
        "results_waiting": replace(away, owed_results=2),
        "loopback_only": make_snapshot(grpc_address="127.0.0.1:50053"),
    }


def of_the_rest() -> dict[str, Snapshot]:
    """Sandboxes, the computer, and what is as it should be."""
    made = {
        code.value: make_snapshot(
            blocker=Problem(code=code, about=about),
            runtime=RuntimeView(name="docker", ready=False, problem=Problem(code=code, about=about)),
        )
        for code, about in BLOCKERS.items()
    }  # fmt: skip
    for code in (FaultCode.DISK_FULL, FaultCode.JOURNAL_UNWRITABLE, FaultCode.PROGRAM_REPLACED):
        made[code.value] = replace(made[code.value], runtime=make_snapshot().runtime)
    tasks = [make_task(name, TaskState.RUNNING) for name in ("coast-tiles", "thumbs-oct", "word-count")]
    preparing = made["sandbox_preparing"]
    pull = PullProgress(image=IMAGE, done_bytes=31 << 20, total_bytes=212 << 20)
    return {
        **made,
        "vpn_down": replace(
            made["vpn_down"], runtime=make_snapshot().runtime,
            vpn=replace(make_snapshot().vpn, state=VpnState.OFF, has_profile=True),
        ),
        "sandbox_preparing by a fetch": replace(
            preparing, runtime=replace(preparing.runtime, pull=pull, docker_available=True)
        ),
        "working": make_snapshot(tasks[0]),
        "full": make_snapshot(*tasks),
        "waiting_for_work": make_snapshot(),
        "stopping": make_snapshot(tasks[0], mode=Mode.STOPPING),
        "recovered": make_snapshot(recovery="1 task was cut off; its archive says so and is sent."),
        "new_version": make_snapshot(newer=Newer(version="0.2.0", page="https://example.org/0.2.0")),
    }  # fmt: skip


def scenes() -> dict[str, Snapshot]:
    """All, by code; a second scene of a code has a few words behind it."""
    return {**of_rules(), **of_the_pool(), **of_the_rest()}


def node_of(folder: Path, snapshot: Snapshot) -> FakeNode:
    """A worker of which this is the picture."""
    node = FakeNode(folder, clock=lambda: snapshot.at_s)
    node.picture = snapshot
    return node


def sheets(folder: Path, *, across: int = 2, down: int = 7) -> None:
    """What Home says for each, many to a picture, in both themes."""
    from hivemind_worker.ui.app import make_application
    from hivemind_worker.ui.theme import appearance
    from tests.screens.stand import dress, standing

    folder.mkdir(parents=True, exist_ok=True)
    make_application([])
    with tempfile.TemporaryDirectory() as look:
        appearance().start(Path(look), "light", 1.0)
        for theme in ("light", "dark"):
            dress(theme)
            shots: list[tuple[str, QImage]] = []
            for code, snapshot in scenes().items():
                with tempfile.TemporaryDirectory() as home:
                    node = node_of(Path(home), snapshot)
                    with standing(Path(home), "home", node) as stand:
                        panel = stand.screen.verdicts  # type: ignore[attr-defined]
                        shots.append((code, panel.grab().toImage()))
            each = across * down
            for number in range(0, len(shots), each):
                _sheet(shots[number : number + each], across).save(
                    str(folder / f"{theme}-{number // each}.png")
                )


def _sheet(shots: list[tuple[str, QImage]], across: int) -> QImage:
    width = max(image.width() for _, image in shots)
    height = max(image.height() for _, image in shots) + 18
    sheet = QImage(across * (width + 8), -(-len(shots) // across) * (height + 6), QImage.Format.Format_RGB32)
    sheet.fill(Qt.GlobalColor.gray)
    painter = QPainter(sheet)
    for number, (code, image) in enumerate(shots):
        x, y = number % across * (width + 8), number // across * (height + 6)
        painter.drawText(x + 4, y + 13, code)
        painter.drawImage(x, y + 18, image)
    painter.end()
    return sheet


if __name__ == "__main__":
    sheets(Path(sys.argv[1]))
