"""What early stopping saves: `python -m tests.benchmarks.quality.stopping --help`.

Tuners on the learning curves of `curves.py`, in virtual time, with and without each rule. An epoch
takes a time of its trial's own, log-normal (σ = 0.5); a rule is asked after every epoch, with what
all trials have reported by then. A trial that is stopped is told to the tuner with its last value.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import itertools
import math
import random
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from orion_k8s.stopping import Rules, create
from orion_k8s.trial import Curve, CurveBuilder
from tests.benchmarks.quality.crew import Ours
from tests.benchmarks.quality.curves import EPOCHS, Curves

RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("median", {}),
    ("median", {"min_steps": 3}),
    ("percentile", {}),
    ("percentile", {"percentile": 25}),
    ("asha", {}),
    ("patience", {"steps": 5, "min_delta": 0.01}),
    ("threshold", {"upper": 0.5, "min_steps": 5}),
)
FIELDS = ("workers", "tuner", "rule", "seed", "trained", "stopped", "loss")


class Tuned(NamedTuple):
    """What came out of one run.

    Attributes:
        trained: epochs of all trials together.
        stopped: share of the trials that were stopped.
        loss: the lowest last value of a trial.
    """

    trained: int
    stopped: float
    loss: float


class Learner:
    """A trial that runs."""

    def __init__(self, number: int, errors: list[float], pace: float) -> None:
        self.builder = CurveBuilder(number, 1)
        self.errors = errors
        self.pace = pace
        self.judged = -math.inf

    def epoch(self) -> Curve:
        """Train for one epoch and return the curve so far."""
        count = self.builder.count
        self.builder.add(count + 1, self.errors[count])
        return self.builder.curve()


def tune(rules: Rules, curves: Curves, name: str, workers: int, trials: int, seed: int) -> Tuned:
    """Run so many trials, several at a time.

    Args:
        rules: of early stopping.
        curves: the validation error of each point after each epoch.
        name: of the tuner.
        workers: trials at a time.
        trials: how many.
        seed: of the tuner and of how long an epoch takes.
    """
    dice = random.Random(seed)
    paces = [dice.lognormvariate(0.0, 0.5) for _ in range(trials)]
    priors = {name: prior for name, prior in curves.space.items() if name != "epochs"}
    tuner = Ours(priors, seed, name)
    known: dict[int, Curve] = {}
    running: list[tuple[float, int, Learner]] = []
    now, begun, stopped = 0.0, 0, 0
    while True:
        while len(running) < workers and begun < trials and (asked := tuner.ask()) is not None:
            number, params = asked
            learner = Learner(number, curves.curve(params), paces[begun])
            heapq.heappush(running, (now + learner.pace, begun, learner))
            begun += 1
        if not running:
            break
        now, order, learner = heapq.heappop(running)
        curve = known[order] = learner.epoch()
        ended = len(curve) == EPOCHS
        if not ended:
            others = [other for key, other in known.items() if key != order]
            ended = rules.stop(curve, others, learner.judged) is not None
            learner.judged = curve.last_step
            stopped += ended
        if ended:
            tuner.tell(curve.number, curve.values[-1])
        else:
            heapq.heappush(running, (now + learner.pace, order, learner))
    return Tuned(
        sum(len(curve) for curve in known.values()),
        stopped / trials,
        min(curve.values[-1] for curve in known.values()),
    )


def main() -> None:
    """Run all rules and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.stopping", description=__doc__
    )
    parser.add_argument("--workers", nargs="+", type=int, default=[8, 64])
    parser.add_argument("--tuners", nargs="+", default=["random", "tpe"])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--out", type=Path, default=Path(".cache/quality"))
    chosen = parser.parse_args()
    curves = Curves(chosen.out / "curves.csv", chosen.minutes)
    found: dict[tuple[int, str, str], list[Tuned]] = defaultdict(list)
    rules = [("none", Rules()), *((_text(*rule), create(dict([rule]))) for rule in RULES)]
    with (chosen.out / "stopping.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for workers, tuner, (name, rule), seed in itertools.product(
            chosen.workers, chosen.tuners, rules, range(chosen.seeds)
        ):
            result = tune(rule, curves, tuner, workers, chosen.trials, seed)
            found[workers, tuner, name].append(result)
            writer.writerow([workers, tuner, name, seed, *result])
    print(f"{chosen.trials} trials of {EPOCHS} epochs, {chosen.seeds} seeds.")
    print("Goal: at least 50 % of the steps saved, at most 1 % of the best error given away.")
    print("\n| in flight | tuner | rule | steps saved | trials stopped | best error: median, mean "
          "| given away: median, mean |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for (workers, tuner, name), results in found.items():
        full = found[workers, tuner, "none"]
        saved, stopped = (
            statistics.median(column)
            for column in (
                [
                    1 - one.trained / other.trained
                    for one, other in zip(results, full, strict=True)
                ],
                [one.stopped for one in results],
            )
        )
        losses = [one.loss for one in results]
        away = [one.loss / other.loss - 1 for one, other in zip(results, full, strict=True)]
        print(
            f"| {workers} | {tuner} | {name} | {saved:.0%} | {stopped:.0%} "
            f"| {statistics.median(losses):.4f}, {statistics.mean(losses):.4f} "
            f"| {statistics.median(away):.1%}, {statistics.mean(away):.1%} |"
        )


def _text(name: str, parameters: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key} {value}' for key, value in parameters.items())})"


if __name__ == "__main__":
    main()
