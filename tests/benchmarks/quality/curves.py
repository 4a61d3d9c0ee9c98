"""Multi-fidelity tuners on learning curves: `python -m tests.benchmarks.quality.curves --help`.

The curves are of scikit-learn's MLPClassifier on its digits, one call of `partial_fit` an epoch,
for all points of a small grid. They are measured once and kept.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import itertools
import math
import random
import statistics
import time
import warnings
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.quality.crew import Ours

GRID: dict[str, list[Any]] = {
    "learning_rate_init": [1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    "hidden": [4, 8, 16, 32],
    "alpha": [1e-6, 1e-4, 1e-2, 1.0],
    "batch_size": [16, 32, 64, 128],
}
EPOCHS = 27
TUNERS = ("random", "asha", "hyperband", "bohb", "dehb")
FIELDS = ("workers", "tuner", "seed", "epochs", "time")


def _curve(point: tuple[Any, ...]) -> list[float]:
    """Return the validation error after each epoch."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    x, y = load_digits(return_X_y=True)
    x_train, x_valid, y_train, y_valid = train_test_split(x / 16, y, test_size=0.3, random_state=0)
    rate, hidden, alpha, batch = point
    model = MLPClassifier((hidden,), learning_rate_init=rate, alpha=alpha, batch_size=batch,
                          solver="sgd", random_state=0)  # fmt: skip
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(EPOCHS):
            model.partial_fit(x_train, y_train, classes=range(10))
            errors.append(1.0 - float(model.score(x_valid, y_valid)))
    return errors


class Curves:
    """Validation errors by point of the grid and epochs.

    Args:
        path: where they are kept, one line a point.
        minutes: stop measuring after so many.
    """

    def __init__(self, path: Path, minutes: float = float("inf")) -> None:
        self.points = list(itertools.product(*GRID.values()))
        path.parent.mkdir(parents=True, exist_ok=True)
        known = path.read_text().splitlines() if path.exists() else []
        ends = time.monotonic() + 60 * minutes
        with path.open("a") as file:
            for point in self.points[len(known) :]:
                if time.monotonic() > ends:
                    raise SystemExit(f"{len(known)} of {len(self.points)} curves: run it again.")
                known.append(",".join(f"{error:.6f}" for error in _curve(point)))
                file.write(known[-1] + "\n")
                file.flush()
        self.errors = np.array([[float(error) for error in line.split(",")] for line in known])

    @cached_property
    def space(self) -> dict[str, str]:
        """The priors: each parameter by its rank, and the epochs."""
        ranks = {name: f"randint(0, {len(values)})" for name, values in GRID.items()}
        return {**ranks, "epochs": f"fidelity(1, {EPOCHS}, base=3)"}

    def __call__(self, params: dict[str, Any]) -> float:
        """Return the validation error of a point after its epochs."""
        return self.curve(params)[params["epochs"] - 1]

    def curve(self, params: dict[str, Any]) -> list[float]:
        """Return the validation error of a point after each epoch."""
        row = 0
        for name, values in GRID.items():
            row = row * len(values) + params[name]
        return list(map(float, self.errors[row]))

    def target(self, share: float) -> float:
        """Return the error that so large a share of the points reaches in all epochs."""
        return float(np.quantile(self.errors[:, -1], share, method="lower"))


def race(
    tuner: Ours, curves: Curves, target: float, workers: int, seed: int
) -> tuple[float, float]:
    """Run until a trial reaches the target.

    A trial is trained from its first epoch on, a promoted one too. An epoch takes a time of its
    trial's own, log-normal (σ = 0.5).

    Returns:
        the epochs of all trials until then, those of running ones included, and the time; both
        infinite where the tuner had no more trials before that.
    """
    dice = random.Random(seed)
    now, order, begun = 0.0, 0, 0
    running: list[tuple[float, int, Any, float]] = []
    while True:
        while len(running) < workers and (asked := tuner.ask()) is not None:
            key, params = asked
            took = params["epochs"] * dice.lognormvariate(0.0, 0.5)
            heapq.heappush(running, (now + took, order, key, curves(params)))
            order, begun = order + 1, begun + params["epochs"]
        if not running:
            return math.inf, math.inf
        now, _, key, error = heapq.heappop(running)
        if error <= target:
            return begun, now
        tuner.tell(key, error)


def main() -> None:
    """Measure what is missing and print the summary."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.curves", description=__doc__
    )
    parser.add_argument("--workers", nargs="+", type=int, default=[8, 64])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--share", type=float, default=0.01, help="of the points, as good as that")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--out", type=Path, default=Path(".cache/quality"))
    chosen = parser.parse_args()
    curves = Curves(chosen.out / "curves.csv", chosen.minutes)
    target = curves.target(chosen.share)
    found = defaultdict(list)
    with (chosen.out / "races.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for workers, name, seed in itertools.product(chosen.workers, TUNERS, range(chosen.seeds)):
            result = race(Ours(curves.space, seed, name), curves, target, workers, seed)
            found[workers, name].append(result)
            writer.writerow([workers, name, seed, *result])
    print(f"Until a trial has an error of {target:.4f} (the best {chosen.share:.1%} of points):")
    print("medians and quartiles over the seeds.")
    print("\n| in flight | tuner | epochs trained | times less | virtual time | times less |")
    print("|---|---|---|---|---|---|")
    for (workers, name), results in found.items():
        cells = []
        for column in (0, 1):
            values = [result[column] for result in results]
            base = statistics.median(one[column] for one in found[workers, "random"])
            # Not interpolated: a tuner may never have come there.
            low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf")
            cells += [f"{middle:.0f} ({low:.0f}–{high:.0f})", f"{base / middle:.1f}"]
        print(f"| {workers} | {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
