"""What an experiment aims at, and the losses that workers rank by."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion_k8s.errors import ConfigurationError, InvalidResult
from orion_k8s.trial import Goal
from orion_k8s.trial.goal import INFEASIBLE, violation

BOTH = {"accuracy": "maximize", "latency": "minimize"}


def results(*constraints: Any, **objectives: float) -> list[dict[str, Any]]:
    found = [{"name": k, "type": "objective", "value": v} for k, v in objectives.items()]
    return found + [{"name": "c", "type": "constraint", "value": v} for v in constraints]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"goal": -0.5},
        {"direction": "maximize"},
        {"direction": "maximize", "goal": 0.99},
        {"objectives": BOTH},
        {"objectives": BOTH, "goal": {"latency": 10.0}},
    ],
    ids=repr,
)
def test_what_was_asked_for_is_what_is_stored(asked: dict[str, Any]) -> None:
    goal = Goal.asked(**asked)
    assert goal.configuration == asked
    assert Goal.of(json.loads(json.dumps(goal.configuration))) == goal
    assert len(goal) == (2 if "objectives" in asked else 1)


def test_to_minimise_without_a_goal_is_nothing_to_store() -> None:
    assert Goal.asked(direction="minimize").configuration == {} == Goal().configuration
    assert Goal.asked("maximize", 1.0).with_target(None) == Goal.asked("maximize")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"direction": "maximise"}, "There is no direction 'maximise': did you mean maximize?"),
        ({"direction": 7}, "use minimize or maximize"),
        ({"goal": math.nan}, "goal must be a finite number, not nan"),
        ({"goal": True}, "goal must be a finite number, not True"),
        ({"goal": {"a": 1}}, "goal must be a number, not {'a': 1}"),
        ({"objectives": {"a": "minimize"}}, "must name 2 to 10 objectives"),
        ({"objectives": BOTH, "direction": "maximize"}, "keep one"),
        ({"objectives": {**BOTH, "accuracy": "up"}}, "no direction 'up'"),
        ({"objectives": BOTH, "goal": 1}, "must be a mapping of the objectives accuracy, latency"),
        (
            {"objectives": BOTH, "goal": {"speed": 1}},
            "'speed', which is none of accuracy, latency",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said.replace("?", r"\?")):
        Goal.asked(**asked)


@given(st.floats(allow_nan=False, allow_infinity=False, max_value=1e200, min_value=-1e200))
def test_a_value_comes_back_from_its_loss(value: float) -> None:
    for direction, sign in (("minimize", 1), ("maximize", -1)):
        goal = Goal.asked(direction)
        loss = goal.loss(value, results(a=value))
        assert (loss.objective, loss.losses) == (sign * value, None)
        assert goal.value(loss.objective) == value
    assert math.copysign(1, Goal.asked("maximize").loss(0.0, results(a=0.0)).objective) == 1


violations = st.floats(min_value=1e-300, max_value=1e308)


@given(violations, violations, st.floats(-1e308, 1e308), st.sampled_from(["minimize", "maximize"]))
def test_who_breaks_less_is_better_and_who_breaks_nothing_is_best(
    one: float, other: float, value: float, direction: str
) -> None:
    goal = Goal.asked(direction)
    feasible = goal.loss(value, results(-1.0, 0.0, a=value)).objective
    losses = [goal.loss(value, results(v, a=value)).objective for v in (one, other)]
    assert feasible <= INFEASIBLE < min(losses) and max(losses) < 1e300
    assert goal.value(losses[0]) is None is goal.value(losses[1])
    if abs(math.log(one) - math.log(other)) > 1e-9:
        assert (losses[0] < losses[1]) == (one < other)


def test_several_objectives_are_losses_in_the_order_of_the_experiment() -> None:
    goal = Goal.asked(objectives=BOTH)
    loss = goal.loss(3.0, results(latency=3.0, accuracy=0.9))
    assert (loss.objective, loss.losses) == (-0.9, "[-0.9,3.0]")
    broken = goal.loss(3.0, results(2.0, latency=3.0, accuracy=0.9))
    assert json.loads(broken.losses or "") == [broken.objective] * 2 and goal.value(-0.9) == 0.9
    assert broken.objective > INFEASIBLE


@pytest.mark.parametrize(
    ("goal", "given", "said"),
    [
        (Goal(), results(loss=1, b=2), "hold 2 objectives ('loss', 'b')"),
        (Goal.asked(objectives=BOTH), results(accuracy=1), "aims at 'accuracy', 'latency'"),
        (Goal.asked(objectives=BOTH), results(accuracy=1, latence=2), "'latence'"),
        (
            Goal.asked(objectives=BOTH),
            [*results(accuracy=1), *results(accuracy=1)],
            "report each of these once",
        ),
    ],
)
def test_results_that_the_experiment_does_not_aim_at(
    goal: Goal, given: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(InvalidResult) as error:
        goal.loss(1.0, given)
    assert said in str(error.value)


def test_a_violation_is_the_sum_of_what_is_above_zero() -> None:
    assert violation(results(a=1)) is None
    assert violation(results(-3, [0, -0.5], a=1)) == 0.0
    assert violation(results(-3, [0.25, 2], 1.0, a=1)) == 3.25
    for wrong in ("1", math.nan, math.inf, None, True, [1, "x"], {"a": 1}):
        with pytest.raises(InvalidResult, match="finite number"):
            violation(results(wrong, a=1))
