"""`tasks`, `story` and `stop`: the tasks of the running worker."""

from __future__ import annotations

import argparse
from typing import Any

from hivemind_worker.commands.layout import ABSENT, aligned, short
from hivemind_worker.commands.printing import fail, say, say_json, tell
from hivemind_worker.commands.remote import ask_worker, task_path
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.amounts import clock
from hivemind_worker.presentation.catalogue import _
from hivemind_worker.presentation.moments import local_time

ID_WIDTH = 40


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the three."""
    tasks = subparsers.add_parser("tasks", help="list the open tasks, then the last ended ones")
    tasks.set_defaults(func=list_tasks)
    story = subparsers.add_parser("story", help="tell what happened to a task, and where it lies")
    story.set_defaults(func=tell_story)
    stop = subparsers.add_parser("stop", help="end one task; what it has written is still delivered")
    stop.set_defaults(func=stop_task)
    for parser in (story, stop):
        parser.add_argument(
            "id", metavar="ID", help="the task's id, its key, or the first 8 digits of its key"
        )
    for parser in (tasks, story, stop):
        parser.add_argument("--json", action="store_true", help="one JSON object")


def list_tasks(args: argparse.Namespace) -> int:
    """Print a table of tasks."""
    answer: Any = ask_worker("/api/tasks")
    if isinstance(answer, Problem):
        return fail(answer, args.json)
    if args.json:
        say_json(answer)
    elif not answer["tasks"]:
        say(_("No tasks yet."))
    else:
        head = (_("TASK"), _("KEY"), _("STATUS"), _("STARTED"), _("TIME"), _("RESULT"), "")
        for line in aligned([head, *(_row(task) for task in answer["tasks"])]):
            say(line)
    return 0


def _row(task: dict[str, Any]) -> tuple[str, ...]:
    state = f"{task['status']} ({task['phase']})" if task["phase"] else task["status"]
    return (
        short(task["task_id"], ID_WIDTH), task["key"][:8], state, local_time(task["start_time"]),
        clock(task["elapsed"]), ABSENT if task["delivery"] == "none" else task["delivery"],
        short(task["problem"]["sentence"], 80) if task["problem"] else "",
    )  # fmt: skip


def tell_story(args: argparse.Namespace) -> int:
    """Print what happened to a task."""
    answer: Any = ask_worker(task_path(args.id, "/story"))
    if isinstance(answer, Problem):
        return fail(answer, args.json)
    if args.json:
        say_json(answer)
        return 0
    task = answer["task"]
    facts = [
        (_("Task"), short(task["task_id"], 120)),
        (_("Key"), task["key"]),
        (_("Status"), f"{task['status']} ({task['phase']})" if task["phase"] else task["status"]),
        (_("Runs in"), f"{task['runtime']} {answer['where']}".strip() or ABSENT),
        (_("Folder"), answer["folder"]),
    ]
    for line in aligned(facts):
        say(line)
    if task["problem"]:
        say(f"{task['problem']['sentence']} {task['problem']['next_step']}")
    say("")
    for happened in answer["lines"]:
        say(f"{local_time(happened['at'])}  {happened['sentence']}")
    return 0


def stop_task(args: argparse.Namespace) -> int:
    """Have a task end."""
    return ask_about_task(args, "stop")


def ask_about_task(args: argparse.Namespace, action: str) -> int:
    """Ask for something about the task of `args.id`, and say what the worker answers."""
    return tell(ask_worker(task_path(args.id, f"/{action}"), post=True), args.json)
