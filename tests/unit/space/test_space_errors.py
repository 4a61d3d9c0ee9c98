"""What is refused, and that each refusal is one sentence that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orion_k8s.errors import InvalidParams, InvalidPrior, OrionError
from orion_k8s.space import Space, parse_prior


def one_sentence(error: OrionError) -> str:
    message = str(error)
    assert message[0].isupper(), message
    assert message.endswith((".", "?")) and not message.endswith(("..", "?.", ".?")), message
    assert "\n" not in message and len(message) < 400, message
    ends = [i for i in range(len(message) - 1) if message[i] in ".?!" and message[i + 1] == " "]
    assert not ends, message
    assert error.exit_code == 2
    return message


def refused(text: object, name: str = "x") -> str:
    with pytest.raises(InvalidPrior) as caught:
        parse_prior(text, name)  # type: ignore[arg-type]
    message = one_sentence(caught.value)
    assert f"of {name} " in message
    return message


# --- no code -------------------------------------------------------------------------------------

NASTY = [
    "uniform(__import__('os').system('touch pwned'), 1)",
    "__import__('os').system('touch pwned')",
    "eval('1')",
    "uniform(open('pwned', 'w'), 1)",
    "uniform.__class__(0, 1)",
    "uniform(0, 1).x",
    "().__class__.__bases__[0]",
    "uniform(().__class__, 1)",
    "uniform(x[0], 1)",
    "uniform('a'.join, 1)",
    "choices([x for x in range(9)])",
    "choices({x: 1 for x in 'ab'})",
    "choices(*['a', 'b'])",
    "choices(**{'a': 1})",
    "choices({**{'a': 1.0}})",
    "choices(f'{open}')",
    "choices(f'{1+1}')",
    "choices(rb'a')",
    "choices(u'a' 'b')",
    "choices('a' 'b')",
    "choices('''a''')",
    "choices(b'a')",
    "choices(1j)",
    "choices(...)",
    "choices({'a', 'b'})",
    "choices('a' % 3)",
    "choices('a' * 10**9)",
    "choices([1] * 10**9)",
    "choices(not True)",
    "choices(True and False)",
    "choices(1 if True else 2)",
    "choices(1 < 2)",
    "choices(lambda: 0)",
    "choices((yield))",
    "choices((a := 1))",
    "choices(~1)",
    "choices(1 << 10**9)",
    "choices(7 // 2)",
    "choices(7 % 2)",
    "choices(1 @ 2)",
    "uniform(0, 10**10**10)",
    "uniform(0, 9**9**9**9)",
    "uniform(0, 2**-10**10**10)",
    "uniform(0, (-8)**0.5)",
    "uniform(0, 0**-1)",
    "uniform(0, 1/0)",
    "uniform(0, 1e308*10)",
    "uniform(0, 10**400*1.0)",
    "uniform(0, 10**400)",
    "uniform(0, " + "9" * 5000 + ")",
    "uniform(0, " + "-" * 5000 + "1)",
    "uniform(0, " + "1+" * 5000 + "1)",
    "uniform(0, 1" + "**2" * 5000 + ")",
    "choices(" + "[" * 50_000 + "]" * 50_000 + ")",
    "choices(" + "(" * 1000 + "1" + ")" * 1000 + ")",
    "choices(" + "{'a':" * 200 + "1" + "}" * 200 + ")",
    "choices('" + "a" * 1_000_000 + "')",
    "(" * 1_000_000,
    "a" * 1_000_000,
    "uniform(0, 1)\nimport os",
    "uniform(0, 1); x",
    "uniform(0, 1) # fine",
    "uniform(0, \\\n1)",
    "import os",
    "x = uniform(0, 1)",
    "uniform(0, 1)(0, 1)",
    "(lambda: uniform)(0, 1)",
    "uniform(0, 1) + 1",
    "uniform(`ls`, 1)",
    "uniform($HOME, 1)",
    "!ls",
    "choices(['\ud800'])",
    "choices(['\\ud800'])",
    "uniform(0, 1)\0",
    "choices(\x1b[31m'a')",
    "choices([None, print])",
    "choices([True, __debug__])",
]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text[:30]))
def test_code_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = refused(text)
    assert message.isprintable()
    assert not list(tmp_path.iterdir())


def test_nothing_is_ever_evaluated_or_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    def never(*_: object, **__: object) -> object:
        raise AssertionError("evaluated")

    monkeypatch.setattr(builtins, "eval", never)
    monkeypatch.setattr(builtins, "exec", never)
    before = set(sys.modules)
    assert parse_prior("choices({'__import__(\"this\")': 0.5, 'b': 0.5})").cardinality == 2
    refused("uniform(__import__('this'), 1)")
    assert "this" not in set(sys.modules) - before


def test_words_of_code_are_fine_inside_quotes() -> None:
    texts = ["lambda x: x", "a if b else c", "eval('1')", "#", "a\\b", "it's", '"', "\n", "$HOME"]
    dimension = parse_prior(f"choices({texts!r})")
    assert dimension.check("eval('1')") == "eval('1')"
    assert parse_prior(dimension.prior) == dimension


# --- a person's slips ----------------------------------------------------------------------------

SLIPS = [
    # unknown prior
    ("unifrom(0, 1)", "did you mean uniform?"),
    ("log_uniform(1, 2)", "did you mean loguniform?"),
    ("Uniform(0, 1)", "did you mean uniform?"),
    ("qwzx(0, 1)", "is unknown; there are uniform, loguniform"),
    ("poison(3)", "did you mean poisson?"),
    ("rv_continuous(0, 1)", "is unknown"),
    ("", "empty"),
    ("   ", "empty"),
    ("uniform", "its arguments are missing; write uniform(…)"),
    ("3", "not code"),
    # brackets and quotes
    ("uniform(0, 1", "a parenthesis is not closed; add the ')'"),
    ("choices(['a', 'b')", "closes nothing"),
    ("choices(['a', 'b'", "a bracket is not closed; add the ']'"),
    ("choices({'a': 1", "a brace is not closed; add the '}'"),
    ("uniform(0, 1))", "closes nothing"),
    ("choices(['a, 'b'])", "text"),
    ("choices(['a)", "a quote is not closed"),
    ("uniform(0 1)", "write it like uniform(0, 1)"),
    # bounds
    ("uniform(1, 0)", "low (1) must be below high (0)"),
    ("uniform(1, 1)", "low (1) must be below high (1)"),
    ("loguniform(1, 1e-5)", "low (1) must be below high (1e-5)"),
    ("loguniform(0, 1)", "loguniform needs a low above 0"),
    ("loguniform(-1, 1)", "loguniform needs a low above 0"),
    ("randint(3, 3)", "low (3) must be below high (3), which is excluded"),
    ("randint(0.5, 3)", "must be a whole number, not 0.5"),
    ("randint(0, 2**63 + 1)", "over 2**63"),
    ("uniform(0.2, 0.8, discrete=True)", "fewer than two integers"),
    ("normal(0, 0)", "scale must be above 0"),
    ("normal(0, -1)", "scale must be above 0"),
    ("normal(0, 1, low=2, high=1)", "low (2) must be below high (1)"),
    ("normal(0, 1, low=200)", "no weight between low and high"),
    ("uniform(0, 1, low=2)", "leave nothing of it"),
    ("uniform(nan, 1)", "nan is no bound; give a finite number"),
    ("uniform(0, inf)", "inf is no bound; give a finite number"),
    ("uniform(-inf, 0)", "inf is no bound; give a finite number"),
    ("uniform(0, 1e999)", "too large"),
    ("uniform(0, 1e301)", "high is too large; stay below 1e300"),
    ("loguniform(1e-305, 1)", "low is too close to 0"),
    ("uniform(0)", "it needs high too; write uniform(low, high)"),
    ("uniform(high=3)", "it needs low too; write uniform(low, high)"),
    ("uniform(0, 1, 2)", "3 arguments are too many; write uniform(low, high)"),
    ("uniform('a', 'b')", "low must be a number, not 'a'"),
    ("uniform(True, 3)", "low must be a number, not True"),
    ("uniform([0, 1])", "it needs high too"),
    ("uniform(a, b)", "the name a means nothing here; put strings in quotes, as 'a'"),
    # fidelity
    ("fidelity(10, 1)", "low (10) is above high (1); swap them"),
    ("fidelity(0, 10)", "low must be 1 or more"),
    ("fidelity(1, 10, base=0)", "base must be 1 or more"),
    ("fidelity(1, 10, shape=2)", "a fidelity is one number"),
    ("fidelity(1, 10, default_value=3)", "a fidelity has no default_value"),
    # choices
    ("choices()", "nothing to choose from"),
    ("choices([])", "nothing to choose from"),
    ("choices(['a', 'a'])", "the category 'a' stands there twice"),
    ("choices([1, 1.0])", "stands there twice"),
    ("choices({'a': 0.5, 'a': 0.5})", "'a' stands twice in the dict"),
    ("choices({'a': 0.5, 'b': 0.4})", "the probabilities sum to 0.9"),
    ("choices({'a': 1.5, 'b': -0.5})", "the probability of 'b' is -0.5"),
    ("choices({'a': 1, 'b': 0})", "the probability of 'b' is 0"),
    ("choices({'a': 'x'})", "the probability of 'a' must be a number"),
    ("choices([a, b])", "put strings in quotes, as 'a'"),
    ("choices([1e999])", "too large"),
    ("choices([2**70])", "over 2**63"),
    ("choices({['a']: 1.0})", "can't be a key; write a tuple"),
    # keywords
    ("uniform(0, 1, precison=3)", "did you mean precision?"),
    ("uniform(0, 1, default=3)", "did you mean default_value?"),
    ("uniform(0, 1, shpe=3)", "did you mean shape?"),
    ("uniform(0, 1, discreet=True)", "did you mean discrete?"),
    ("uniform(0, 1, wibble=3)", "it takes discrete, precision, low, high, shape, default_value"),
    ("choices(['a'], precision=3)", "choices does not know the keyword precision"),
    ("uniform(0, 1, low=0.1, low=0.2)", "the keyword low is given twice"),
    ("uniform(0, 1, discrete=1)", "discrete must be True or False, not 1"),
    ("randint(0, 9, discrete=False)", "for real numbers use uniform"),
    ("randint(0, 9, precision=3)", "precision is for real numbers"),
    ("randint(0, 9, low=3)", "randint has its bounds already"),
    ("uniform(0, 9, precision=0)", "significant digits from 1 to 15"),
    ("uniform(0, 9, precision=16)", "significant digits from 1 to 15"),
    ("uniform(0, 9, precision=2.5)", "significant digits from 1 to 15"),
    ("uniform(0, 9, precision='x')", "significant digits from 1 to 15"),
    # shape
    ("uniform(0, 1, shape=0)", "every extent must be 1 or more"),
    ("uniform(0, 1, shape=(2, -1))", "every extent must be 1 or more"),
    ("uniform(0, 1, shape=1.5)", "shape must be a whole number, not 1.5"),
    ("uniform(0, 1, shape='a')", "shape must be a whole number, not 'a'"),
    ("uniform(0, 1, shape=True)", "shape must be a whole number"),
    ("uniform(0, 1, shape=10**9)", "is too large; 10000 values are the most"),
    ("uniform(0, 1, shape=(1, 1, 1, 1, 1, 1, 1, 1, 1))", "too large"),
    # defaults
    ("uniform(0, 1, default_value=2)", "default_value must lie between 0 and 1, not 2"),
    ("uniform(0, 1, default_value='a')", "default_value must be a finite number"),
    ("randint(0, 3, default_value=3)", "default_value must lie between 0 and 2, not 3"),
    ("randint(0, 3, default_value=1.5)", "default_value must be a whole number"),
    ("choices(['red', 'blue'], default_value='bleu')", "did you mean 'blue'?"),
    ("uniform(0, 1, shape=2, default_value=0.5)", "default_value must be nested lists of shape"),
    ("uniform(0, 1, shape=2, default_value=[0.5, 2])", "default_value must lie between 0 and 1"),
    # scipy
    ("beta(2)", "beta needs b too; add them"),
    ("beta(2, 3, 0, 1, 5)", "beta takes a, b, loc, scale, not 5 arguments"),
    ("beta(-2, 3)", "beta does not take these arguments; give valid values of a, b, loc, scale"),
    ("beta(2, 3, b=4)", "b is given twice"),
    ("poisson(3, discrete=False)", "poisson is discrete by itself"),
    ("poisson(-3)", "does not take these arguments"),
    ("expon(scale=-1)", "does not take these arguments"),
    ("zipf(1.1)", "spreads over too many integers"),
    ("zipf(2)", "truncate it by low= and high="),
    ("levy(discrete=True)", "it holds integers over 2**63"),
    ("beta(2, 3, low=5)", "leave nothing"),
]


@pytest.mark.parametrize(("text", "said"), SLIPS)
def test_a_slip_is_explained(text: str, said: str) -> None:
    assert said in refused(text)


@pytest.mark.parametrize("value", [3, None, ["a"], 0.5, True, b"uniform(0, 1)"])
def test_what_is_no_text_is_refused(value: object) -> None:
    assert "not a text; write it like 'uniform(0, 1)'" in refused(value)


# --- the space -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("priors", "said"),
    [
        ({}, "The search space is empty: give at least one dimension a prior."),
        ({"a": {}}, "The search space is empty"),
        (["uniform(0, 1)"], "give names with their priors"),
        ("uniform(0, 1)", "give names with their priors"),
        (None, "give names with their priors"),
        ({3: "uniform(0, 1)"}, "The name 3 of a dimension is no text: put it in quotes."),
        ({"": "uniform(0, 1)"}, "empty name"),
        ({"a..b": "uniform(0, 1)"}, "has an empty part"),
        ({".a": "uniform(0, 1)"}, "has an empty part"),
        ({"a": {"b": "uniform(0, 1)"}, "a.b": "uniform(0, 1)"}, "a.b is there twice"),
        (
            {"a": "uniform(0, 1)", "a.b": "uniform(0, 1)"},
            "The dimension a.b lies inside a, which is one too: rename one.",
        ),
        (
            {"e": "fidelity(1, 3)", "s": {"t": "fidelity(1, 9)"}},
            "A space has one fidelity at most, not e and s.t: keep one.",
        ),
        ({"a": {"b": "unifrom(0, 1)"}}, "The prior of a.b is not valid"),
    ],
)
def test_what_makes_no_space(priors: object, said: str) -> None:
    with pytest.raises(InvalidPrior) as caught:
        Space.parse(priors)  # type: ignore[arg-type]
    assert said in one_sentence(caught.value)


SPACE = {
    "x": "uniform(0, 1)",
    "a": {"b": "randint(0, 3)"},
    "c": "choices(['one', 'two'], default_value='one')",
    "w": "uniform(0, 1, shape=2, default_value=[0, 1])",
    "e": "fidelity(1, 9)",
}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "The parameter x is missing and has no default: give it a value."),
        ({"x": 2, "a.b": 1}, "x must lie between 0 and 1, not 2."),
        ({"x": float("nan"), "a.b": 1}, "x must be a finite number, not nan."),
        ({"x": float("inf"), "a.b": 1}, "x must be a finite number, not inf."),
        ({"x": True, "a.b": 1}, "x must be a finite number, not True."),
        ({"x": "0.5", "a.b": 1}, "x must be a finite number, not '0.5'."),
        ({"x": 10**400, "a.b": 1}, "x must be a finite number"),
        ({"x": 0, "a.b": 3}, "a.b must lie between 0 and 2, not 3."),
        ({"x": 0, "a": {"b": 0.5}}, "a.b must be a whole number, not 0.5."),
        ({"x": 0, "a": {"b": 1}, "a.b": 1}, "The parameter a.b is given twice: keep one."),
        ({"x": 0, "a.b": 1, "y": 1}, "There is no parameter y in the search space; there are"),
        ({"x": 0, "a.b": 1, "a.bb": 1}, "did you mean a.b?"),
        ({"x": 0, "a.b": 1, "c": "tow"}, "did you mean 'two'?"),
        ({"x": 0, "a.b": 1, "c": {"one"}}, "c must be one of 'one', 'two', not"),
        ({"x": 0, "a.b": 1, "w": 0.5}, "w must be nested lists of shape (2,), not 0.5."),
        ({"x": 0, "a.b": 1, "w": [0, 1, 0]}, "w must be nested lists of shape (2,)"),
        ({"x": 0, "a.b": 1, "e": 10}, "e must be a number between 1 and 9, not 10."),
    ],
)
def test_parameters_outside_the_space(params: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        Space.parse(SPACE).values(params)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message and message.endswith((".", "?")) and ". " not in message


def test_a_stored_row_of_another_space_is_refused() -> None:
    with pytest.raises(InvalidParams, match="it belongs to another space"):
        Space.parse(SPACE).load([1, 2])
