"""Attempts that are cancelled."""

from __future__ import annotations

from typing import Any

from orion_k8s.executor import Ending
from orion_k8s.testing.executor.probes import until
from tests.functional.jobs.apiserver import ApiServer
from tests.functional.jobs.making import RESULT, Jobs, begin, outcome, pod, result


def test_cancel_ends_the_pod(server: ApiServer, jobs: Jobs) -> None:
    future = jobs.make().submit(jobs.run())
    server.run_pod(pod(server))
    future.cancel(3.0)
    assert result(future).kind == "interrupted"
    assert server.all("pods") == server.all("jobs") == []


def test_a_result_that_a_cancelled_program_leaves_counts(server: ApiServer, jobs: Jobs) -> None:
    server.stubborn = True
    executor = jobs.make()
    future = executor.submit(jobs.run())
    name = pod(server)
    begin(server, executor, name)
    future.cancel(7.0)
    until(lambda: "deletionTimestamp" in server.all("pods")[0]["metadata"])
    assert server.all("pods")[0]["metadata"]["deletionGracePeriodSeconds"] == 7
    server.end_pod(name, 0, RESULT)
    assert result(future).kind == "completed"
    server.stubborn = False
    server.delete("pods", name, {})


def test_a_second_cancel_shortens_the_grace(server: ApiServer, jobs: Jobs) -> None:
    server.stubborn = True
    executor = jobs.make()
    future = executor.submit(jobs.run())
    name = pod(server)
    begin(server, executor, name)

    def grace() -> Any:
        return server.all("pods")[0]["metadata"].get("deletionGracePeriodSeconds")

    future.cancel(60.0)
    until(lambda: grace() == 60)
    future.cancel(0.0)
    until(lambda: grace() == 1)
    server.end_pod(name, 137)
    assert result(future).kind == "interrupted"
    server.stubborn = False
    server.delete("pods", name, {})


def test_cancel_before_there_is_a_pod(server: ApiServer, jobs: Jobs) -> None:
    executor = jobs.make(1, queue="q")
    suspended, queued = executor.submit(jobs.run("a")), executor.submit(jobs.run("b"))
    until(lambda: server.all("jobs"))
    queued.cancel()
    assert outcome(queued).ending is Ending.CANCELLED
    suspended.cancel()
    assert result(suspended).kind == "interrupted"
    assert server.all("jobs") == []


def test_cancel_while_an_older_attempt_is_waited_for(server: ApiServer, jobs: Jobs) -> None:
    jobs.make().submit(jobs.run("a", 1))
    server.run_pod(pod(server))
    server.stubborn = True
    future = jobs.make().submit(jobs.run("a", 2))
    until(lambda: "deletionTimestamp" in server.all("jobs")[0]["metadata"], "it is deleted")
    future.cancel(0.0)
    assert result(future).kind == "interrupted"
    assert len(server.all("jobs")) == 1
    server.stubborn = False
    server.delete("pods", server.all("pods")[0]["metadata"]["name"], {})
