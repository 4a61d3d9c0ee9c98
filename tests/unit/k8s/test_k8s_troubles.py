"""Why a release's pods are not ready, as `k8s status` tells it."""

from __future__ import annotations

from typing import Any

import pytest

from orion_k8s.k8s.troubles import troubles

Object = dict[str, Any]
OWNER: Object = {"metadata": {"name": "r-orion-k8s-worker", "uid": "u"}}
JSON = (
    '{"level": "info", "message": "begins"}\n{"level": "error", "message": "There is no train."}\n'
)


def pod(phase: str = "Pending", ready: bool = False, **status: Any) -> Object:
    conditions = [{"type": "Ready", "status": str(ready)}, *status.pop("conditions", [])]
    return {
        "metadata": {"name": "p", "uid": "p"},
        "status": {"phase": phase, "conditions": conditions, **status},
    }


def container(name: str = "worker", **states: Any) -> Object:
    return {"name": name, "image": "orion-k8s:0.1", **states}


def terminated(code: int, **more: str) -> Object:
    return {"terminated": {"exitCode": code, "reason": "Error", **more}}


def told(pods: list[Object], wanted: int | None = None, **more: Any) -> list[str]:
    events = more.pop("events", {})
    owner = {**OWNER, **more}
    wanted = len(pods) if wanted is None else wanted
    return list(troubles(owner, wanted, pods, lambda o: events.get(o["metadata"]["uid"], [])))


def warning(message: str, reason: str = "FailedMount") -> Object:
    metadata = {"creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"type": "Warning", "reason": reason, "message": message, "metadata": metadata}


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (pod(ready=True, phase="Running"), []),
        (pod(), []),  # it has just been made
        (pod(conditions=[UNSCHEDULABLE]), ["no node can take it: 0/2 nodes are available: pod"]),
        (
            pod(
                containerStatuses=[
                    container(state={"waiting": {"reason": "ImagePullBackOff", "message": "404"}})
                ]
            ),
            ["its image 'orion-k8s:0.1' cannot be pulled: 404"],
        ),
        (
            pod(
                containerStatuses=[
                    container(
                        state={
                            "waiting": {
                                "reason": "CreateContainerConfigError",
                                "message": 'secret "s" not found',
                            }
                        }
                    )
                ]
            ),
            ["its container 'worker' does not start: CreateContainerConfigError: secret"],
        ),
        (
            pod(
                "Running",
                containerStatuses=[
                    container(
                        state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                        lastState=terminated(2, message=JSON),
                    )
                ],
            ),
            ["worker ended with exit code 2: There is no train."],
        ),
        (
            pod(
                "Running",
                containerStatuses=[
                    container(
                        state={"running": {}},
                        lastState=terminated(137, reason="OOMKilled", message="one\ntwo\n\n"),
                    )
                ],
            ),
            ["worker ended with exit code 137 (OOMKilled): two"],
        ),
        (
            pod(
                "Running",
                containerStatuses=[
                    container(
                        state={"waiting": {"reason": "CrashLoopBackOff"}},
                        lastState=terminated(128, reason="StartError", message="not found"),
                    )
                ],
            ),
            ["its container 'worker' does not start: not found"],
        ),
        (
            pod(initContainerStatuses=[container("orion-k8s", lastState=terminated(2))]),
            ["orion-k8s ended with exit code 2"],
        ),
        (
            pod("Running", containerStatuses=[container(state={"running": {}})]),
            ["p runs and is not ready yet: `kubectl logs p` tells more"],
        ),
    ],
)
def test_a_pod(made: Object, said: list[str]) -> None:
    found = told([made])
    assert len(found) == len(said)
    assert all(one.startswith(other) for one, other in zip(found, said, strict=True)), found


def test_the_same_of_several_pods_is_told_once() -> None:
    pods = [pod(conditions=[UNSCHEDULABLE]) for _ in range(3)] + [pod(ready=True)]
    (line,) = told(pods)
    assert line.startswith("3 pods: no node can take it")


def test_pods_that_the_server_refuses() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: q"}
    assert told([], 2, status={"conditions": [failure]}) == [
        "no more pods can be made: exceeded quota: q"
    ]
    # A StatefulSet and a Job have no such condition.
    refused = warning("pods is forbidden: exceeded quota: q", "FailedCreate")
    assert told([], 1, events={"u": [refused]}) == [
        "no more pods can be made: pods is forbidden: exceeded quota: q"
    ]
    assert told([], 0) == []


def test_a_volume_is_told_by_an_event() -> None:
    missing = warning('MountVolume.SetUp failed for volume "tls" : secret "x" not found')
    waits = container(state={"waiting": {"reason": "ContainerCreating"}})
    (line,) = told([pod(containerStatuses=[waits])], events={"p": [missing]})
    assert line == missing["message"]


def test_a_job_that_failed_tells_of_pods_that_ended() -> None:
    ended = pod("Failed", containerStatuses=[container(state=terminated(2, message=JSON))])
    assert told([ended, ended], 0) == ["2 pods: worker ended with exit code 2: There is no train."]
