from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orion_k8s.algorithm.registry import create, find, names, normalise
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space

SPACE = Space.parse({"x": "uniform(0, 1)"})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, {"random": {}}),
        ("Random", {"random": {}}),
        ({"random": {"seed": 3}}, {"random": {"seed": 3}}),
        ({"gridsearch": None}, {"gridsearch": {}}),
        ({"of_type": "sobol", "seed": 1}, {"sobol": {"seed": 1}}),
    ],
)
def test_spellings(written: object, meant: object) -> None:
    assert normalise(written) == meant  # type: ignore[arg-type]


def test_nonsense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must be a name"):
        normalise(["random"])  # type: ignore[arg-type]


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'random'"):
        create({"randon": {}}, SPACE, 0)


def test_an_unknown_parameter_suggests_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'n_values'"):
        create({"gridsearch": {"n_value": 3}}, SPACE, 0)


@pytest.mark.parametrize("n_values", [0, -1, 2.5, True, {"y": 3}])
def test_wrong_levels_are_refused(n_values: object) -> None:
    with pytest.raises(ConfigurationError, match="gridsearch"):
        create({"gridsearch": {"n_values": n_values}}, SPACE, 0)


def test_a_third_party_registers_by_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "halton_plugin.py").write_text(
        "from orion_k8s.algorithm.base import Algorithm, Suggestion\n"
        "class Constant(Algorithm):\n"
        "    name = 'constant'\n"
        "    def __init__(self, space, seed, at=0.5):\n"
        "        super().__init__(space, seed)\n"
        "        self.at = at\n"
        "    def suggest(self, number, attempt, history):\n"
        "        return Suggestion((self.at,))\n"
    )
    info = tmp_path / "halton_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halton-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[orion_k8s.algorithm]\nconstant = halton_plugin:Constant\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert "constant" in names()
        made = create({"constant": {"at": 0.25}}, SPACE, 0)
        assert made.suggest(0, 0, History(SPACE)).values == (0.25,)  # type: ignore[union-attr]
        assert find("constant").__name__ == "Constant"
    finally:
        sys.modules.pop("halton_plugin", None)
