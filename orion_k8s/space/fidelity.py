"""The fidelity dimension: how much of its budget a trial gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from orion_k8s.space.dimension import Dimension
from orion_k8s.space.plain import FloatArray, Problem, is_number, number_text


@dataclass(frozen=True, eq=False)
class Fidelity(Dimension):
    """A budget (epochs, samples, …) that an algorithm sets; it has no coordinate in the unit cube.

    Whole numbers are ints.

    Attributes:
        low: the smallest budget, at least 1.
        high: the whole budget; what an algorithm without rungs uses.
        base: the factor between two rungs.
    """

    low: int | float = field(kw_only=True)
    high: int | float = field(kw_only=True)
    base: int | float = 2

    kind: ClassVar[str] = "fidelity"

    def __post_init__(self) -> None:
        if self.low < 1:
            raise Problem(f"low must be 1 or more, not {number_text(self.low)}; raise it")
        if self.low > self.high:
            raise Problem(
                f"low ({number_text(self.low)}) is above "
                f"high ({number_text(self.high)}); swap them"
            )
        if self.base < 1:
            raise Problem(f"base must be 1 or more, not {number_text(self.base)}; 2 is usual")

    @property
    def size(self) -> int:
        """Return 0: a fidelity has no coordinate."""
        return 0

    @property
    def head(self) -> tuple[str, list[str]]:
        """Return the prior's name and the texts of its arguments."""
        texts = [number_text(self.low), number_text(self.high)]
        return "fidelity", texts if self.base == 2 else [*texts, f"base={number_text(self.base)}"]

    @property
    def interval(self) -> tuple[float, float]:
        """Return (low, high)."""
        return self.low, self.high

    @property
    def count(self) -> float:
        """Return 1: it adds no points to the space."""
        return 1

    def decode(self, units: FloatArray) -> list[Any]:
        """Return `high` for each of the (n, 0) points."""
        return [self.high] * len(units)

    def one(self, unit: float) -> int | float:
        """Return `high`."""
        return self.high

    def many(self, units: FloatArray) -> list[Any]:
        """Return `high` for each of (n,) units."""
        return [self.high] * len(units)

    def encode(self, values: Sequence[Any]) -> FloatArray:
        """Return points without coordinates, (n, 0)."""
        return np.empty((len(values), 0))

    def units(self, values: Sequence[Any]) -> FloatArray:
        """Return nothing: there is no coordinate."""
        return np.empty(0)

    def levels(self, limit: int) -> None:
        """Return None: there is no coordinate."""
        return None

    def grid(self, n: int) -> FloatArray:
        """Return nothing: there is no coordinate."""
        return np.empty(0)

    def check_one(self, value: Any) -> int | float:
        """Return a budget, as an int where it is whole.

        Raises:
            InvalidParams: it is no number, or out of bounds.
        """
        if not is_number(value) or not self.low <= value <= self.high:
            raise self.wrong(
                f"be a number between {number_text(self.low)} and {number_text(self.high)}", value
            )
        number: int | float = value
        return int(number) if number == int(number) else number
