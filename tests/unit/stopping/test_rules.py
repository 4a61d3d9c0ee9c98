"""Each rule by its definition, on curves that one can count by hand."""

from __future__ import annotations

import pytest

from orion_k8s.errors import ConfigurationError
from orion_k8s.stopping import Rule, create, normalise
from orion_k8s.testing.stopping import curve
from orion_k8s.trial import Curve, Stopped


def rule(name: str, **parameters: object) -> Rule:
    [made] = create({name: parameters}).rules
    return made


def flat(*values: float, steps: int = 10) -> list[Curve]:
    return [curve(number, [value] * steps) for number, value in enumerate(values)]


# --- median --------------------------------------------------------------------------------------


def test_median_compares_the_best_value_with_running_averages() -> None:
    # Running averages up to step 5: 3, 4 and 5.
    others = [curve(number, [1, 2, 3, 4, 5]) for number in range(3)]
    others += [curve(3, [2, 3, 4, 5, 6]), curve(4, [3, 4, 5, 6, 7])]
    median = rule("median")
    assert median.stop(curve(9, [9, 3.0, 9, 9, 9]), others) is None  # not worse than the median
    reason = median.stop(curve(9, [9, 3.1, 9, 9, 9]), others)
    assert reason == "best value 3.1 > 3, the median of 5 others' means"


def test_median_waits_for_steps_and_for_others() -> None:
    median, bad = rule("median", min_steps=3, min_trials=4), curve(9, [9, 9, 9])
    assert median.stop(bad, flat(1, 1, 1, 1)) is not None
    assert median.stop(curve(9, [9, 9]), flat(1, 1, 1, 1)) is None
    assert median.stop(bad, flat(1, 1, 1)) is None
    # The fourth has not come as far.
    assert median.stop(bad, [*flat(1, 1, 1), curve(4, [1, 1])]) is None


# --- percentile ----------------------------------------------------------------------------------


def test_percentile_keeps_the_best_share() -> None:
    percentile = rule("percentile", percentile=25, min_steps=1, min_trials=8)
    others = flat(1, 2, 3, 4, 5, 6, 7, 8)
    assert percentile.stop(curve(9, [9, 2.5]), others) is None
    assert percentile.stop(curve(9, [9, 3.5]), others) is not None
    assert percentile.stop(curve(9, [9, 3.5]), others[:7]) is None


def test_percentile_compares_best_values_at_the_same_step() -> None:
    percentile = rule("percentile", percentile=50, min_steps=1, min_trials=1)
    other = curve(0, [5, 1, 9, 0])
    assert percentile.stop(curve(9, [3]), [other]) is None
    assert percentile.stop(curve(9, [3, 3]), [other]) is not None
    assert percentile.stop(curve(9, [3, 1]), [other]) is None


# --- asha ----------------------------------------------------------------------------------------


def test_asha_lets_the_best_third_of_a_rung_go_on() -> None:
    asha = rule("asha")
    assert asha.stop(curve(9, [5]), flat(1)) is None  # too few to be a rung
    assert asha.stop(curve(9, [1.5]), flat(1, 2)) is not None
    assert asha.stop(curve(9, [1.5]), flat(1, 2, 3)) is None
    assert asha.stop(curve(9, [2.5]), flat(1, 2, 3, 4)) is not None


def test_asha_judges_at_rungs_alone_and_once() -> None:
    asha, others = rule("asha"), flat(1, 2)
    assert asha.stop(curve(9, [5, 5]), others, judged=1) is None
    assert asha.stop(curve(9, [5, 5, 5]), others, judged=2) == (
        "2 of 2 others were better at step 3"
    )
    # Several steps at once: the rungs among them count.
    assert asha.stop(curve(9, [5] * 10), others, judged=1) is not None
    assert asha.stop(curve(9, [5] * 10), others, judged=9) is None


def test_asha_takes_the_value_of_the_rung() -> None:
    asha = rule("asha", min_steps=2, reduction_factor=2)
    assert asha.stop(curve(9, [9, 1, 9]), flat(2)) is None
    assert asha.stop(curve(9, [9, 3, 1]), flat(2)) is not None


# --- patience and threshold ----------------------------------------------------------------------


def test_patience_counts_steps_without_anything_better() -> None:
    patience = rule("patience", steps=3, min_delta=0.5)
    assert patience.stop(curve(0, [5, 4, 3.8, 3.7]), []) is None
    assert patience.stop(curve(0, [5, 4, 3.8, 3.7, 3.6]), []) == (
        "nothing better than 4 for 3 steps"
    )
    assert patience.stop(curve(0, [5, 4, 3.8, 3.7, 3.4]), []) is None
    late = rule("patience", steps=3, min_steps=9)
    assert late.stop(curve(0, [5] * 8), []) is None
    assert late.stop(curve(0, [5] * 9), []) is not None


def test_thresholds() -> None:
    both = rule("threshold", upper=2, lower=-2, min_steps=2)
    assert both.stop(curve(0, [3]), []) is None
    assert both.stop(curve(0, [3, 2]), []) is None
    assert both.stop(curve(0, [0, 3]), []) == "value 3 > 2"
    assert both.stop(curve(0, [0, -3]), []) == "value -3 < -2"


# --- by name -------------------------------------------------------------------------------------


def test_the_first_rule_that_says_stop_counts() -> None:
    rules = create(normalise({"threshold": {"upper": 9}, "patience": {"steps": 1}}))
    assert not rules.learn and create({"median": {}}).learn
    assert rules.stop(curve(0, [1, 10]), []) == Stopped("threshold", 2, "value 10 > 9")
    assert rules.stop(curve(0, [1, 2]), []) == Stopped(
        "patience", 2, "nothing better than 1 for 1 steps"
    )
    assert rules.stop(curve(0, [2, 1]), []) is None
    assert not create({}) and create({}).stop(curve(0, [1]), []) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, {}),
        ("none", {}),
        ("Median", {"median": {}}),
        ({"asha": None, "patience": {"steps": 3}}, {"asha": {}, "patience": {"steps": 3}}),
    ],
)
def test_spellings(written: object, meant: object) -> None:
    assert normalise(written) == meant  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"medain": {}}, "did you mean 'median'"),
        ({"qqqq": {}}, "there are: asha, median, patience, percentile, threshold"),
        ({"median": {"min_step": 3}}, "did you mean 'min_steps'"),
        ({"asha": {"reduction_factor": 1}}, "asha: reduction_factor must be a number above 1"),
        ({"median": {"min_trials": 0}}, "whole number of at least 1"),
        ({"percentile": {"percentile": 0}}, "above 0"),
        ({"threshold": {}}, "upper or a lower bound"),
        ({"threshold": {"upper": 1, "lower": 2}}, "of at least 2"),
        (["median"], "name of a rule"),
        ({"median": 3}, "name of a rule"),
    ],
)
def test_nonsense_is_refused(written: object, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        create(normalise(written))  # type: ignore[arg-type]


# --- what is to be maximised ---------------------------------------------------------------------


def test_where_high_values_are_better_the_low_ones_are_stopped() -> None:
    rules = create({"median": {"min_steps": 1, "min_trials": 3}}, maximize=True)
    others = flat(0.5, 0.6, 0.7)
    stopped = rules.stop(curve(9, [0.1, 0.1]), others)
    assert stopped is not None and stopped.rule == "median"
    assert rules.stop(curve(9, [0.9, 0.9]), others) is None


def test_bounds_are_those_of_the_values_as_they_were_reported() -> None:
    rules = create({"threshold": {"upper": 0.5}}, maximize=True)
    assert rules.stop(curve(9, [0.9]), []) is not None
    assert rules.stop(curve(9, [0.1]), []) is None
