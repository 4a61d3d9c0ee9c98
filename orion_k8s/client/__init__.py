"""What a person's program uses: helpers to report results, and experiments in Python.

Names are imported when they are first used: a trial's program that only reports its objective
starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orion_k8s.client.build import build_experiment, get_experiment, workon
    from orion_k8s.client.experiment import ExperimentClient
    from orion_k8s.client.report import (
        interrupt_trial,
        report_bad_trial,
        report_objective,
        report_results,
        should_stop,
    )
    from orion_k8s.client.settings import Settings
    from orion_k8s.client.stats import Stats
    from orion_k8s.client.suggested import SuggestedTrial

_HOMES = {
    "build_experiment": "build",
    "get_experiment": "build",
    "workon": "build",
    "ExperimentClient": "experiment",
    "Settings": "settings",
    "Stats": "stats",
    "SuggestedTrial": "suggested",
    "interrupt_trial": "report",
    "report_bad_trial": "report",
    "report_objective": "report",
    "report_results": "report",
    "should_stop": "report",
}

__all__ = [
    "ExperimentClient",
    "Settings",
    "Stats",
    "SuggestedTrial",
    "build_experiment",
    "get_experiment",
    "interrupt_trial",
    "report_bad_trial",
    "report_objective",
    "report_results",
    "should_stop",
    "workon",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
