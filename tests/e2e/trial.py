"""A trial's program in the tests on a cluster: `python trial.py WHAT X`.

It tells the ledger what it does, does WHAT, and reports X through the file of orion-k8s that
stands alone, as a person's image may have it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def ask(path: str, data: str | None = None) -> None:
    body = None if data is None else data.encode()
    for _ in range(50):
        try:
            urllib.request.urlopen(f"http://ledger:8000/{path}", body, timeout=5).close()
            return
        except urllib.error.HTTPError:
            raise
        except OSError:  # the first moments of a pod's network
            time.sleep(0.1)
    raise SystemExit("the ledger does not answer")


def note(what: str) -> None:
    ask("", f"{what} {os.environ['ORION_TRIAL_ID']} {os.environ['ORION_TRIAL_ATTEMPT']}")


def hold(flag: str) -> None:
    while True:
        try:
            ask(flag)
            return
        except urllib.error.HTTPError:
            time.sleep(0.1)


def main(what: str, x: float) -> None:
    from report import interrupt_trial, report_objective, report_results

    note("start")
    print("x is", x, flush=True)
    first = os.environ["ORION_TRIAL_ATTEMPT"] == "1"
    if what == "hold":
        hold("go")
    elif what == "hold-first" and first:
        signal.signal(signal.SIGTERM, lambda *_: (note("term"), sys.exit(1)))
        hold("go")
    elif what == "save":  # leaves its result when it is told to end
        signal.signal(signal.SIGTERM, lambda *_: (note("term"), report_objective(x), sys.exit(0)))
        hold("go")
    elif what == "memory":
        _ = b"x" * (256 << 20)
    elif what == "fail":
        sys.exit("this is why")
    elif what == "again" and first:
        note("again")
        interrupt_trial()
    elif what == "big":
        report_results(
            [
                {"name": "loss", "type": "objective", "value": x},
                {"name": "much", "type": "statistic", "value": "m" * 5000},
            ]
        )
        return
    elif what == "none":
        return
    elif what == "long":
        time.sleep(600)
    note("end")
    report_objective(x)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[-1]))
