"""Arguments that several executors take: how many slots, yes or no."""

from __future__ import annotations

from typing import Any

from orion_k8s.errors import ConfigurationError


def count_workers(n_workers: Any) -> int:
    """Return a number of slots: itself if it is positive, all cores for -1.

    The cores are those that this process may use (affinity, limits of its container).

    Raises:
        ConfigurationError: it is something else.
    """
    if isinstance(n_workers, int) and not isinstance(n_workers, bool):
        if n_workers > 0:
            return n_workers
        if n_workers == -1:
            from joblib import cpu_count

            return int(cpu_count())
    raise ConfigurationError(
        f"n_workers must be a positive integer, or -1 for all cores, not {n_workers!r}."
    )


def flag(name: str, value: Any) -> bool:
    """Return true or false of the configuration.

    Raises:
        ConfigurationError: it is something else.
    """
    if isinstance(value, bool):
        return value
    raise ConfigurationError(f"{name} must be true or false, not {value!r}.")
