"""Trials a second through the Python API, with a no-op objective and ten dimensions."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import pymongo

from orion_k8s import build_experiment
from orion_k8s.trial import dump_values, identity_of, new_id, new_token
from tests.benchmarks import crowd
from tests.benchmarks.figures import SPACE, noop, say

TRIALS = 4_000
PROCESSES = 8


def test_sqlite(tmp_path: Path) -> None:
    one = statistics.median(crowd.ours(tmp_path / f"1-{i}.db", 1, TRIALS) for i in range(3))
    say("SQLite, 1 process, trials/s", f"{one:.0f}", "goal 2,000")
    many = statistics.median(
        crowd.ours(tmp_path / f"8-{i}.db", PROCESSES, TRIALS) for i in range(3)
    )
    say(f"SQLite, {PROCESSES} processes, trials/s", f"{many:.0f}", "goal 2,000")
    alone = crowd.optunas(tmp_path / "o1.db", 1, 200)
    say("  Optuna beside it, 1 process", f"{alone:.0f}", f"{one / alone:.0f} times as many")
    many_of_theirs = crowd.optunas(tmp_path / "o8.db", PROCESSES, 200)
    say(
        f"  Optuna beside it, {PROCESSES} processes",
        f"{many_of_theirs:.0f}",
        f"{many / many_of_theirs:.0f} times",
    )


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
