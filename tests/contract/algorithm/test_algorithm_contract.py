"""The conformance suite on the algorithms that come with orion-k8s, and on another's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orion_k8s.algorithm import Algorithm
from orion_k8s.algorithm.gridsearch import GridSearch
from orion_k8s.algorithm.random import Random
from orion_k8s.algorithm.registry import create
from orion_k8s.algorithm.sobol import Sobol
from orion_k8s.space import Space
from orion_k8s.testing.algorithm import FINITE, SPACES, AlgorithmContract


class TestRandom(AlgorithmContract):
    def make(self, space: Space, seed: int) -> Algorithm:
        return Random(space, seed)


class TestSobol(AlgorithmContract):
    def make(self, space: Space, seed: int) -> Algorithm:
        return Sobol(space, seed)


class TestGridSearch(AlgorithmContract):
    def make(self, space: Space, seed: int) -> Algorithm:
        return GridSearch(space, seed, n_values=40)


THIRD_PARTY = '''
import numpy as np

from orion_k8s.algorithm import Algorithm, Suggestion
from orion_k8s.trial import Status


class Climber(Algorithm):
    """A step away from the best trial; at first, and every third time, a jump."""

    name = "climber"

    def __init__(self, space, seed, step=0.1):
        super().__init__(space, seed)
        self.step = step

    def suggest(self, number, attempt, history):
        rng = np.random.default_rng([self.seed, number, attempt])
        point = rng.random(self.space.width)
        best = history.best()
        if best is not None and number % 3 and attempt < 5:
            point = np.clip(history.points[best[0]] + self.step * (point - 0.5), 0, 1)
        return Suggestion(self.space.decode(point[None, :])[0])

    @property
    def configuration(self):
        return {"step": self.step}
'''


class TestThirdParty(AlgorithmContract):
    """A model of the history, written against the public base and found by its entry point."""

    same_set = False
    covers = False

    @pytest.fixture(autouse=True)
    def installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        (tmp_path / "climber_package.py").write_text(THIRD_PARTY)
        info = tmp_path / "climber_package-2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: climber-package\nVersion: 2.0\n"
        )
        (info / "entry_points.txt").write_text(
            "[orion_k8s.algorithm]\nclimber = climber_package:Climber\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        yield
        sys.modules.pop("climber_package", None)

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"climber": {"step": 0.2}}, space, seed)


class TestTPE(AlgorithmContract):
    """Its results are followed from the fifth trial on."""

    same_set = False

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"tpe": {"n_initial_points": 4}}, space, seed)


WITH_FIDELITY = {
    name: priors if name == "fidelity" else {"epochs": "fidelity(1, 9, base=3)", **priors}
    for name, priors in SPACES.items()
}
FINITE_WITH_FIDELITY = {
    name: {"epochs": "fidelity(1, 9, base=3)", **priors}
    for name, priors in FINITE.items()
    if not any("fidelity" in prior for prior in priors.values())
}


WITHOUT_FIDELITY = {name: SPACES[name] for name in SPACES if name != "fidelity"}
FINITE_WITHOUT_FIDELITY = {name: FINITE[name] for name in FINITE if name != "shaped"}


class TestASHA(AlgorithmContract):
    """A point is tried at as many budgets as it was good at."""

    spaces = WITH_FIDELITY
    finite_spaces = FINITE_WITH_FIDELITY
    same_set = False
    covers = False

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"asha": {"num_brackets": 2}}, space, seed)


class TestHyperband(AlgorithmContract):
    spaces = WITH_FIDELITY
    finite_spaces = FINITE_WITH_FIDELITY
    same_set = False
    covers = False

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"hyperband": {}}, space, seed)


class TestBOHB(TestHyperband):
    """A model of few trials, so that the runs have one."""

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"bohb": {"min_points_in_model": 2}}, space, seed)


class TestCMAES(AlgorithmContract):
    """Small generations, so that the runs have some."""

    same_set = False

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"cmaes": {"population_size": 4}}, space, seed)


class TestDE(AlgorithmContract):
    """A small population, so that the runs move it."""

    same_set = False

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"de": {"population_size": 5}}, space, seed)


class TestDEHB(TestHyperband):
    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"dehb": {}}, space, seed)


class TestPBT(TestASHA):
    """A small population, so that the runs have several generations."""

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"pbt": {"population_size": 6, "generations": 4}}, space, seed)


class TestNSGA2(AlgorithmContract):
    """A small population, so that the runs breed."""

    same_set = False

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"nsga2": {"population_size": 5}}, space, seed)


class TestGP(AlgorithmContract):
    """Its results are followed from the fifth trial on."""

    same_set = False

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"gp": {"n_initial_points": 4}}, space, seed)


class TestTuRBO(AlgorithmContract):
    """Regions that are soon given up, so that the runs have some."""

    same_set = False

    def make(self, space: Space, seed: int) -> Algorithm:
        parameters = {"n_initial_points": 4, "failure_tolerance": 1, "length_min": 0.3}
        return create({"turbo": parameters}, space, seed)


class TestEvolutionES(TestASHA):
    """Small populations, so that the runs have several generations."""

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"evolutiones": {"nums_population": 4}}, space, seed)


class TestOptuna(AlgorithmContract):
    """A sampler that follows results from the fifth trial on."""

    same_set = False

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"optuna": {"sampler": "TPESampler", "n_startup_trials": 4}}, space, seed)


class TestAuto(AlgorithmContract):
    """With a budget that has it take a model, where there are numbers."""

    spaces = WITHOUT_FIDELITY
    finite_spaces = FINITE_WITHOUT_FIDELITY
    same_set = False

    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"auto": {}}, space, seed, max_trials=100)


class TestAutoOfFidelity(TestASHA):
    def make(self, space: Space, seed: int) -> Algorithm:
        return create({"auto": {}}, space, seed, max_trials=100)
