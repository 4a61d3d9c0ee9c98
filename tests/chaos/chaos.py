"""A chaos run: a crew of workers, a plan of faults, and a judgement at the end."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from orion_k8s.errors import DatabaseError
from orion_k8s.storage.codec import LOST
from orion_k8s.trial import Status
from tests.chaos.backends import Backend
from tests.chaos.crew import EXPERIMENT, Crew, Worker
from tests.chaos.faults import Fault
from tests.chaos.ledger import Log, judge

HEARTBEAT_S = 1.0
START_S = 20.0
"""A worker may end for want of a database while it starts, and so long after an outage at most."""
DATABASE = frozenset({"lock", "crash", "cut", "stall"})
"""Faults of the database; the others are of one worker."""
SIGNALS = {
    "kill": signal.SIGKILL,
    "terminate": signal.SIGTERM,
    "interrupt": signal.SIGINT,
}
"""What ends a worker; the last two wait where it is stopped."""


@dataclass
class Run:
    """One chaos run.

    Attributes:
        crew: its workers.
        backend: their database.
        faults: the plan.
        slots: how many workers there are at any time.
        struck: kind → how many faults struck.
    """

    crew: Crew
    backend: Backend
    faults: list[Fault]
    slots: int
    struck: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make what the run keeps for itself."""
        self._workers: dict[int, Worker] = {}
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._away_until = 0.0
        self._together = math.inf
        self._rng = random.Random(len(self.faults))
        self._results, self._offset = 0, 0
        self._ended: Counter[str] = Counter()

    def run(self, limit_s: float) -> None:
        """Run it to its end.

        Args:
            limit_s: a run that takes longer hangs.
        """
        began = time.monotonic()
        if self.backend.watches:
            self.crew.init()
            self.backend.watch()
        # Otherwise they all make the experiment at once.
        for slot in range(self.slots):
            self._start(slot)
        self._due = list(self.faults)
        while self._workers or self._later:
            now = time.monotonic()
            if now - began > limit_s:
                self.wrong.append(f"the run hangs: {self._where()}")
                break
            if self.backend.away():
                self._away_until = now
            while self._later and self._later[0][0] <= now:
                heapq.heappop(self._later)[2]()
            self._reap()
            self._strike_next(now)
            time.sleep(0.02)
        self.seconds = time.monotonic() - began
        if self._due:
            self.wrong.append(f"{len(self._due)} faults did not strike")

    # --- workers ---------------------------------------------------------------------------------

    def _start(self, slot: int) -> None:
        # All kinds of workers: one slot or two, in threads or in processes of joblib.
        more = {2: ["--n-workers", "2"], 5: ["--executor", "joblib"]}.get(slot % 6, [])
        self._workers[slot] = self.crew.start(slot, more)

    def _reap(self) -> None:
        for slot, worker in list(self._workers.items()):
            code = worker.code()
            if code is None:
                continue
            del self._workers[slot]
            if code == 0:
                self._check_done(worker)
                self._ended["0, done"] += 1
                continue
            self._ended[f"{code}"] += 1
            if not self._may_end(worker, code):
                self.wrong.append(
                    f"worker {worker.output.name} ended with {code}: {worker.said()[-2000:]}"
                )
            self._after(self._rng.uniform(0.0, 0.3), partial(self._start, slot))

    def _may_end(self, worker: Worker, code: int) -> bool:
        if worker.ended_by_us is signal.SIGKILL:
            return code == -signal.SIGKILL
        if worker.ended_by_us is not None and code in (
            -worker.ended_by_us,  # before it had a handler
            128 + worker.ended_by_us,
        ):
            return True
        # A worker that starts while the database is away says so and ends.
        return code == DatabaseError.exit_code and self._away_until > worker.since - START_S

    def _check_done(self, worker: Worker) -> None:
        """A worker that says that the experiment is done must be right."""
        if self.backend.away():
            return
        with self.backend.storage() as storage:
            (record,) = storage.experiments(EXPERIMENT)
            completed = storage.counts(record.id)[Status.COMPLETED]
        if completed < self.crew.max_trials:
            self.wrong.append(f"{worker.output.name} ended at {completed} trials: {worker.said()}")

    # --- faults ----------------------------------------------------------------------------------

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), act))

    def _strike_next(self, now: float) -> None:
        """Let the next fault strike when enough results are there, or with the last one."""
        if not self._due:
            return
        fault = self._due[0]
        if (self.results() >= fault.due or now >= self._together) and self._strike(fault):
            del self._due[0]
            self.struck[fault.kind] += 1
            self._together = now + 0.3 if fault.with_next else math.inf

    def _strike(self, fault: Fault) -> bool:
        """Let a fault strike; return whether it could."""
        if fault.kind in DATABASE:
            if self.backend.away() and fault.kind in ("lock", "crash"):
                return False  # one at a time
            self.backend.strike(fault)
            self._after(fault.seconds, lambda: self.backend.heal(fault))
            return True
        worker = self._target(fault)
        if worker is not None:
            self._strike_worker(fault, worker)
        return worker is not None

    def _target(self, fault: Fault) -> Worker | None:
        for step in range(self.slots):
            worker = self._workers.get((fault.slot + step) % self.slots)
            if worker is None or worker.code() is not None or worker.ended_by_us is not None:
                continue
            if worker.stopped and fault.kind == "stop":
                continue
            # Before it says a word it may be Python that still starts, and that answers SIGINT
            # with a traceback which nobody can catch.
            if fault.kind == "interrupt" and not worker.said():
                continue
            if fault.kind != "shift" or self.crew.shifts(worker.slot):
                return worker
        return None

    def _strike_worker(self, fault: Fault, worker: Worker) -> None:
        if fault.kind in SIGNALS:
            worker.send(SIGNALS[fault.kind])
        elif fault.kind == "shift":
            self.crew.shift(worker.slot, fault.hours)
        else:
            worker.send(signal.SIGSTOP)
            self._after(fault.seconds, lambda: worker.send(signal.SIGCONT))

    # --- what is known ---------------------------------------------------------------------------

    def results(self) -> int:
        """Return how many results programs have written so far."""
        if self.crew.log.exists():
            with open(self.crew.log, "rb") as file:
                file.seek(self._offset)
                fresh = file.read()
            self._offset += len(fresh)
            self._results += fresh.count(b'"event": "written"')
        return self._results

    def _where(self) -> str:
        with self.backend.storage() as storage:
            (record,) = storage.experiments(EXPERIMENT)
            counts = {str(s): n for s, n in storage.counts(record.id).items() if n}
        said = "".join(
            f"\n--- {worker.output.name}, pid {worker.pid}\n{worker.said()[-1500:]}"
            for worker in self._workers.values()
        )
        return f"{counts}, {self.results()} results, {dict(self.struck)}{said}"

    def judged(self) -> list[str]:
        """Return all that is wrong at the end."""
        wrong = list(self.wrong)
        wrong += [f"left over: {pid} {words}" for pid, words in self.crew.left_over()]
        for worker in self.crew.started:
            if "Traceback" in (said := worker.said()):
                wrong.append(f"{worker.output.name}: {said[-3000:]}")
        log = Log.read(self.crew.log)
        with self.backend.storage() as storage:
            (record,) = storage.experiments(EXPERIMENT)
            wrong += judge(storage, record, log)
            told = {trial.id: trial for trial in storage.trials(record.id)}
        raw = self.backend.raw()
        for row in raw:
            trial = told.get(row["id"])
            if trial is None or (row["status"], row.get("objective"), row["token"]) != (
                trial.status.value,
                trial.objective,
                trial.token,
            ):
                wrong.append(f"the storage tells {trial}, the database holds {row}")
        if len(raw) != len(told):
            wrong.append(f"the storage tells of {len(told)} trials, the database of {len(raw)}")
        wrong += self.backend.seen()
        stories = [entry for trial in told.values() for entry in trial.story]
        self.summary = (
            f"{sum(t.status is Status.COMPLETED for t in told.values())} completed, "
            f"{sum(t.status is Status.BROKEN for t in told.values())} broken, "
            f"{sum(self.struck.values())} faults {dict(sorted(self.struck.items()))}, "
            f"{sum(e['status'] == 'interrupted' for e in stories)} requeued "
            f"({sum(str(e['reason']).startswith(LOST) for e in stories)} leases lost), "
            f"{sum(map(len, log.started.values()))} runs of the program, "
            f"{sum(log.written.values())} results written, "
            f"{self._refused()} refused, "
            f"{len(self.crew.started)} workers ({dict(sorted(self._ended.items()))}), "
            f"{self.seconds:.0f} s"
        )
        return wrong

    def _refused(self) -> int:
        said = "".join(worker.said() for worker in self.crew.started)
        return len(re.findall("its result is refused|its end is not written", said))
