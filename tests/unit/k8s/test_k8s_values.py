"""Values as YAML: what is read is what was written, by Go's reader as well."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from orion_k8s.k8s.values import ChartValues

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS) | st.integers() | st.booleans(), max_size=4))
@example({"a": "1e-5", "b": "on", "c": "N", "d": "a\n\n  b \n", "e": "\tx", "f": "x\r\ny"})
@example({"e": "\ufeff", "f": "\x85", "g": " \n", "h": "\n\n", "i": "#", "j": "- a", "k": "~"})
def test_texts_stay_what_they_are(values: dict[str, object]) -> None:
    assert (yaml.safe_load(ChartValues("x", values).text()) or {}) == values


@pytest.mark.parametrize(
    "word", ["1e-5", "1e5", "0x1f", "0o7", "1_000", "12:30", "y", "No", ".5", ".inf", "~", "=", ""]
)
def test_words_that_another_reader_would_take_for_numbers_are_quoted(word: str) -> None:
    assert f'"{word}"' in ChartValues("x", {"a": [word]}).text()


@given(TEXTS)
def test_a_comment_stays_one(name: str) -> None:
    made = ChartValues(f"experiment {name!r} {name}", {"a": 1}, [name, "lost"], [name])
    assert yaml.safe_load(made.text()) == {"a": 1}
    assert all(line.startswith("#") for line in made.text().splitlines()[:-1])
