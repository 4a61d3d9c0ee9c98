"""The conformance suite of algorithms.

Subclass `AlgorithmContract` in a test module of yours:

    class TestMine(AlgorithmContract):
        def make(self, space, seed):
            return Mine(space, seed)

and call `pytest.register_assert_rewrite("orion_k8s.testing.algorithm")` in your conftest.py. Say
by the attributes of the class what your algorithm does not promise.
"""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from orion_k8s.algorithm import Algorithm, Finished, Suggestion, Wait
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import Trials, run
from orion_k8s.trial import Row, Status, dump_values

SPACES: dict[str, dict[str, Any]] = {
    "real": {"x": "uniform(-5, 5)"},
    "exact": {"x": "uniform(-5, 5, precision=None)", "y": "normal(0, 1, precision=None)"},
    "log": {"lr": "loguniform(1e-5, 1)", "reg": "loguniform(1e-8, 1, precision=2)"},
    "normal": {"x": "normal(0, 1)", "y": "normal(0, 1, low=-1)"},
    "integer": {"n": "randint(-3, 40)", "m": "uniform(1, 99, discrete=True)"},
    "counts": {"p": "poisson(7)", "k": "loguniform(1, 512, discrete=True)"},
    "categorical": {
        "c": "choices(['a', 'b', 'c', 'd'])",
        "s": "choices([True, None], shape=3)",
        "d": "choices({1: 0.9, 2.5: 0.1})",
    },
    "containers": {"c": "choices([(1, 2), [3], {'k': None}, True])", "x": "uniform(0, 1)"},
    "shaped": {"w": "uniform(0, 1, shape=(2, 2))", "c": "choices(['a', 'b'], shape=3)"},
    "nested": {"a": {"b": "uniform(0, 1)", "c": {"d": "randint(0, 30)"}}},
    "scipy": {"b": "beta(2, 5)", "g": "gamma(2, low=0.5, high=9)"},
    "conditional": {
        "lr": "loguniform(1e-5, 1, when=\"optimizer == 'sgd'\")",
        "optimizer": "choices(['sgd', 'adam', 'none'])",
        "momentum": "uniform(0, 1, when='lr < 0.01')",
        "layers": "randint(1, 4)",
        "width": "randint(8, 65, shape=2, when='layers > 1')",
    },
    "fidelity": {"x": "uniform(0, 1)", "epochs": "fidelity(1, 9, base=3)"},
}
"""A space of each kind of dimension."""

FINITE: dict[str, dict[str, Any]] = {
    "one point": {"n": "randint(4, 5)"},
    "integers": {"n": "randint(0, 17)"},
    "skewed": {"n": "randint(0, 5)", "c": "choices({'a': 0.98, 'b': 0.01, 'c': 0.01})"},
    "digits": {"x": "uniform(1, 2, precision=2)", "c": "choices([True, False])"},
    "shaped": {"c": "choices(['a', 'b'], shape=4)", "e": "fidelity(1, 9)"},
    "conditional": {"n": "randint(0, 9, when=\"c == 'a'\")", "c": "choices(['a', 'b', 'c'])"},
}
"""Spaces that are soon used up."""


def objective(params: Mapping[str, Any]) -> float:
    """Return a number that depends on all parameters, lowest somewhere inside."""
    text = json.dumps(dict(params), sort_keys=True, default=str)
    numbers = [v for v in np.ravel(list(params.values())[:1]) if isinstance(v, (int, float))]
    return sum(float(v) ** 2 for v in numbers) + (sum(map(ord, text)) % 97) / 97


class AlgorithmContract:
    """What `orion_k8s.algorithm.base` asks of every algorithm, as tests."""

    trials: ClassVar[int] = 24
    """How many trials a run has."""
    spaces: ClassVar[Mapping[str, Mapping[str, Any]]] = SPACES
    """The spaces it is tried on; leave out what your algorithm refuses."""
    finite_spaces: ClassVar[Mapping[str, Mapping[str, Any]]] = FINITE
    """The spaces that it is to use up."""
    covers: ClassVar[bool] = True
    """Whether it ends by itself in a finite space, with every point tried once."""
    same_set: ClassVar[bool] = True
    """Whether the set of trials is the same for any number of workers."""

    @abstractmethod
    def make(self, space: Space, seed: int) -> Algorithm:
        """Return a new algorithm."""

    # --- helpers ---------------------------------------------------------------------------------

    def _run(self, space: Space, seed: int = 1, **options: Any) -> Trials:
        options.setdefault("max_trials", self.trials)
        return run(lambda: self.make(space, seed), objective, **options)

    def _mirror(self, space: Space, trials: Trials) -> History:
        history = History(space)
        history.fill(trials.rows.values())
        return history

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Try each test on each of the spaces that it asks for."""
        for argument, spaces in {"space": self.spaces, "finite": self.finite_spaces}.items():
            if argument in metafunc.fixturenames:
                parsed = [Space.parse(priors) for priors in spaces.values()]
                metafunc.parametrize(argument, parsed, ids=list(spaces))

    # --- what is suggested -----------------------------------------------------------------------

    def test_every_suggestion_lies_in_the_space(self, space: Space) -> None:
        """One plain value a dimension, canonical, the fidelity between its bounds."""
        rows = self._run(space).rows.values()
        assert sum(row.status == "completed" for row in rows) == self.trials
        for row in rows:
            values = space.load(json.loads(row.values))
            assert space.values(space.params(values)) == values
            assert dump_values(values) == row.values
            active = space.active(values)
            for dimension, value, on in zip(space.dimensions, values, active, strict=True):
                assert on or value is None
                if on and dimension.interval is not None:
                    low, high = dimension.interval
                    leaves = np.ravel(value).tolist()
                    assert all(low <= leaf <= high and math.isfinite(leaf) for leaf in leaves)

    def test_no_point_is_tried_twice(self, space: Space) -> None:
        """Not by several workers with mirrors of different ages either."""
        rows = self._run(space, workers=5).rows.values()
        keys = [(row.values, row.parent) for row in rows]
        assert len(set(keys)) == len(keys)

    # --- a pure function -------------------------------------------------------------------------

    def test_the_same_question_has_the_same_answer(self, space: Space) -> None:
        """From a fresh algorithm, from one that was asked before, and in any order."""
        history = self._mirror(space, self._run(space, max_trials=8))
        numbers = [8, 9, 10, 11]
        one, two = self.make(space, 1), self.make(space, 1)
        first = [one.suggest(number, 0, history) for number in numbers]
        assert [one.suggest(number, 0, history) for number in numbers] == first
        backwards = [two.suggest(number, 0, history) for number in reversed(numbers)]
        assert backwards[::-1] == first

    def test_the_history_is_left_as_it_was(self, space: Space) -> None:
        """An algorithm reads the mirror and writes nothing."""
        trials = self._run(space, max_trials=8)
        history, other = self._mirror(space, trials), self._mirror(space, trials)
        algorithm = self.make(space, 1)
        for attempt in range(3):
            algorithm.suggest(8, attempt, history)
        assert history.numbers.tolist() == other.numbers.tolist()
        assert history.status.tolist() == other.status.tolist()
        np.testing.assert_array_equal(history.objectives, other.objectives)
        np.testing.assert_array_equal(history.points, other.points)
        assert history.known_values() == other.known_values()
        assert list(history.inserted_values) == list(other.inserted_values)

    def test_a_run_repeats_itself(self, space: Space) -> None:
        """With one worker, trial by trial."""
        one, two = self._run(space), self._run(space)
        assert one.rows == two.rows

    # --- many workers ----------------------------------------------------------------------------

    def test_as_many_trials_as_asked_for(self, space: Space) -> None:
        """Whatever the number of workers, and with trials that fail."""
        trials = self._run(space, workers=16, broken=lambda number: number % 7 == 3)
        assert trials.count(Status.COMPLETED) == self.trials
        assert trials.count(Status.BROKEN) == sum(n % 7 == 3 for n in trials.rows)

    def test_the_set_of_trials_does_not_depend_on_the_workers(self, space: Space) -> None:
        """1 worker and 16 try the same points, each under the same number.

        An algorithm that learns can't promise that; the order of the turns alone decides then.
        """
        alone = self._run(space)
        for turns in (1, 2):
            crew = self._run(space, workers=16, turns=turns)
            again = alone if self.same_set else self._run(space, workers=16, turns=turns)
            assert {n: row.values for n, row in crew.rows.items()} == {
                n: row.values for n, row in again.rows.items()
            }

    # --- what others did -------------------------------------------------------------------------

    def test_a_point_that_a_person_inserted_is_passed_over(self, space: Space) -> None:
        """It is not suggested again, and the run goes on."""
        would_be = self._run(space, max_trials=6).rows
        trials = Trials()
        for number in (0, 3):
            values = space.load(json.loads(would_be[number].values))
            trials.end(trials.insert(values), Status.COMPLETED, 1.0)
        trials = self._run(space, trials=trials, workers=3)
        inserted = {row.values for n, row in trials.rows.items() if n < 0}
        again = [row for n, row in trials.rows.items() if n >= 0 and row.parent is None]
        assert len(inserted) == 2 and not inserted & {row.values for row in again}
        assert trials.count(Status.COMPLETED) == self.trials

    def test_a_refused_point_is_replaced(self, space: Space) -> None:
        """Its parameters were taken after this worker's look, under another number."""
        algorithm = self.make(space, 1)
        trials = Trials()
        answer = algorithm.suggest(0, 0, self._mirror(space, trials))
        assert isinstance(answer, Suggestion)
        trials.claim(5, answer)
        history = self._mirror(space, trials)
        for attempt in range(1, 50):
            other = algorithm.suggest(0, attempt, history)
            if not isinstance(other, Suggestion) or not trials.claim(0, other):
                break
        assert isinstance(other, Wait) or (
            isinstance(other, Suggestion) and other.values != answer.values
        )

    def test_tombstones_and_strange_objectives_do_no_harm(self, space: Space) -> None:
        """Removed and broken trials, NaN, and objectives as large as they get."""
        trials = self._run(space, max_trials=10)
        for number, value in zip((0, 1, 2, 3), (1e300, -1e300, 0.0, math.nan), strict=True):
            trials.end(number, Status.COMPLETED, value)
        trials.end(4, Status.BROKEN)
        trials.rows[5] = Row(5, Status.REMOVED.value, None, "", "trial-5")
        trials.end(6, Status.SUSPENDED)
        answer = self.make(space, 1).suggest(10, 0, self._mirror(space, trials))
        assert isinstance(answer, (Suggestion, Wait, Finished))
        if isinstance(answer, Suggestion):
            assert space.values(space.params(answer.values)) == answer.values

    # --- the end ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("workers", [1, 7])
    def test_a_finite_space_is_used_up(self, finite: Space, workers: int) -> None:
        """Every point once, and then the algorithm says that it has finished.

        One that does not promise to find the last points finds the first of them.
        """
        points = int(finite.cardinality)
        most = 10 * points if self.covers else -(-points // 4)
        trials = self._run(finite, max_trials=most, workers=workers)
        rows = {row.values for row in trials.rows.values()}
        assert len(rows) == len(trials.rows) == (points if self.covers else most)

    # --- configuration ---------------------------------------------------------------------------

    def test_the_configuration_is_plain_data(self, space: Space) -> None:
        """It is stored with the experiment, and makes the algorithm again."""
        algorithm = self.make(space, 1)
        stored = json.loads(json.dumps(algorithm.configuration))
        assert stored == algorithm.configuration
        again = type(algorithm)(space, 1, **stored)
        assert again.configuration == algorithm.configuration
        history = History(space)
        assert again.suggest(3, 0, history) == algorithm.suggest(3, 0, history)
