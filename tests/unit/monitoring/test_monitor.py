"""What a worker tells by HTTP, asked as a kubelet and Prometheus ask."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orion_k8s import build_experiment
from orion_k8s.client import ExperimentClient
from orion_k8s.errors import ConfigurationError, MissingExtra
from orion_k8s.executor.single import Single
from orion_k8s.monitoring import Monitor
from orion_k8s.worker import FunctionTask, Limits, Worker


@pytest.fixture
def experiment(tmp_path: Path) -> Iterator[ExperimentClient]:
    path = str(tmp_path / "history.db")
    with build_experiment(
        "e", space={"x": "uniform(0, 1)"}, max_trials=5, max_broken=9, storage=path
    ) as client:
        yield client


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with Monitor(0) as monitor:
        yield monitor


def ask(monitor: Monitor, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{monitor.port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def run(experiment: ExperimentClient, monitor: Monitor, breaks: int = 0) -> Worker:
    """Run a worker to its end, watched by the monitor."""
    calls: list[float] = []

    def objective(x: float) -> float:
        calls.append(x)
        if len(calls) <= breaks:
            raise ValueError("it does not work")
        return x

    def watch(worker: Worker) -> None:
        monitor.worker = worker

    experiment.run_worker(FunctionTask(objective), Single(), Limits(), on_change=watch)
    assert monitor.worker is not None
    return monitor.worker


def samples(monitor: Monitor) -> dict[str, float]:
    """Return name and what distinguishes → value of all metrics of the experiment."""
    status, text = ask(monitor, "/metrics")
    assert status == 200
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert (labels.pop("experiment"), labels.pop("version")) == ("e", "1")
            found[" ".join([sample.name, *labels.values()])] = sample.value
    return found


def test_before_there_is_a_worker(monitor: Monitor) -> None:
    assert ask(monitor, "/livez") == (200, "ok\n")
    assert ask(monitor, "/readyz") == (503, "The worker has not begun to work.\n")
    assert samples(monitor) == {}
    assert ask(monitor, "/")[0] == 404


def test_the_metrics_of_a_worker(experiment: ExperimentClient, monitor: Monitor) -> None:
    run(experiment, monitor, breaks=2)
    assert ask(monitor, "/readyz") == (200, "ok\n")
    found = samples(monitor)
    assert found["orion_trials completed"] == found["orion_max_trials"] == 5
    assert found["orion_trials broken"] == found["orion_ended_total broken"] == 2
    assert found["orion_trials reserved"] == found["orion_running"] == 0
    assert found["orion_ended_total completed"] == 5
    assert found["orion_claims_total"] == found["orion_claim_seconds_count"] == 7
    assert found["orion_suggest_seconds_bucket +Inf"] == found["orion_suggest_seconds_count"] == 7
    assert 0 < found["orion_claim_seconds_sum"] < 60
    assert found["orion_collisions_total"] == found["orion_requeues_total"] == 0
    assert found["orion_database_up"] == 1
    best = min(t.objective for t in experiment.fetch_trials() if t.objective is not None)
    assert found["orion_best_objective minimize"] == best


def test_a_heart_that_beats_no_more(experiment: ExperimentClient, monitor: Monitor) -> None:
    worker = run(experiment, monitor)
    assert ask(monitor, "/livez")[0] == 200
    worker.heart.last_beat -= 1e6  # the database is away: no reason to start anew
    assert ask(monitor, "/livez")[0] == 200
    assert samples(monitor)["orion_lease_age_seconds"] > 1e6 - 60
    worker.heart.last_try -= 1e6
    assert ask(monitor, "/livez") == (503, "The worker's heart does not beat.\n")
    assert ask(monitor, "/readyz")[0] == 503


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"The metrics port {port} cannot be had"):
            Monitor(port)


def test_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtra, match=r"pip install 'orion-k8s\[k8s\]'"):
        Monitor(0)


def test_ipv6_is_served_where_there_is_any(monitor: Monitor) -> None:
    try:
        connection = socket.create_connection(("::1", monitor.port), timeout=20)
    except OSError:
        assert not socket.has_dualstack_ipv6() or not Path("/proc/net/if_inet6").exists()
        return
    with connection:
        connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.0 200")
