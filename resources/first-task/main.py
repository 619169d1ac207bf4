"""The task that shows that everything works: it counts primes, prints as it goes and writes a result."""

import json
import sys
import time
from pathlib import Path

LIMIT, PARTS = 400_000, 4


def sieve(limit):
    """A byte for each number: 1 where it is prime."""
    marks = bytearray([1]) * (limit + 1)
    marks[0:2] = b"\0\0"
    for number in range(2, int(limit**0.5) + 1):
        if marks[number]:
            marks[number * number :: number] = bytes(len(range(number * number, limit + 1, number)))
    return marks


def main():
    started = time.time()
    print(f"primes below {LIMIT:,}", flush=True)
    counts = {}
    for part in range(1, PARTS + 1):
        limit = LIMIT * part // PARTS
        counts[limit] = sum(sieve(limit))
        print(f"{limit:>9,} {counts[limit]:>9,}", flush=True)
    while time.time() - started < 1.5:  # long enough to be seen running
        time.sleep(0.1)
    Path("result.json").write_text(json.dumps(counts), encoding="utf-8")
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
