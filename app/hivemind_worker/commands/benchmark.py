"""`benchmark`: the processor's score, on the scale on which pools count cores; works without a worker."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from hivemind_worker.commands.layout import aligned
from hivemind_worker.commands.printing import fail, say, say_json
from hivemind_worker.commands.resolve import resolve
from hivemind_worker.model.resources import CPU_SCORE_PER_CORE
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.amounts import cores_words
from hivemind_worker.presentation.catalogue import _


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `benchmark`."""
    parser = subparsers.add_parser("benchmark", help="measure the processor; takes a few seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(func=_measure)


def _measure(args: argparse.Namespace) -> int:
    from hivemind_worker.machine.benchmark import REFERENCE, measure
    from hivemind_worker.machine.capacity import lent

    resolved = resolve({})
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    cores = lent(resolved.settings, resolved.sources).cpu / CPU_SCORE_PER_CORE
    score = measure(cores)
    if args.json:
        say_json({**asdict(score), "lent_cores": cores, "reference": REFERENCE})
        return 0
    say(_("One core: {score}, where 100 is {reference}.", score=f"{score.one_core:.0f}", reference=REFERENCE))
    say(_("All that is lent ({cores}): {score}.", cores=cores_words(cores), score=f"{score.whole:.0f}"))
    rows = [(f"  {name.replace('_', ' ')}", f"{value:.0f}") for name, value in score.parts.items()]
    for line in aligned(rows):
        say(line)
    say(_("Spread of the best rounds: {percent} %.", percent=f"{score.spread_percent:.1f}"))
    if score.spread_percent > 5:
        say(_("The computer is busy or throttled: measure again when it is quiet."))
    return 0
