"""The shared history: its contract and its backends."""

from __future__ import annotations

from orion_k8s.storage.base import Conflict, Held, Lease, Overview, Storage

__all__ = ["Conflict", "Held", "Lease", "Overview", "Storage"]
