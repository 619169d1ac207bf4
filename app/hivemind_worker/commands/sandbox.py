"""`sandbox`: what the built-in sandbox has, and adding the scientific interpreter pack in one step."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from hivemind_worker.commands.printing import fail, progress_line, say, say_json
from hivemind_worker.commands.resolve import home_places
from hivemind_worker.model.faults import FaultCode
from hivemind_worker.model.task import Problem
from hivemind_worker.places import Places


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `sandbox status` and `sandbox add scientific`."""
    parser = subparsers.add_parser("sandbox", help="the built-in sandbox and its interpreter packs")
    verbs = parser.add_subparsers(dest="sandbox_verb", required=True)
    status = verbs.add_parser("status", help="which interpreter tasks run in")
    status.add_argument("--json", action="store_true")
    status.set_defaults(func=show)
    add = verbs.add_parser("add", help="add an interpreter pack")
    add.add_argument("pack", choices=("scientific",), help="numpy, pandas, scipy, scikit-learn, matplotlib")
    add.add_argument("--wheel", metavar="FILE", type=Path, help="use this file instead of downloading")
    add.add_argument("--json", action="store_true")
    add.set_defaults(func=add_scientific)


def show(args: argparse.Namespace) -> int:
    """Compile what is missing, then name the interpreter."""
    return asyncio.run(_prepare(home_places(), args.json))


def add_scientific(args: argparse.Namespace) -> int:
    """Download or read the pack, check its digest, lay it out and compile it."""
    from hivemind_worker.runtimes.wasm.scientific import add_pack

    places = home_places()
    try:
        places.make()
    except OSError as error:
        problem = Problem(code=FaultCode.NO_PERMISSION, about=f"{error.filename}: {error.strerror}")
        return fail(problem, args.json)
    added = add_pack(places.sandbox, args.wheel, progress_line(args.json))
    if added is not None:
        return fail(added, args.json)
    return asyncio.run(_prepare(places, args.json))


async def _prepare(places: Places, as_json: bool) -> int:
    from hivemind_worker.machine.sampler import available_memory_bytes
    from hivemind_worker.runtimes.wasm.runtime import WasmRuntime

    runtime = WasmRuntime(places.sandbox, available_memory_bytes)
    try:
        problem = await runtime.prepare(progress_line(as_json))
        if problem is not None:
            return fail(problem, as_json)
        view = await runtime.view()
    finally:
        await runtime.close()
    if as_json:
        say_json({"runtime": view.name, "ready": view.ready, "interpreter": view.detail})
    else:
        say(f"Tasks run in: {view.detail}")
    return 0
