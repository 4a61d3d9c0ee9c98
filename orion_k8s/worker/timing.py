"""How long something takes, counted in classes of duration, for whoever watches a worker."""

from __future__ import annotations

import time
from bisect import bisect_left

BOUNDS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds of the classes; one more has no bound."""


class Timing:
    """Times the blocks of a `with` statement. For one thread.

    Attributes:
        counts: how many fell into each class.
        total_s: seconds of all together.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        seconds = time.perf_counter() - self._began
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds
