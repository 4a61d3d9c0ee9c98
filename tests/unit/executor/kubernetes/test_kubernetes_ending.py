"""How a pod ended, and why it has not begun: from what the API server shows of it."""

from __future__ import annotations

from typing import Any

import pytest

from orion_k8s.executor.kubernetes.ending import How, ending
from orion_k8s.executor.kubernetes.starting import (
    hold_of,
    hold_of_events,
    hold_of_job,
    running,
)
from tests.unit.executor.kubernetes.objects import a_pod, disrupted, exited

RUNS: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def how(pod: Any, patient: bool = True) -> How | None:
    end = ending(pod, patient)
    return None if end is None else end.how


def test_a_pod_that_goes_on() -> None:
    assert ending(a_pod(phase="Pending")) is None
    assert ending(a_pod(RUNS)) is None
    assert ending(a_pod(RUNS, deleted=True)) is None
    assert ending(a_pod(RUNS, conditions=[disrupted("PreemptionByScheduler")])) is None
    assert ending({"metadata": {}, "spec": {"containers": [{"name": "trial"}]}}) is None


def test_a_program_that_succeeds_does_not_wait_for_its_sidecars() -> None:
    end = ending(a_pod(exited(0, message="[]")))
    assert end is not None
    assert (end.how, end.code, end.message, end.container) == (How.EXITED, 0, "[]", "trial")


def test_a_program_that_fails_waits_for_what_its_pod_says() -> None:
    pod = a_pod(exited(1))
    assert ending(pod) is None
    assert how(pod, patient=False) is How.EXITED
    end = ending(a_pod(exited(1), phase="Failed"))
    assert end is not None
    assert (end.how, end.code) == (How.EXITED, 1)


@pytest.mark.parametrize("code", [0, 1, 137, 143])
@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("PreemptionByScheduler", "preempted"),
        ("EvictionByEvictionAPI", "evicted"),
        ("DeletionByTaintManager", "node went away"),
        ("TerminationByKubelet", "node ended"),
        ("DeletionByPodGC", "node is gone"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_a_disrupted_pod_is_no_failure(code: int, reason: str, words: str) -> None:
    phase = "Failed" if code else "Succeeded"
    pod = a_pod(exited(code), phase=phase, conditions=[disrupted(reason, "why")])
    end = ending(pod)
    assert end is not None
    assert end.how is How.LOST
    assert words in end.reason and "(why)" in end.reason
    assert end.code == code


def test_a_deleted_pod_is_no_failure() -> None:
    assert how(a_pod(exited(143), phase="Failed", deleted=True)) is How.LOST
    assert how(a_pod(exited(0), deleted=True)) is How.LOST


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (a_pod(exited(255, "Unknown"), phase="Failed"), "Unknown"),
        (a_pod(exited(137, "ContainerStatusUnknown"), phase="Failed"), "ContainerStatusUnknown"),
        (a_pod(phase="Failed", reason="NodeShutdown"), "NodeShutdown"),
        (
            a_pod(phase="Failed", reason="UnexpectedAdmissionError", message="no gpu"),
            "no gpu",
        ),
        (a_pod(phase="Failed"), "before it began"),
        (a_pod(exited(137), phase="Failed", reason="Evicted", message="low on memory"), "low"),
        (
            a_pod(exited(128, "StartError", "cgroup: cannot allocate"), phase="Failed"),
            "cannot allocate",
        ),
    ],
)
def test_ends_that_come_from_the_node(pod: Any, words: str) -> None:
    end = ending(pod)
    assert end is not None
    assert end.how is How.LOST
    assert words in end.reason


def test_a_node_under_pressure_may_be_the_programs_work() -> None:
    condition = disrupted("TerminationByKubelet", "The node was low on resource: memory.")
    pod = a_pod(exited(137), phase="Failed", reason="Evicted", conditions=[condition])
    end = ending(pod)
    assert end is not None and end.how is How.LOST and end.pressed
    drained = ending(a_pod(exited(137), phase="Failed", conditions=[disrupted("Evict")]))
    assert drained is not None and not drained.pressed


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (a_pod(exited(137, "OOMKilled"), phase="Failed"), "has no limit of its own"),
        (
            a_pod(exited(1), phase="Failed", reason="DeadlineExceeded")
            | {
                "spec": {"containers": [{"name": "trial"}], "activeDeadlineSeconds": 5},
            },
            "longer than its deadline of 5 s",
        ),
        (
            a_pod(
                exited(137),
                phase="Failed",
                reason="Evicted",
                message='Usage of EmptyDir volume "a" exceeds the limit "1Mi".',
            ),
            "too much of the disk: Usage of EmptyDir",
        ),
        (
            a_pod(
                phase="Failed",
                spec={"initContainers": [{"name": "fetch"}]},
                init=[{"name": "fetch", "state": exited(3)}],
            ),
            "The init container 'fetch' ended with exit code 3.",
        ),
    ],
)
def test_ends_that_a_limit_brings(pod: Any, words: str) -> None:
    end = ending(pod)
    assert end is not None
    assert end.how is How.BROKEN
    assert words in end.reason


def test_out_of_memory() -> None:
    limits = {"resources": {"limits": {"memory": "64Mi"}}}
    pod = a_pod(exited(137, "OOMKilled"), phase="Failed")
    pod["spec"]["containers"][0] |= limits
    end = ending(pod)
    assert end is not None and "limit of 64Mi" in end.reason
    # A child was killed, and the program lived on.
    assert how(a_pod(exited(0, "OOMKilled"))) is How.EXITED
    pod = a_pod(
        phase="Failed",
        spec={"initContainers": [{"name": "fetch", **limits}]},
        init=[{"name": "fetch", "state": exited(137, "OOMKilled")}],
    )
    end = ending(pod)
    assert end is not None
    assert end.reason.startswith("The init container 'fetch' was killed")
    assert end.container == "fetch"


def test_a_sidecar_that_failed_is_no_end_of_the_program() -> None:
    pod = a_pod(
        phase="Failed",
        spec={"initContainers": [{"name": "aside", "restartPolicy": "Always"}]},
        init=[{"name": "aside", "state": exited(3)}],
    )
    assert how(pod) is How.LOST


@pytest.mark.parametrize(
    "message",
    [
        'exec: "nothing": executable file not found in $PATH: unknown',
        "stat ./train: no such file or directory",
        "exec: ./train: permission denied",
    ],
)
def test_a_program_that_is_not_there(message: str) -> None:
    end = ending(a_pod(exited(128, "StartError", message), phase="Failed"))
    assert end is not None
    assert end.how is How.NO_PROGRAM
    assert message in end.reason
    assert end.message == ""  # it is no result


@pytest.mark.parametrize(("others", "most"), [(0, 4096), (2, 4096), (3, 3072), (5, 2048)])
def test_how_long_a_message_may_be(others: int, most: int) -> None:
    init = [{"name": f"s{i}", "restartPolicy": "Always"} for i in range(others)]
    end = ending(a_pod(exited(0), spec={"initContainers": init}))
    assert end is not None
    assert end.most == most


# --- starting ------------------------------------------------------------------------------------


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def test_nothing_in_particular_holds_it_back() -> None:
    assert hold_of(a_pod(phase="Pending")) is None
    assert hold_of(a_pod(waiting("ContainerCreating"), phase="Pending")) is None
    assert hold_of_job({"metadata": {}, "spec": {}}) is None
    assert hold_of_job(None) is None
    assert hold_of_events([]) is None
    assert not running(a_pod(waiting("ContainerCreating")))
    assert running(a_pod(RUNS))
    assert not running(a_pod(exited(128, "StartError")))


@pytest.mark.parametrize(
    ("state", "words", "final"),
    [
        (waiting("ErrImagePull", "not found"), "'i:1' cannot be pulled: not found", False),
        (waiting("ImagePullBackOff"), "ImagePullBackOff", False),
        (waiting("InvalidImageName", "bad"), "'i:1' cannot be pulled: bad", True),
        (waiting("CreateContainerConfigError", 'secret "a" not found'), 'secret "a"', False),
        (waiting("RunContainerError"), "RunContainerError", False),
    ],
)
def test_containers_that_wait(state: Any, words: str, final: bool) -> None:
    hold = hold_of(a_pod(state, phase="Pending"))
    assert hold is not None
    assert words in hold.text
    assert (hold.final, hold.crowded, hold.clocked) == (final, False, True)


def test_a_sidecar_that_does_not_start() -> None:
    init = [{"name": "aside", "image": "s:1", "state": waiting("CrashLoopBackOff", "back-off")}]
    hold = hold_of(a_pod(waiting("PodInitializing"), phase="Pending", init=init))
    assert hold is not None and "'aside' does not start: CrashLoopBackOff" in hold.text


def unscheduled(reason: str) -> dict[str, Any]:
    return {"type": "PodScheduled", "status": "False", "reason": reason, "message": "0/2 nodes"}


def test_pods_that_no_node_takes() -> None:
    hold = hold_of(a_pod(phase="Pending", conditions=[unscheduled("Unschedulable")]))
    assert hold is not None
    assert hold.text == "no node can take it: 0/2 nodes"
    assert hold.crowded and hold.clocked
    hold = hold_of(a_pod(phase="Pending", conditions=[unscheduled("SchedulingGated")]))
    assert hold is not None and not hold.clocked


def test_suspended_jobs() -> None:
    labels = {"kueue.x-k8s.io/queue-name": "q"}
    hold = hold_of_job({"metadata": {"labels": labels}, "spec": {"suspend": True}})
    assert hold is not None and "Kueue's queue 'q'" in hold.text and not hold.clocked
    hold = hold_of_job({"metadata": {}, "spec": {"suspend": True}})
    assert hold is not None and hold.text == "its Job is suspended"


def event(reason: str, message: str, at: int = 0, kind: str = "Warning") -> dict[str, Any]:
    metadata = {"creationTimestamp": f"2026-01-01T00:00:{at:02}Z"}
    return {"type": kind, "reason": reason, "message": message, "metadata": metadata}


def test_events() -> None:
    quota = event("FailedCreate", 'pods "x" is forbidden: exceeded quota: small', 1)
    policy = event("FailedCreate", 'pods "x" is forbidden: violates PodSecurity', 2)
    mount = event("FailedMount", "no such volume, it is forbidden", 3)
    normal = event("Pulling", "pulling image", 4, "Normal")
    hold = hold_of_events([quota, normal])
    assert hold is not None and hold.crowded and not hold.final
    hold = hold_of_events([policy, quota, normal])
    assert hold is not None and hold.final and "PodSecurity" in hold.text
    hold = hold_of_events([quota, mount, policy])
    assert hold is not None and not hold.final and not hold.crowded
    long = hold_of_events([event("Failed", "a " * 5000)])
    assert long is not None and len(long.text) <= 400
