"""What early stopping saves: `python -m tests.benchmarks.quality.stopping --help`.

Random search on the learning curves of `curves.py`, in virtual time, with and without each rule.
Both try the same points. An epoch takes a time of its trial's own, log-normal (σ = 0.5); a rule is
asked after every epoch, with what all trials have reported by then.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import itertools
import random
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from orion_k8s.stopping import Rules, create
from orion_k8s.trial import Curve, CurveBuilder
from tests.benchmarks.quality.curves import EPOCHS, Curves

RULES: dict[str, dict[str, Any]] = {
    "median": {"min_steps": 3, "min_trials": 5},
    "percentile": {"percentile": 25, "min_steps": 3, "min_trials": 5},
    "asha": {"min_steps": 1, "reduction_factor": 3},
    "patience": {"steps": 5, "min_delta": 0.01},
    "threshold": {"upper": 0.5, "min_steps": 9},
}
"""The rules, with what somebody would give them who knows how long a trial is."""
FIELDS = ("workers", "rule", "seed", "saved", "stopped", "loss", "full_loss")


class Saved(NamedTuple):
    """What came out of one run.

    Attributes:
        saved: share of the epochs that were not trained.
        stopped: share of the trials that were stopped.
        loss: the lowest last value of a trial.
        full_loss: the same, had all trials been trained to their end.
    """

    saved: float
    stopped: float
    loss: float
    full_loss: float


def tune(rules: Rules, errors: Any, workers: int, trials: int, seed: int) -> Saved:
    """Train so many random points, several at a time.

    Args:
        rules: of early stopping.
        errors: (points, epochs) validation error.
        workers: trials at a time.
        trials: how many.
        seed: of the points and of how long an epoch takes.
    """
    dice = random.Random(seed)
    points = dice.sample(range(len(errors)), trials)
    pace = [dice.lognormvariate(0.0, 0.5) for _ in points]
    builders = [CurveBuilder(number, 1) for number in range(trials)]
    curves: dict[int, Curve] = {}
    waiting = iter(range(trials))
    running = [(pace[number], number) for number in itertools.islice(waiting, workers)]
    heapq.heapify(running)
    stopped = 0
    while running:
        now, number = heapq.heappop(running)
        own = builders[number]
        own.add(own.count + 1, float(errors[points[number], own.count]))
        judged = curves[number].last_step if number in curves else -np.inf
        curve = curves[number] = own.curve()
        ends = own.count == EPOCHS
        if not ends:
            others = [other for key, other in curves.items() if key != number]
            ends = rules.stop(curve, others, judged) is not None
            stopped += ends
        following = next(waiting, None) if ends else number
        if following is not None:
            heapq.heappush(running, (now + pace[following], following))
    trained = sum(len(curve) for curve in curves.values())
    return Saved(
        1 - trained / (trials * EPOCHS),
        stopped / trials,
        min(curve.values[-1] for curve in curves.values()),
        float(errors[points, -1].min()),
    )


def main() -> None:
    """Run all rules and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.stopping", description=__doc__
    )
    parser.add_argument("--workers", nargs="+", type=int, default=[8, 64])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--out", type=Path, default=Path(".cache/quality"))
    chosen = parser.parse_args()
    errors = Curves(chosen.out / "curves.csv", chosen.minutes).errors
    found: dict[tuple[int, str], list[Saved]] = defaultdict(list)
    with (chosen.out / "stopping.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for workers, name, seed in itertools.product(chosen.workers, RULES, range(chosen.seeds)):
            rules = create({name: RULES[name]})
            result = tune(rules, errors, workers, chosen.trials, seed)
            found[workers, name].append(result)
            writer.writerow([workers, name, seed, *result])
    print(f"{chosen.trials} random points of {EPOCHS} epochs, {chosen.seeds} seeds: medians;")
    print("goal: at least 50 % of the steps saved, at most 1 % of the loss given away.")
    print("\n| in flight | rule | steps saved | trials stopped | best error | without a rule "
          "| given away, median and mean |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for (workers, name), results in found.items():
        saved, stopped, loss, full = (
            statistics.median(column) for column in zip(*results, strict=True)
        )
        away = [one.loss / one.full_loss - 1 for one in results]
        settings = ", ".join(f"{key} {value}" for key, value in RULES[name].items())
        print(
            f"| {workers} | {name} ({settings}) | {saved:.0%} | {stopped:.0%} | {loss:.4f} "
            f"| {full:.4f} | {statistics.median(away):.1%} and {statistics.mean(away):.1%} |"
        )


if __name__ == "__main__":
    main()
