"""The conformance suite of rules of early stopping.

Subclass `RuleContract` in a test module of yours:

    class TestMine(RuleContract):
        def make(self):
            return Mine()

and call `pytest.register_assert_rewrite("orion_k8s.testing.stopping")` in your conftest.py. Say by
the attributes of the class what your rule does not promise.
"""

from __future__ import annotations

import json
import math
import random
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import pytest

from orion_k8s.stopping import Rule
from orion_k8s.trial import Curve

STEPS = 27


def curve(number: int, values: Sequence[float], first: float = 1, attempt: int = 1) -> Curve:
    """Return a curve of these values, a step each."""
    steps = tuple(first + step for step in range(len(values)))
    return Curve(number, attempt, len(values), steps, tuple(map(float, values)))


def crowd(count: int = 30, steps: int = STEPS, seed: int = 0) -> list[Curve]:
    """Return learning curves that fall, each to an end of its own; the lower numbers end lower."""
    dice = random.Random(seed)
    found = []
    for number in range(count):
        end, rate = (number + 1) / count, dice.uniform(0.2, 0.6)
        values = [end + math.exp(-rate * step) for step in range(1, steps + 1)]
        found.append(curve(number, values))
    return found


def upto(one: Curve, step: float) -> Curve:
    """Return what a trial had reported by a step."""
    kept = sum(at <= step for at in one.steps)
    return Curve(one.number, one.attempt, kept, one.steps[:kept], one.values[:kept])


class RuleContract:
    """What `orion_k8s.stopping.base` asks of every rule, as tests."""

    spares_the_best: ClassVar[bool] = True
    """Whether a trial that is better than all others at each step, and gets better with each, is
    let go on."""
    stops_the_worst: ClassVar[bool] = True
    """Whether one that is worse than thirty others, and gets worse, is stopped before its end."""

    @abstractmethod
    def make(self) -> Rule:
        """Return a new rule."""

    def _first_stop(self, own: Curve, others: Sequence[Curve]) -> tuple[float, str] | None:
        """Return the step at which a trial is stopped that is asked about at each, and why."""
        rule, judged = self.make(), -math.inf
        for step in own.steps:
            others_then = [seen for other in others if len(seen := upto(other, step))]
            reason = rule.stop(upto(own, step), others_then, judged)
            if reason is not None:
                return step, reason
            judged = step
        return None

    def test_a_good_trial_goes_on(self) -> None:
        """The best of thirty, to its end."""
        best = curve(99, [1 / step for step in range(1, STEPS + 1)])
        others = [curve(one.number, [value + 2 for value in one.values]) for one in crowd()]
        if self.spares_the_best:
            assert self._first_stop(best, others) is None

    def test_a_bad_trial_is_stopped(self) -> None:
        """With a reason that fits into a line."""
        worst = curve(99, [1e6 + step for step in range(1, STEPS + 1)])
        found = self._first_stop(worst, crowd())
        if self.stops_the_worst:
            assert found is not None
            assert found[1].strip() and "\n" not in found[1] and len(found[1]) < 200

    @pytest.mark.parametrize("number", [0, 7, 29])
    def test_the_same_curves_have_the_same_answer(self, number: int) -> None:
        """From a fresh rule, from one that was asked before, and with others in any order."""
        *others, own = crowd(31)[:number] + crowd(31)[number + 1 :] + [crowd(31)[number]]
        one, two = self.make(), self.make()
        for step in (3, 9, STEPS):
            seen = [upto(other, step) for other in others]
            answer = one.stop(upto(own, step), seen)
            assert one.stop(upto(own, step), seen) == answer
            random.Random(step).shuffle(seen)
            assert two.stop(upto(own, step), seen) == answer

    def test_nobody_else_has_reported(self) -> None:
        """The first trial of an experiment has others to be compared with only later."""
        own = curve(0, [1 / step for step in range(1, STEPS + 1)])
        assert self._first_stop(own, []) is None

    def test_others_are_behind(self) -> None:
        """Who is ahead of all others is not compared with what they have yet to do."""
        own = curve(99, [1 / step for step in range(1, STEPS + 1)])
        others = [upto(one, 1) for one in crowd()]
        rule = self.make()
        assert rule.stop(own, others, judged=own.steps[-2]) is None

    @pytest.mark.parametrize(
        "values",
        [[0.0], [1e308, -1e308] * 9, [5e-324] * 9, [2.0] * STEPS, [-1.0, 1e300]],
        ids=["one", "huge", "tiny", "constant", "jump"],
    )
    def test_strange_values_do_no_harm(self, values: list[float]) -> None:
        """An answer is a text or nothing."""
        others = [*crowd(9), curve(50, values), curve(51, values, first=-4), curve(52, [1e308])]
        for own in (curve(99, values), curve(99, values, first=1e9), curve(99, values, first=0.5)):
            answer = self.make().stop(own, others)
            assert answer is None or isinstance(answer, str)

    def test_curves_that_begin_later_do_no_harm(self) -> None:
        """A trial that goes on from a checkpoint reports from there on."""
        late = [curve(one.number, one.values[9:], first=10) for one in crowd()]
        own = curve(99, [1 / step for step in range(1, STEPS + 1)])
        self._first_stop(own, late)
        self._first_stop(late[3], [*late[:3], *late[4:], own])

    def test_the_curves_are_left_as_they_were(self) -> None:
        """A rule reads, and writes nothing."""
        others = crowd()
        before = [(one.steps, one.values, one.count) for one in others]
        self.make().stop(upto(others[5], 9), [*others[:5], *others[6:]])
        assert [(one.steps, one.values, one.count) for one in others] == before

    def test_the_configuration_is_plain_data(self) -> None:
        """It is stored with the experiment, and makes the rule again."""
        rule = self.make()
        stored = json.loads(json.dumps(rule.configuration))
        assert stored == rule.configuration
        again = type(rule)(**stored)
        assert again.configuration == rule.configuration
        others = crowd()
        assert again.stop(others[20], others[:20]) == rule.stop(others[20], others[:20])
