"""Parameters are checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orion_k8s.algorithm.parameters import flag, number, one_of, whole
from orion_k8s.errors import ConfigurationError


def test_what_fits_is_returned() -> None:
    assert whole("a", "n", 3) == 3
    assert whole("a", "n", 0, least=0) == 0
    assert number("a", "g", 1, above=0, most=1) == 1.0
    assert flag("a", "f", False) is False
    assert one_of("a", "w", "b", ["b", "c"]) == "b"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: whole("tpe", "n", 0), "tpe: n must be a whole number of at least 1, not 0."),
        (lambda: whole("tpe", "n", True), "at least 1, not True."),
        (lambda: whole("tpe", "n", 2.0), "at least 1, not 2.0."),
        (
            lambda: number("tpe", "g", 2, above=0, most=1),
            "tpe: g must be a number above 0 and of at most 1, not 2.",
        ),
        (lambda: number("tpe", "g", 0, above=0), "tpe: g must be a number above 0, not 0."),
        (lambda: number("tpe", "g", float("nan")), "tpe: g must be a number, not nan."),
        (lambda: number("tpe", "g", "1"), "tpe: g must be a number, not '1'."),
        (lambda: number("tpe", "g", True), "tpe: g must be a number, not True."),
        (lambda: number("tpe", "g", -1, least=0), "a number of at least 0, not -1."),
        (lambda: flag("tpe", "f", 1), "tpe: f must be true or false, not 1."),
        (lambda: one_of("tpe", "w", "mex", ["max", "b"]), "w can't be 'mex': did you mean 'max'?"),
        (lambda: one_of("tpe", "w", 3, ["max", "b"]), "w can't be 3: there are: max, b."),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        call()
    assert str(refused.value).endswith(sentence)
