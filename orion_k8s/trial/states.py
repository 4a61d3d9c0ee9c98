"""The life of a trial, as one pure table."""

from __future__ import annotations

from enum import Enum

from orion_k8s.errors import InvalidTransition


class Status(str, Enum):
    """Where a trial stands. The values are the words that the database holds."""

    NEW = "new"
    RESERVED = "reserved"
    INTERRUPTED = "interrupted"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    BROKEN = "broken"
    REMOVED = "removed"
    """A tombstone: the trial is gone, its number is never used again."""

    def __str__(self) -> str:
        return self.value


WAITING = frozenset({Status.NEW, Status.INTERRUPTED})
"""A worker may reserve these at once."""

FINAL = frozenset({Status.COMPLETED, Status.BROKEN, Status.REMOVED})
"""These change by a person's hand alone (`db set`, `db rm`)."""

RELEASED = frozenset({Status.INTERRUPTED, Status.SUSPENDED, Status.BROKEN})
"""What an owner may release a trial to."""

TRANSITIONS: dict[str, tuple[frozenset[Status], Status]] = {
    # verb: (from one of, to)
    "reserve": (WAITING, Status.RESERVED),
    "complete": (frozenset({Status.RESERVED, Status.INTERRUPTED}), Status.COMPLETED),
    "release": (frozenset({Status.RESERVED}), Status.INTERRUPTED),
    "suspend": (frozenset({Status.RESERVED}), Status.SUSPENDED),
    "break": (frozenset({Status.RESERVED}), Status.BROKEN),
    "requeue": (frozenset({Status.RESERVED}), Status.INTERRUPTED),
    "give up": (frozenset({Status.RESERVED}), Status.BROKEN),
    "resume": (frozenset({Status.SUSPENDED}), Status.INTERRUPTED),
}
"""What workers do. `complete` takes an interrupted trial too: a lease that ran out in an outage
is still its owner's until somebody reserves the trial anew (the token decides)."""

BY_HAND: dict[Status, frozenset[Status]] = {
    Status.NEW: frozenset({Status.SUSPENDED, Status.BROKEN, Status.REMOVED}),
    Status.RESERVED: frozenset({Status.INTERRUPTED, Status.REMOVED}),
    Status.INTERRUPTED: frozenset({Status.SUSPENDED, Status.BROKEN, Status.REMOVED}),
    Status.SUSPENDED: frozenset({Status.INTERRUPTED, Status.BROKEN, Status.REMOVED}),
    Status.COMPLETED: frozenset({Status.REMOVED}),
    Status.BROKEN: frozenset({Status.INTERRUPTED, Status.SUSPENDED, Status.REMOVED}),
    Status.REMOVED: frozenset(),
}
"""What a person may do with `db set`, `db release` and `db rm`."""


def advance(status: Status, verb: str, story: str = "") -> Status:
    """Return the status that `verb` leads to.

    Args:
        status: where the trial stands.
        verb: one of `TRANSITIONS`.
        story: what happened to the trial so far, for the error.

    Raises:
        InvalidTransition: the verb does not apply to that status.
    """
    allowed, target = TRANSITIONS[verb]
    if status not in allowed:
        wanted = " or ".join(sorted(s.value for s in allowed))
        raise InvalidTransition(
            f"Cannot {verb} a trial that is {status}: it would have to be {wanted}.{_told(story)}"
        )
    return target


def set_by_hand(status: Status, target: Status, story: str = "") -> Status:
    """Return `target` if a person may move a trial there from `status`.

    Raises:
        InvalidTransition: that move makes no sense.
    """
    if target not in BY_HAND[status]:
        allowed = ", ".join(sorted(s.value for s in BY_HAND[status])) or "nothing"
        raise InvalidTransition(
            f"A trial that is {status} cannot be set to {target}, only to: {allowed}."
            f"{_told(story)}"
        )
    return target


def _told(story: str) -> str:
    return f" Its story: {story}" if story else ""
