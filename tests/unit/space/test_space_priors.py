"""The words of the prior language, and the canonical text of each."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

import orion_k8s.space
from orion_k8s.space import NO_DEFAULT, Space, parse_prior

SPELLINGS = [
    ("uniform(-5, 5)", "uniform(-5, 5)"),
    ("uniform(low=-5, high=5)", "uniform(-5, 5)"),
    ("uniform(-5, high=5)", "uniform(-5, 5)"),
    ("uniform(high=5, low=-5)", "uniform(-5, 5)"),
    (" uniform( -5.0,\n 5e0 , ) ", "uniform(-5, 5)"),
    ("uniform(-2**3, 10/4)", "uniform(-8, 2.5)"),
    ("uniform(1e-3, 1_000)", "uniform(0.001, 1000)"),
    ("uniform(0, 1, precision=4)", "uniform(0, 1)"),
    ("uniform(0, 1, precision=None)", "uniform(0, 1, precision=None)"),
    ("uniform(0, 1, precision=2)", "uniform(0, 1, precision=2)"),
    ("uniform(0, 9, low=2, high=5)", "uniform(2, 5)"),
    ("uniform(0, 9, discrete=True)", "uniform(0, 9, discrete=True)"),
    ("uniform(0.5, 9.5, discrete=True)", "uniform(1, 9, discrete=True)"),
    ("uniform(0, 9, discrete=True, low=2.5)", "uniform(3, 9, discrete=True)"),
    (
        "uniform(2**60 + 1, 2**60 + 5, discrete=True)",
        f"uniform({2**60 + 1}, {2**60 + 5}, discrete=True)",
    ),
    ("uniform(0, 1, discrete=False)", "uniform(0, 1)"),
    ("uniform(0, 1, shape=2)", "uniform(0, 1, shape=2)"),
    ("uniform(0, 1, shape=(2,))", "uniform(0, 1, shape=2)"),
    ("uniform(0, 1, shape=[2, 3])", "uniform(0, 1, shape=(2, 3))"),
    ("uniform(0, 1, shape=None)", "uniform(0, 1)"),
    ("uniform(0, 1, shape=())", "uniform(0, 1)"),
    ("uniform(0, 1, default_value=0)", "uniform(0, 1, default_value=0.0)"),
    ("uniform(0, 1, default_value=None)", "uniform(0, 1)"),
    ("loguniform(1e-5, 1)", "loguniform(1e-5, 1)"),
    ("reciprocal(1e-5, 1)", "loguniform(1e-5, 1)"),
    ("loguniform(1, 64, discrete=True)", "loguniform(1, 64, discrete=True)"),
    ("loguniform(0.1, 64, discrete=True)", "loguniform(1, 64, discrete=True)"),
    ("loguniform(1e-5, 1, low=1e-3)", "loguniform(0.001, 1)"),
    ("normal(0, 1)", "normal(0, 1)"),
    ("normal()", "normal(0, 1)"),
    ("gaussian(scale=2)", "normal(0, 2)"),
    ("norm(loc=3)", "normal(3, 1)"),
    ("normal(0, 1, high=2, low=-1)", "normal(0, 1, low=-1, high=2)"),
    ("normal(0, 1, low=0.5)", "normal(0, 1, low=0.5)"),
    ("normal(0, 5, discrete=True, low=-3.5)", "normal(0, 5, discrete=True, low=-3)"),
    ("randint(0, 10)", "randint(0, 10)"),
    ("randint(low=-3, high=3)", "randint(-3, 3)"),
    ("randint(1.0, 1e3)", "randint(1, 1000)"),
    ("randint(0, 10, discrete=True, precision=None)", "randint(0, 10)"),
    ("fidelity(1, 100)", "fidelity(1, 100)"),
    ("fidelity(1, 100, 2)", "fidelity(1, 100)"),
    ("fidelity(low=1, high=81, base=3)", "fidelity(1, 81, base=3)"),
    ("fidelity(1, 1)", "fidelity(1, 1)"),
    ("choices(['a', 'b'])", "choices(['a', 'b'])"),
    ("choices(('a', 'b'))", "choices(['a', 'b'])"),
    ("choices('a', 'b')", "choices(['a', 'b'])"),
    ("choices('a')", "choices(['a'])"),
    ("choices(1, 2.5, True, None)", "choices([1, 2.5, True, None])"),
    ("choices({'a': 0.2, 'b': 0.8})", "choices({'a': 0.2, 'b': 0.8})"),
    ("choices({'a': 1/3, 'b': 2/3})", f"choices({{'a': {1 / 3}, 'b': {2 / 3}}})"),
    ("choices({1: 0.5, True: 0.5})", "choices({1: 0.5, True: 0.5})"),
    ("choices([[1, 2], (3, 4)])", "choices([[1, 2], (3, 4)])"),
    ("choices([1, 2], [3, 4])", "choices([[1, 2], [3, 4]])"),
    ("choices([{'lr': 0.1}, {}])", "choices([{'lr': 0.1}, {}])"),
    ("choices({'a': 1}, {'b': 2})", "choices([{'a': 1}, {'b': 2}])"),
    ("choices(['a', None], default_value=None)", "choices(['a', None], default_value=None)"),
    ("choices(['a', 'b'], shape=2)", "choices(['a', 'b'], shape=2)"),
    ("beta(2, 5)", "beta(2, 5)"),
    ("beta(a=2, b=5)", "beta(2, 5)"),
    ("beta(2, 5, scale=3)", "beta(2, 5, scale=3)"),
    ("beta(2, 5, loc=1, scale=3)", "beta(2, 5, 1, 3)"),
    ("gamma(2, low=0.5, high=9)", "gamma(2, low=0.5, high=9)"),
    ("gamma(2, discrete=True, high=9)", "gamma(2, discrete=True, high=9)"),
    ("poisson(3)", "poisson(3)"),
    ("poisson(mu=3, loc=2, high=30)", "poisson(3, 2, high=30)"),
    ("binom(5, 0.25, discrete=True)", "binom(5, 0.25)"),
]


@pytest.mark.parametrize(("written", "canonical"), SPELLINGS)
def test_spellings(written: str, canonical: str) -> None:
    dimension = parse_prior(written, "x")
    assert dimension.prior == canonical
    assert parse_prior(canonical).prior == canonical
    assert str(dimension) == f"x: {canonical}"


@pytest.mark.parametrize(
    ("text", "kind", "interval"),
    [
        ("uniform(-5, 5)", "real", (-5, 5)),
        ("normal(0, 1)", "real", (-np.inf, np.inf)),
        ("normal(0, 1, high=3)", "real", (-np.inf, 3)),
        ("beta(2, 5)", "real", (0, 1)),
        ("beta(2, 5, loc=1, scale=3, high=2)", "real", (1, 2)),
        ("randint(0, 10)", "integer", (0, 9)),
        ("uniform(0, 10, discrete=True)", "integer", (0, 10)),
        ("normal(0, 1, discrete=True)", "integer", (-np.inf, np.inf)),
        ("poisson(3)", "integer", (0, np.inf)),
        ("binom(7, 0.5)", "integer", (0, 7)),
        ("fidelity(1, 16)", "fidelity", (1, 16)),
        ("choices(['a'])", "categorical", None),
    ],
)
def test_kinds_and_bounds(text: str, kind: str, interval: object) -> None:
    dimension = parse_prior(text)
    assert (dimension.kind, dimension.interval) == (kind, interval)


def test_values_are_plain_python() -> None:
    space = Space.parse(
        {
            "x": "uniform(0, 1)",
            "n": "randint(0, 9)",
            "p": "poisson(3)",
            "g": "gamma(2)",
            "w": "uniform(0, 1, shape=(2, 3))",
            "c": "choices([(1, 2), [3], {'k': 1}])",
        }
    )
    for n in (3, 50):  # one by one, and vectorised
        for row in space.decode(np.random.default_rng(1).random((n, space.width))):
            assert [type(v) for v in row[:5]] == [float, int, int, float, list]
            assert [len(line) for line in row[4]] == [3, 3] and type(row[4][0][0]) is float
            assert type(row[5]) in (tuple, list, dict)


def test_a_program_that_changes_its_parameter_does_not_change_the_space() -> None:
    dimension = parse_prior("choices([[1], ['a', {'k': []}]])")
    for value in dimension.decode(np.linspace(0, 1, 20).reshape(-1, 1)):
        value.append("spoilt")
    assert dimension.decode(np.array([[0.0], [1.0]])) == [[1], ["a", {"k": []}]]


def test_defaults() -> None:
    assert parse_prior("uniform(0, 1)").default is NO_DEFAULT
    assert parse_prior("uniform(0, 1, default_value=0.123456789)").default == 0.123456789
    assert parse_prior("choices([None, 1], default_value=None)").default is None
    assert parse_prior("choices([(1, 2)], default_value=[1, 2])").default == (1, 2)
    assert parse_prior("randint(0, 9, shape=2, default_value=(1, 2.0))").default == [1, 2]


def test_no_code_of_the_language_evaluates() -> None:
    """No file of the space calls eval, exec, compile, or imports by a name that was given."""
    for path in Path(orion_k8s.space.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, path
            if isinstance(node, ast.Attribute):
                assert node.attr != "import_module", path


def test_scipy_is_imported_only_for_its_own_distributions() -> None:
    import subprocess

    code = (
        "import sys; from orion_k8s.space import Space; "
        "Space.parse({'x': 'loguniform(1, 2)', 'y': 'normal(0, 1)', 'z': 'randint(0, 3)', "
        "'c': 'choices([1])', 'd': 'loguniform(1, 9, discrete=True)'}); "
        "assert 'scipy' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
