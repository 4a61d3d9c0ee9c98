"""The columnar mirror of the shared history that algorithms read."""

from __future__ import annotations

from orion_k8s.history.mirror import CODES, ENDED, History, newest

__all__ = ["CODES", "ENDED", "History", "newest"]
