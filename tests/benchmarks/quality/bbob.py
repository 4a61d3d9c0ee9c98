"""Compare tuners on the BBOB functions: `python -m tests.benchmarks.quality.bbob --help`.

Source: N. Hansen, A. Auger, R. Ros, O. Mersmann, T. Tušar and D. Brockhoff, "COCO: A Platform for
Comparing Continuous Optimizers in a Black-Box Setting", 2021, doi:10.1080/10556788.2020.1808977;
the functions are of the package coco-experiment.

A run's figure is the area under the empirical distribution of targets: over the evaluations, on a
log scale, the share of 51 precisions from 100 to 1e-8 that it has reached. 1 is best.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.quality.crew import run
from tests.benchmarks.quality.tuners import TUNERS, interval

TARGETS = 10.0 ** np.linspace(2, -8, 51)
FIELDS = ("function", "dimension", "workers", "trials", "tuner", "seed", "area", "seconds")


class Function:
    """One of the 24 functions, an instance of it drawn by the seed.

    Args:
        number: 1–24.
        dimension: 2, 3, 5, 10, 20 or 40.
        instance: of its shifts and rotations.
    """

    def __init__(self, number: int, dimension: int, instance: int) -> None:
        import cocoex

        suite = cocoex.Suite("bbob", f"instances: {instance}", f"dimensions: {dimension}")
        self._problem = suite.get_problem(f"bbob_f{number:03d}_i{instance:02d}_d{dimension:02d}")
        self.names = [f"x{i}" for i in range(dimension)]
        self.space = dict.fromkeys(self.names, "uniform(-5, 5, precision=None)")
        self.lowest = self._lowest()

    def _lowest(self) -> float:
        """Return the function's minimum: the package writes where it is into the folder."""
        before = Path.cwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                self._problem._best_parameter("print")
                best = np.loadtxt("._bbob_problem_best_parameter.txt")
            finally:
                os.chdir(before)
        return float(self._problem(best))

    def __call__(self, params: dict[str, Any]) -> float:
        """Return the function's value."""
        return float(self._problem(np.array([params[name] for name in self.names])))

    def area(self, found: list[float]) -> float:
        """Return the area under the distribution of the targets that were reached."""
        best = np.minimum.accumulate(found) - self.lowest
        reached = (best[:, None] <= TARGETS).mean(axis=1)
        width = np.diff(np.log(np.arange(1, len(found) + 2)))
        return float(reached @ width / width.sum())


def main() -> None:
    """Run what is missing and print the summary."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.bbob", description=__doc__
    )
    parser.add_argument("--functions", nargs="+", type=int, default=list(range(1, 25)))
    parser.add_argument("--dimensions", nargs="+", type=int, default=[2, 5, 10])
    parser.add_argument("--tuners", nargs="+", default=list(TUNERS), choices=list(TUNERS))
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5, help="each on another instance")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--out", type=Path, default=Path(".cache/quality/bbob.csv"))
    chosen = parser.parse_args()
    wanted = [
        (function, dimension, chosen.workers, chosen.trials, tuner, seed)
        for seed, dimension, function, tuner in itertools.product(
            range(chosen.seeds), chosen.dimensions, chosen.functions, chosen.tuners
        )
    ]
    areas: dict[tuple[Any, ...], float] = {}
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    if chosen.out.exists():
        with chosen.out.open(newline="") as file:
            for function, dimension, workers, trials, tuner, seed, area, _ in [*csv.reader(file)][
                1:
            ]:
                key = (int(function), int(dimension), int(workers), int(trials), tuner, int(seed))
                areas[key] = float(area)
    ends = time.monotonic() + 60 * chosen.minutes
    with chosen.out.open("a", newline="") as file:
        writer = csv.writer(file)
        if not areas:
            writer.writerow(FIELDS)
        for key in wanted:
            number, dimension, workers, trials, name, seed = key
            if key in areas or time.monotonic() > ends:
                continue
            function = Function(number, dimension, seed + 1)
            make, options = TUNERS[name]
            began = time.process_time()
            found = run(make(function.space, seed, **options), function, trials, workers, seed)
            areas[key] = function.area(found)
            writer.writerow([*key, areas[key], round(time.process_time() - began, 3)])
            file.flush()
    by_tuner: dict[tuple[str, int], list[float]] = defaultdict(list)
    for key in wanted:
        if key in areas:
            by_tuner[key[4], key[1]].append(areas[key])
    print("Mean area under the distribution of targets, with its 95 % interval (1 is best):\n")
    print("| tuner | " + " | ".join(f"{d} dimensions" for d in chosen.dimensions) + " |")
    print("|---|" + "---|" * len(chosen.dimensions))
    for name in chosen.tuners:
        cells = []
        for dimension in chosen.dimensions:
            middle, low, high = interval(by_tuner[name, dimension], np.mean)
            cells.append(f"{middle:.4f} ({low:.4f}–{high:.4f})")
        print(f"| {name} | {' | '.join(cells)} |")
    missing = sum(key not in areas for key in wanted)
    if missing:
        print(f"\n{missing} of {len(wanted)} runs are still to be done: run it again.")


if __name__ == "__main__":
    main()
