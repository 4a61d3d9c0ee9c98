"""A worker's mirror of the shared history: columns to learn from, what to read, what to claim.

It is filled by reads of the rows that can have changed, and never asks for the whole history
twice. No clock
decides what is new, for a write that commits late carries an early time: the mirror asks for every
    number that it has not seen and that may exist (the gaps, and a window beyond the ends), and
    for every trial that is not finished. Finished trials change by a person's hand alone; then the
    experiment's generation changes and the mirror is rebuilt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from orion_k8s.trial import FINAL, Row, Status

if TYPE_CHECKING:
    from orion_k8s.space import Space

K = TypeVar("K")
V = TypeVar("V")

CODES = {status.value: code for code, status in enumerate(Status)}
"""Status → the code in the column `status`."""
ENDED = np.array([status in FINAL for status in Status])
"""Whether a status is an end, by its code: an array for the whole column."""

_STATUSES = tuple(Status)
_UNFINISHED = frozenset(
    s.value for s in (Status.NEW, Status.RESERVED, Status.INTERRUPTED, Status.SUSPENDED)
)
_MIN_WINDOW = 16
_MIN_CAPACITY = 64


def newest(noted: dict[K, V], since: int) -> Iterator[tuple[K, V]]:
    """Yield what a history noted after its first entries, the newest first; costs those alone.

    Args:
        noted: `History.decisions` or `History.parents`.
        since: how many entries are known.
    """
    return islice(reversed(noted.items()), len(noted) - since)


class History:
    """The trials of one experiment, as far as this worker has read them.

    Attributes:
        space: to turn values into points.
        ids: id of each trial, in the order of the columns.
        generation: of the experiment when the mirror was (re)built.
        width: how many objectives the experiment has.
        lowest: the lowest objective of a completed trial; infinite before the first.
    """

    def __init__(self, space: Space, generation: int = 0, objectives: int = 1) -> None:
        self.space = space
        self.generation = generation
        self.width = objectives
        self.lowest = np.inf
        self.ids: list[str] = []
        self.parents: dict[int, str] = {}
        self.decisions: dict[str, int] = {}
        self._index: dict[int, int] = {}
        self._values: list[str] = []
        self._number = np.zeros(_MIN_CAPACITY, dtype=np.int64)
        self._status = np.zeros(_MIN_CAPACITY, dtype=np.int8)
        self._objective = np.full(_MIN_CAPACITY, np.nan)
        self._losses = np.full((0, objectives), np.nan)
        self._fresh_losses: dict[int, str] = {}
        self._points = np.zeros((0, space.width))
        self._decoded = 0
        self._counts = [0] * len(_STATUSES)
        self._removed_inserted = 0
        self._inserted_values: dict[int, str] = {}
        self._by_status: dict[str, set[int]] = {status: set() for status in _UNFINISHED}
        self._held_by_person: set[int] = set()
        self._gaps: set[int] = set()
        self._highest = -1
        self._lowest = 0
        self._window = _MIN_WINDOW
        self._inserts_window = _MIN_WINDOW // 4
        self._known: set[str] = set()
        self._known_upto = 0

    # --- filling ---------------------------------------------------------------------------------

    def numbers_to_read(self) -> list[int]:
        """Return the numbers whose rows may be new or changed, for the incremental read.

        A worker claims among the first free numbers, so a number that exists has few free ones
        below it: an empty window beyond the highest number means that nothing is there.
        """
        numbers = [n for group in self._by_status.values() for n in group]
        numbers += self._gaps
        numbers += range(self._highest + 1, self._highest + 1 + self._window)
        numbers += range(self._lowest - self._inserts_window, self._lowest)
        return numbers

    def apply(self, rows: Iterable[Row]) -> bool:
        """Take in rows that were read.

        Returns:
            whether the windows were so full that more may lie beyond: read again.
        """
        highest, lowest = self._highest, self._lowest
        for row in rows:
            self._apply(row)
        new_above, new_below = self._highest - highest, lowest - self._lowest
        full = new_above > self._window // 2 or new_below >= self._inserts_window
        # The window follows the pace at which others claim between two reads of this worker.
        wanted = _MIN_WINDOW
        while wanted < 4 * new_above:
            wanted *= 2
        self._window = max(wanted, self._window // 2, _MIN_WINDOW)
        self._inserts_window = max(_MIN_WINDOW // 4, min(1024, 2 * new_below))
        return full

    def fill(self, rows: Iterable[Row]) -> None:
        """Take in the rows of the first read, which is whole: no window applies."""
        for row in rows:
            self._apply(row)

    def expect(self, number: int) -> None:
        """Take note that a number beyond the highest is taken, though its row was not read yet."""
        if number > self._highest:
            self._gaps.update(range(self._highest + 1, number + 1))
            self._highest = number

    def _apply(self, row: Row) -> None:
        number, status = row.number, row.status
        code = CODES[status]
        index = self._index.get(number)
        if index is None:
            index = len(self._values)
            if index == len(self._status):
                self._grow()
            self._index[number] = index
            self._values.append(row.values)
            self.ids.append(row.id)
            self._number[index] = number
            if row.parent is not None:
                self.parents[index] = row.parent
            if row.decision is not None:
                self.decisions[row.decision] = index
            if number < 0:
                if status != "removed":
                    self._inserted_values[number] = row.values
                self._lowest = min(self._lowest, number)
            elif number > self._highest:
                self._gaps.update(range(self._highest + 1, number))
                self._highest = number
            else:
                self._gaps.discard(number)
        else:
            before = int(self._status[index])
            if before == code:
                return
            self._counts[before] -= 1
            old = _STATUSES[before].value
            if old in _UNFINISHED:
                self._by_status[old].discard(number)
                self._held_by_person.discard(number)
        self._counts[code] += 1
        self._status[index] = code
        if status == "completed":
            objective = row.objective
            if objective is None:
                return
            self._objective[index] = objective
            if objective < self.lowest:
                self.lowest = objective
            if row.losses is not None:
                self._fresh_losses[index] = row.losses
        elif status in _UNFINISHED:
            self._by_status[status].add(number)
            if row.held_by == "person":
                self._held_by_person.add(number)
        elif number < 0:
            self._removed_inserted += status == "removed"

    def _grow(self) -> None:
        size = 2 * len(self._status)
        self._number = np.resize(self._number, size)
        self._status = np.resize(self._status, size)
        self._objective = np.concatenate([self._objective, np.full(size // 2, np.nan)])

    # --- counting --------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many trials are known, tombstones included."""
        return len(self._values)

    def count(self, *statuses: Status) -> int:
        """Return how many trials have one of these statuses."""
        return sum(self._counts[CODES[s.value]] for s in statuses)

    @property
    def counts(self) -> dict[Status, int]:
        """How many trials there are of each status."""
        return {s: self._counts[i] for i, s in enumerate(_STATUSES)}

    @property
    def inserted(self) -> int:
        """How many trials a person inserted (those removed again left out)."""
        return -self._lowest - self._removed_inserted

    @property
    def inserted_values(self) -> Iterable[str]:
        """The canonical texts of the points that a person inserted."""
        return self._inserted_values.values()

    def known_values(self) -> set[str]:
        """Return the canonical texts of all points that were tried, tombstones left out."""
        for index in range(self._known_upto, len(self._values)):
            if self._values[index]:
                self._known.add(self._values[index])
        self._known_upto = len(self._values)
        return self._known

    # --- claiming --------------------------------------------------------------------------------

    def limit(self, max_trials: int | None) -> int | None:
        """Return the bound below which numbers may be claimed (None: no bound).

        It counts the broken ones and the tombstones that this mirror knows. Both are final and
        were read at majority, so an old mirror can only set the bound too low: nobody goes too
        far, and in the end every number below it is filled.
        """
        if max_trials is None:
            return None
        removed = self._counts[CODES["removed"]] - self._removed_inserted
        return max_trials + self._counts[CODES["broken"]] + removed - self.inserted

    def free_numbers(self, choices: int, max_trials: int | None) -> list[int]:
        """Return the first `choices` numbers that are free and may be claimed, gaps first."""
        if max_trials is not None:
            gone = self.count(Status.BROKEN, Status.REMOVED)
            if len(self._values) - gone >= max_trials:
                return []
        limit = self.limit(max_trials)
        numbers = sorted(self._gaps)[:choices]
        beyond = count(self._highest + 1) if limit is None else range(self._highest + 1, limit)
        numbers += islice(beyond, choices - len(numbers))
        return numbers if limit is None else [n for n in numbers if n < limit]

    def with_status(self, status: Status) -> list[int]:
        """Return the numbers of the trials in an unfinished status, in order."""
        return sorted(self._by_status[status.value])

    @property
    def waiting(self) -> list[int]:
        """Numbers of the trials that a worker may reserve: interrupted ones, then new ones."""
        return [*self.with_status(Status.INTERRUPTED), *self.with_status(Status.NEW)]

    @property
    def held_by_person(self) -> list[int]:
        """Numbers of the trials that a person suspended."""
        return sorted(self._held_by_person)

    # --- columns ---------------------------------------------------------------------------------

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Number of each trial, (n,) int64; a view."""
        return self._number[: len(self._values)]

    @property
    def status(self) -> NDArray[np.int8]:
        """Status of each trial as a code of `CODES`, (n,) int8; a view."""
        return self._status[: len(self._values)]

    @property
    def objectives(self) -> NDArray[np.float64]:
        """Loss of each completed trial, NaN for the others, (n,) float64; a view.

        It is the objective where that is minimised, and the first of several; lower is better in
        any case (see `trial.goal`).
        """
        return self._objective[: len(self._values)]

    @property
    def losses(self) -> NDArray[np.float64]:
        """Losses of each completed trial, NaN for the others, (n, width) float64; a view."""
        if self.width == 1:
            return self.objectives[:, None]
        if len(self._values) > len(self._losses):
            grown = np.full((len(self._objective), self.width), np.nan)
            grown[: len(self._losses)] = self._losses
            self._losses = grown
        for index, text in self._fresh_losses.items():
            self._losses[index] = json.loads(text)
        self._fresh_losses.clear()
        return self._losses[: len(self._values)]

    @property
    def points(self) -> NDArray[np.float64]:
        """Points in unit-cube coordinates, (n, width) float64 in [0, 1], NaN for tombstones.

        Each point is decoded from its text once, when it is first asked for.
        """
        done, total = self._decoded, len(self._values)
        if done < total:
            texts = self._values[done:]
            fresh = np.full((len(texts), self.space.width), np.nan)
            present = [i for i, text in enumerate(texts) if text]
            if present:
                rows = json.loads("[" + ",".join(texts[i] for i in present) + "]")
                fresh[present] = self.space.encode([self.space.load(row) for row in rows])
            if total > len(self._points):
                # Doubled, so that one more row does not copy all that are there.
                size = max(total, 2 * len(self._points), _MIN_CAPACITY)
                grown = np.empty((size, self.space.width))
                grown[:done] = self._points[:done]
                self._points = grown
            self._points[done:total] = fresh
            self._decoded = total
        return self._points[:total]

    def values(self, index: int) -> tuple[Any, ...]:
        """Return the point of the trial at `index` of the columns as plain values."""
        return self.space.load(json.loads(self._values[index]))

    def text(self, index: int) -> str:
        """Return the canonical text of the point at `index` of the columns; "" of a tombstone."""
        return self._values[index]

    def index(self, number: int) -> int | None:
        """Return where in the columns the trial of that number is, or None."""
        return self._index.get(number)

    def best(self) -> tuple[int, float] | None:
        """Return (index, loss) of the completed trial with the lowest loss, or None."""
        if not self._counts[CODES["completed"]]:
            return None
        index = int(np.nanargmin(self.objectives))
        return index, float(self._objective[index])

    def reaches(self, thresholds: Sequence[float]) -> bool:
        """Whether a completed trial has no loss above its threshold; False without any."""
        if not thresholds:
            return False
        if self.width == 1:
            return bool(self.lowest <= thresholds[0])
        return bool((self.losses <= np.array(thresholds)).all(axis=1).any())

    def __iter__(self) -> Iterator[int]:
        """Iterate over the indexes of the columns."""
        return iter(range(len(self._values)))
