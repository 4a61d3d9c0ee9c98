"""Who is compared, and how figures of many seeds become one with an interval."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.quality.crew import Optuna, Ours

TUNERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "tpe": (Ours, {"name": "tpe"}),
    "tpe, multivariate=false": (Ours, {"name": "tpe", "multivariate": False}),
    "Optuna TPE": (Optuna, {"sampler": "TPESampler"}),
    "Optuna TPE, multivariate=False": (Optuna, {"sampler": "TPESampler", "multivariate": False}),
    "gp": (Ours, {"name": "gp"}),
    "turbo": (Ours, {"name": "turbo"}),
    "cmaes": (Ours, {"name": "cmaes"}),
    "de": (Ours, {"name": "de"}),
    "random": (Ours, {"name": "random"}),
}


def interval(
    figures: list[float], middle: Callable[..., Any] = np.median
) -> tuple[float, float, float]:
    """Return the median (or mean) and its 95 % interval by the bootstrap (10,000 resamples)."""
    values = np.array(figures)
    dice = np.random.default_rng(zlib.crc32(values.tobytes()))
    resampled = middle(dice.choice(values, (10_000, len(values))), axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(middle(values)), float(low), float(high)
