"""docs/search-space.md says what the prior language does."""

from __future__ import annotations

import re

import pytest
from docpages import code, page

from orion_k8s.errors import InvalidPrior
from orion_k8s.space import parse_prior
from orion_k8s.space.priors import _BUILDERS, MAX_SIZE

PAGE = page("docs/search-space.md")
ARGUMENTS = {"low": "1", "high": "9", "loc": "0", "scale": "2"}


def test_every_prior_is_there_and_can_be_written() -> None:
    told = set()
    for prior, _, also in PAGE.rows("Priors"):
        for text in re.findall(r"`([^`]+)`", f"{prior} {also}"):
            name, paren, rest = text.partition("(")
            told.add(name)
            if paren:
                inner = re.sub(r"(?<!\w)(low|high|loc|scale)\b(?!=)", _argument, rest)
                parse_prior(f"{name}({inner}")
    assert set(_BUILDERS) <= told


def _argument(found: re.Match[str]) -> str:
    return ARGUMENTS[found[1]]


@pytest.mark.parametrize("row", PAGE.rows("What is refused"), ids=lambda row: row[0])
def test_refusals(row: list[str]) -> None:
    with pytest.raises(InvalidPrior) as error:
        parse_prior(code(row[0]), "x")
    assert str(error.value) == f"The prior of x is not valid, {code(row[0])}: {row[1]}"


def test_the_digits_and_the_limits() -> None:
    text = "\n".join(PAGE.prose)
    assert f"at most {MAX_SIZE} values" in text
    found = parse_prior("loguniform(1e-5, 1)")
    assert found.decode([[0.5], [0.0], [1.0]]) == [0.003162, 1e-5, 1.0]
    assert "yields 0.003162, and at its ends exactly 1e-05 and 1" in text


def test_the_numbers_in_comments() -> None:
    """A line `print(expression)  # value` prints that value."""
    checked = 0
    namespace: dict[str, object] = {}
    for block in PAGE.of("python"):
        for line in block.text.splitlines():
            if found := re.fullmatch(r"print\((Space\..+)\) +# (\S+)", line):
                exec("from orion_k8s import Space", namespace)
                assert str(eval(found[1], namespace)) == found[2]
                checked += 1
    assert checked == 3
