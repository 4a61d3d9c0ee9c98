"""Finding the unit that decodes to a value, where a formula's inverse is off by some bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orion_k8s.space.plain import FloatArray

_ONE = int(np.float64(1.0).view(np.int64))
_NEAR = 16


def exact_units(
    decode: Callable[[FloatArray], NDArray[Any]],
    guess: FloatArray,
    targets: NDArray[Any],
    tolerance: float = 0.0,
) -> FloatArray:
    """Return units in [0, 1] that decode to the targets, starting from guesses.

    Args:
        decode: not decreasing; (n,) float64 in [0, 1] → (n,) numbers.
        guess: (n,) float64, near the units sought.
        targets: (n,) numbers.
        tolerance: how far, relatively, a guess may be from its target; 0 for exactness.

    Returns:
        (n,) float64; where no unit decodes to the target, one that comes as near as any tried.
    """
    units: FloatArray = np.clip(guess, 0.0, 1.0)
    decoded = decode(units)
    wrong = np.flatnonzero(decoded != targets)
    if tolerance and wrong.size:
        off = np.abs(decoded[wrong] - targets[wrong])
        wrong = wrong[~(off <= tolerance * np.abs(targets[wrong]))]
    if not wrong.size:
        return units
    trial, now = units[wrong], decoded[wrong]
    for _ in range(3):  # most are off by one bit
        trial = np.nextafter(trial, np.where(now < targets[wrong], 1.0, 0.0))
        now = decode(trial)
        right = now == targets[wrong]
        units[wrong[right]] = trial[right]
        wrong, trial, now = wrong[~right], trial[~right], now[~right]
        if not wrong.size:
            return units
    found = _bisect(decode, targets[wrong])
    off_found = np.abs(decode(found) - targets[wrong])
    nearer = off_found < np.abs(decoded[wrong] - targets[wrong])
    units[wrong[nearer]] = found[nearer]
    return units


def _bisect(decode: Callable[[FloatArray], NDArray[Any]], targets: NDArray[Any]) -> FloatArray:
    # The floats of [0, 1] are ordered as the integers of the same bits are.
    low = np.full(targets.shape, -1, dtype=np.int64)
    high = np.full(targets.shape, _ONE, dtype=np.int64)
    while True:
        open_ = high - low > 1
        if not open_.any():
            break
        middle = low + (high - low) // 2
        below = decode(np.maximum(middle, 0).view(np.float64)) < targets
        low = np.where(open_ & below, middle, low)
        high = np.where(open_ & ~below, middle, high)
    units: FloatArray = high.view(np.float64).copy()
    ok = decode(units) == targets
    if not ok.all():  # exp() may step back by a bit here and there: look around
        for step in (s * d for d in range(1, _NEAR) for s in (1, -1)):
            near = np.clip(high + step, 0, _ONE).view(np.float64)
            right = ~ok & (decode(near) == targets)
            units[right] = near[right]
            ok |= right
    return units
