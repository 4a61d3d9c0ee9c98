"""PBT: the worst go on from the best, nobody waits for the slowest, and a schedule is found."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Finished, Suggestion, Wait
from orion_k8s.algorithm.exploit import Truncation, parse_exploit
from orion_k8s.algorithm.explore import Perturb, Resample, parse_explore
from orion_k8s.algorithm.pbt import PBT
from orion_k8s.algorithm.registry import create
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import Trials, run
from orion_k8s.trial import Row, Status, dump_values

SPACE = Space.parse({"x": "uniform(0, 1)", "epochs": "fidelity(1, 5, base=1)"})
TRUNCATE = {"of_type": "TruncateExploit", "min_forking_population": 5}
PERTURB = {"of_type": "PerturbExplore"}


def make(size: int = 10, generations: int = 4, **more: Any) -> PBT:
    more.setdefault("exploit", TRUNCATE)
    more.setdefault("explore", PERTURB)
    return PBT(SPACE, 1, size, generations, **more)


def history_of(trials: Trials) -> History:
    history = History(SPACE)
    history.fill(trials.rows.values())
    return history


def claim(algorithm: PBT, trials: Trials) -> int:
    """Claim the next trial and return its number."""
    number = len(trials.rows)
    answer = algorithm.suggest(number, 0, history_of(trials))
    assert isinstance(answer, Suggestion), answer
    assert not trials.claim(number, answer)
    return number


def claimed(answer: Suggestion, number: int) -> Row:
    text = dump_values(answer.values)
    return Row(number, "reserved", None, text, f"t{number}", answer.parent, answer.decision)


def place(trials: Trials, number: int) -> tuple[int, int, int]:
    words = (trials.rows[number].decision or "").split()
    return int(words[2]), int(words[4]), int(words[6])


def first_generation(algorithm: PBT, size: int = 10) -> Trials:
    """Return a first generation whose trial k has objective k."""
    trials = Trials()
    for _ in range(size):
        claim(algorithm, trials)
    for number in range(size):
        trials.end(number, Status.COMPLETED, float(number))
    return trials


# --- generations ---------------------------------------------------------------------------------


def test_every_member_has_every_generation_once_and_then_it_has_finished() -> None:
    trials = run(make, lambda params: params["x"], 1000, workers=7)
    places = [place(trials, number) for number in trials.rows]
    assert Counter(places) == Counter((g, m, 0) for g in range(5) for m in range(10))
    for number, row in trials.rows.items():
        generation = place(trials, number)[0]
        assert json.loads(row.values)[1] == generation + 1
        before = [r for r in trials.rows.values() if r.id == row.parent]
        assert [place(trials, r.number)[0] for r in before] == [generation - 1] * bool(generation)


def test_the_best_keep_their_parameters_and_the_worst_leave_theirs() -> None:
    algorithm = make()
    trials = first_generation(algorithm)
    root = {place(trials, number)[1]: number for number in range(10)}
    for _ in range(10):
        number = claim(algorithm, trials)
        row, own = trials.rows[number], root[place(trials, number)[1]]
        before = trials.rows[int((row.parent or "").removeprefix("trial-"))]
        x, was = (json.loads(one.values)[0] for one in (row, before))
        if own < 8:
            assert before.number == own and x == was
        else:
            assert before.number in (0, 1)
            assert x == pytest.approx(was * 1.2, rel=1e-3) or x == pytest.approx(
                was / 1.2, rel=1e-3
            ) or x >= 0.999  # fmt: skip


def test_nobody_waits_for_the_slowest() -> None:
    """A member goes on as soon as it and four others have ended, whatever the rest do."""
    algorithm, trials = make(), Trials()
    for _ in range(10):
        claim(algorithm, trials)
    for number in range(4):
        trials.end(number, Status.COMPLETED, float(number))
    assert isinstance(algorithm.suggest(10, 0, history_of(trials)), Wait)
    trials.end(7, Status.COMPLETED, 0.5)
    ended = {0, 1, 2, 3, 7}
    for number in range(10, 15):
        assert claim(algorithm, trials) == number
        assert place(trials, number)[0] == 1
    assert {place(trials, n)[1] for n in range(10, 15)} == {place(trials, n)[1] for n in ended}
    assert isinstance(algorithm.suggest(15, 0, history_of(trials)), Wait)
    for number in range(10, 15):
        trials.end(number, Status.COMPLETED, 0.0)
    assert place(trials, claim(algorithm, trials))[0] == 2


def test_a_population_below_the_quorum_needs_all_of_it() -> None:
    algorithm, trials = make(3), Trials()
    for _ in range(3):
        claim(algorithm, trials)
    for number in range(3):
        assert isinstance(algorithm.suggest(3, 0, history_of(trials)), Wait)
        trials.end(number, Status.COMPLETED, 1.0)
    claim(algorithm, trials)


def test_a_trial_that_a_person_suspended_counts_towards_the_quorum() -> None:
    algorithm, trials = make(5), Trials()
    for _ in range(5):
        claim(algorithm, trials)
    for number in range(4):
        trials.end(number, Status.COMPLETED, 1.0)
    trials.end(4, Status.SUSPENDED)
    assert isinstance(algorithm.suggest(5, 0, history_of(trials)), Wait)
    trials.rows[4] = trials.rows[4]._replace(held_by="person")
    assert place(trials, claim(algorithm, trials))[0] == 1


# --- broken members ------------------------------------------------------------------------------


def test_a_broken_member_is_replaced_from_a_living_one() -> None:
    """From one of the best, though its own trial was good enough to go on from."""
    algorithm = make()
    trials = first_generation(algorithm)
    children = [claim(algorithm, trials) for _ in range(10)]
    for own in (4, 6):
        [broken] = [n for n in children if trials.rows[n].parent == f"trial-{own}"]
        trials.end(broken, Status.BROKEN)
        again = claim(algorithm, trials)
        assert place(trials, again) == (*place(trials, broken)[:2], 1)
        assert trials.rows[again].parent in ("trial-0", "trial-1")
        assert trials.rows[again].values != trials.rows[broken].values


def test_a_broken_root_is_drawn_anew() -> None:
    trials = run(make, lambda p: p["x"], 1000, workers=4, broken=lambda n: n in (2, 3, 11, 30))
    assert trials.count(Status.COMPLETED) == 50 and trials.count(Status.BROKEN) == 4
    done = [place(trials, n)[:2] for n, r in trials.rows.items() if r.status == "completed"]
    assert len(set(done)) == 50


def test_objectives_that_are_no_number_are_the_worst() -> None:
    algorithm = make()
    trials = first_generation(algorithm)
    for number in (0, 1):
        trials.end(number, Status.COMPLETED, float("nan"))
    parents = {trials.rows[claim(algorithm, trials)].parent for _ in range(10)}
    assert not parents & {"trial-0", "trial-1"}


# --- a pure function -----------------------------------------------------------------------------


def test_it_does_not_depend_on_the_order_in_which_trials_are_read() -> None:
    trials = run(make, lambda p: p["x"], 33, workers=5, broken=lambda n: n % 9 == 4)
    expected = make().suggest(999, 0, history_of(trials))
    rows = list(trials.rows.values())
    for seed in range(5):
        history, algorithm = History(SPACE), make()
        for row in random.Random(seed).sample(rows, len(rows)):
            history.fill([row._replace(status="reserved", objective=None)])
            algorithm.suggest(999, 0, history)
        history.fill(random.Random(seed).sample(rows, len(rows)))
        assert algorithm.suggest(999, 0, history) == expected


def test_a_tiny_space_has_its_generations_too() -> None:
    """Parameters and parent together are what can't be tried twice."""
    space = Space.parse({"c": "choices(['a', 'b'])", "epochs": "fidelity(1, 5, base=1)"})
    trials = run(lambda: PBT(space, 1, 6, 4), lambda p: float(p["c"] == "a"), 1000, workers=3)
    assert Counter(place(trials, n)[0] for n in trials.rows) == dict.fromkeys(range(5), 2)


# --- backtracking, exploring ---------------------------------------------------------------------


def test_backtracking_returns_to_the_best_that_a_member_had() -> None:
    algorithm = make(exploit={"of_type": "BacktrackExploit", "truncation_quantile": 0.5})
    trials = first_generation(algorithm)
    for _ in range(10):  # all get worse
        trials.end(claim(algorithm, trials), Status.COMPLETED, 100.0)
    parents = {trials.rows[claim(algorithm, trials)].parent for _ in range(10)}
    assert parents == {"trial-0", "trial-1"}


def test_a_trial_that_is_not_in_the_ranking_counts_as_one_more() -> None:
    ranked = [(float(n), n, n) for n in range(9)]
    rule, rng = Truncation(quantile=0.9, backtracks=True), np.random.default_rng(1)
    for objective, stays in ((7.5, True), (8.5, False)):
        own = (objective, 20, 20)
        assert (rule.choose(own, ranked, rng) == own) == stays


def test_the_rules_are_written_as_in_orion() -> None:
    rules = (Truncation(quantile=0.9, backtracks=True), Truncation())
    assert parse_exploit(None) == rules[1:]
    given = {
        "of_type": "pipelineexploit",  # as Oríon stores it
        "exploit_configs": [{"of_type": "backtrackexploit", "truncation_quantile": 0.9,
                             "min_forking_population": 5, "candidate_pool_ratio": 0.2},
                            {"of_type": "truncateexploit"}],
    }  # fmt: skip
    assert parse_exploit(given) == rules
    given = {
        "of_type": "PipelineExplore",
        "explore_configs": [{"of_type": "ResampleExplore", "probability": 0.2},
                            {"of_type": "PerturbExplore", "factor": 1.2, "volatility": 0.0001}],
    }  # fmt: skip
    assert parse_explore(given) == parse_explore(None) == (Resample(), Perturb())


def test_numbers_are_multiplied_and_stay_inside_and_categories_are_drawn() -> None:
    space = Space.parse({
        "lr": "loguniform(1e-3, 1, precision=None)", "n": "randint(1, 100)",
        "w": "uniform(-1, 1, shape=2, precision=None)", "c": "choices(['a', 'b', 'c'])",
    })  # fmt: skip
    before = (0.9, 2, [-0.5, 0.5], "a")
    found = [Perturb().explore(np.random.default_rng(s), space, before) for s in range(200)]
    lrs = np.array([row[0] for row in found])
    down = np.isclose(lrs, 0.75)
    assert 60 < down.sum() < 140 and (lrs[~down] > 0.99).all() and (lrs <= 1).all()
    assert {row[1] for row in found} == {1, 3}
    leaves = np.abs([row[2] for row in found]).ravel()
    assert (np.isclose(leaves, 0.6) | np.isclose(leaves, 0.5 / 1.2)).all()
    assert {row[3] for row in found} == {"a", "b", "c"}


# --- it finds a schedule -------------------------------------------------------------------------

STEPS = 100


def noisy_descent(error: float, lr: float, begun: int, steps: int) -> float:
    """Return the expected squared error of descent on x²/2 with gradients of noise 1.

    The best rate is 1 at first, and then falls as 1/step.
    """
    for _ in range(begun, steps):
        error = (1 - lr) ** 2 * error + lr**2
    return error


def tracking(loss: float, lr: float, begun: int, steps: int) -> float:
    """Return a loss that adds up, as far as the rate is from one that falls from 1/2 to 1/200."""
    for step in range(begun, steps):
        loss += float(np.log(lr / 0.5) + np.log(100) * step / STEPS) ** 2 / STEPS
    return loss


@pytest.mark.parametrize("in_flight", [1, 8])
@pytest.mark.parametrize(("train", "start"), [(noisy_descent, 1e6), (tracking, 0.0)])
def test_it_beats_every_constant_schedule_where_the_optimum_moves(
    train: Callable[[float, float, int, int], float], start: float, in_flight: int
) -> None:
    """The best of 2,000 constant rates, known afterwards."""
    space = Space.parse({"lr": "loguniform(1e-3, 1)", "steps": f"fidelity(5, {STEPS}, base=1)"})
    constant = min(train(start, lr, 0, STEPS) for lr in np.geomspace(1e-3, 1, 2000))
    for seed in range(5):
        algorithm, history = PBT(space, seed, population_size=20, generations=19), History(space)
        rows: list[Row] = []
        states: dict[str, tuple[float, int]] = {}
        running: list[int] = []
        dice = random.Random(seed)
        while True:
            answer = algorithm.suggest(len(rows), 0, history)
            if isinstance(answer, Suggestion) and len(running) < in_flight:
                running.append(len(rows))
                rows.append(claimed(answer, len(rows)))
                history.fill([rows[-1]])
                continue
            if isinstance(answer, Finished):
                break
            row = rows[running.pop(dice.randrange(len(running)))]
            before, begun = states[row.parent] if row.parent else (start, 0)
            lr, steps = json.loads(row.values)
            states[row.id] = train(before, lr, begun, steps), steps
            history.fill([row._replace(status="completed", objective=states[row.id][0])])
        best = min(loss for loss, steps in states.values() if steps == STEPS)
        assert best < constant / 2, (seed, best, constant)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"population_size": 1}, "population_size must be a whole number of at least 2, not 1"),
        ({"generations": 0}, "generations must be a whole number of at least 1, not 0"),
        ({"populationsize": 3}, "did you mean 'population_size'"),
        ({"fork_timeout": -1}, "fork_timeout must be a number of at least 0"),
        ({"exploit": "truncat"}, r"exploit\.of_type can't be 'truncat'"),
        ({"exploit": {"of_type": "TruncateExploit", "quantile": 1}}, "a key of exploit"),
        ({"exploit": {"of_type": "PipelineExploit"}}, "exploit_configs must be a list of rules"),
        (
            {"exploit": {"of_type": "TruncateExploit", "truncation_quantile": 2}},
            r"exploit\.truncation_quantile must be a number of at least 0 and of at most 1",
        ),
        ({"explore": {"of_type": "PerturbExplor"}}, "did you mean 'PerturbExplore'"),
        ({"explore": {"of_type": "PerturbExplore", "factor": 0}}, "factor must be a number above"),
        ({"explore": {"of_type": "ResampleExplore", "probability": "x"}}, "not 'x'"),
        ({"explore": {"of_type": "PipelineExplore", "explore_configs": []}}, "a list of rules"),
        ({"explore": 3}, r"explore\.of_type can't be 3"),
    ],
)
def test_wrong_parameters_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        create({"pbt": given}, SPACE, 1)


def test_a_fidelity_of_several_budgets_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="pbt needs a fidelity dimension"):
        PBT(Space.parse({"x": "uniform(0, 1)"}), 1)
    with pytest.raises(ConfigurationError, match="one alone: give its high a larger value"):
        PBT(Space.parse({"x": "uniform(0, 1)", "e": "fidelity(3, 3)"}), 1)


@pytest.mark.parametrize(
    ("prior", "generations", "budgets"),
    [
        ("fidelity(1, 9, base=1)", 4, [1, 3, 5, 7, 9]),
        ("fidelity(1, 16)", 4, [1, 2, 4, 8, 16]),
        ("fidelity(1, 3)", 10, [1, 2, 3]),
        ("fidelity(1.5, 3, base=1)", 2, [1.5, 2.25, 3]),
    ],
)
def test_budgets(prior: str, generations: int, budgets: list[float]) -> None:
    space = Space.parse({"x": "uniform(0, 1)", "e": prior})
    trials = run(lambda: PBT(space, 1, 2, generations), lambda p: p["x"], 1000)
    assert sorted({json.loads(row.values)[1] for row in trials.rows.values()}) == budgets
