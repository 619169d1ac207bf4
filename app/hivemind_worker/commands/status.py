"""`status`: how the running worker is, and why it does (not) work."""

from __future__ import annotations

import argparse
from typing import Any

from hivemind_worker.commands.layout import ABSENT, aligned
from hivemind_worker.commands.mode import first_sentence
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.remote import ask_worker
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.amounts import cores_words
from hivemind_worker.presentation.catalogue import _


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `status`."""
    parser = subparsers.add_parser("status", help="show how the running worker is")
    parser.add_argument("--json", action="store_true", help="what GET /api/status answers")
    parser.set_defaults(func=show)


def show(args: argparse.Namespace) -> int:
    """Print the first verdict, the others with what to do, and the figures."""
    answer = ask_worker("/api/status")
    if isinstance(answer, Problem):
        return fail(answer, args.json)
    if args.json:
        say_json(answer)
        return 0
    for line in status_lines(answer):
        say(line)
    return 0


def status_lines(answer: dict[str, Any]) -> list[str]:
    """The answer as plain text."""
    first, *others = answer["verdicts"]
    lines = [first_sentence(answer)]
    if first["action"]:
        lines.append(f"  {first['action']}")
    for verdict in others:
        lines.append(f"- {verdict['text']}" + (f" {verdict['action']}" if verdict["action"] else ""))
    return [*lines, "", *aligned(_figures(answer))]


def _figures(answer: dict[str, Any]) -> list[tuple[str, str]]:
    pool, runtime = answer["pool"], answer["runtime"]
    user = pool["user"] or _("no account")
    account = f"{pool['address']} ({pool['link']}, {user})"
    sandbox = f"{runtime['name']} {runtime['detail']}".strip() if runtime["ready"] else _("none")
    balance = ABSENT if pool["balance"] is None else f"{pool['balance']} CPT"
    return [
        (_("Worker"), f"{answer['node_id']} ({answer['status']}, {answer['version']})"),
        (_("Pool"), account),
        (_("Listens on"), answer["grpc_address"] or ABSENT),
        (_("Sandbox"), sandbox),
        (_("Tasks"), f"{answer['running_tasks']} / {answer['max_concurrent_tasks']}"),
        (_("Lent"), _amounts(answer["total_resources"])),
        (_("Free of it"), _amounts(answer["available_resources"])),
        (_("Offered"), answer["offer"]["text"]),
        ("", answer["offer"]["gpu_text"]),
        (_("Computer"), f"CPU {answer['cpu_percent']:.0f} %, RAM {answer['memory_percent']:.0f} %"),
        (_("Trust"), f"{answer['trust_score']} ({answer['trust_group']})"),
        (_("Balance"), balance),
    ]


def _amounts(resources: dict[str, float]) -> str:
    return _(
        "{cores}, {memory} GiB",
        cores=cores_words(resources["cpu"] / 100),
        memory=f"{resources['memory_gb']:g}",
    )
