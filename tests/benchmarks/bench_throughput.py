"""Trials a second through the Python API, with a no-op objective and ten dimensions."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from pathlib import Path
from typing import Any

import pymongo
import pytest

from orion_k8s import build_experiment
from orion_k8s.trial import dump_values, identity_of, new_id, new_token
from tests.benchmarks.figures import SPACE, experiment, noop, say

TRIALS = 4_000
PROCESSES = 8


def _work(path: str, started: Any, go: Any) -> None:
    client = experiment(path)
    started.release()
    go.wait()
    client.workon(noop)
    client.close()


def _rate(path: Path, processes: int, trials: int) -> float:
    """Return trials a second of some processes that begin together."""
    experiment(path, max_trials=trials).close()
    context = multiprocessing.get_context("spawn")
    started, go = context.Semaphore(0), context.Event()
    workers = [
        context.Process(target=_work, args=(str(path), started, go)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        started.acquire()
    began = time.perf_counter()
    go.set()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - began
    with experiment(path) as client:
        assert client.stats.trials_completed == trials
    return trials / seconds


def test_sqlite(tmp_path: Path) -> None:
    one = statistics.median(_rate(tmp_path / f"1-{i}.db", 1, TRIALS) for i in range(3))
    say("SQLite, 1 process, trials/s", f"{one:.0f}", "goal 2,000")
    many = statistics.median(_rate(tmp_path / f"8-{i}.db", PROCESSES, TRIALS) for i in range(3))
    say(f"SQLite, {PROCESSES} processes, trials/s", f"{many:.0f}", "goal 2,000")
    alone = _optuna(tmp_path / "o1.db", 1, 200)
    say("  Optuna beside it, 1 process", f"{alone:.0f}", f"{one / alone:.0f} times as many")
    crowd = _optuna(tmp_path / "o8.db", PROCESSES, 200)
    say(f"  Optuna beside it, {PROCESSES} processes", f"{crowd:.0f}", f"{many / crowd:.0f} times")


def _study(url: str, trials: int, started: Any, go: Any) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(
        study_name="s", storage=url, sampler=optuna.samplers.RandomSampler(seed=os.getpid())
    )
    started.release()
    go.wait()

    def objective(trial: Any) -> float:
        return sum(trial.suggest_float(name, 0.0, 1.0) for name in SPACE)

    study.optimize(objective, n_trials=trials)


def _optuna(path: Path, processes: int, trials: int) -> float:
    optuna = pytest.importorskip("optuna", reason="make bench installs it")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = f"sqlite:///{path}"
    optuna.create_study(study_name="s", storage=url)
    context = multiprocessing.get_context("spawn")
    started, go = context.Semaphore(0), context.Event()
    workers = [
        context.Process(target=_study, args=(url, trials // processes, started, go))
        for _ in range(processes)
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


def test_mongodb_beside_a_bare_loop(mongodb_uri: str, mongodb_name: str) -> None:
    count = 300
    ratios, rates = [], []
    with pymongo.MongoClient(mongodb_uri) as client:
        for repetition in range(3):
            bare = count / _bare_loop(client[mongodb_name][f"bare{repetition}"], count)
            ours = build_experiment(
                f"bench {repetition}", space=SPACE, max_trials=count, seed=1,
                storage={"database": {"type": "mongodb", "host": mongodb_uri,
                                      "name": mongodb_name}},
                executor="singleexecutor",
            )  # fmt: skip
            began = time.perf_counter()
            ours.workon(noop)
            rates.append(count / (time.perf_counter() - began))
            ours.close()
            ratios.append(rates[-1] / bare)
    say("MongoDB, 1 process, trials/s", f"{statistics.median(rates):.0f}")
    share = statistics.median(ratios)
    say("  of a bare loop of the same three operations", f"{share:.0%}", "goal 50 %")


def _bare_loop(trials: Any, count: int) -> float:
    """Return the seconds of the three operations a trial, written with the driver alone."""
    trials = trials.with_options(write_concern=pymongo.WriteConcern(w="majority", j=True))
    trials.create_index([("experiment", 1), ("number", 1)], unique=True)
    trials.create_index([("experiment", 1), ("identity", 1)], unique=True)
    trials.create_index([("experiment", 1), ("status", 1), ("lease", 1)])
    began = time.perf_counter()
    for number in range(count):
        list(trials.find({"experiment": "e", "number": {"$in": list(range(number, number + 20))}}))
        key, values = new_id(), dump_values([number / count] * 10)
        fields = {
            "experiment": "e", "number": number, "values": values, "status": "reserved",
            "identity": identity_of(values), "token": new_token(), "worker": "w",
        }  # fmt: skip
        trials.update_one(
            {"_id": key, "token": {"$exists": False}},
            [{"$set": {**fields, "lease": "$$NOW"}}],
            upsert=True,
        )
        trials.update_one(
            {"_id": key, "token": fields["token"], "status": "reserved"},
            [{"$set": {"status": "completed", "objective": 1.0, "end_time": "$$NOW"}}],
        )
    return time.perf_counter() - began
