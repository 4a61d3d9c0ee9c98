"""Any sampler of Optuna's that learns from the trials alone.

Source: T. Akiba, S. Sano, T. Yanase, T. Ohta and M. Koyama, "Optuna: A Next-generation
Hyperparameter Optimization Framework", KDD 2019, arXiv:1907.10902.

A sampler is made anew for each suggestion, with a seed of its own, and reads a study that is made
of the history: so it is a function of the trials, as every algorithm is.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion
from orion_k8s.algorithm.parameters import one_of
from orion_k8s.algorithm.random import Random
from orion_k8s.algorithm.rungs import whole_only
from orion_k8s.errors import ConfigurationError, MissingExtra
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import dump_values

_INSTEAD = {
    "CmaEsSampler": "cmaes",
    "NSGAIISampler": "de",
    "NSGAIIISampler": "de",
    "QMCSampler": "sobol",
    "GridSampler": "gridsearch",
    "BruteForceSampler": "random, which ends when every point was tried",
    "PartialFixedSampler": "a space without what is fixed",
}
"""Samplers that note in their study what no trial says, or whose parameters are not plain."""
_NOT_SAMPLERS = ("BaseSampler", "BaseGASampler")
_DRAWS = 20
"""New suggestions where all were tried already, before a draw from the prior."""


class Optuna(Algorithm):
    """A sampler of Optuna's.

    Args:
        space: the search space. A fidelity is always given whole, and trials of another
            algorithm's that had less of it have no say.
        seed: of the experiment.
        sampler: its name in `optuna.samplers`, or "package.module:Name" of another package's.
        parameters: of the sampler, plain ones.

    Raises:
        ConfigurationError: the sampler is not known, needs what a history does not have, or
            refuses its parameters.
        MissingExtra: the package optuna is not installed.
    """

    name: ClassVar[str] = "optuna"

    def __init__(
        self, space: Space, seed: int, sampler: str = "TPESampler", **parameters: Any
    ) -> None:
        super().__init__(space, seed)
        self._sampler = _find(sampler)
        known = inspect.signature(self._sampler).parameters
        for key in parameters:
            if key == "seed":
                raise ConfigurationError("optuna: give the seed to the experiment instead.")
            one_of("optuna", f"a parameter of {sampler}", key, [k for k in known if k != "seed"])
        try:
            json.dumps(parameters)
        except TypeError as error:
            raise ConfigurationError(
                f"optuna: a parameter of {sampler} must be plain data, which is stored ({error})."
            ) from error
        self._configuration = {"sampler": sampler, **parameters}
        self._parameters = dict(parameters)
        if "constant_liar" in known:
            self._parameters.setdefault("constant_liar", True)
        self._make(0)
        from orion_k8s.algorithm.optuna_study import Cube

        self._cube, self._counts = Cube(space), whole_only(space)
        self._prior = Random(space, seed)
        self._history: History | None = None

    @property
    def configuration(self) -> dict[str, Any]:
        """The sampler and its parameters, as they were given."""
        return dict(self._configuration)

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Finished:
        """Return the point of that number. See `Algorithm.suggest`."""
        known = history.known_values()
        if len(known) < self.space.cardinality:
            if history is not self._history:
                from orion_k8s.algorithm.optuna_study import Study

                self._history = history
                self._study = Study(self._cube, history, self._counts)
            self._study.follow()
            for draw in range(_DRAWS):
                seeds = np.random.SeedSequence([self.seed, number, attempt, draw])
                sampler = self._make(int(seeds.generate_state(1)[0]))
                with self._blamed("can't suggest with its parameters"):
                    point = self._study.sampled(sampler, number)
                [values] = self.space.decode(point)
                if dump_values(values) not in known:
                    return Suggestion(values)
        return self._prior.untried(history)

    def _make(self, seed: int) -> Any:
        """Return the sampler with a seed."""
        from orion_k8s.algorithm.optuna_study import quiet

        with self._blamed("refuses its parameters"), quiet():
            return self._sampler(seed=seed, **self._parameters)

    @contextmanager
    def _blamed(self, what: str) -> Iterator[None]:
        """Say in a sentence what the sampler does not take.

        Raises:
            ConfigurationError: one of its parameters.
            MissingExtra: that a package is not installed.
        """
        name = self._configuration["sampler"]
        try:
            yield
        except ImportError as error:
            raise MissingExtra(
                f"Optuna's {name} needs a package that is not installed: {error}."
            ) from error
        except (TypeError, ValueError, AssertionError) as error:
            raise ConfigurationError(
                f"optuna: {name} {what}: {str(error) or 'one is out of bounds'}"
            ) from error


def _find(sampler: str) -> Any:
    """Return the class of a sampler.

    Raises:
        ConfigurationError: there is none, or it can't be rebuilt from a history.
        MissingExtra: the package optuna is not installed.
    """
    try:
        from optuna import samplers
    except ImportError as error:
        raise MissingExtra(
            "The algorithm optuna needs the package optuna, which cannot be imported "
            f"({error}): pip install 'orion-k8s[optuna]'."
        ) from error
    if isinstance(sampler, str) and ":" in sampler:
        module, _, attribute = sampler.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(f"optuna: {sampler} can't be loaded: {error}.") from error
    else:
        words = [
            word
            for word in samplers.__all__
            if inspect.isclass(getattr(samplers, word)) and word not in _NOT_SAMPLERS
        ]
        found = getattr(samplers, one_of("optuna", "sampler", sampler, words))
        if sampler in _INSTEAD:
            raise ConfigurationError(
                f"optuna: {sampler} needs more than a history has: use {_INSTEAD[sampler]}."
            )
    if not (inspect.isclass(found) and issubclass(found, samplers.BaseSampler)):
        raise ConfigurationError(f"optuna: {sampler} is no sampler of Optuna's.")
    if "seed" not in inspect.signature(found).parameters:
        raise ConfigurationError(
            f"optuna: {sampler} takes no seed, so it could not be repeated: use another."
        )
    return found
