"""What goes wrong in a chaos run, planned from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

ON_WORKERS = {"kill": 30, "terminate": 18, "interrupt": 6, "stop": 24, "shift": 8}
"""Kind → weight: SIGKILL, SIGTERM, SIGINT, SIGSTOP then SIGCONT, a clock that jumps by an hour."""

ON_SQLITE = {**ON_WORKERS, "lock": 10}
"""A process holds the lock of the file."""

ON_MONGODB = {**ON_WORKERS, "crash": 4, "cut": 5, "stall": 5}
"""The server is killed and started again; connections are broken off, or carry nothing more."""

SECONDS = {"stop": (3.0, 5.0), "lock": (1.0, 5.0), "crash": (0.2, 4.0)} | {
    "cut": (0.5, 4.5),
    "stall": (1.5, 5.0),
}
"""How long each lasts, at least and at most. A lease lasts two seconds in a chaos run."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        due: the number of results that have been written when it strikes.
        kind: a key of the weights above.
        slot: the worker it would like; another one if that one can't be struck.
        seconds: how long it lasts, where it lasts.
        hours: by how much a clock is put forward.
        with_next: the next fault strikes while this one lasts.
    """

    due: int
    kind: str
    slot: int
    seconds: float
    hours: float
    with_next: bool

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s" if self.kind in SECONDS else ""
        return f"{self.kind} {self.slot}{lasts}"


def plan(
    seed: int, weights: Mapping[str, int], count: int, trials: int, slots: int
) -> list[Fault]:
    """Return the faults of a run, in order: the same for the same arguments.

    Every kind occurs; they are spread over the first nine tenths of the trials.
    """
    rng = random.Random(seed)
    kinds = [*weights, *rng.choices([*weights], [*weights.values()], k=count - len(weights))]
    rng.shuffle(kinds)
    dues = sorted(rng.randrange(int(0.9 * trials)) for _ in kinds)
    return [
        Fault(
            due,
            kind,
            rng.randrange(slots),
            rng.uniform(*SECONDS.get(kind, (0.0, 0.0))),
            rng.choice((-1.0, 1.0)),
            rng.random() < 0.5,
        )
        for due, kind in zip(dues, kinds, strict=True)
    ]
