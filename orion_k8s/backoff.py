"""How long to wait before the next try of something that is away."""

from __future__ import annotations

import random


class Backoff:
    """Growing waits with full jitter, so that many workers don't come back in step.

    Args:
        first_s: the longest first wait.
        longest_s: the longest wait of all.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self.first_s = first_s
        self.longest_s = longest_s
        self.reset()

    def reset(self) -> None:
        """Begin anew with short waits."""
        self._bound = self.first_s

    def next(self) -> float:
        """Return how many seconds to wait now."""
        bound = self._bound
        self._bound = min(2 * bound, self.longest_s)
        return random.uniform(0.5 * bound, bound)
