"""What a hunt says at its end: how the experiment stands, its best trial, what to type next."""

from __future__ import annotations

import json
import logging
import shlex
import time
from collections.abc import Iterator
from typing import Any

from orion_k8s.cli import json_log
from orion_k8s.cli.logs import SAID, drop_stdout
from orion_k8s.cli.options import Given
from orion_k8s.cli.progress import duration
from orion_k8s.config import redact
from orion_k8s.history import History
from orion_k8s.history.pareto import front
from orion_k8s.trial import ExperimentRecord, Status
from orion_k8s.trial.goal import INFEASIBLE
from orion_k8s.worker import Idle, Worker

log = logging.getLogger(__name__)


class Summary:
    """The end of a hunt. It reads the worker's mirror alone: the database may be away.

    Args:
        record: the experiment as it was when the worker began.
        given: what was typed; the next commands need the same.

    Attributes:
        worker: set as soon as it is known.
    """

    def __init__(self, record: ExperimentRecord, given: Given) -> None:
        self.record = record
        self.given = given
        self.worker: Worker | None = None
        self._since = time.monotonic()

    def show(self, end: BaseException | None) -> None:
        """Print it, unless it is to be quiet.

        Args:
            end: what ended the worker; None where it ended by itself.
        """
        if self.given.quiet or self.worker is None:
            return
        if json_log.wanted():
            self._log(self.worker, end)
            return
        try:
            print("\n".join(self.lines(self.worker, end)), flush=True)
        except BrokenPipeError:  # the exit code must tell of the experiment, not of who listens
            drop_stdout()

    def _log(self, worker: Worker, end: BaseException | None) -> None:
        data: dict[str, Any] = {"completed": worker.report.completed, "best": None}
        points = worker.claimer.points()
        best = points.best()
        if best is not None:
            index, loss = best
            data["best"] = {
                "trial": points.ids[index],
                "number": int(points.numbers[index]),
                "objective": worker.claimer.goal.value(loss),
                "params": worker.claimer.space.params(points.values(index)),
            }
        text = self._standing(worker, worker.claimer.record or self.record, end)
        log.log(SAID, text, extra={"data": data})

    def lines(self, worker: Worker, end: BaseException | None) -> Iterator[str]:
        """Yield the lines."""
        history = worker.claimer.history
        record = worker.claimer.record or self.record
        yield self._standing(worker, record, end)
        points = worker.claimer.points()
        best = points.best()
        if best is not None:
            yield from self._best(worker, points, *best)
        running = history.count(Status.RESERVED)
        if running:
            count = "1 trial runs" if running == 1 else f"{running} trials run"
            yield f"{count} still, in other workers."
        yield f"Folder: {record.working_dir}"
        yield "Next:"
        yield from (f"    {line}" for line in self._next(record, worker.report.idle))

    def _standing(
        self, worker: Worker, record: ExperimentRecord, end: BaseException | None
    ) -> str:
        history, report = worker.claimer.history, worker.report
        completed, broken = history.count(Status.COMPLETED), history.count(Status.BROKEN)
        of = "" if record.max_trials is None else f" of {record.max_trials}"
        if end is not None:
            word = "Ended"
        elif report.idle in (Idle.DONE, Idle.GOAL, Idle.USED_UP):
            word = "Done"
        else:
            word = "This worker is done"
        why = f" ({report.reason})" if report.reason else ""
        failed = f", {broken} broken" if broken else ""
        took = duration(time.monotonic() - self._since)
        return (
            f"{word}{why}: {completed}{of} trials completed{failed};"
            f" {report.completed} by this worker in {took}."
        )

    def _best(self, worker: Worker, history: History, index: int, loss: float) -> Iterator[str]:
        if history.width > 1:
            good = history.losses[(history.losses <= INFEASIBLE).all(axis=1)]
            yield f"Best: {int(front(good).sum())} trials that no other beats in all objectives"
            return
        which = f"trial {history.ids[index]} (number {history.numbers[index]})"
        value = worker.claimer.goal.value(loss)
        if value is None:
            yield f"Best: none that breaks no constraint; the nearest is {which}"
        else:
            yield f"Best: {value:.10g}, {which}"
        params = worker.claimer.space.params(history.values(index))
        width = max(map(len, params), default=0)
        for name, value in params.items():
            yield f"    {name:<{width}} = {show_value(value)}"

    def _next(self, record: ExperimentRecord, idle: Idle | None) -> Iterator[str]:
        which = self._which(record)
        lines = [(f"orion-k8s status {which}", "how the trials stand")]
        hunt = f"orion-k8s hunt {which}"
        if idle is Idle.DONE:
            lines.append((f"{hunt} --max-trials {(record.max_trials or 0) + 20}", "go on"))
        elif idle is Idle.GOAL:
            lines.append((f"{hunt} --goal none", "go on"))
        elif idle is Idle.BROKEN:
            lines.append((f"{hunt} --max-broken {record.max_broken + 3}", "go on"))
        elif idle not in (Idle.USED_UP, Idle.REMOVED):
            lines.append((hunt, "one more worker, here or elsewhere"))
        width = max(len(line) for line, _ in lines)
        for line, why in lines:
            yield f"{line:<{width}}  # {why}"

    def _which(self, record: ExperimentRecord) -> str:
        words = ["-n", record.name]
        if self.given.options.get("experiment.version") is not None or record.version > 1:
            words += ["-v", str(record.version)]
        url = self.given.options.get("storage.url")
        if url:
            words += ["--storage", str(redact(url))]
        if self.given.config:
            words += ["-c", self.given.config]
        return shlex.join(words)


def show_value(value: Any) -> str:
    """Return a parameter's value as a person reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
