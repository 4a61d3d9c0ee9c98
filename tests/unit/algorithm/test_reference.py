"""Which trials a model learns from: a function of the set of trials alone, and bounded."""

from __future__ import annotations

import random

import numpy as np
import pytest

from orion_k8s.algorithm.reference import Reference, hashes
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row

SPACE = Space.parse({"x": "uniform(0, 1)"})
DICE = random.Random(5)
STATUSES = ["completed"] * 12 + ["broken", "removed", "reserved", "suspended"]


def row(number: int, status: str = "completed", objective: float | None = None) -> Row:
    text = "" if status == "removed" else f"[{(number % 1009) / 1009}]"
    objective = objective if status == "completed" else None
    return Row(number, status, objective, text, f"trial {number}")


ROWS = [row(n, DICE.choice(STATUSES), float(DICE.randrange(40))) for n in range(-5, 300)]


def history_of(rows: list[Row]) -> History:
    history = History(SPACE)
    history.fill(rows)
    return history


def numbers(reference: Reference, history: History) -> tuple[list[int], list[int], list[int]]:
    best, sampled, pending = reference.best, reference.sampled, reference.pending
    found = history.numbers
    return found[best].tolist(), sorted(found[sampled].tolist()), sorted(found[pending].tolist())


def whole(rows: list[Row]) -> tuple[list[int], list[int], list[int]]:
    reference, history = Reference(1, 10, 50), history_of(rows)
    reference.follow(history)
    return numbers(reference, history)


def test_the_best_are_the_best_and_of_equal_ones_the_older() -> None:
    done = [one for one in ROWS if one.status == "completed"]
    wanted = sorted(done, key=lambda one: (one.objective, one.number))[:10]
    assert whole(ROWS)[0] == [one.number for one in wanted]


def test_the_pending_are_those_that_have_not_ended() -> None:
    pending = {one.number for one in ROWS if one.status in ("reserved", "suspended")}
    assert set(whole(ROWS)[2]) == pending


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_trials_are_read_has_no_say(seed: int) -> None:
    shuffled = ROWS.copy()
    random.Random(seed).shuffle(shuffled)
    assert whole(shuffled) == whole(ROWS)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_followed_is_what_is_derived_at_once(seed: int) -> None:
    dice = random.Random(seed)
    reference, history = Reference(1, 10, 50), History(SPACE)
    waiting = [one for one in ROWS if one.status in ("completed", "broken")]
    for one in ROWS:
        history.fill([one._replace(status="reserved", objective=None) if one in waiting else one])
        if dice.random() < 0.3:
            reference.follow(history)
    dice.shuffle(waiting)
    while waiting:
        history.fill([waiting.pop() for _ in range(min(len(waiting), dice.randrange(1, 9)))])
        reference.follow(history)
    assert numbers(reference, history) == whole(ROWS)


def test_another_history_is_followed_from_its_beginning() -> None:
    reference = Reference(1, 10, 50)
    reference.follow(history_of(ROWS[:150]))
    history = history_of(ROWS)
    reference.follow(history)
    assert numbers(reference, history) == whole(ROWS)
    assert reference.completed == sum(one.status == "completed" for one in ROWS)


def test_the_sample_is_bounded_and_even() -> None:
    rows = [row(n, "completed", 1.0) for n in range(20_000)]
    reference, history = Reference(1, 10, 1_000), history_of(rows)
    reference.follow(history)
    assert len(reference.sampled) == 1_000 and len(reference.best) == 10
    share = np.histogram(history.numbers[reference.sampled], bins=10, range=(0, 20_000))[0]
    assert share.min() > 60 and share.max() < 140


def test_no_number_is_left_out_while_there_is_room() -> None:
    assert whole(ROWS[:40])[1] == sorted(
        one.number for one in ROWS[:40] if one.status in ("completed", "broken")
    )


def test_neither_removed_trials_nor_objectives_that_are_no_number_count_as_good() -> None:
    nothing = [float("nan"), float("inf"), None]
    rows = [row(n, "completed", value) for n, value in enumerate(nothing)]
    rows += [row(3, "removed"), row(4, "broken"), row(5, "completed", 2.0)]
    best, sampled, pending = whole(rows)
    assert (best, sampled, pending) == ([5], [0, 1, 2, 4, 5], [])


def test_hashes_of_neighbours_and_of_seeds_differ() -> None:
    found = np.concatenate([hashes(seed, np.arange(-500, 500)) for seed in (1, 2**63)])
    assert len(set(found.tolist())) == 2_000
    bits = np.unpackbits(found.view(np.uint8)).mean()
    assert abs(bits - 0.5) < 0.01
