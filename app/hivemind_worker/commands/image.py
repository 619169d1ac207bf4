"""`image`: what tasks in Docker run in: make one here, fetch that of the settings, list them, make room."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from hivemind_worker.commands.printing import fail, progress_line, say, say_json
from hivemind_worker.commands.resolve import Resolved, resolve
from hivemind_worker.model.task import Problem
from hivemind_worker.presentation.amounts import size_words
from hivemind_worker.presentation.pulling import pull_words

if TYPE_CHECKING:
    from hivemind_worker.runtimes.docker.engine import Engine
    from hivemind_worker.runtimes.docker.image_build import TaskImage
    from hivemind_worker.runtimes.docker.image_facts import ImageFacts
    from hivemind_worker.runtimes.docker.images import ImageShelf

BUILD_LIMIT_S = 3600.0
LOCAL_TAG = "hivemind-worker-task:local"

Work = Callable[[argparse.Namespace, Resolved, "Engine"], Awaitable[int]]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `image build`, `pull`, `stop`, `list` and `clean`."""
    parser = subparsers.add_parser("image", help="the images that tasks in Docker run in")
    verbs = parser.add_subparsers(dest="image_verb", required=True)
    build = verbs.add_parser("build", help="make one on this computer; nothing is pulled on Debian")
    build.add_argument(
        "--with",
        dest="extras",
        choices=("scientific",),
        help="numpy, pandas, matplotlib, Pillow, scikit-learn",
    )
    build.add_argument(
        "--from", dest="source", choices=("auto", "debian", "dockerfile"), default="auto",
        help="Debian's packages, or the Dockerfile of the program; auto: Debian's where its tools are",
    )  # fmt: skip
    build.add_argument("--base", metavar="IMAGE", default="", help="begin the Dockerfile with this image")
    build.add_argument("--tag", metavar="NAME", default=LOCAL_TAG, help=f"its name; default: {LOCAL_TAG}")
    verbs.add_parser("pull", help="fetch the image of the settings, or a newer one of that name")
    verbs.add_parser("list", help="task images that are here")
    verbs.add_parser(
        "clean", help="remove fetched images that have not been used for longest, down to the quota"
    )
    stop = verbs.add_parser("stop", help="have the running worker break off the fetching of an image")
    stop.add_argument("--json", action="store_true")
    stop.set_defaults(func=stop_fetch)
    works: dict[str, Work] = {"build": _build, "pull": _pull, "list": _list, "clean": _clean}
    for word, work in works.items():
        verbs.choices[word].add_argument("--json", action="store_true")
        verbs.choices[word].set_defaults(func=partial(run, work=work))


def stop_fetch(args: argparse.Namespace) -> int:
    """Have the running worker break off its fetch; 0 also when there was none."""
    from hivemind_worker.commands.remote import ask_worker

    told = ask_worker("/api/v1/actions/stop-fetch", post=True)
    if isinstance(told, Problem):
        return fail(told, args.json)
    if args.json:
        say_json({"stopped": True})
    else:
        say("No image is being fetched now. hivemind-worker image pull fetches it.")
    return 0


def run(args: argparse.Namespace, work: Work) -> int:
    """Find the engine, then do what was asked."""
    resolved = resolve({})
    if isinstance(resolved, Problem):
        return fail(resolved, args.json)
    return asyncio.run(_with_engine(args, resolved, work))


async def _with_engine(args: argparse.Namespace, resolved: Resolved, work: Work) -> int:
    from hivemind_worker.runtimes.docker.engine import Engine
    from hivemind_worker.runtimes.docker.runtime import engine_problem, usual_endpoint

    engine = Engine(usual_endpoint)
    try:
        problem = engine_problem(await engine.look())
        return fail(problem, args.json) if problem is not None else await work(args, resolved, engine)
    finally:
        await engine.close()


async def _build(args: argparse.Namespace, _resolved: Resolved, engine: Engine) -> int:
    from hivemind_worker.nursery import NamedThread
    from hivemind_worker.runtimes.docker.image_build import build

    client, tell, thread = (
        engine.new_client(timeout_s=BUILD_LIMIT_S),
        progress_line(args.json),
        NamedThread("build"),
    )
    try:
        made = await thread.call(
            partial(build, client, scientific=args.extras == "scientific", source=args.source, base=args.base,
                    tag=args.tag, progress=tell)
        )  # fmt: skip
    finally:
        thread.close(wait=True)
        client.close()
    if isinstance(made, Problem):
        return fail(made, args.json)
    _show(made, args.json)
    return 0


def _show(image: TaskImage, as_json: bool) -> None:
    if as_json:
        say_json(image.as_json())
        return
    python = f"Python {image.python}, {len(image.packages)} packages" if image.python else "not looked into"
    say(f"{image.name}: {size_words(image.size_bytes)}, {python}, {image.digest[7:19]}")


async def _list(args: argparse.Namespace, resolved: Resolved, engine: Engine) -> int:
    from hivemind_worker.runtimes.docker.image_build import list_images

    found = await engine.call(lambda api: list_images(api, resolved.settings.task_image))
    if isinstance(found, Problem):
        return fail(found, args.json)
    for image in found:
        _show(image, args.json)
    if not found and not args.json:
        say("No task image is here. hivemind-worker image build makes one; image pull fetches one.")
    return 0


def _shelf(args: argparse.Namespace, resolved: Resolved, engine: Engine) -> ImageShelf:
    from hivemind_worker.runtimes.docker.images import ImageShelf
    from hivemind_worker.runtimes.docker.rules import docker_rules

    shown, rules = progress_line(args.json), docker_rules(resolved.settings).image

    def show() -> None:
        if shelf.pulling is not None:
            share = shelf.pulling.done_bytes / max(1, shelf.pulling.total_bytes)
            shown(share, pull_words(shelf.pulling))

    shelf = ImageShelf(engine, resolved.places.data / "docker" / "images", rules, show)
    return shelf


async def _pull(args: argparse.Namespace, resolved: Resolved, engine: Engine) -> int:
    shelf = _shelf(args, resolved, engine)
    try:
        found = await shelf.pull()
    finally:
        await shelf.close()
    if isinstance(found, Problem):
        return fail(found, args.json)
    _show_facts(found, args.json)
    return 0


def _show_facts(image: ImageFacts, as_json: bool) -> None:
    if as_json:
        say_json({
            "image": image.name, "id": image.digest, "digest": image.source_digest, "python": image.python,
            "size_bytes": image.size_bytes, "packages": len(image.packages),
        })  # fmt: skip
    else:
        say(f"{image.version}: {size_words(image.size_bytes)}, Python {image.python}")


async def _clean(args: argparse.Namespace, resolved: Resolved, engine: Engine) -> int:
    shelf = _shelf(args, resolved, engine)
    try:
        gone = await shelf.tidy()
    finally:
        await shelf.close()
    if args.json:
        say_json({"removed": gone})
    else:
        say("\n".join(f"removed {name}" for name in gone) or "Nothing had to go.")
    return 0
