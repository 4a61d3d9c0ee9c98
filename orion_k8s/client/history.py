"""Open the shared history that a configuration names, and wait for one that is away."""

from __future__ import annotations

import logging
import time

from orion_k8s.backoff import Backoff
from orion_k8s.config import Configuration
from orion_k8s.errors import AuthenticationFailed, DatabaseUnavailable
from orion_k8s.storage import Storage
from orion_k8s.storage.url import open_storage

log = logging.getLogger(__name__)

LOGIN_WAIT_S = 60.0
"""A database that was just started may not have its users yet; a wrong password stays wrong."""


def open_history(configuration: Configuration, setup: bool = True) -> Storage:
    """Return the shared history, set up; the caller closes it.

    Args:
        configuration: says where it is, and how long to wait for it (`storage.wait`).
        setup: make what is missing and check the schema.

    Raises:
        ConfigurationError: it names no storage.
        DatabaseError: it can't be used; or it stayed away for longer than one waits.
    """
    storage = open_storage(**configuration.storage())
    if setup:
        try:
            _set_up(storage, configuration.value("storage.wait"))
        except BaseException:
            storage.close()
            raise
    return storage


def _set_up(storage: Storage, wait_s: float) -> None:
    began = time.monotonic()
    backoff: Backoff | None = None
    while True:
        try:
            storage.setup()
        except (DatabaseUnavailable, AuthenticationFailed) as error:
            longest_s = wait_s
            if isinstance(error, AuthenticationFailed):
                longest_s = min(wait_s, LOGIN_WAIT_S)
            left = began + longest_s - time.monotonic()
            if left <= 0:
                raise
            if backoff is None:
                backoff = Backoff(0.5, 5.0)
                log.warning("the database is away, trying again: %s", error)
            time.sleep(min(backoff.next(), left))
        else:
            if backoff is not None:
                log.warning("the database is there after %.1f s", time.monotonic() - began)
            return
