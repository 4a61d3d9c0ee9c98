"""What must hold at the end of a chaos run, judged from the programs' own log and the history."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orion_k8s.algorithm import Suggestion
from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.storage import Storage
from orion_k8s.storage.codec import LOST
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord, dump_values
from tests.chaos.program import breaks, objective

Attempt = tuple[str, int]
"""Trial id, attempt."""


@dataclass
class Log:
    """What the programs wrote, by attempt."""

    started: dict[Attempt, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    computed: dict[Attempt, list[float]] = field(default_factory=lambda: defaultdict(list))
    written: Counter[Attempt] = field(default_factory=Counter)
    failed: Counter[Attempt] = field(default_factory=Counter)
    ended: dict[Attempt, float] = field(default_factory=dict)
    """When it went because it was asked to, by the machine's monotonic clock."""

    @classmethod
    def read(cls, path: Path) -> Log:
        """Read it; each line must be whole."""
        log = cls()
        for line in path.read_text().splitlines():
            fact = json.loads(line)
            attempt = fact["trial"], fact["attempt"]
            if fact["event"] == "started":
                log.started[attempt].append(fact["params"])
            elif fact["event"] == "computed":
                log.computed[attempt].append(fact["objective"])
            elif fact["event"] == "written":
                log.written[attempt] += 1
            elif fact["event"] == "failed":
                log.failed[attempt] += 1
            else:
                log.ended[attempt] = fact["time"]
        return log


def judge(storage: Storage, record: ExperimentRecord, log: Log) -> list[str]:
    """Return all that is wrong, empty where the invariants hold."""
    trials = list(storage.trials(record.id))
    return [
        *_counts(record, trials),
        *_draws(record, trials),
        *(wrong for trial in trials for wrong in _trial(record, trial, log)),
        *_strangers(trials, log),
    ]


def _counts(record: ExperimentRecord, trials: list[TrialRecord]) -> list[str]:
    wrong = []
    status = Counter(trial.status for trial in trials)
    if status[Status.COMPLETED] != record.max_trials:
        wrong.append(f"{status[Status.COMPLETED]} trials are completed, not {record.max_trials}")
    if rest := {s.value: n for s, n in status.items() if s.value not in ("completed", "broken")}:
        wrong.append(f"trials are left unfinished: {rest}")
    # Each broken one is replaced by the next number; there are no others.
    numbers = sorted(trial.number for trial in trials)
    if numbers != list(range(len(numbers))):
        missing = sorted(set(range(numbers[-1] + 1)) - set(numbers))
        wrong.append(f"numbers {missing} are missing, or some are there twice")
    for what in ("values", "identity", "id"):
        if len({getattr(trial, what) for trial in trials}) != len(trials):
            wrong.append(f"two trials have the same {what}")
    return wrong


def _draws(record: ExperimentRecord, trials: list[TrialRecord]) -> list[str]:
    """Number k holds the k-th draw of the experiment's seed, whoever drew it and when."""
    space = Space.parse(record.space)
    algorithm = create(record.algorithm, space, record.seed)
    empty = History(space)
    wrong = []
    for trial in trials:
        drawn = algorithm.suggest(trial.number, 0, empty)
        assert isinstance(drawn, Suggestion)
        if dump_values(drawn.values) != trial.values:
            wrong.append(f"number {trial.number} holds {trial.values}, not {drawn.values}")
    return wrong


def _trial(record: ExperimentRecord, trial: TrialRecord, log: Log) -> list[str]:
    wrong = []
    params = dict(zip(record.space, json.loads(trial.values), strict=True))
    value = objective(**params)
    told = {entry["attempt"]: entry for entry in trial.story}
    for attempt in range(1, trial.attempt + 1):
        key = trial.id, attempt
        for seen in log.started.get(key, []):
            if seen != params:
                wrong.append(f"ran with {seen}, not {params}")
        if len(log.started.get(key, [])) > 1:
            wrong.append(f"attempt {attempt} ran {len(log.started[key])} times")
        if any(got != value for got in log.computed.get(key, [])):
            wrong.append(f"attempt {attempt} computed {log.computed[key]}, not {value}")
    last = trial.id, trial.attempt
    if trial.status is Status.COMPLETED:
        if not log.computed.get(last):
            wrong.append(f"completed, but attempt {trial.attempt} computed nothing")
        if trial.objective != value or [r["value"] for r in trial.results] != [value]:
            wrong.append(f"holds {trial.objective} and {trial.results}, not {value}")
        # A lease that ran out is its owner's until somebody reserves the trial anew.
        late = trial.attempt in told and told[trial.attempt]["reason"].startswith(LOST)
        if set(told) - ({trial.attempt} if late else set()) != set(range(1, trial.attempt)):
            wrong.append(f"completed at attempt {trial.attempt}, but its story tells of {told}")
    elif breaks(params["count"]):
        if not any(log.failed.get((trial.id, n)) for n in told):
            wrong.append("broken, but its program never failed")
    elif trial.lost < 3 and "lost" not in str(trial.reason):
        wrong.append(f"broken for no reason: {trial.reason}")
    if trial.status is Status.COMPLETED and breaks(params["count"]):
        wrong.append("completed, though its program fails")
    # Nothing is lost: a result that was there when an attempt was *released* should have counted.
    for number, entry in told.items():
        # The third loss of a trial says more, and says why at its end.
        if log.written.get((trial.id, number)) and LOST not in str(entry["reason"]):
            wrong.append(f"attempt {number} left a result, but ended {entry}")
    return [f"trial {trial.number}: {what} [{trial.tell()}]" for what in wrong]


def _strangers(trials: list[TrialRecord], log: Log) -> list[str]:
    """Whatever ran belongs to a trial, and to one of its attempts."""
    attempts = {trial.id: trial.attempt for trial in trials}
    return [
        f"attempt {attempt} of trial {trial} ran, which the history does not know"
        for trial, attempt in log.started
        if attempt > attempts.get(trial, 0)
    ]
