"""The life of an attempt, on a stand-in for an API server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.errors import AccessRefused, ConfigurationError, UsageError
from orion_k8s.executor import Ending, Future, Outcome
from orion_k8s.executor.kubernetes import KubernetesJobs, common, takeover
from orion_k8s.executor.kubernetes import attempt as attempts
from orion_k8s.script import ProgramResult
from orion_k8s.testing.executor.probes import until
from tests.functional.jobs.apiserver import ApiServer
from tests.functional.jobs.making import RESULT, Jobs

DEADLINE_S = 30.0


def outcome(future: Future) -> Outcome:
    future.wait(DEADLINE_S)
    return future.outcome()


def result(future: Future) -> ProgramResult:
    value = outcome(future).value
    assert isinstance(value, ProgramResult), outcome(future)
    return value


def pod(server: ApiServer, number: int = 0) -> Any:
    until(lambda: len(server.all("pods")) > number, "there is a pod")
    return server.all("pods")[number]["metadata"]["name"]


def begin(server: ApiServer, executor: KubernetesJobs, name: str) -> None:
    """Let a pod's program run, and the executor see it."""
    server.run_pod(name)
    until(lambda: executor._common.proven, "the executor saw it")


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


# --- attempts ------------------------------------------------------------------------------------


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


# --- the worker's own pod ------------------------------------------------------------------------


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


# --- cancel --------------------------------------------------------------------------------------


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


# --- what can't begin ----------------------------------------------------------------------------


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


# --- outages -------------------------------------------------------------------------------------


def test_a_watch_that_breaks_is_opened_again(server: ApiServer, jobs: Jobs) -> None:
    future = jobs.make().submit(jobs.run())
    name = pod(server)
    server.break_streams()
    server.end_pod(name, 0, RESULT)
    assert result(future).kind == "completed"


@pytest.mark.parametrize("how", ["ended", "gone"])
def test_a_watch_whose_place_is_forgotten_begins_anew(
    how: str, server: ApiServer, jobs: Jobs
) -> None:
    future = jobs.make().submit(jobs.run())
    name = pod(server)
    server.run_pod(name)
    with server._changed:  # so that the watches see nothing of it
        if how == "ended":
            server.end_pod(name, 0, RESULT)
        else:
            server.remove("pods", name)
        server.forget()
    expected = Ending.RETURNED if how == "ended" else Ending.LOST
    assert outcome(future).ending is expected
