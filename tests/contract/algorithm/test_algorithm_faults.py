"""The conformance suite finds the faults that it is there to find."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Algorithm, Finished, Suggestion
from orion_k8s.algorithm.random import Random
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.algorithm import FINITE, SPACES, AlgorithmContract
from orion_k8s.testing.simulated import Trials, run
from orion_k8s.trial import Row, Status

Answer = Suggestion | Finished


class Faulty(Random):
    """Right in all but what a subclass does wrong."""

    def suggest(self, number: int, attempt: int, history: History) -> Answer:
        return self.wrong(super().suggest(number, attempt, history), number, attempt, history)

    def wrong(self, answer: Answer, number: int, attempt: int, history: History) -> Answer:
        raise NotImplementedError


class OutOfBounds(Faulty):
    def wrong(self, answer: Answer, *_: Any) -> Answer:
        return Suggestion((7.0,)) if isinstance(answer, Suggestion) else answer


class NumPyValues(Faulty):
    def wrong(self, answer: Answer, *_: Any) -> Answer:
        assert isinstance(answer, Suggestion)
        return Suggestion((int(answer.values[0]),))  # an int where the space holds floats


class Forgetful(Faulty):
    """Keeps a state that is not in the trials."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self.calls = itertools.count()

    def wrong(self, answer: Answer, number: int, attempt: int, history: History) -> Answer:
        return super(Faulty, self).suggest(number + next(self.calls), 0, history)


class Dice(Faulty):
    def wrong(self, answer: Answer, *_: Any) -> Answer:
        return Suggestion((float(np.random.default_rng().uniform(-5, 5)),))


class Stubborn(Faulty):
    """Offers what was refused again and again."""

    def wrong(self, answer: Answer, number: int, attempt: int, history: History) -> Answer:
        return super(Faulty, self).suggest(number, 0, History(self.space))


class Scribbler(Faulty):
    def wrong(self, answer: Answer, number: int, attempt: int, history: History) -> Answer:
        if len(history):
            history.objectives[0] = 5.0
        return answer


class Early(Faulty):
    """Gives up before the space is used up."""

    def wrong(self, answer: Answer, number: int, *_: Any) -> Answer:
        return Finished() if number >= 3 else answer


class Follower(Faulty):
    """What a number is depends on what this worker has seen."""

    def wrong(self, answer: Answer, number: int, attempt: int, history: History) -> Answer:
        shift = history.count(Status.COMPLETED)
        return super(Faulty, self).suggest(number + 100 * shift, attempt, history)


class Unstorable(Faulty):
    def wrong(self, answer: Answer, *_: Any) -> Answer:
        return answer

    @property
    def configuration(self) -> dict[str, Any]:
        return {"space": self.space}


REAL, SKEWED = Space.parse(SPACES["real"]), Space.parse(FINITE["skewed"])


@pytest.mark.parametrize(
    ("fault", "test", "arguments"),
    [
        (OutOfBounds, "test_every_suggestion_lies_in_the_space", (REAL,)),
        (NumPyValues, "test_every_suggestion_lies_in_the_space", (REAL,)),
        (Forgetful, "test_the_same_question_has_the_same_answer", (REAL,)),
        (Dice, "test_the_same_question_has_the_same_answer", (REAL,)),
        (Dice, "test_a_run_repeats_itself", (REAL,)),
        (Stubborn, "test_a_refused_point_is_replaced", (REAL,)),
        (Stubborn, "test_a_point_that_a_person_inserted_is_passed_over", (REAL,)),
        (Scribbler, "test_the_history_is_left_as_it_was", (REAL,)),
        (Early, "test_a_finite_space_is_used_up", (SKEWED, 1)),
        (Early, "test_as_many_trials_as_asked_for", (REAL,)),
        (Follower, "test_the_set_of_trials_does_not_depend_on_the_workers", (REAL,)),
        (Unstorable, "test_the_configuration_is_plain_data", (REAL,)),
    ],
)
def test_a_fault_is_found(
    fault: Callable[[Space, int], Algorithm], test: str, arguments: tuple[Any, ...]
) -> None:
    class Contract(AlgorithmContract):
        def make(self, space: Space, seed: int) -> Algorithm:
            return fault(space, seed)

    from orion_k8s.errors import InvalidParams

    with pytest.raises((AssertionError, InvalidParams, TypeError)):
        getattr(Contract(), test)(*arguments)


def test_the_simulated_history_takes_each_key_once() -> None:
    trials = Trials()
    assert trials.claim(0, Suggestion((1.0,), decision="rung 0 slot 0")) == ""
    assert trials.claim(0, Suggestion((2.0,))) == "number"
    assert trials.claim(1, Suggestion((1.0,))) == "parameters"
    assert trials.claim(1, Suggestion((1.0,), parent="trial-0")) == ""
    assert trials.claim(2, Suggestion((3.0,), decision="rung 0 slot 0")) == "decision"
    assert trials.insert((4.0,)) == -1 and trials.insert((5.0,)) == -2
    assert trials.claim(2, Suggestion((5.0,))) == "parameters"
    trials.end(0, Status.COMPLETED, 0.5)
    assert trials.rows[0] == Row(0, "completed", 0.5, "[1.0]", "trial-0", None, "rung 0 slot 0")
    assert trials.count(Status.COMPLETED) == 1 and trials.count(Status.NEW) == 2


def test_a_run_that_never_ends_is_said_to_be_stuck() -> None:
    class Waiting(Faulty):
        def wrong(self, answer: Answer, number: int, *_: Any) -> Any:
            from orion_k8s.algorithm import Wait

            return Wait() if number else answer

    with pytest.raises(AssertionError, match="stuck: 1 trials completed of 5"):
        run(lambda: Waiting(REAL, 1), lambda _: 0.0, 5, most_steps=500)
