"""Checks of algorithms' parameters: one sentence says what is wrong and what is right."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

from orion_k8s.errors import ConfigurationError


def whole(algorithm: str, name: str, value: Any, least: int = 1) -> int:
    """Return a whole number.

    Raises:
        ConfigurationError: it is none, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(
            f"{algorithm}: {name} must be a whole number of at least {least}, not {value!r}."
        )
    return value


def number(
    algorithm: str,
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
) -> float:
    """Return a finite number between `least` and `most`, and greater than `above`.

    Raises:
        ConfigurationError: it is no number, or out of bounds.
    """
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (plain and math.isfinite(value) and least <= value <= most and value > above):
        bounds = [
            text
            for bound, text in (
                (above, f"above {above:g}"),
                (least, f"of at least {least:g}"),
                (most, f"of at most {most:g}"),
            )
            if math.isfinite(bound)
        ]
        wanted = " ".join(["a number", " and ".join(bounds)]).strip()
        raise ConfigurationError(f"{algorithm}: {name} must be {wanted}, not {value!r}.")
    return float(value)


def flag(algorithm: str, name: str, value: Any) -> bool:
    """Return true or false.

    Raises:
        ConfigurationError: it is neither.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{algorithm}: {name} must be true or false, not {value!r}.")
    return value


def one_of(algorithm: str, name: str, value: Any, choices: Iterable[str]) -> str:
    """Return a word that is one of the choices.

    Raises:
        ConfigurationError: it is none of them; the nearest is suggested.
    """
    words = list(choices)
    if isinstance(value, str) and value in words:
        return value
    near = difflib.get_close_matches(value, words, n=1) if isinstance(value, str) else []
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(words)}."
    raise ConfigurationError(f"{algorithm}: {name} can't be {value!r}: {hint}")
