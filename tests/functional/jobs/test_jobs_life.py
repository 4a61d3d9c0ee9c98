"""How attempts end, on a stand-in for an API server."""

from __future__ import annotations

import pytest

from orion_k8s.executor import Ending
from orion_k8s.executor.kubernetes import attempt as attempts
from orion_k8s.testing.executor.probes import until
from tests.functional.jobs.apiserver import ApiServer
from tests.functional.jobs.making import RESULT, Jobs, outcome, pod, result


def test_a_trial_costs_two_requests(server: ApiServer, jobs: Jobs) -> None:
    server.on_pod = lambda made: server.end_pod(made["metadata"]["name"], 0, RESULT)
    executor = jobs.make(4)
    until(lambda: server.requests["WATCH", "jobs"] and server.requests["WATCH", "pods"])
    before = sum(server.requests.values())
    futures = [executor.submit(jobs.run(f"t{number}")) for number in range(20)]
    assert [result(future).objective for future in futures] == [0.5] * 20
    assert server.requests["POST", "jobs"] == server.requests["LOG", "pods"] == 20
    assert sum(server.requests.values()) - before == 40
    assert len(server.all("jobs")) == 20  # they are left to be looked at


def test_what_a_pod_leaves_is_kept(server: ApiServer, jobs: Jobs) -> None:
    future = jobs.make().submit(jobs.run())
    server.log = b"first\nlast\xff\n"
    server.end_pod(pod(server), 3)
    ended = result(future)
    assert (ended.kind, ended.exit_code) == ("broken", 3)
    assert ended.reason == "The program ended with exit code 3.\nfirst\nlast\ufffd"
    assert (jobs.folder / "a/attempt-1/log.txt").read_bytes() == server.log


@pytest.mark.parametrize(
    ("code", "message", "kind", "words"),
    [
        (0, RESULT, "completed", ""),
        (0, "", "broken", "exited 0 without a result"),
        (0, RESULT.replace("0.5", "NaN"), "broken", "nan"),
        (0, "x" * 4096, "broken", "more than the 4096 bytes"),
        (0, "x" * 4095, "broken", "is not JSON"),
        (130, RESULT, "interrupted", "asked for it"),
        (1, RESULT, "broken", "exit code 1"),
        (137, "", "broken", "SIGKILL (out of memory?)"),
        (139, "", "broken", "SIGSEGV"),
    ],
)
def test_verdicts_are_those_of_local_programs(
    code: int, message: str, kind: str, words: str, server: ApiServer, jobs: Jobs
) -> None:
    future = jobs.make().submit(jobs.run())
    server.end_pod(pod(server), code, message)
    ended = result(future)
    assert ended.kind == kind
    assert words in ended.reason


def test_the_interrupt_code_may_look_like_a_signal(server: ApiServer, jobs: Jobs) -> None:
    future = jobs.make().submit(jobs.run(interrupt_code=143))
    server.end_pod(pod(server), 143)
    assert result(future).asked


def test_a_disrupted_pod_is_lost_unless_it_left_a_result(server: ApiServer, jobs: Jobs) -> None:
    executor = jobs.make()
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    for trial, message, ending in (("a", "", Ending.LOST), ("b", RESULT, Ending.RETURNED)):
        future = executor.submit(jobs.run(trial))
        name = pod(server)
        server.set_pod(name, conditions=[condition])
        server.end_pod(name, 143, message)
        assert outcome(future).ending is ending
        until(lambda: server.all("jobs") == [], "its Job is deleted")


def test_a_loss_is_followed_by_a_rest(server: ApiServer, jobs: Jobs) -> None:
    executor = jobs.make(2)
    assert executor.slots() == 2
    future = executor.submit(jobs.run())
    server.remove("pods", pod(server))
    lost = outcome(future)
    assert (lost.ending, lost.reason) == (Ending.LOST, "its pod was deleted")
    assert executor.slots() == 0
    until(lambda: executor.slots() == 2, "it tries again")


def test_a_job_that_somebody_deletes_before_it_has_a_pod(server: ApiServer, jobs: Jobs) -> None:
    future = jobs.make(queue="q").submit(jobs.run())
    until(lambda: server.all("jobs"))
    server.remove("jobs", server.all("jobs")[0]["metadata"]["name"])
    assert outcome(future).reason == "its Job was deleted"


def test_a_node_under_pressure_for_the_third_time(server: ApiServer, jobs: Jobs) -> None:
    executor = jobs.make()
    endings = []
    for attempt in (1, 2, 3):
        future = executor.submit(jobs.run("a", attempt))
        name = pod(server)
        server.set_pod(name, reason="Evicted", message="low on resource: memory")
        server.end_pod(name, 137)
        endings.append(outcome(future).ending)
    assert endings == [Ending.LOST, Ending.LOST, Ending.RETURNED]
    assert result(future).kind == "broken"
    assert "low on resource: memory" in result(future).reason


def test_a_node_that_does_not_answer(
    server: ApiServer, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LEAVE_S", 0.2)
    server.stubborn = True
    future = jobs.make().submit(jobs.run())
    name = pod(server)
    server.run_pod(name)
    server.delete("pods", name, {"gracePeriodSeconds": 0.1})
    assert outcome(future).ending is Ending.LOST
    assert "does not answer" in outcome(future).reason
    server.stubborn = False


def test_a_burst_of_losses_is_one(server: ApiServer, jobs: Jobs) -> None:
    """Ten trials on a node that is drained do not make the worker rest for minutes."""
    executor = jobs.make(10)
    futures = [executor.submit(jobs.run(f"t{number}")) for number in range(10)]
    until(lambda: len(server.all("pods")) == 10)
    for found in server.all("pods"):
        server.remove("pods", found["metadata"]["name"])
    assert {outcome(future).ending for future in futures} == {Ending.LOST}
    until(lambda: executor.slots() == 10, deadline_s=3.0)


@pytest.mark.parametrize(("code", "kind"), [(1, "broken"), (130, "interrupted")])
def test_a_job_that_is_deleted_because_it_has_ended(
    code: int, kind: str, server: ApiServer, jobs: Jobs
) -> None:
    """With a short time to live its deletion is seen together with its end."""
    future = jobs.make().submit(jobs.run())
    name = pod(server)
    with server._changed:
        server.end_pod(name, code)
        server.delete("pods", name, {})
    assert result(future).kind == kind
