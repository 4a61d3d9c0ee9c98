"""How runs follow each other."""

from __future__ import annotations

from orion_k8s.algorithm.restarts import Run, next_run

FIRST = Run(0, 10, 0.2)


def test_ipop_doubles_the_population() -> None:
    past = [(FIRST, 300)]
    for index in range(1, 5):
        run = next_run("ipop", 2, past, seed=1)
        assert run == Run(index, 10 * 2**index, 0.2, increases=index)
        past.append((run, 500))


def test_the_population_does_not_grow_without_end() -> None:
    past = [(FIRST, 300)]
    for _ in range(40):
        past.append((next_run("ipop", 2, past, seed=1), 0))
    assert past[-1][0].population == 10 * 2**9


def test_bipop_gives_large_and_small_runs_the_same_share() -> None:
    past = [(FIRST, 300)]
    for _ in range(60):
        run = next_run("bipop", 2, past, seed=1)
        past.append((run, int(min(40 * run.population, 4000, run.most))))
    large = [(run, spent) for run, spent in past[1:] if run.increases is not None]
    small = [(run, spent) for run, spent in past if run.increases is None]
    assert [run.population for run, _ in large[:3]] == [20, 40, 80]
    assert past[1][0].increases == 1
    biggest = max(run.population for run, _ in large)
    assert all(10 <= run.population <= biggest / 2 or run.population == 10 for run, _ in small)
    assert all(0.2 * 1e-2 <= run.sigma <= 0.2 for run, _ in small)
    spent_large, spent_small = sum(s for _, s in large), sum(s for _, s in small)
    assert abs(spent_large - spent_small) <= max(spent for _, spent in large)


def test_a_small_run_ends_with_half_the_trials_of_the_last_large_one() -> None:
    past = [(FIRST, 300), (next_run("bipop", 2, [(FIRST, 300)], 1), 700)]
    assert next_run("bipop", 2, past, seed=1).most == 350


def test_the_same_past_and_seed_give_the_same_run() -> None:
    past = [(FIRST, 300), (Run(1, 20, 0.2, 1), 700)]
    assert next_run("bipop", 2, past, 5) == next_run("bipop", 2, past, 5)
    assert next_run("bipop", 2, past, 5) != next_run("bipop", 2, past, 6)
