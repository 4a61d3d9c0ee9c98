"""A worker whose trials run in a DaskCluster: `python dask_worker.py SETTINGS` (as JSON).

Here, on a person's machine, or in a pod. The objective travels by value, as that of any script.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from typing import Any

from distributed.versions import VersionMismatchWarning

from orion_k8s import build_experiment

# Of the last digit of Python's version: the image's is not this machine's. Dask's client says so
# when it reaches a scheduler again, and an error there would be its end.
warnings.simplefilter("ignore", VersionMismatchWarning)


def objective(x: float, trial: Any, ledger: str, hold: bool) -> float:
    """Tell the ledger what happens, and wait for its flag."""
    import time
    import urllib.error
    import urllib.request

    def ask(path: str, data: bytes | None = None) -> None:
        urllib.request.urlopen(f"{ledger}/{path}", data, timeout=10).close()

    def note(what: str) -> None:
        ask("", f"{what} {trial.id} {trial.attempt}".encode())

    note("start")
    while hold:
        try:
            ask("go")
            break
        except urllib.error.HTTPError:
            time.sleep(0.2)
    note("end")
    return (x - 0.5) ** 2


def main(settings: dict[str, Any]) -> None:
    logging.basicConfig(format="%(name)s %(message)s")
    experiment = build_experiment(
        "e",
        space={"x": "uniform(0, 1)"},
        max_trials=settings["max_trials"],
        storage=settings["storage"],
        heartbeat=2,
    )
    arguments = {"ledger": settings["ledger"], "hold": settings["hold"]}
    with experiment.tmp_executor("dask-kubernetes", **settings["executor"]):
        experiment.workon(objective, trial_arg="trial", **arguments)
    left = set(threading.enumerate()) - {threading.main_thread()}
    assert not left, f"threads are left: {left}"
    completed = [t for t in experiment.fetch_trials() if t.status.value == "completed"]
    print("completed", len(completed), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
