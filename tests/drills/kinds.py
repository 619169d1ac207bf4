"""The tasks of the drills, by kind. Each says first that it began, so that a second run would be seen."""

from __future__ import annotations

import functools
import random

from tests.engine.harness import zip_of

BEGAN = "began"
HEAD = f"import os, time\nprint({BEGAN!r}, os.environ['TASK_ID'], flush=True)\n"

SOURCES = {
    "quick": "open('made.txt', 'w').write('42')\n",
    "printing": "for n in range(300):\n    print(n, flush=True)\n    time.sleep(0.004)\n",
    "failing": "time.sleep(0.7)\nraise SystemExit(3)\n",
    "writing": (
        "for n in range(20):\n    open(f'part{n}.bin', 'wb').write(os.urandom(20000))\n    time.sleep(0.04)\n"
    ),
    "large": "open('large.bin', 'wb').write(os.urandom(6 << 20))\n",
    "slow": (
        "open('half.txt', 'w').write('half')\n"
        "for n in range(1200):\n    print(n, flush=True)\n    time.sleep(0.05)\n"
    ),
    "short": "open('made.txt', 'w').write('42')\nprint('made', flush=True)\ntime.sleep(3)\n",
    "numbered": "for n in range(160):\n    print('number', n, flush=True)\n    time.sleep(0.03)\n",
    "hungry": "blocks = []\nwhile True:\n    blocks.append(bytearray(16 << 20))\n",
    "hog": (
        "block = os.urandom(1 << 20)\n"
        "with open('hog.bin', 'wb') as file:\n"
        "    for n in range(100000):\n        file.write(block)\n        file.flush()\n"
        "        time.sleep(0.2)\n"
    ),
}
STOPPED = "stopped"  # a slow one that its requester stops
REFUSED = "refused"  # an archive that nothing can run: taken at the third offer and answered with its reason
MIXED = ("quick", "printing", "failing", "writing", REFUSED, STOPPED)


@functools.cache
def archive_of(kind: str) -> bytes:
    """The archive of a task of this kind: the same bytes at every offer, as a pool sends them."""
    if kind == REFUSED:
        return zip_of({"read me.txt": "there is no program in here"})
    return zip_of({"main.py": HEAD + SOURCES["slow" if kind == STOPPED else kind]})


def mixture(chance: random.Random, count: int) -> dict[str, str]:
    """So many ids with their kinds, every kind about as often, in a chance order."""
    kinds = [MIXED[n % len(MIXED)] for n in range(count)]
    chance.shuffle(kinds)
    return {f"task {n}/{kind}": kind for n, kind in enumerate(kinds)}
