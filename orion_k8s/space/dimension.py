"""What every dimension of a search space can do, whatever its kind."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar, Final, TypeVar

import numpy as np

from orion_k8s.errors import InvalidParams
from orion_k8s.space.plain import FloatArray, shown, unwrapped


class NoDefault(Enum):
    """The type of `NO_DEFAULT` (None may be a category, so it can't say "no default")."""

    NO_DEFAULT = "no default"


NO_DEFAULT: Final = NoDefault.NO_DEFAULT

FEW = 8
"""Up to so many values, decoding one by one is faster than NumPy's overhead."""

_Self = TypeVar("_Self", bound="Dimension")


@dataclass(frozen=True, eq=False)
class Dimension(ABC):
    """A named dimension: a prior over plain values, coded by coordinates in the unit cube.

    Dimensions are equal where their canonical texts are; the name does not count.

    Attributes:
        name: full name, dots between the levels; may be empty.
        shape: of one value: () for a scalar, else nested lists of this shape.
        default: taken where a person gives no value; `NO_DEFAULT` for none.
        when: canonical text of its condition: see `condition`. None where it is always active.
    """

    name: str
    shape: tuple[int, ...] = ()
    default: Any = NO_DEFAULT
    when: str | None = field(default=None, kw_only=True)

    kind: ClassVar[str]
    """"real", "integer", "categorical" or "fidelity"."""

    # --- what a kind defines: one coordinate -----------------------------------------------------

    @property
    @abstractmethod
    def head(self) -> tuple[str, list[str]]:
        """Return the prior's name and the texts of its arguments, shape and default left out."""

    @property
    @abstractmethod
    def interval(self) -> tuple[float, float] | None:
        """Return (low, high), infinite where there is no bound; None for categories."""

    @property
    @abstractmethod
    def count(self) -> float:
        """Return how many values one coordinate can take: a whole number, or infinity."""

    @abstractmethod
    def one(self, unit: float) -> Any:
        """Return the plain value of one coordinate."""

    @abstractmethod
    def many(self, units: FloatArray) -> list[Any]:
        """Return the plain values of (n,) coordinates, the same as `one` gives."""

    @abstractmethod
    def units(self, values: Sequence[Any]) -> FloatArray:
        """Return coordinates ((n,) float64) of n scalar plain values."""

    @abstractmethod
    def check_one(self, value: Any) -> Any:
        """Return the canonical form of a scalar value.

        Raises:
            InvalidParams: it is not in the dimension.
        """

    @abstractmethod
    def levels(self, limit: int) -> tuple[FloatArray, FloatArray] | None:
        """Return all distinct values of one coordinate, as units that decode to them.

        Args:
            limit: give up where there are more.

        Returns:
            units ((L,) float64, values in order) and their probabilities ((L,), all above 0, sum
            1), or None where there are more than `limit`.
        """

    def key(self, value: Any) -> Hashable:
        """Return a hashable that tells scalar values apart."""
        return value  # type: ignore[no-any-return]

    def load_one(self, value: Any) -> Any:
        """Return the plain value of a scalar that was read from JSON."""
        return value

    @property
    def loads_as_is(self) -> bool:
        """Whether a value read from JSON is the plain value already."""
        return True

    @property
    def _closed(self) -> bool:
        return self.interval is None or all(map(math.isfinite, self.interval))

    # --- the whole dimension ---------------------------------------------------------------------

    @cached_property
    def size(self) -> int:
        """Return the number of coordinates in the unit cube."""
        return math.prod(self.shape)

    @cached_property
    def prior(self) -> str:
        """Return the canonical text: `parse_prior` makes an equal dimension of it."""
        name, texts = self.head
        texts = list(texts)
        if self.shape:
            texts.append(f"shape={self.shape[0] if len(self.shape) == 1 else self.shape}")
        if self.default is not NO_DEFAULT:
            texts.append(f"default_value={self.default!r}")
        if self.when is not None:
            texts.append(f"when={self.when!r}")
        return f"{name}({', '.join(texts)})"

    @property
    def cardinality(self) -> float:
        """Return how many values there are: a whole number as a float, or infinity."""
        try:
            return float(self.count) ** self.size
        except OverflowError:
            return math.inf

    def decode(self, units: FloatArray) -> list[Any]:
        """Return the plain values of points.

        Args:
            units: (n, size) float64 in [0, 1].

        Returns:
            n plain values: scalars, or nested lists of `shape`.
        """
        flat = np.asarray(units, dtype=np.float64).reshape(-1)
        values = [self.one(u) for u in flat.tolist()] if flat.size <= FEW else self.many(flat)
        return nest(values, self.shape)

    def encode(self, values: Sequence[Any]) -> FloatArray:
        """Return points in the unit cube that decode to the given values.

        Args:
            values: n plain values. One that `decode` can't produce (more digits than the
                precision) gets the point it would have without rounding. With precision=None
                and a distribution that SciPy inverts, decoding is right to about nine digits.

        Returns:
            (n, size) float64 in [0, 1].
        """
        flat = [leaf for value in values for leaf in self._leaves(value, self.shape)]
        return self.units(flat).reshape(len(values), self.size)

    def check(self, value: Any) -> Any:
        """Return the canonical plain form of a value that somebody gave.

        A real keeps all its digits: what was measured at 0.123456 is not moved to 0.1235.

        Raises:
            InvalidParams: it is not in the dimension.
        """
        flat = [self.check_one(unwrapped(leaf)) for leaf in self._leaves(value, self.shape)]
        return nest(flat, self.shape)[0]

    def load(self, value: Any) -> Any:
        """Return the plain value of what was read from JSON (lists become tuple categories)."""
        if self.loads_as_is:
            return value
        flat = [self.load_one(leaf) for leaf in self._leaves(value, self.shape)]
        return nest(flat, self.shape)[0]

    def grid(self, n: int) -> FloatArray:
        """Return coordinates of at most `n` distinct values of one coordinate, for a grid.

        Returns:
            (m,) float64, m ≤ n: all values where there are at most n; else evenly spaced in the
            unit cube, with both ends where there are bounds and at the quantiles (i + ½) / n
            elsewhere; values that are equal after decoding only once.
        """
        if n < 1:
            return np.empty(0)
        if found := self.levels(n):
            return found[0]
        spaced = self._closed and n > 1
        units = np.linspace(0.0, 1.0, n) if spaced else (np.arange(n) + 0.5) / n
        first = {self.key(v): i for i, v in reversed(list(enumerate(self.many(units))))}
        return units[sorted(first.values())]

    def renamed(self: _Self, name: str) -> _Self:
        """Return the same dimension under another name."""
        return self if name == self.name else replace(self, name=name)

    def wrong(self, what: str, value: object) -> InvalidParams:
        """Return the error for a value: what it must be, and what it is."""
        return InvalidParams(f"{self.name or 'The value'} must {what}, not {shown(value)}.")

    def _leaves(self, value: Any, shape: tuple[int, ...]) -> list[Any]:
        if not shape:
            return [value]
        value = unwrapped(value)
        if not isinstance(value, (list, tuple)) or len(value) != shape[0]:
            raise self.wrong(f"be nested lists of shape {self.shape}", value)
        if len(shape) == 1:
            return list(value)
        return [leaf for item in value for leaf in self._leaves(item, shape[1:])]

    def __eq__(self, other: object) -> bool:
        return self.prior == other.prior if isinstance(other, Dimension) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.prior)

    def __str__(self) -> str:
        return f"{self.name}: {self.prior}" if self.name else self.prior


def nest(flat: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Return a flat list of leaves as a list of nested lists of that shape, row by row."""
    for extent in reversed(shape):
        flat = [flat[i : i + extent] for i in range(0, len(flat), extent)]
    return flat
