"""What the shared history holds of an experiment and of a trial. No database is known here."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from orion_k8s.trial.states import Status


def new_id() -> str:
    """Return a fresh random id of 24 hexadecimal digits (96 bits)."""
    return os.urandom(12).hex()


def new_token() -> str:
    """Return a fresh fencing token. The client makes it, so that a retried write finds itself."""
    return os.urandom(8).hex()


def dump_values(values: Sequence[Any]) -> str:
    """Return the canonical JSON text of a point: a value a dimension, in the space's order."""
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def identity_of(values: str, parent: str | None = None, repetition: int = 0) -> str:
    """Return what makes a trial unique in its experiment, as 32 hexadecimal digits.

    Args:
        values: canonical text of the point, the fidelity among its values.
        parent: id of the trial that this one continues, if any; so a child is not its parent, and
            several lineages may pass through one point.
        repetition: 0 unless a person asks for repeated measurements of one point.
    """
    text = f"{values}|{parent or ''}|{repetition}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class ExperimentRecord:
    """An experiment as the shared history holds it.

    Attributes:
        id: made by the client that created it.
        name: a person's name for it.
        version: 1, 2, …; one search space each.
        space: name of each dimension → text of its prior, in order.
        algorithm: name → parameters, one entry.
        seed: of all its random streams.
        max_trials: completed trials that end it; None for no end.
        max_broken: broken trials that end it.
        generation: raised twice by every `db set` and `db rm` (odd while one is under way).
        metadata: what `hunt` needs to resume: the command, the working directory, user, time.
        goal: what it aims at, as `Goal.configuration` says it; empty to minimise one objective.
    """

    id: str
    name: str
    version: int
    space: Mapping[str, str]
    algorithm: Mapping[str, Mapping[str, Any]]
    seed: int
    max_trials: int | None = None
    max_broken: int = 3
    working_dir: str = ""
    generation: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    goal: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A new trial that a worker wants to insert, already reserved by itself.

    Attributes:
        id: made by the client, so that a retry recognises its own insert.
        number: 0, 1, …; unique in the experiment.
        values: canonical text of the point.
        identity: see `identity_of`; unique in the experiment.
        token: fencing token of this first reservation.
        worker: who reserves.
        decision: unique key of a decision about existing trials (promotion, slot of a rung), if
            any.
        parent: id of the trial that this one continues, if any.
    """

    id: str
    number: int
    values: str
    identity: str
    token: str
    worker: str
    decision: str | None = None
    parent: str | None = None


@dataclass(frozen=True)
class TrialRecord:
    """A trial as the shared history holds it, whole.

    Attributes:
        number: 0, 1, … for suggested trials; -1, -2, … for those that a person inserted.
        values: canonical text of the point, one value a dimension in the order of the space.
        token: fencing token of the newest reservation; None before the first.
        attempt: how many times it was reserved.
        lost: how many of these ended because the lease ran out.
        held_by: "person" or "algorithm" where it is suspended.
        objective: of a completed trial its loss, which workers rank by: see `trial.goal`.
        losses: canonical text of the losses where there are several objectives.
        results: list of {"name", "type", "value"}.
        reason: why it is broken, interrupted or suspended.
        story: one entry for each reservation that did not complete: {"attempt", "worker",
            "status", "reason", "time"}.
        submit_time, start_time, end_time: POSIX seconds by the database's clock.
    """

    id: str
    experiment: str
    number: int
    values: str
    status: Status
    identity: str = ""
    token: str | None = None
    worker: str | None = None
    attempt: int = 0
    lost: int = 0
    held_by: str | None = None
    objective: float | None = None
    results: tuple[Mapping[str, Any], ...] = ()
    reason: str | None = None
    decision: str | None = None
    parent: str | None = None
    story: tuple[Mapping[str, Any], ...] = ()
    submit_time: float | None = None
    start_time: float | None = None
    end_time: float | None = None
    losses: str | None = None

    def tell(self) -> str:
        """Return the trial's story in one line, for errors and for people."""
        past = [
            f"attempt {e.get('attempt')} by {e.get('worker')} ended {e.get('status')}"
            + (f" ({str(e['reason']).strip().splitlines()[-1][:200]})" if e.get("reason") else "")
            for e in self.story
        ]
        now = f"now {self.status}"
        if self.worker:
            now += f", attempt {self.attempt} by {self.worker}"
        return "; ".join([*past, now])


class Row(NamedTuple):
    """What the mirror reads of a trial: the few columns that decisions are made from."""

    number: int
    status: str
    objective: float | None
    values: str
    id: str
    parent: str | None = None
    decision: str | None = None
    held_by: str | None = None
    losses: str | None = None
