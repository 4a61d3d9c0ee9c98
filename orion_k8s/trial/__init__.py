"""Trials and experiments: records, states and transitions. Knows no database."""

from __future__ import annotations

from orion_k8s.trial.curve import Curve, CurveBuilder, Stopped
from orion_k8s.trial.goal import Goal, Loss
from orion_k8s.trial.records import (
    Claim,
    ExperimentRecord,
    Row,
    TrialRecord,
    dump_values,
    identity_of,
    new_id,
    new_token,
)
from orion_k8s.trial.states import FINAL, RELEASED, WAITING, Status, advance, set_by_hand
from orion_k8s.trial.trial import Trial, nested

__all__ = [
    "FINAL",
    "RELEASED",
    "WAITING",
    "Claim",
    "Curve",
    "CurveBuilder",
    "ExperimentRecord",
    "Goal",
    "Loss",
    "Row",
    "Status",
    "Stopped",
    "Trial",
    "TrialRecord",
    "advance",
    "dump_values",
    "identity_of",
    "nested",
    "new_id",
    "new_token",
    "set_by_hand",
]
