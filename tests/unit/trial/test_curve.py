from __future__ import annotations

import math

import pytest

from orion_k8s.trial import Curve, CurveBuilder, Stopped
from orion_k8s.trial.curve import METRICS_LIMIT


def test_a_curve_up_to_a_step() -> None:
    curve = Curve(3, 1, 3, (1, 2, 5), (4.0, 2.0, 3.0))
    assert (curve.value_at(0), curve.best_at(0), curve.mean_at(0)) == (None, None, None)
    assert (curve.value_at(4.5), curve.best_at(4.5), curve.mean_at(4.5)) == (2.0, 2.0, 3.0)
    assert (curve.value_at(9), curve.best_at(9), curve.mean_at(9)) == (3.0, 2.0, 3.0)
    assert list(curve) == [(1, 4.0), (2, 2.0), (5, 3.0)] and curve.last_step == 5
    assert Curve(3, 1).last_step == -math.inf


def test_the_mean_of_huge_values() -> None:
    assert Curve(0, 1, 3, (1, 2, 3), (1e308, 1e308, 1e308)).mean_at(3) == pytest.approx(1e308)
    assert Curve(0, 1, 2, (1, 2), (1e308, -1e308)).mean_at(2) == 0.0


def test_a_repeated_step_replaces_and_an_earlier_one_is_not_taken() -> None:
    builder = CurveBuilder(0, 1)
    assert builder.add(1, 5.0, {"a": 1.0}) and builder.add(2, 4.0, {"b": 2.0})
    assert builder.add(2, 3.0) and not builder.add(1.5, 9.0)
    curve = builder.curve()
    assert (curve.steps, curve.values, curve.count) == ((1, 2), (5.0, 3.0), 3)
    assert curve.metrics == {"a": (1.0, None), "b": (None, None)}


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    builder = CurveBuilder(0, 1, limit=10)
    for step in range(10_000):
        builder.add(step, -step, {"twice": 2 * step})
        curve = builder.curve()
        assert len(curve) <= 10 and curve.steps[-1] == step
    assert curve.count == 10_000
    assert curve.values == tuple(-step for step in curve.steps)
    assert curve.metrics == {"twice": tuple(2 * step for step in curve.steps)}


def test_metrics_are_bounded() -> None:
    builder = CurveBuilder(0, 1)
    for step in range(50):
        builder.add(step, 0.0, {f"metric {step}": 1.0})
    assert len(builder.curve().metrics) == METRICS_LIMIT


def test_a_later_attempt_has_a_higher_revision() -> None:
    last = Curve(0, 1, 2**40).revision
    assert Curve(0, 1, 1).revision < Curve(0, 1, 2).revision < last < Curve(0, 2, 0).revision
    assert Curve(0, 2**30, 2**40).revision < 2**63


def test_that_a_trial_was_stopped_is_one_of_its_results() -> None:
    stopped = Stopped("median", 3, "worse")
    results = [{"name": "loss", "type": "objective", "value": 1.0}, stopped.result()]
    assert Stopped.of(results) == stopped
    assert Stopped.of(results[:1]) is None
    assert Stopped.of([{"name": Stopped.RESULT, "type": "statistic", "value": {"step": "x"}}]) is (
        None
    )
