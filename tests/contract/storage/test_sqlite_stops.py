"""A process that is stopped between two statements holds no lock of the SQLite file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from orion_k8s.storage.sqlite import SQLite
from orion_k8s.testing.storage.setting import LONG_S, RESULTS, claim_of, lease_of, record_of

WORKER = """
import os, signal, sys
from orion_k8s.storage import sqlite_connection
from orion_k8s.storage.sqlite import SQLite
from orion_k8s.testing.storage.curves import curve_of
from orion_k8s.testing.storage.setting import LONG_S, RESULTS, claim_of, lease_of
from orion_k8s.trial import Status

original = sqlite_connection.Connection._run

def stopping(self, sql, parameters):
    try:
        return original(self, sql, parameters)
    finally:
        os.kill(os.getpid(), signal.SIGSTOP)

sqlite_connection.Connection._run = stopping
storage, experiment = SQLite(sys.argv[1]), sys.argv[2]
first, second = claim_of(1), claim_of(2)
storage.claim(experiment, first, LONG_S)
storage.claim(experiment, claim_of(1), LONG_S)  # refused: it reads back why
storage.read(experiment, [0, 1, 2])
storage.renew([lease_of(first)], LONG_S)
storage.write_curves([(lease_of(first), curve_of(1))])
list(storage.read_curves(experiment, {1: 0}))
storage.requeue_lost(experiment, 3)
storage.complete(lease_of(first), 1.0, RESULTS)
storage.claim(experiment, second, 0.0)
storage.requeue_lost(experiment, 3)
storage.reserve(experiment, 2, "token", "worker", LONG_S)
list(storage.read_all(experiment))
list(storage.trials(experiment))
"""


def test_a_worker_stopped_after_any_statement_delays_nobody(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    record = record_of()
    # Whoever had to wait for the stopped process would run into this.
    with SQLite(path, busy_s=0.0) as storage:
        storage.setup()
        storage.create_experiment(record)
        worker = subprocess.Popen([sys.executable, "-c", WORKER, str(path), record.id])
        stops = 0
        try:
            while True:
                _, status = os.waitpid(worker.pid, os.WUNTRACED)
                if not os.WIFSTOPPED(status):
                    worker.returncode = os.waitstatus_to_exitcode(status)
                    break
                stops += 1
                claim = claim_of(100 + stops)
                assert storage.claim(record.id, claim, LONG_S) == frozenset()
                storage.complete(lease_of(claim), 1.0, RESULTS)
                os.kill(worker.pid, signal.SIGCONT)
        finally:
            if worker.returncode is None:
                worker.kill()
                worker.wait()
        assert worker.returncode == 0
        assert stops >= 15
