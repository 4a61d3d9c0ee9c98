"""The columnar mirror of the shared history that algorithms read."""

from __future__ import annotations

from orion_k8s.history.mirror import CODES, History

__all__ = ["CODES", "History"]
