"""Algorithms by name: ours, and those that other packages register under `orion_k8s.algorithm`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orion_k8s.algorithm.base import Algorithm
from orion_k8s.algorithm.repeated import Repeated
from orion_k8s.errors import ConfigurationError
from orion_k8s.plugins import Family, parameters_of
from orion_k8s.space import Space

GROUP = "orion_k8s.algorithm"

_OURS = {
    "random": "orion_k8s.algorithm.random:Random",
    "gridsearch": "orion_k8s.algorithm.gridsearch:GridSearch",
    "sobol": "orion_k8s.algorithm.sobol:Sobol",
    "tpe": "orion_k8s.algorithm.tpe:TPE",
    "asha": "orion_k8s.algorithm.asha:ASHA",
    "hyperband": "orion_k8s.algorithm.hyperband:Hyperband",
    "bohb": "orion_k8s.algorithm.bohb:BOHB",
    "dehb": "orion_k8s.algorithm.dehb:DEHB",
    "pbt": "orion_k8s.algorithm.pbt:PBT",
    "evolutiones": "orion_k8s.algorithm.evolutiones:EvolutionES",
    "cmaes": "orion_k8s.algorithm.cmaes:CMAES",
    "de": "orion_k8s.algorithm.de:DE",
    "gp": "orion_k8s.algorithm.gp:GP",
    "turbo": "orion_k8s.algorithm.turbo:TuRBO",
    "auto": "orion_k8s.algorithm.auto:Auto",
    "optuna": "orion_k8s.algorithm.optuna:Optuna",
    "nsga2": "orion_k8s.algorithm.nsga2:NSGA2",
}
_FAMILY = Family("algorithm", "Unknown algorithm", GROUP, Algorithm, _OURS)  # type: ignore[type-abstract]

_OF_SEVERAL = ("nsga2", "tpe", "random", "sobol", "gridsearch")
"""Those of ours that take several objectives, what learns from them first."""

DEFAULT = "random"


def normalise(algorithm: str | Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return an algorithm as it is written in configuration, as {name: parameters}.

    Accepts "random", {"random": {"seed": 1}}, {"of_type": "random", "seed": 1} and None.

    Raises:
        ConfigurationError: it is none of these.
    """
    if algorithm is None:
        return {DEFAULT: {}}
    if isinstance(algorithm, str):
        return {algorithm.lower(): {}}
    if isinstance(algorithm, Mapping):
        if "of_type" in algorithm:
            rest = {key: value for key, value in algorithm.items() if key != "of_type"}
            return {str(algorithm["of_type"]).lower(): rest}
        if len(algorithm) == 1:
            name, parameters = next(iter(algorithm.items()))
            if parameters is None or isinstance(parameters, Mapping):
                return {str(name).lower(): dict(parameters or {})}
    raise ConfigurationError(
        "The algorithm must be a name, or one name with a mapping of its parameters, "
        f"such as {{'random': {{'seed': 1}}}}; got {algorithm!r}."
    )


def names() -> list[str]:
    """Return the names of all algorithms that are installed."""
    return _FAMILY.names()


def find(name: str) -> type[Algorithm]:
    """Return the class of that name.

    Raises:
        ConfigurationError: there is none; the nearest name is suggested.
    """
    return _FAMILY.find(name)


def create(
    configuration: Mapping[str, Mapping[str, Any]],
    space: Space,
    seed: int,
    objectives: int = 1,
    repetitions: int = 1,
    max_trials: int | None = None,
) -> Algorithm:
    """Return the algorithm of a configuration as `normalise` gives it.

    Args:
        configuration: {name: parameters}; a parameter `seed` has gone into `seed` already.
        space: the search space.
        seed: of the experiment.
        objectives: how many the experiment has.
        repetitions: how often each point is measured.
        max_trials: of the experiment, for an algorithm with a parameter of that name that is not
            given.

    Raises:
        ConfigurationError: unknown name or parameter, a value that does not fit, or an algorithm
            that takes one objective where there are several.
    """
    name, parameters = next(iter(configuration.items()))
    found = find(name)
    if objectives > 1 and not found.several_objectives:
        raise ConfigurationError(
            f"The algorithm '{name}' takes one objective, and the experiment has {objectives}: "
            f"take {', '.join(_OF_SEVERAL)}."
        )
    known = parameters_of(found)
    arguments = {key: value for key, value in parameters.items() if key != "seed"}
    if max_trials is not None and "max_trials" in known:
        arguments.setdefault("max_trials", max_trials)
    taken = {key: p for key, p in known.items() if key not in ("space", "seed")}
    _FAMILY.check(name, arguments, taken, also=("seed",))
    algorithm = found(space, seed, **arguments)
    return algorithm if repetitions == 1 else Repeated(algorithm, repetitions)
