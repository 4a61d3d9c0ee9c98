"""The contract of an algorithm: a pure function from the history to the next point.

`suggest` is given the number of the trial to be, the attempt (0, then 1, 2, … after each refusal
of this number's point), and the mirror of the history. It answers with a point, with "nothing to
do yet", or with "finished". No state is saved anywhere: what must be known is in the trials. An
instance may cache what it can derive again from its inputs.

Randomness comes from (seed, number, attempt) alone, so that the trial of a number is the same
whoever computes it.

An algorithm of yours is a subclass of `Algorithm`, named under the entry point
`orion_k8s.algorithm`; `orion_k8s.testing.algorithm` has the tests that it should pass. Arguments
of its constructor after `space` and `seed` are its parameters in configuration.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from orion_k8s.history import History
    from orion_k8s.space import Space


@dataclass(frozen=True)
class Suggestion:
    """A point to try.

    Attributes:
        values: one plain value a dimension, in the order of the space (the fidelity among them).
        decision: unique key of a decision about existing trials, e.g. "bracket 0 repetition 1 rung
            2 slot 5".
        parent: id of the trial that this one continues.
        repetition: which measurement of the point it is, where there are several.
    """

    values: tuple[Any, ...]
    decision: str | None = None
    parent: str | None = None
    repetition: int = 0


@dataclass(frozen=True)
class Wait:
    """Nothing to try until running trials have ended."""

    reason: str = "running trials have to end first"


@dataclass(frozen=True)
class Finished:
    """Nothing is left to try: the space or the algorithm's budget is used up."""

    reason: str = "the search space is used up"


class Algorithm(ABC):
    """An algorithm over one space, with one seed."""

    name: ClassVar[str]
    """The word in configuration."""
    several_objectives: ClassVar[bool] = False
    """Whether it takes several objectives: `history.losses`, not `history.objectives` alone."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed

    @abstractmethod
    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Wait | Finished:
        """Return what trial `number` should be.

        Args:
            number: of the trial to be, 0, 1, …
            attempt: how many points for this number were refused because a trial with the same
                identity exists.
            history: the mirror, pending trials included.
        """

    @property
    def configuration(self) -> dict[str, Any]:
        """Return the parameters as they are stored with the experiment: plain data."""
        return {}

    @property
    def remark(self) -> str:
        """What a person should know beyond the name and the parameters; "" for nothing."""
        return ""
