"""Processes that work on one experiment or study and begin together: ours, and Optuna's beside."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.figures import SPACE, experiment, noop


def rate(work: Callable[..., None], processes: int, trials: int, *arguments: Any) -> float:
    """Return trials a second of processes that begin together.

    Args:
        work: what each does, given the arguments, a semaphore to release when it is ready, and an
            event to wait for.
        processes: how many.
        trials: of all together.
        *arguments: of `work`.
    """
    context = multiprocessing.get_context("spawn")
    started, go = context.Semaphore(0), context.Event()
    workers = [
        context.Process(target=work, args=(*arguments, started, go)) for _ in range(processes)
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


def ours(path: Path, processes: int, trials: int, algorithm: str = "random") -> float:
    """Return trials a second of our workers, with a no-op objective, on SQLite."""
    experiment(path, algorithm=algorithm, max_trials=trials).close()
    found = rate(_work, processes, trials, str(path), algorithm)
    with experiment(path) as client:
        assert client.stats.trials_completed == trials
    return found


def optunas(path: Path, processes: int, trials: int, sampler: str = "RandomSampler") -> float:
    """Return trials a second of Optuna's, with the same objective and its SQLite storage."""
    optuna = pytest.importorskip("optuna", reason="make bench installs it")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = f"sqlite:///{path}"
    optuna.create_study(study_name="s", storage=url)
    return rate(_study, processes, trials, url, sampler, trials // processes)


def _work(path: str, algorithm: str, started: Any, go: Any) -> None:
    client = experiment(path, algorithm=algorithm)
    started.release()
    go.wait()
    client.workon(noop)
    client.close()


def _study(url: str, sampler: str, trials: int, started: Any, go: Any) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kind = getattr(optuna.samplers, sampler)
    study = optuna.load_study(study_name="s", storage=url, sampler=kind(seed=os.getpid()))
    started.release()
    go.wait()

    def objective(trial: Any) -> float:
        return sum(trial.suggest_float(name, 0.0, 1.0) for name in SPACE)

    study.optimize(objective, n_trials=trials)
