"""Masterless hyperparameter optimisation: identical workers that meet only in a shared history.

The public names are imported when they are first used: `import orion_k8s` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orion_k8s.client import (
        ExperimentClient,
        build_experiment,
        get_experiment,
        interrupt_trial,
        report_bad_trial,
        report_objective,
        report_results,
        should_stop,
        workon,
    )
    from orion_k8s.errors import (
        BrokenExperiment,
        CompletedExperiment,
        InvalidResult,
        LazyWorkers,
        OrionError,
        UnsupportedOperation,
        WaitingForTrials,
    )
    from orion_k8s.space import Space
    from orion_k8s.trial import Status, Trial

__version__ = "0.1.0"

_HOMES = {
    "client": (
        "ExperimentClient",
        "build_experiment",
        "get_experiment",
        "interrupt_trial",
        "report_bad_trial",
        "report_objective",
        "report_results",
        "should_stop",
        "workon",
    ),
    "errors": (
        "BrokenExperiment",
        "CompletedExperiment",
        "InvalidResult",
        "LazyWorkers",
        "OrionError",
        "UnsupportedOperation",
        "WaitingForTrials",
    ),
    "space": ("Space",),
    "trial": ("Status", "Trial"),
}

__all__ = [
    "BrokenExperiment",
    "CompletedExperiment",
    "ExperimentClient",
    "InvalidResult",
    "LazyWorkers",
    "OrionError",
    "Space",
    "Status",
    "Trial",
    "UnsupportedOperation",
    "WaitingForTrials",
    "__version__",
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
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
