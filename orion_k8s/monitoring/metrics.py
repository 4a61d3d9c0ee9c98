"""A worker's metrics in Prometheus' words, taken from its own mirror when somebody asks.

Trials and the best objective are the whole experiment's, as this worker knows it; the rest is this
worker's own. Nothing is asked of the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from orion_k8s.trial import Status
from orion_k8s.worker.timing import BOUNDS_S, Timing

if TYPE_CHECKING:
    from orion_k8s.worker import Worker

LABELS = ("experiment", "version")


def families(worker: Worker) -> Iterator[Any]:
    """Yield the metrics of a worker, as `prometheus_client` has them.

    Args:
        worker: that runs, or ran.
    """
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    claimer, heart, report, tally = (
        worker.claimer,
        worker.heart,
        worker.report,
        worker.claimer.tally,
    )
    record, history = claimer.record, claimer.history
    if record is None:  # the experiment was removed
        return
    labels = (record.name, str(record.version))

    def gauge(name: str, help: str, value: float) -> Any:
        family = GaugeMetricFamily(f"orion_{name}", help, labels=LABELS)
        family.add_metric(labels, value)
        return family

    def counter(name: str, help: str, value: float) -> Any:
        family = CounterMetricFamily(f"orion_{name}", help, labels=LABELS)
        family.add_metric(labels, value)
        return family

    trials = GaugeMetricFamily(
        "orion_trials", "Trials of the experiment by status.", labels=(*LABELS, "status")
    )
    for status in Status:
        trials.add_metric((*labels, status.value), history.count(status))
    yield trials
    if record.max_trials is not None:
        wanted = "Completed trials that end the experiment."
        yield gauge("max_trials", wanted, record.max_trials)
    best = claimer.points(follow=False).best()
    value = claimer.goal.value(best[1]) if best else None
    if value is not None:
        told = "Best objective so far, as it was reported."
        family = GaugeMetricFamily("orion_best_objective", told, labels=(*LABELS, "direction"))
        family.add_metric((*labels, claimer.goal.direction), value)
        yield family

    yield gauge("running", "Trials that this worker runs now.", len(worker.running))
    yield gauge("slots", "Trials that this worker can run at once.", worker.executor.slots())
    ended = CounterMetricFamily(
        "orion_ended", "Trials that ended in this worker, by ending.", labels=(*LABELS, "ending")
    )
    for ending in ("completed", "broken", "interrupted"):
        ended.add_metric((*labels, ending), getattr(report, ending))
    yield ended
    yield counter("busy_seconds", "Seconds that trials ran in this worker.", report.busy_s)

    yield counter("claims", "Inserts of new trials that were tried.", tally.claims)
    collisions = "Inserts that failed because another worker was first."
    yield counter("collisions", collisions, tally.collisions)
    yield counter("history_reads", "Reads of what is new in the history.", tally.reads)
    yield counter("history_rebuilds", "Reads of the whole history.", tally.rebuilds)
    yield counter("requeues", "Lost trials that this worker found and gave back.", heart.requeued)
    age = "Seconds since the leases were renewed; twice the heartbeat loses them."
    yield gauge("lease_age_seconds", age, heart.age_s())
    yield gauge("database_up", "Whether the database answered when last asked.", heart.well)
    suggest = "Seconds that the algorithm took for a suggestion."
    yield _histogram("suggest_seconds", suggest, tally.suggest, labels)
    yield _histogram("claim_seconds", "Seconds that an insert took.", tally.claim, labels)


def _histogram(name: str, help: str, timing: Timing, labels: Iterable[str]) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(f"orion_{name}", help, labels=LABELS)
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    family.add_metric(
        list(labels),
        list(zip(bounds, accumulate(timing.counts), strict=True)),
        sum_value=timing.total_s,
    )
    return family
