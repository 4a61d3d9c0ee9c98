"""Layered configuration: one table of options, six levels, and who said what."""

from __future__ import annotations

from orion_k8s.config.configuration import Configuration, Level, Row, Source, resolve
from orion_k8s.config.options import OPTIONS, Option
from orion_k8s.config.redact import redact

__all__ = [
    "OPTIONS",
    "Configuration",
    "Level",
    "Option",
    "Row",
    "Source",
    "redact",
    "resolve",
]
