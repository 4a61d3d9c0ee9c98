"""Which executor a call of `workon` uses, and who closes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from orion_k8s.client.settings import Settings
from orion_k8s.executor import Executor
from orion_k8s.executor.registry import create_executor
from orion_k8s.executor.share import Share
from orion_k8s.executor.workers import count_workers

log = logging.getLogger(__name__)

Make = Callable[[int | None], Executor]
"""Makes an executor of so many slots; None leaves it to the executor, or to an outer context."""


class Executors:
    """The executors of one client.

    Args:
        settings: name and arguments of the default one, which is made for each call of `workon`.
        own: one that the person gave; it is left open.
    """

    def __init__(self, settings: Settings, own: Executor | None = None) -> None:
        self._settings = settings
        self._own = own
        self._make: Make | None = None if own is not None else self._default

    @property
    def own(self) -> Executor | None:
        """The executor that is open now; None where each call of `workon` makes its own."""
        return self._own

    @contextmanager
    def use(self, n_workers: int | None) -> Iterator[Executor]:
        """Give an executor that runs up to `n_workers` calls at once; None for what it has.

        One that was only named is made anew where it has too few slots; one that the person made
        is used as it is.
        """
        wanted = None if n_workers is None else count_workers(n_workers)
        own = self._own
        if own is not None and (wanted is None or self._make is None or wanted <= own.slots()):
            yield _part(own, wanted)
            return
        assert self._make is not None
        with self._make(n_workers) as made:
            yield _part(made, wanted)

    @contextmanager
    def temporarily(
        self, executor: str | Executor, n_workers: int | None, configuration: dict[str, Any]
    ) -> Iterator[None]:
        """Use another executor in a `with` block: one that is left open, or a name."""
        before = self._own, self._make
        if isinstance(executor, Executor):
            self._own, self._make = executor, None
            try:
                yield
            finally:
                self._own, self._make = before
            return

        def make(n_workers: int | None) -> Executor:
            return create_executor(executor, n_workers, **configuration)

        with make(n_workers) as made:
            self._own, self._make = made, make
            try:
                yield
            finally:
                self._own, self._make = before

    def _default(self, n_workers: int | None) -> Executor:
        arguments = dict(self._settings.executor_configuration or {})
        configured = arguments.pop("n_workers", self._settings.n_workers)
        return create_executor(
            self._settings.executor, configured if n_workers is None else n_workers, **arguments
        )


def _part(executor: Executor, wanted: int | None) -> Executor:
    """Return the executor, or a part of it where it has more slots than are wanted."""
    if wanted is None or wanted == executor.slots():
        return executor
    if wanted < executor.slots():
        return Share(executor, wanted)
    log.warning(
        "the executor %s has %d slots, not %d: so many trials run at once",
        executor.name,
        executor.slots(),
        wanted,
    )
    return executor
