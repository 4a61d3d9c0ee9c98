"""Algorithms: pure functions from the history to the next point, one file each."""

from __future__ import annotations

from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion, Wait

__all__ = ["Algorithm", "Finished", "Suggestion", "Wait"]
