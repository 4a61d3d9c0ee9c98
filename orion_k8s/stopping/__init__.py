"""Rules that stop a running trial early, by what it and others reported. Know no database."""

from __future__ import annotations

from orion_k8s.stopping.base import Rule
from orion_k8s.stopping.registry import Rules, create, normalise

__all__ = ["Rule", "Rules", "create", "normalise"]
