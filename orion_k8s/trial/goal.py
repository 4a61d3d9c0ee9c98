"""What an experiment aims at, and the loss by which workers rank its trials.

People speak of objectives to minimise or to maximise, and of constraints. Storage, mirror and
algorithms know a *loss* alone, of which lower is better: it is made here, once, when a trial is
completed. What the program reported stays in the trial's results, and that is what people see.

A result of the type "constraint" holds where it is not above 0. A trial that breaks one ranks
behind all that break none, whatever its objective, and behind those that break less (feasibility
first: K. Deb, "An efficient constraint handling method for genetic algorithms", 2000,
doi:10.1016/S0045-7825(99)00389-8).
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from orion_k8s.errors import ConfigurationError, InvalidResult

MINIMIZE, MAXIMIZE = "minimize", "maximize"
DIRECTIONS = (MINIMIZE, MAXIMIZE)

INFEASIBLE = 1e290
"""The loss of a trial that breaks a constraint is larger, those of the others are not."""

ONLY = ""
"""Stands for the name of an only objective, which may have any."""

WORDS = ("direction", "goal", "objectives", "repetitions")
"""What is said of a goal, by these words in configuration and in Python."""

MOST_TIMES = 20
"""Of so many measurements one that breaks a constraint makes the mean break it, too."""

MOST_OBJECTIVES = 10
"""Beyond that nearly no point is better than another in all of them."""


class Loss(NamedTuple):
    """What workers rank a trial by.

    Attributes:
        objective: its loss; where there are several objectives that of the first one, so that
            whatever looks at one number alone looks at what the person named first.
        losses: canonical text of all losses where there are several objectives.
    """

    objective: float
    losses: str | None = None


@dataclass(frozen=True)
class Goal:
    """What an experiment aims at.

    Attributes:
        directions: name of each objective → "minimize" or "maximize", in order; a single
            objective is called "" here, and may have any name in the results.
        targets: name → value that ends the experiment; where there are several, one trial has to
            reach all that are given.
        repetitions: how often each point is measured; its mean counts.
    """

    directions: Mapping[str, str] = field(default_factory=lambda: {ONLY: MINIMIZE})
    targets: Mapping[str, float] = field(default_factory=dict)
    repetitions: int = 1

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> Goal:
        """Return the goal that `configuration` wrote.

        Raises:
            ConfigurationError: it says what makes no sense.
        """
        return cls.asked(*(configuration.get(k) for k in WORDS))

    @classmethod
    def asked(
        cls,
        direction: Any = None,
        goal: Any = None,
        objectives: Any = None,
        repetitions: Any = None,
    ) -> Goal:
        """Return the goal that a person asked for.

        Args:
            direction: "minimize" (as None) or "maximize", of a single objective.
            goal: value that ends the experiment; name → value where there are several.
            objectives: name → direction, of several objectives.
            repetitions: measurements of each point; None for one.

        Raises:
            ConfigurationError: it makes no sense.
        """
        directions: dict[str, str] = {ONLY: _direction(direction or MINIMIZE)}
        if objectives:
            if direction is not None:
                raise ConfigurationError(
                    "`direction` is for one objective and `objectives` for several: keep one."
                )
            if not isinstance(objectives, Mapping) or not 2 <= len(objectives) <= MOST_OBJECTIVES:
                raise ConfigurationError(
                    f"objectives must name 2 to {MOST_OBJECTIVES} objectives, as in {{accuracy: "
                    f"maximize, latency: minimize}}, not {objectives!r}."
                )
            directions = {str(name): _direction(word) for name, word in objectives.items()}
        times = 1 if repetitions is None else repetitions
        if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= MOST_TIMES:
            raise ConfigurationError(
                f"repetitions must be a whole number from 1 to {MOST_TIMES}, not {times!r}."
            )
        if times > 1 and len(directions) > 1:
            raise ConfigurationError(
                "Several objectives are measured once each: take `repetitions` out."
            )
        return cls(directions, _targets(goal, directions), times)

    @property
    def configuration(self) -> dict[str, Any]:
        """Plain data that `of` reads; empty for an experiment that minimises one objective."""
        said: dict[str, Any] = {}
        if self.several:
            said["objectives"] = dict(self.directions)
        elif self.directions[ONLY] != MINIMIZE:
            said["direction"] = self.directions[ONLY]
        if self.targets:
            said["goal"] = dict(self.targets) if self.several else self.targets[ONLY]
        if self.repetitions != 1:
            said["repetitions"] = self.repetitions
        return said

    def plain(self) -> dict[str, Any]:
        """Return all of it as plain data, for people's programs."""
        directions = dict(self.directions) if self.several else self.direction
        said = {"objectives" if self.several else "direction": directions, "goal": self.target}
        return said if self.repetitions == 1 else {**said, "repetitions": self.repetitions}

    def with_target(self, target: Any) -> Goal:
        """Return the same with another value that ends the experiment; None for none.

        Raises:
            ConfigurationError: it makes no sense.
        """
        return replace(self, targets=_targets(target, self.directions))

    def __len__(self) -> int:
        """Return how many objectives there are."""
        return len(self.directions)

    @property
    def several(self) -> bool:
        """Whether there is more than one objective."""
        return len(self.directions) > 1

    @property
    def direction(self) -> str:
        """Direction of the (first) objective."""
        return next(iter(self.directions.values()))

    @property
    def target(self) -> Any:
        """What ends the experiment: a value, name → value where there are several, or None."""
        return self.configuration.get("goal")

    def describe(self) -> str:
        """Return it in words, for errors and for people."""
        if not self.several:
            return self.direction
        return ", ".join(f"{word} {name}" for name, word in self.directions.items())

    @cached_property
    def _signs(self) -> tuple[float, ...]:
        return tuple(-1.0 if word == MAXIMIZE else 1.0 for word in self.directions.values())

    # --- from results to losses ------------------------------------------------------------------

    def loss(self, objective: float, results: Sequence[Mapping[str, Any]]) -> Loss:
        """Return what workers rank a trial by.

        Args:
            objective: value of the first objective of the results.
            results: as `check_results` returns them.

        Raises:
            InvalidResult: they don't hold what the experiment aims at.
        """
        values = self._values(objective, results)
        losses = [_signed(sign, value) for sign, value in zip(self._signs, values, strict=True)]
        broken = violation(results)
        if broken is not None:
            if broken > 0:
                losses = [_penalty(broken)] * len(losses)
            else:
                losses = [min(loss, INFEASIBLE) for loss in losses]
        text = json.dumps(losses, separators=(",", ":")) if self.several else None
        return Loss(losses[0], text)

    def _values(self, objective: float, results: Sequence[Mapping[str, Any]]) -> list[float]:
        names = [str(r["name"]) for r in results if r.get("type") == "objective"]
        if not self.several:
            if len(names) > 1:
                raise InvalidResult(
                    f"The results hold {len(names)} objectives ({', '.join(map(repr, names))}): "
                    'keep one and give the others the type "statistic", or say `objectives` when '
                    "the experiment is made."
                )
            return [objective]
        wanted = list(self.directions)
        if sorted(names) != sorted(wanted):
            raise InvalidResult(
                f"The results hold the objectives {', '.join(map(repr, names))}, but the "
                f"experiment aims at {', '.join(map(repr, wanted))}: report each of these once."
            )
        found = {r["name"]: float(r["value"]) for r in results if r.get("type") == "objective"}
        return [found[name] for name in wanted]

    # --- and back --------------------------------------------------------------------------------

    def value(self, loss: float | None) -> float | None:
        """Return the (first) objective of a loss; None where the trial broke a constraint."""
        if loss is None or loss > INFEASIBLE:
            return None
        return _signed(self._signs[0], loss)

    @cached_property
    def thresholds(self) -> tuple[float, ...]:
        """The losses that end the experiment: infinite where any will do; empty without goal."""
        if not self.targets:
            return ()
        return tuple(
            _signed(sign, self.targets[name]) if name in self.targets else INFEASIBLE
            for name, sign in zip(self.directions, self._signs, strict=True)
        )


def reported(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return name → value of the objectives of results."""
    return {
        str(result["name"]): float(result["value"])
        for result in results
        if result.get("type") == "objective"
    }


def violation(results: Sequence[Mapping[str, Any]]) -> float | None:
    """Return by how much results break their constraints, 0 for not at all; None without any.

    Raises:
        InvalidResult: a constraint is neither a finite number nor a list of such.
    """
    total, found = 0.0, False
    for result in results:
        if result.get("type") != "constraint":
            continue
        found = True
        value = result["value"]
        for number in value if isinstance(value, (list, tuple)) else (value,):
            try:
                excess = math.nan if isinstance(number, (bool, str)) else float(number)
            except (TypeError, ValueError, OverflowError):
                excess = math.nan
            if not math.isfinite(excess):
                raise InvalidResult(
                    f"The constraint {result['name']!r} is {number!r}: report a finite number, "
                    "which is not above 0 where the constraint holds."
                )
            total += max(0.0, excess)
    return total if found else None


def _penalty(broken: float) -> float:
    """Return the loss of trials that break constraints by so much: it grows over all floats."""
    return INFEASIBLE * (1100.0 + math.log2(min(broken, 1e308)))


def _signed(sign: float, value: float) -> float:
    return value if sign > 0 else 0.0 - value  # never -0.0


def _direction(word: Any) -> str:
    if word in DIRECTIONS:
        return str(word)
    near = difflib.get_close_matches(str(word).lower(), DIRECTIONS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"use {' or '.join(DIRECTIONS)}."
    raise ConfigurationError(f"There is no direction {word!r}: {hint}")


def _targets(goal: Any, directions: Mapping[str, str]) -> dict[str, float]:
    if goal is None:
        return {}
    if isinstance(goal, Mapping) != (len(directions) > 1):
        raise ConfigurationError(
            f"goal must be a number, not {goal!r}."
            if len(directions) == 1
            else f"goal must be a mapping of the objectives {', '.join(directions)} to numbers, "
            f"not {goal!r}."
        )
    given = goal if isinstance(goal, Mapping) else {ONLY: goal}
    for name, value in given.items():
        if name not in directions:
            known = ", ".join(directions)
            raise ConfigurationError(f"goal names {name!r}, which is none of {known}.")
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not abs(value) < INFEASIBLE:
            raise ConfigurationError(f"goal must be a finite number, not {value!r}.")
    return {name: float(value) for name, value in given.items()}
