"""Attempts of a trial never meet, and a Job never outlives its worker's pod."""

from __future__ import annotations

import time

import pytest

from orion_k8s.executor import Ending
from orion_k8s.executor.kubernetes import takeover
from orion_k8s.testing.executor.probes import until
from tests.functional.jobs.apiserver import ApiServer
from tests.functional.jobs.making import RESULT, Jobs, outcome, pod, result


def test_an_older_attempt_is_gone_first(server: ApiServer, jobs: Jobs) -> None:
    """Of another worker that was killed, with its program still running."""
    first, second = jobs.make(), jobs.make()
    first.submit(jobs.run("a", 1))
    server.run_pod(pod(server))
    server.stubborn = True
    future = second.submit(jobs.run("a", 2))
    until(lambda: "deletionTimestamp" in server.all("jobs")[0]["metadata"], "it is deleted")
    time.sleep(0.2)
    assert [job["metadata"]["labels"]["orion-k8s/attempt"] for job in server.all("jobs")] == ["1"]
    server.stubborn = False
    [old] = server.all("pods")
    server.end_pod(old["metadata"]["name"], 143)
    server.remove("pods", old["metadata"]["name"])
    server.remove("jobs", server.all("jobs")[0]["metadata"]["name"])
    until(lambda: len(server.all("pods")) == 1, "now the next one runs")
    assert server.all("pods")[0]["metadata"]["labels"]["orion-k8s/attempt"] == "2"
    server.end_pod(pod(server), 0, RESULT)
    assert result(future).kind == "completed"


def test_an_older_attempt_on_a_dead_node_is_not_waited_for_without_end(
    server: ApiServer,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(takeover, "LEAVE_S", 0.1)
    first, second = jobs.make(), jobs.make()
    first.submit(jobs.run("a", 1, grace_s=0.1))
    server.run_pod(pod(server))
    server.stubborn = True
    future = second.submit(jobs.run("a", 2))
    until(lambda: len(server.all("pods")) == 2, "the next one runs")
    assert "its node does not answer" in caplog.text
    server.end_pod(server.all("pods")[1]["metadata"]["name"], 0, RESULT)
    assert result(future).kind == "completed"
    server.stubborn = False
    server.delete("pods", server.all("pods")[0]["metadata"]["name"], {})


def test_a_later_attempt_is_left_alone(server: ApiServer, jobs: Jobs) -> None:
    """A worker that slept too long does not end the Job of its successor."""
    late, successor = jobs.make(), jobs.make()
    running = successor.submit(jobs.run("a", 3))
    server.run_pod(pod(server))
    lost = outcome(late.submit(jobs.run("a", 2)))
    assert (lost.ending, lost.reason) == (Ending.LOST, "a later attempt of it is under way")
    server.end_pod(pod(server), 0, RESULT)
    assert result(running).kind == "completed"


def test_a_job_that_was_made_though_nobody_was_told(server: ApiServer, jobs: Jobs) -> None:
    server.lose_replies = 1
    future = jobs.make().submit(jobs.run())
    server.end_pod(pod(server), 0, RESULT)
    assert result(future).kind == "completed"
    assert len(server.all("jobs")) == 1


def test_a_job_of_the_same_name_that_is_not_ours(server: ApiServer, jobs: Jobs) -> None:
    first, second = jobs.make(), jobs.make()
    lost = first.submit(jobs.run("a", 1))
    old = pod(server)
    server.run_pod(old)
    future = second.submit(jobs.run("a", 1))
    assert outcome(lost).ending is Ending.LOST
    until(lambda: len(server.all("pods")) == 1)
    server.end_pod(pod(server), 0, RESULT)
    assert result(future).kind == "completed"


@pytest.mark.parametrize(
    ("environment", "owned"),
    [
        ({"POD_NAME": "worker-0", "POD_NAMESPACE": "default"}, True),
        ({"HOSTNAME": "worker-0", "POD_NAMESPACE": "default", "POD_UID": "u1"}, True),
        ({"POD_NAME": "worker-0", "POD_NAMESPACE": "default", "POD_UID": "other"}, False),
        ({"POD_NAME": "worker-1", "POD_NAMESPACE": "default"}, False),
        ({"POD_NAME": "worker-0", "POD_NAMESPACE": "elsewhere"}, False),
        ({"HOSTNAME": "worker-0"}, False),
    ],
)
def test_a_job_belongs_to_its_workers_pod(
    environment: dict[str, str],
    owned: bool,
    server: ApiServer,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only to one that this cluster knows: the Jobs of any other would be deleted."""
    for name in ("POD_NAME", "POD_NAMESPACE", "POD_UID", "HOSTNAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    server.add_pod({"metadata": {"name": "worker-0", "uid": "u1"}, "status": {}})
    jobs.make(queue="q").submit(jobs.run())
    until(lambda: server.all("jobs"))
    owners = server.all("jobs")[0]["metadata"].get("ownerReferences")
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "worker-0", "uid": "u1"}
    assert owners == ([owner] if owned else None)
