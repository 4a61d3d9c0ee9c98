"""The mirror: counting, gaps, windows, the bound on numbers. Rows are made here; no database."""

from __future__ import annotations

import random

import numpy as np
import pytest

from orion_k8s.history import CODES, History
from orion_k8s.space import Space
from orion_k8s.trial import Row, Status

SPACE = Space.parse({"x": "uniform(0, 1)", "n": "randint(0, 10)"})


def row(number: int, status: str = "reserved", objective: float | None = None) -> Row:
    values = "" if status == "removed" else f"[0.{abs(number) % 9 + 1},{abs(number) % 10}]"
    return Row(number, status, objective, values, f"id{number}")


def filled(*rows: Row) -> History:
    history = History(SPACE)
    history.fill(rows)
    return history


def test_gaps_and_the_window_are_read_and_finished_trials_are_not() -> None:
    history = filled(row(0, "completed", 1.0), row(2), row(5, "broken"), row(-1, "new"))
    numbers = set(history.numbers_to_read())
    assert {1, 3, 4, 2, 6, 7, -1, -2} <= numbers
    assert 0 not in numbers and 5 not in numbers


def test_columns_follow_the_rows() -> None:
    history = filled(
        row(0, "completed", 0.5), row(1), row(2, "completed", -1.0), row(3, "removed")
    )
    assert history.numbers.tolist() == [0, 1, 2, 3]
    assert history.status.tolist() == [
        CODES[s] for s in ("completed", "reserved", "completed", "removed")
    ]
    assert np.isnan(history.objectives[1]) and history.objectives[2] == -1.0
    assert history.best() == (2, -1.0)
    assert history.points.shape == (4, 2)
    assert np.isnan(history.points[3]).all()
    assert ((history.points[:3] >= 0) & (history.points[:3] <= 1)).all()
    history.fill([row(4)])
    assert history.points.shape == (5, 2)
    assert history.values(4) == (0.5, 4)


def test_many_rows_outgrow_the_first_columns() -> None:
    history = filled(*(row(n, "completed", float(n)) for n in range(1000)))
    assert history.objectives.tolist() == [float(n) for n in range(1000)]
    assert history.count(Status.COMPLETED) == 1000


def test_counts_follow_changes() -> None:
    history = filled(row(0), row(1), row(2, "interrupted"))
    history.apply([row(0, "completed", 3.0), row(1, "interrupted"), row(2)])
    assert history.count(Status.COMPLETED) == 1
    assert history.waiting == [1]
    assert history.count(Status.RESERVED) == 1


@pytest.mark.parametrize("seed", range(20))
def test_incremental_reads_miss_nothing(seed: int) -> None:
    """Writers claim as workers do; this mirror reads now and then, by its own list of numbers."""
    rng = random.Random(seed)
    table: dict[int, Row] = {}
    history, spread = History(SPACE), rng.choice([1, 4, 15])
    free, unused = list(range(spread)), spread
    for _ in range(100):
        for _ in range(rng.choice([0, 1, 3, 40])):
            number = free.pop(
                rng.randrange(spread)
            )  # a worker takes one of the first free numbers
            free.append(unused)
            unused += 1
            table[number] = row(number)
            for other in rng.choices(list(table), k=3):
                if table[other].status == "reserved" and rng.random() < 0.5:
                    table[other] = row(
                        other, rng.choice(["completed", "broken", "interrupted"]), 1.0
                    )
        full = True
        while full:
            full = history.apply([table[n] for n in history.numbers_to_read() if n in table])
        assert len(history) == len(table)
        for number, there in rng.sample(list(table.items()), min(50, len(table))):
            index = history.index(number)
            assert index is not None and history.status[index] == CODES[there.status]


def test_a_late_commit_below_the_highest_number_is_found() -> None:
    history = filled(row(0), row(3))
    assert {1, 2} <= set(history.numbers_to_read())
    history.apply([row(1)])
    numbers = history.numbers_to_read()
    assert 2 in numbers
    assert history.free_numbers(1, None) == [2]


def test_reading_again_where_the_window_was_full() -> None:
    history = History(SPACE)
    table = {n: row(n) for n in range(5000)}
    reads = 0
    while history.apply([table[n] for n in history.numbers_to_read() if n in table]):
        reads += 1
    assert len(history) == 5000
    assert reads < 20


def test_a_number_is_taken_only_below_the_bound() -> None:
    history = filled(row(0, "completed", 1.0), row(1, "broken"), row(2, "removed"))
    assert history.limit(3) == 5
    assert history.free_numbers(10, 3) == [3, 4]
    history.fill([row(3), row(4)])
    assert history.free_numbers(10, 3) == []


def test_inserted_trials_count_towards_max_trials() -> None:
    history = filled(row(-1, "new"), row(-2, "completed", 1.0), row(0))
    assert history.inserted == 2
    assert history.free_numbers(10, 4) == [1]
    history.fill([row(1)])
    assert history.free_numbers(10, 4) == []


def test_a_broken_insert_is_replaced() -> None:
    history = filled(row(-1, "broken"))
    assert history.free_numbers(10, 2) == [0, 1]


def test_a_removed_insert_no_longer_counts() -> None:
    history = filled(row(-1, "removed"), row(-2, "new"))
    assert history.inserted == 1
    assert history.free_numbers(10, 3) == [0, 1]


def test_an_old_mirror_underestimates_the_bound() -> None:
    old, new = filled(row(0)), filled(row(0, "broken"))
    assert old.limit(1) < new.limit(1)  # type: ignore[operator]


def test_gaps_are_taken_first() -> None:
    history = filled(row(0), row(4))
    assert history.free_numbers(2, None) == [1, 2]
    assert history.free_numbers(5, None) == [1, 2, 3, 5, 6]


def test_a_gap_beyond_a_lowered_bound_is_left_open() -> None:
    history = filled(row(0), row(6))
    assert history.free_numbers(10, 3) == [1, 2]


def test_suspended_says_by_whom() -> None:
    history = filled(
        row(0, "suspended")._replace(held_by="person"),
        row(1, "suspended")._replace(held_by="algorithm"),
    )
    assert history.held_by_person == [0]
    history.apply([row(0, "interrupted")])
    assert history.held_by_person == []


def test_known_values_grow_with_the_history() -> None:
    history = filled(row(0), row(1, "removed"))
    assert history.known_values() == {"[0.1,0]"}
    history.fill([row(-3)])
    assert history.known_values() == {"[0.1,0]", "[0.4,3]"}


def test_a_number_that_is_known_to_be_taken_is_read_however_far_it_lies() -> None:
    history = filled(row(0))
    assert 900 not in history.numbers_to_read()
    history.expect(900)
    assert {1, 899, 900} <= set(history.numbers_to_read())
    history.apply([row(900)])
    assert history.free_numbers(2, None) == [1, 2]
    assert 900 not in history.free_numbers(2000, None)
