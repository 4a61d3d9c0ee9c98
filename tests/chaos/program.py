"""The program that the chaos runs tune, and its log, which tells what it did in truth.

It starts fast and imports nothing of the product. Each line of the log is one append of one write,
on the disk before the program goes on.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from typing import Any

COMMAND_PRIORS = (
    "-x~uniform(-5, 5)",
    "--count~uniform(1, 1000, discrete=True)",
    "--kind~choices(['a', 'b', 'c'])",
)

BREAKS_EVERY = 41
"""A trial whose count is a multiple of this fails, each time that it runs."""


def objective(x: float, count: int, kind: str) -> float:
    """Return what a trial of these parameters measures: always the same, to the last bit."""
    return (x - 1.25) ** 2 + count / 1024 + ord(kind) / 7


def breaks(count: int) -> bool:
    """Whether a trial fails by its parameters."""
    return count % BREAKS_EVERY == 0


def sleep(seconds: float) -> None:
    """Sleep, also where libfaketime breaks `time.sleep`: see faked/sitecustomize.py."""
    select.select([], [], [], seconds)


END_S = 0.3
"""How long the program takes to end itself when it is asked to."""


def main(log: str, mean_ms: str, *words: str) -> int:
    """Run one attempt: start, sleep, compute, write the result. End in order on SIGTERM."""
    given = dict(zip(words[::2], words[1::2], strict=True))
    x, count, kind = float(given["-x"]), int(given["--count"]), given["--kind"]
    trial, attempt = os.environ["ORION_TRIAL_ID"], int(os.environ["ORION_TRIAL_ATTEMPT"])
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def tell(event: str, **facts: Any) -> None:
        line = {"event": event, "trial": trial, "attempt": attempt, "pid": os.getpid(), **facts}
        os.write(descriptor, (json.dumps(line) + "\n").encode())
        os.fsync(descriptor)

    def end(*_: Any) -> None:
        sleep(END_S)  # as one that saves its checkpoint
        tell("ended", time=time.monotonic())
        os._exit(1)

    signal.signal(signal.SIGTERM, end)
    params = {"x": x, "count": count, "kind": kind}
    tell("started", params=params)
    # From 1/4 to 7/4 of the mean, and another time at each attempt.
    spread = (count * 7919 + attempt * 104729) % 997 / 997
    sleep(float(mean_ms) / 1000 * (0.25 + 1.5 * spread))
    if breaks(count):
        tell("failed")
        print("this trial fails by its parameters", file=sys.stderr)
        return 3
    value = objective(x, count, kind)
    tell("computed", params=params, objective=value)
    with open(os.environ["ORION_RESULTS_PATH"], "w") as file:
        json.dump([{"name": "loss", "type": "objective", "value": value}], file)
    tell("written")
    if count % 3 == 0:  # so that some are ended when their result is there
        sleep(0.2)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
