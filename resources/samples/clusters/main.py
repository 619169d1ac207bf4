"""Finds groups in a cloud of points with k-means and draws them: clusters.png and clusters.json.

Needs the packages in requirements.txt. Options: --points (per group), --seed, --out (the folder for results).
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.cluster import KMeans

# How the points were made: this is what has to be found again.
CENTRES = ((-6.0, 2.0), (0.0, 7.0), (5.0, 4.0), (2.0, -4.0), (-4.0, -5.0))
SPREAD = 0.9
LINE = (1.7, -0.6)  # slope and height of a line with noise, for the least squares


def make_points(count, seed):
    """A cloud of `count` points around each centre, shuffled."""
    chance = np.random.default_rng(seed)
    points = np.concatenate([chance.normal(centre, SPREAD, size=(count, 2)) for centre in CENTRES])
    chance.shuffle(points)
    return points


def find_groups(points, seed):
    """The centres that k-means finds, and the group of each point."""
    found = KMeans(n_clusters=len(CENTRES), n_init=10, random_state=seed).fit(points)
    return found.cluster_centers_, found.labels_


def worst_distance(found):
    """How far the found centres are from the true ones, for the best way to match them."""
    true = np.array(CENTRES)
    orders = itertools.permutations(range(len(true)))
    return min(float(np.linalg.norm(found[list(order)] - true, axis=1).max()) for order in orders)


def fit_line(count, seed):
    """Slope and height of a noisy line by least squares, with their standard errors."""
    chance = np.random.default_rng(seed)
    x = np.linspace(-5, 5, count)
    y = LINE[0] * x + LINE[1] + chance.normal(0, 1, count)
    table = np.column_stack([x, np.ones(count)])
    fitted, squares, _, _ = np.linalg.lstsq(table, y, rcond=None)
    errors = np.sqrt(np.diag(np.linalg.inv(table.T @ table)) * squares[0] / (count - 2))
    return fitted, errors


def draw(points, centres, labels, path):
    """The points in the colours of their groups, and the centres as crosses."""
    figure = Figure(figsize=(6, 4.5), dpi=110)
    axes = figure.subplots()
    axes.scatter(points[:, 0], points[:, 1], c=labels, s=6, cmap="viridis", alpha=0.6)
    axes.plot(centres[:, 0], centres[:, 1], "x", color="crimson", markersize=11, markeredgewidth=2.5)
    axes.set_title(f"{len(points):,} points, {len(centres)} groups")
    axes.set_aspect("equal")
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=800)
    parser.add_argument("--seed", type=int, default=20_251)
    parser.add_argument("--out", type=Path, default=Path())
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)

    total = asked.points * len(CENTRES)
    print(f"Making {total:,} points around {len(CENTRES)} centres.", flush=True)
    points = make_points(asked.points, asked.seed)
    print("Looking for the groups.", flush=True)
    centres, labels = find_groups(points, asked.seed)
    distance = worst_distance(centres)
    print(f"The found centres are at most {distance:.3f} from the true ones.", flush=True)
    fitted, errors = fit_line(asked.points, asked.seed)
    print(f"A line fitted by least squares: y = {fitted[0]:.3f} x {fitted[1]:+.3f}.", flush=True)
    print("Drawing the picture.", flush=True)
    draw(points, centres, labels, asked.out / "clusters.png")

    # Six standard errors: chance alone goes beyond that once in 500 million runs.
    checks = {
        "centres": distance <= 6 * SPREAD / asked.points**0.5 + 0.05,
        "line": all(
            abs(got - true) <= 6 * error for got, true, error in zip(fitted, LINE, errors, strict=True)
        ),
        "picture": (asked.out / "clusters.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n"),
    }
    result = {
        "points": total,
        "centres": [[round(float(value), 4) for value in centre] for centre in sorted(centres.tolist())],
        "worst_distance": distance,
        "line": [float(value) for value in fitted],
        "checks": {name: bool(holds) for name, holds in checks.items()},
    }
    (asked.out / "clusters.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    failed = [name for name, holds in checks.items() if not holds]
    if failed:
        print(f"The check failed: {', '.join(failed)}.")
        return 1
    print("Checked: centres and line are where they were put. See clusters.png and clusters.json.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
