"""Which of several trials are best where there are several losses: fronts, and room on a front.

A point dominates another that is worse in one loss and better in none. The points that no other
dominates are the first front; without these, the next ones are the second front, and so on.

Source: K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, "A fast and elitist multiobjective genetic
algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6, 2002,
doi:10.1109/4235.996017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_BLOCK = 256


def front(losses: FloatArray) -> NDArray[np.bool_]:
    """Return which points no other dominates, (n,) bool.

    It goes through the points in an order in which none is dominated by a later one, so each is
    compared with the front alone.

    Args:
        losses: (n, k) float64, all finite.
    """
    found = np.zeros(len(losses), dtype=bool)
    best = np.empty((0, losses.shape[1]))
    order = np.lexsort(losses.T[::-1])
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        rows = losses[block]
        block = block[~_dominated(rows, best)]
        rows = losses[block]
        kept = ~_dominated(rows, rows)
        found[block[kept]] = True
        best = np.vstack([best, rows[kept]])
    return found


def ranks(losses: FloatArray) -> IntArray:
    """Return the front of each point, 0 for the first, (n,) int.

    Args:
        losses: (n, k) float64, all finite; every two are compared, so n should be some hundreds.
    """
    better = _dominate(losses, losses)
    left = better.sum(axis=0)
    found = np.full(len(losses), -1, dtype=np.intp)
    rank = 0
    while (found < 0).any():
        now = (found < 0) & (left == 0)
        found[now] = rank
        left = left - better[now].sum(axis=0)
        rank += 1
    return found


def crowding(losses: FloatArray) -> FloatArray:
    """Return how much room each point of a front has, (n,) float64: infinite at its ends.

    It is the sum over the losses of the distance between the two neighbours, in units of the
    front's extent.

    Args:
        losses: (n, k) float64, all finite.
    """
    room = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        extent = float(column[order[-1]] / 2 - column[order[0]] / 2)  # halves: it may overflow
        room[order[[0, -1]]] = np.inf
        if extent > 0:
            room[order[1:-1]] += (column[order[2:]] / 2 - column[order[:-2]] / 2) / extent
    return room


def best_first(losses: FloatArray, ties: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Return an order by front and then by room on it, with the front and the room of each point.

    Args:
        losses: (n, k) float64, all finite.
        ties: decides between points that are alike in both, (n,) int.

    Returns:
        (n,) int, the best first; (n,) int and (n,) float64 in the order of `losses`.
    """
    fronts = ranks(losses)
    room = np.zeros(len(losses))
    for rank in range(int(fronts.max(initial=-1)) + 1):
        members = np.flatnonzero(fronts == rank)
        room[members] = crowding(losses[members])
    return np.lexsort((ties, -room, fronts)), fronts, room


def _dominate(these: FloatArray, those: FloatArray) -> NDArray[np.bool_]:
    """Return whether each of these dominates each of those, (n, m) bool."""
    one, other = these[:, None], those[None]
    return np.asarray((one <= other).all(axis=2) & (one < other).any(axis=2), dtype=bool)


def _dominated(these: FloatArray, by: FloatArray) -> NDArray[np.bool_]:
    return np.asarray(_dominate(by, these).any(axis=0), dtype=bool)
