"""Estimates pi by throwing points at a square and counting those inside the circle. Writes result.json.

Options: --points (how many), --seed (another seed, another run), --out (the result's file).
"""

import argparse
import json
import math
import random
import sys
import time
from pathlib import Path

REPORTS = 10
# A normal variable stays within 3.8906 standard deviations of its mean in 99.99 % of all runs.
SIGMAS_9999 = 3.8906


def throw(count, chance):
    """How many of `count` random points of the unit square lie in the quarter circle."""
    inside = 0
    for _ in range(count):
        x = chance()
        y = chance()
        if x * x + y * y <= 1.0:
            inside += 1
    return inside


def estimate(inside, points):
    """The estimate of pi and half the width of its 99.99 % interval."""
    share = inside / points
    # Wilson's variance: never zero, even when all points fell on one side.
    spread = math.sqrt(share * (1 - share) / points + SIGMAS_9999**2 / (4 * points**2))
    return 4 * share, 4 * SIGMAS_9999 * spread


def run(points, seed):
    """Throw all points in ten rounds and tell the estimate after each."""
    chance = random.Random(seed).random
    start = time.monotonic()
    inside = thrown = 0
    for number in range(1, REPORTS + 1):
        count = points * number // REPORTS - thrown
        inside += throw(count, chance)
        thrown += count
        value, margin = estimate(inside, thrown)
        spent = time.monotonic() - start
        print(f"  {10 * number:3d} %: pi is {value:.5f} +/- {margin:.5f} ({spent:.1f} s)", flush=True)
    return inside


def positive(text):
    """A whole number from 1000 up: fewer points say nothing."""
    number = int(text)
    if number < 1000:
        raise argparse.ArgumentTypeError("at least 1000, please")
    return number


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=positive, default=6_000_000)
    parser.add_argument("--seed", type=int, default=20_251)
    parser.add_argument("--out", type=Path, default=Path("result.json"))
    asked = parser.parse_args()
    print(f"Throwing {asked.points:,} points to find pi.", flush=True)
    inside = run(asked.points, asked.seed)
    value, margin = estimate(inside, asked.points)
    good = abs(value - math.pi) <= margin
    result = {
        "points": asked.points,
        "inside": inside,
        "seed": asked.seed,
        "pi": value,
        "interval": [value - margin, value + margin],
        "confidence": 0.9999,
        "pi_is_in_the_interval": good,
    }
    asked.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if not good:
        print(f"The check failed: pi is not within {value:.5f} +/- {margin:.5f}.")
        print("Chance alone does that once in 10,000 runs: another seed tells.")
        return 1
    print(
        f"Checked: pi ({math.pi:.5f}) is within {value:.5f} +/- {margin:.5f}. All figures are in {asked.out}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
