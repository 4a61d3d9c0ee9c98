"""`report`: tell the worker how far a running program has come, from a script of any language.

A script runs it once a step, so it starts fast: what is usually typed is read here, with nothing
imported (`quick`). All else (help, mistakes) is the command line's own business.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

STOP = "stop"
GO_ON = "continue"


def quick(words: Sequence[str]) -> int | None:
    """Run the command and return its exit code; None, with nothing done, for unusual words."""
    value: float | None = None
    step: float | None = None
    metrics = {}
    rest = iter(words)
    try:
        for word in rest:
            if word == "--step":
                step = float(next(rest))
            elif word == "--metric":
                name, _, text = next(rest).partition("=")
                metrics[name] = float(text)
            elif value is None:
                value = float(word)
            else:
                return None
    except (StopIteration, ValueError):
        return None
    if value is None and words:
        return None
    return tell(value, step, metrics)


def tell(value: float | None, step: float | None, metrics: dict[str, float]) -> int:
    """Report, print whether to stop, and return the exit code.

    Args:
        value: None to ask only.
        step: None for the next one.
        metrics: beside the value.
    """
    from orion_k8s.client.report import report_step, should_stop

    if value is not None:
        if not math.isfinite(value):
            print(f"orion-k8s: {value} is no finite number: passed over", file=sys.stderr)
        report_step(_plain(value), None if step is None else _plain(step), metrics)
    print(STOP if should_stop() else GO_ON)
    return 0


def _plain(number: float) -> float:
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
