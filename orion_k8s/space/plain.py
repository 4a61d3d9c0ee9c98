"""Plain values of priors and of a trial's JSON: how they are compared, checked and written."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]

INTEGER_LIMIT = 2**63
REAL_LIMIT = 1e300
"""Reals beyond this, or closer to 0 than its inverse, leave no room for arithmetic."""

CUT = 2.0**-53
"""Where a distribution has no bound, units are kept this far from 0 and 1: its ends are finite."""


class Problem(ValueError):
    """What is wrong with a prior, said without the dimension's name; `parse_prior` adds that."""


def frozen(value: Any) -> Hashable:
    """Return a key, equal for equal plain values: 1 is 1.0, [1] is (1,), but True is not 1."""
    if isinstance(value, bool) or value is None:
        return ("word", str(value))
    if isinstance(value, (int, float)):
        return ("number", value)
    if isinstance(value, str):
        return ("text", value)
    if isinstance(value, (list, tuple)):
        return ("list", tuple(frozen(v) for v in value))
    if isinstance(value, dict):
        return ("dict", frozenset((frozen(k), frozen(v)) for k, v in value.items()))
    raise TypeError(f"{type(value).__name__} is not a plain value")


def unwrapped(value: Any) -> Any:
    """Return NumPy scalars and arrays as plain values, anything else as it is."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return value


def is_number(value: object) -> bool:
    """Whether the value is an int or a float, and not a bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def number_text(value: float) -> str:
    """Return the shortest text that reads back as the same number; 1.0 is written 1."""
    if isinstance(value, int):
        return str(value)
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def real(value: Any, what: str) -> float:
    """Return a number of a prior as a float that arithmetic can be trusted with.

    Raises:
        Problem: it is no number, or too large or too small.
    """
    if not is_number(value):
        raise Problem(f"{what} must be a number, not {shown(value)}")
    try:
        number = float(value) + 0.0  # -0.0 becomes 0.0: they would differ in JSON
    except OverflowError:
        number = math.inf
    if not abs(number) <= REAL_LIMIT:
        raise Problem(f"{what} is too large; stay below 1e300")
    if number and abs(number) < 1 / REAL_LIMIT:
        raise Problem(f"{what} is too close to 0; write 0, or stay above 1e-300")
    return number


def integer(value: Any, what: str) -> int:
    """Return a number of a prior as an int of 64 bits.

    Raises:
        Problem: it is no whole number, or too large.
    """
    if not is_number(value):
        raise Problem(f"{what} must be a whole number, not {shown(value)}")
    if isinstance(value, float):
        if not value.is_integer():
            raise Problem(f"{what} must be a whole number, not {number_text(value)}")
        value = int(value)
    if abs(value) > INTEGER_LIMIT:
        raise Problem(f"{what} is an integer over 2**63; choose a smaller one")
    return int(value)


def shown(value: object, width: int = 60) -> str:
    """Return a value as it is shown in an error, on one short line."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python is willing to write
        text = "a huge integer"
    return text if len(text) <= width else text[: width - 1] + "…"
