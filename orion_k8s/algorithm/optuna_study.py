"""A history as a study of Optuna's, which its samplers read: made of the trials, saved nowhere.

Samplers see the unit cube: a number is a float between 0 and 1, or which of its values it is where
it has few; a category is which one it is. So log scales, normal priors and shapes need no words.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from orion_k8s.algorithm.axes import Axes, FloatArray
from orion_k8s.history import CODES, ENDED, History
from orion_k8s.space import Space
from orion_k8s.trial import Status

_COMPLETED, _REMOVED = CODES[Status.COMPLETED.value], CODES[Status.REMOVED.value]
_HUGE = 1e300
"""Samplers take differences."""


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what Optuna says about features that are new and studies that are made."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


class Cube:
    """The unit cube in Optuna's words.

    Args:
        space: the search space.

    Attributes:
        distributions: by name; coordinates of a shape are told apart by their place.
    """

    def __init__(self, space: Space) -> None:
        axes = Axes.of(space)
        self._width = space.width
        self._levels = {one.axis: one for one in (*axes.steps, *axes.kinds)}
        kinds = {one.axis for one in axes.kinds}
        names = [
            dimension.name + (f"[{place}]" if dimension.shape else "")
            for dimension in space.dimensions
            for place in range(dimension.size)
        ]
        self.distributions: dict[str, Any] = {}
        for axis, name in enumerate(names):
            levels = self._levels.get(axis)
            if levels is None:
                self.distributions[name] = FloatDistribution(0.0, 1.0)
            elif axis in kinds:
                self.distributions[name] = CategoricalDistribution(range(len(levels.units)))
            else:
                self.distributions[name] = IntDistribution(0, len(levels.units) - 1)

    def params(self, point: FloatArray) -> dict[str, Any]:
        """Return a point, (width,) float64, by name."""
        found: dict[str, Any] = {}
        for axis, name in enumerate(self.distributions):
            levels, unit = self._levels.get(axis), float(point[axis])
            found[name] = unit if levels is None else int(levels.cells(point[axis : axis + 1])[0])
        return found

    def point(self, params: dict[str, Any]) -> FloatArray:
        """Return parameters by name as a point, (width,) float64."""
        found = np.empty(self._width)
        for axis, name in enumerate(self.distributions):
            levels, value = self._levels.get(axis), params[name]
            found[axis] = value if levels is None else levels.units[int(value)]
        return found


class Storage(InMemoryStorage):  # type: ignore[misc]
    """The trials of a history in the order of their numbers; what a sampler notes is dropped.

    Attributes:
        trials: that have a say.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trials: list[FrozenTrial] = []

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> Any:
        """Return the trials of those states; never copies, as samplers change none."""
        if states is None:
            return list(self.trials)
        return [trial for trial in self.trials if trial.state in states]

    def get_trial(self, trial_id: int) -> Any:
        """Return a trial."""
        return next(trial for trial in self.trials if trial._trial_id == trial_id)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Take no note."""

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Take no note."""


class Study:
    """The study of a history, followed as it grows.

    Args:
        cube: of the space.
        history: the mirror.
        counts: whether the trial at an index of a history has a say; every one has if None.
    """

    def __init__(
        self, cube: Cube, history: History, counts: Callable[[History, int], bool] | None
    ) -> None:
        self._cube, self._history, self._counts = cube, history, counts
        self._storage = Storage()
        with quiet():
            self._study = optuna.create_study(storage=self._storage)
        self._numbers: list[int] = []
        self._pending: list[int] = []
        self._seen = 0

    def follow(self) -> None:
        """Take in what is new."""
        history = self._history
        fresh = [
            index
            for index in range(self._seen, len(history))
            if self._counts is None or self._counts(history, index)
        ]
        self._seen = len(history)
        status = history.status
        for index in fresh:
            if status[index] != _REMOVED:
                self._put(index)
        pending = [index for index in self._pending if not ENDED[status[index]]]
        for index in self._pending:
            if ENDED[status[index]]:
                self._put(index)
        self._pending = pending + [index for index in fresh if not ENDED[status[index]]]

    def sampled(self, sampler: Any, number: int) -> FloatArray:
        """Return where a sampler puts the trial of a number, (width,) float64."""
        study, distributions = self._study, self._cube.distributions
        study._thread_local.cached_all_trials = None  # of the suggestion before
        with quiet():
            trial = self._trial(number, TrialState.RUNNING, None, {})
            sampler.before_trial(study, trial)
            relative = sampler.infer_relative_search_space(study, trial)
            trial.params = dict(sampler.sample_relative(study, trial, relative))
            for name, distribution in distributions.items():
                if distribution.single():
                    trial.params[name] = 0
                elif name not in trial.params:
                    trial.params[name] = sampler.sample_independent(
                        study, trial, name, distribution
                    )
        return self._cube.point(trial.params)

    def _put(self, index: int) -> None:
        """Add a trial in its place, or change what is there."""
        history, trials = self._history, self._storage.trials
        number, code = int(history.numbers[index]), history.status[index]
        objective, state = float(history.objectives[index]), TrialState.RUNNING
        if ENDED[code]:
            completed = code == _COMPLETED and np.isfinite(objective)
            state = TrialState.COMPLETE if completed else TrialState.FAIL
        value = None
        if state == TrialState.COMPLETE:
            value = float(np.clip(objective, -_HUGE, _HUGE))
        place = bisect_left(self._numbers, number)
        there = place < len(trials) and self._numbers[place] == number
        if code == _REMOVED:
            if there:
                del trials[place], self._numbers[place]
            return
        params = trials[place].params if there else self._cube.params(history.points[index])
        trial = self._trial(number, state, value, params)
        if there:
            trials[place] = trial
        else:
            trials.insert(place, trial)
            self._numbers.insert(place, number)

    def _trial(
        self, number: int, state: TrialState, value: float | None, params: dict[str, Any]
    ) -> FrozenTrial:
        return FrozenTrial(
            number=number,
            trial_id=number,
            state=state,
            value=value,
            datetime_start=None,
            datetime_complete=None,
            params=params,
            distributions=self._cube.distributions,
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
