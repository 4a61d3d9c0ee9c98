"""TPE: what a suggestion costs as the history grows, and what it leaves of the throughput."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row, Status, dump_values
from tests.benchmarks.figures import SPACE, experiment, median, noop, say, timed

MIXED = {
    **{f"x{i}": "loguniform(1e-5, 1)" for i in range(4)},
    **{f"n{i}": "randint(1, 33)" for i in range(3)},
    **{f"c{i}": "choices(['a', 'b', 'c'])" for i in range(3)},
}
SPACES = {"10 reals": SPACE, "4 reals, 3 integers, 3 categories": MIXED}
GOALS_MS = {1_000: 2, 10_000: 3, 100_000: 5}
SUGGESTIONS = 200
TRIALS = 3_000
PROCESSES = 8


def _rows(space: Space, count: int) -> list[Row]:
    """Return completed trials at random points, with one pending at the end."""
    rng = np.random.default_rng(1)
    values = space.decode(rng.random((count, space.width)))
    objectives = rng.random(count).tolist()
    done, running = Status.COMPLETED.value, Status.RESERVED.value
    rows = [
        Row(number, done, objective, dump_values(row), f"trial {number}")
        for number, (row, objective) in enumerate(zip(values, objectives, strict=True))
    ]
    return [*rows[:-1], rows[-1]._replace(status=running, objective=None)]


def _suggestions(space: Space, rows: list[Row]) -> float:
    """Return the milliseconds of a suggestion and of taking in the trial before it."""
    history, algorithm = History(space), create({"tpe": {}}, space, 1)
    first, more = rows[:-SUGGESTIONS], rows[-SUGGESTIONS:]
    history.fill(first)
    algorithm.suggest(len(first), 0, history)
    began = time.process_time()
    for row in more:
        history.fill([row])
        algorithm.suggest(row.number + 1, 0, history)
    return (time.process_time() - began) / len(more) * 1e3


@pytest.mark.parametrize("kind", SPACES)
def test_a_suggestion(kind: str) -> None:
    space = Space.parse(SPACES[kind])
    rows = _rows(space, max(GOALS_MS) + SUGGESTIONS)
    say(f"TPE, {kind}: a suggestion, ms of the processor", "")
    for count, goal in GOALS_MS.items():
        took = median(lambda count=count: _suggestions(space, rows[: count + SUGGESTIONS]), 5)
        say(f"  at {count:,} trials", f"{took:.2f}", f"goal {goal}")


def test_the_first_suggestion_of_a_new_worker() -> None:
    space = Space.parse(SPACE)
    for count, goal in ((10_000, "goal 0.5"), (100_000, "")):
        rows = _rows(space, count)

        def join(rows: list[Row] = rows) -> None:
            history = History(space)
            history.fill(rows)
            create({"tpe": {}}, space, 1).suggest(len(rows), 0, history)

        say(f"TPE: mirror and first suggestion at {count:,}, s",
            f"{median(lambda join=join: timed(join)):.2f}", goal)  # fmt: skip


def _work(path: str, started: Any, go: Any) -> None:
    client = experiment(path, algorithm="tpe")
    started.release()
    go.wait()
    client.workon(noop)
    client.close()


def _rate(target: Any, path: Path | str, trials: int, *arguments: Any) -> float:
    """Return trials a second of some processes that begin together."""
    context = multiprocessing.get_context("spawn")
    started, go = context.Semaphore(0), context.Event()
    workers = [
        context.Process(target=target, args=(str(path), *arguments, started, go))
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        started.acquire()
    began = time.perf_counter()
    go.set()
    for worker in workers:
        worker.join()
    return trials / (time.perf_counter() - began)


def test_throughput(tmp_path: Path) -> None:
    rates = []
    for repetition in range(3):
        path = tmp_path / f"{repetition}.db"
        experiment(path, algorithm="tpe", max_trials=TRIALS).close()
        rates.append(_rate(_work, path, TRIALS))
        with experiment(path) as client:
            assert client.stats.trials_completed == TRIALS
    ours = statistics.median(rates)
    say(f"SQLite, {PROCESSES} processes with TPE, trials/s", f"{ours:.0f}", "goal 300")
    optuna = pytest.importorskip("optuna", reason="make bench installs it")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url, trials = f"sqlite:///{tmp_path / 'optuna.db'}", 200
    optuna.create_study(study_name="s", storage=url)
    theirs = _rate(_study, url, trials, trials // PROCESSES)
    say("  Optuna's TPE beside it", f"{theirs:.0f}", f"{ours / theirs:.0f} times as many")


def _study(url: str, trials: int, started: Any, go: Any) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(
        study_name="s", storage=url, sampler=optuna.samplers.TPESampler(seed=os.getpid())
    )
    started.release()
    go.wait()

    def objective(trial: Any) -> float:
        return sum(trial.suggest_float(name, 0.0, 1.0) for name in SPACE)

    study.optimize(objective, n_trials=trials)
