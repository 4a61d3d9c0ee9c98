"""What keeps Jobs from running: for all of them, for one, or for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from orion_k8s.errors import AccessRefused, ConfigurationError, UsageError
from orion_k8s.executor import Ending
from orion_k8s.executor.kubernetes import common
from orion_k8s.testing.executor.probes import until
from tests.functional.jobs.apiserver import ApiServer
from tests.functional.jobs.making import RESULT, Jobs, begin, outcome, pod, result


def hold(server: ApiServer, name: str, reason: str) -> None:
    waiting = {"waiting": {"reason": reason, "message": "not found"}}
    server.set_pod(name, containerStatuses=[{"name": "trial", "image": "i:1", "state": waiting}])


def test_what_is_wrong_for_all_ends_the_worker(server: ApiServer, jobs: Jobs) -> None:
    executor = jobs.make(start_timeout=0.5)
    future = executor.submit(jobs.run())
    hold(server, pod(server), "ImagePullBackOff")
    lost = outcome(future)
    assert lost.ending is Ending.LOST  # given back, not broken
    assert executor.slots() == 2  # so that somebody submits, and is told
    with pytest.raises(ConfigurationError, match="'i:1' cannot be pulled: not found"):
        executor.submit(jobs.run("b"))
    assert server.all("jobs") == []


def test_once_a_program_ran_it_may_be_the_node(server: ApiServer, jobs: Jobs) -> None:
    executor = jobs.make(start_timeout=0.5)
    future = executor.submit(jobs.run("a"))
    begin(server, executor, pod(server))
    server.end_pod(pod(server), 0, RESULT)
    assert result(future).kind == "completed"
    future = executor.submit(jobs.run("b"))
    hold(server, pod(server, 1), "ImagePullBackOff")
    assert outcome(future).ending is Ending.LOST
    executor.submit(jobs.run("c"))


def test_once_a_program_ran_a_full_cluster_is_waited_for(
    server: ApiServer,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(common, "QUIET_S", 0.1)
    executor = jobs.make(start_timeout=0.3)
    future = executor.submit(jobs.run("a"))
    server.end_pod(pod(server), 0, RESULT)
    assert result(future).kind == "completed"
    future = executor.submit(jobs.run("b"))
    full = {
        **{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
        "message": "0/2 nodes",
    }
    server.set_pod(pod(server, 1), conditions=[full])
    until(lambda: "a trial waits: no node can take it: 0/2 nodes" in caplog.text)
    server.end_pod(pod(server, 1), 0, RESULT)
    assert result(future).kind == "completed"
    assert caplog.text.count("a trial waits") == 1


def test_a_suspended_job_has_all_the_time(
    server: ApiServer,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What Kueue holds back is in a queue: that is not a cluster where nothing starts."""
    monkeypatch.setattr(common, "QUIET_S", 0.1)
    future = jobs.make(queue="team-a", start_timeout=0.3).submit(jobs.run())
    until(lambda: "it is suspended in Kueue's queue 'team-a'" in caplog.text or future.done())
    assert not future.done()


def test_a_quota_that_refuses_jobs_is_waited_for(server: ApiServer, jobs: Jobs) -> None:
    server.refusals = [(403, "jobs.batch is forbidden: exceeded quota: small")] * 2
    future = jobs.make().submit(jobs.run())
    server.end_pod(pod(server), 0, RESULT)
    assert result(future).kind == "completed"


@pytest.mark.parametrize(
    "refusal",
    [
        (403, 'jobs.batch is forbidden: User "me" cannot create resource "jobs"'),
        (422, "spec.template.spec.containers[0].image: Required value"),
        (404, 'namespaces "default" not found'),
    ],
)
def test_a_job_that_is_refused(refusal: tuple[int, str], server: ApiServer, jobs: Jobs) -> None:
    executor = jobs.make()
    server.refusals = [refusal]
    assert outcome(executor.submit(jobs.run())).ending is Ending.LOST
    with pytest.raises(ConfigurationError) as error:
        executor.submit(jobs.run("b"))
    assert refusal[1] in str(error.value)


def test_a_program_that_is_not_in_the_image(server: ApiServer, jobs: Jobs) -> None:
    executor = jobs.make()
    future = executor.submit(jobs.run())
    message = 'exec: "train": executable file not found in $PATH'
    server.end_pod(pod(server), 128, message, "StartError")
    assert outcome(future).ending is Ending.LOST
    with pytest.raises(ConfigurationError, match="executable file not found"):
        executor.submit(jobs.run("b"))


def test_a_program_that_is_not_there_for_one_trial(server: ApiServer, jobs: Jobs) -> None:
    executor = jobs.make()
    future = executor.submit(jobs.run("a"))
    server.end_pod(pod(server), 0, RESULT)
    assert result(future).kind == "completed"
    message = "stat /trials/b/run.sh: no such file or directory"
    for attempt in (1, 2, 3):
        future = executor.submit(jobs.run("b", attempt))
        server.end_pod(pod(server, 1), 128, message, "StartError")
        expected = Ending.LOST if attempt < 3 else Ending.RETURNED
        assert outcome(future).ending is expected
    assert result(future).kind == "broken"
    assert message in result(future).reason


def test_a_cluster_that_the_experiments_other_workers_fill(
    server: ApiServer,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A worker that comes late does not take a full cluster for one that is too small."""
    monkeypatch.setattr(common, "QUIET_S", 0.1)
    other, late = jobs.make(), jobs.make(start_timeout=0.3)
    first = other.submit(jobs.run("a"))
    server.run_pod(pod(server))
    future = late.submit(jobs.run("b"))
    full = {
        **{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
        "message": "0/2 nodes",
    }
    server.set_pod(pod(server, 1), conditions=[full])
    until(lambda: "a trial waits: no node can take it" in caplog.text)
    assert not future.done()
    for number in range(2):
        server.end_pod(pod(server, number), 0, RESULT)
    assert result(first).kind == result(future).kind == "completed"


def test_missing_rights_are_all_named(server: ApiServer, jobs: Jobs) -> None:
    server.denied = {("delete", "jobs"), ("create", "jobs"), ("watch", "pods")}
    with pytest.raises(AccessRefused) as error:
        jobs.make()
    assert "may not create, delete jobs.batch and watch pods in the namespace" in str(error.value)


def test_no_api_server(jobs: Jobs, server: ApiServer, tmp_path: Path) -> None:
    text = Path(jobs.kubeconfig).read_text().replace(server.address, "http://127.0.0.1:9")
    Path(jobs.kubeconfig).write_text(text)
    with pytest.raises(ConfigurationError, match=r"does not serve this worker .*refused"):
        jobs.make()


def test_python_functions_are_refused(jobs: Jobs) -> None:
    with pytest.raises(UsageError, match="Python functions"):
        jobs.make().submit(abs, -1)
