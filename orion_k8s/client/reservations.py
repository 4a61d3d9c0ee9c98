"""The trials that a person's own suggest-and-observe loop holds, and their way back."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable

from orion_k8s.errors import OrionError
from orion_k8s.storage import Lease, Storage
from orion_k8s.trial import ExperimentRecord, Status
from orion_k8s.worker import Heart

log = logging.getLogger(__name__)


class Reservations:
    """Reservations of this process, renewed until they are dropped, given back at the end.

    The end is `close()`, that of the program, or that of the last reference to this object.

    Args:
        storage: the shared history.
        experiment: id of the experiment.
        heartbeat_s: seconds between heartbeats.
        max_lost: a trial lost so often becomes broken.
        on_record: called from another thread with the experiment's record, None where it is gone.
        owned: whether the storage is closed at the end.
    """

    def __init__(
        self,
        storage: Storage,
        experiment: str,
        heartbeat_s: float,
        max_lost: int,
        on_record: Callable[[ExperimentRecord | None], None],
        owned: bool,
    ) -> None:
        # The heart's thread must not refer to this object, or it would live for ever.
        self._heart = Heart(
            storage, experiment, heartbeat_s, max_lost, on_record=on_record, on_fatal=_tell
        )
        self.unwell = self._heart.unwell
        self._owned = owned
        self._last = weakref.finalize(self, _end_in_thread, self._heart, owned)
        self._last.atexit = False  # there, no thread can be started: `_end_all` does it
        if owned:
            _remember(self)

    def hold(self, lease: Lease) -> None:
        """Renew this lease from now on."""
        _remember(self)
        self._heart.hold(lease)
        self._heart.start()

    def drop(self, lease: Lease) -> None:
        """Renew this lease no more."""
        self._heart.drop(lease)

    def holds(self, lease: Lease) -> bool:
        """Whether this lease is renewed here."""
        return lease in self._heart.leases()

    def heard_lately(self) -> bool:
        """Whether the experiment's record was read within the last heartbeat."""
        return time.monotonic() - self._heart.last_beat <= self._heart.heartbeat_s

    def close(self) -> None:
        """Give back what is held and end the heartbeat. Twice is content; it may be used again."""
        _end(self._heart, self._owned)

    def forget(self) -> None:
        """Leave everything to the parent: this is a forked child's copy."""
        self._last.detach()
        _living.discard(self)


_living: weakref.WeakSet[Reservations] = weakref.WeakSet()
_registered = False


def _remember(reservations: Reservations) -> None:
    global _registered
    _living.add(reservations)
    if not _registered:
        # Only now, when a storage is open: what is registered later is called earlier.
        _registered = True
        atexit.register(_end_all)


def _end_all() -> None:
    for reservations in list(_living):
        reservations.close()


def _end_in_thread(heart: Heart, owned: bool) -> None:
    # The garbage collector may have interrupted the storage's own code, with its locks held, and
    # in the heart's own thread: nothing can be waited for here.
    thread = threading.Thread(target=_end, args=(heart, owned), name="orion-give-back")
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending: `_end_all` was there before
        pass


def _end(heart: Heart, owned: bool) -> None:
    """Release what is still held, with one try each: their leases run out anyhow."""
    heart.stop()
    for lease in heart.leases():
        heart.drop(lease)
        try:
            heart.storage.release(lease, Status.INTERRUPTED, "the client was closed")
        except OrionError as error:
            log.warning("trial %s was not released: %s", lease.trial, error)
    if owned:
        heart.storage.close()


def _tell(error: OrionError) -> None:
    log.error("the heartbeat ended, reservations will run out: %s", error)
