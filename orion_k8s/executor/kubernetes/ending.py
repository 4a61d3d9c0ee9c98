"""How a pod ended, from its status alone.

The order matters. What comes from outside (an eviction, a deletion, a lost node) is noted by
Kubernetes before it ends a container, so a pod that was disrupted is never taken for a program
that failed. Whether the program had left its result by then is for the caller to see.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from orion_k8s.executor.kubernetes.starting import brief

Object = dict[str, Any]

MESSAGE_BYTES, ALL_MESSAGES_BYTES = 4096, 12288
"""What Kubernetes passes on of one container's termination message, and of all of a pod's."""

_DISRUPTIONS = {
    "PreemptionByScheduler": "its pod was preempted",
    "EvictionByEvictionAPI": "its pod was evicted",
    "DeletionByTaintManager": "its node went away, or is reserved for others now",
    "TerminationByKubelet": "its node ended its pod",
    "DeletionByPodGC": "its node is gone",
}
_UNSEEN = ("ContainerStatusUnknown", "Unknown")
UNSTARTED = ("StartError", "ContainerCannotRun")
_NO_PROGRAM = ("not found", "no such file", "permission denied", "exec format error")


class How(str, Enum):
    """What ended a pod."""

    EXITED = "the program ended by itself"
    LOST = "something from outside ended it"
    BROKEN = "a limit that is set for it ended it"
    NO_PROGRAM = "there is no such program in the image"


@dataclass(frozen=True)
class End:
    """How a pod ended.

    Attributes:
        code: exit code of the program; None where nobody saw it.
        message: what the program left as its termination message.
        most: bytes that such a message may have.
        reason: for people.
        container: whose log tells more; "" where nothing ran.
        pressed: its node ran short of something, maybe through the program itself.
    """

    how: How
    code: int | None = None
    message: str = ""
    most: int = MESSAGE_BYTES
    reason: str = ""
    container: str = ""
    pressed: bool = False


def ending(pod: Object, patient: bool = True) -> End | None:
    """Return how a pod ended; None while it goes on.

    Args:
        pod: as the API server shows it.
        patient: a program that failed is not judged before its pod has ended as well, which may
            tell why. Sidecars may keep the pod alive for a while.
    """
    spec, status = pod["spec"], pod.get("status", {})
    name = spec["containers"][0]["name"]
    done = _terminated(status.get("containerStatuses"), name)
    over = status.get("phase") in ("Succeeded", "Failed")
    if not over and (done is None or (patient and done["exitCode"] != 0)):
        return None
    code = None if done is None else int(done["exitCode"])
    message = str((done or {}).get("message") or "")
    count = len(spec["containers"]) + len(spec.get("initContainers") or ())
    most = min(MESSAGE_BYTES, ALL_MESSAGES_BYTES // count)
    why = str((done or {}).get("reason") or "")

    def end(how: How, reason: str = "", container: str = name if done else "") -> End:
        return End(how, code, message, most, reason, container)

    ours, told = str(status.get("reason") or ""), brief(status.get("message"))
    if disruption := disruption_of(pod):
        return replace(end(How.LOST, disruption), pressed=ours == "Evicted")
    if code == 0:
        return end(How.EXITED)
    if ours == "DeadlineExceeded":
        limit = spec.get("activeDeadlineSeconds")
        return end(How.BROKEN, f"The program ran longer than its deadline of {limit} s.")
    if ours == "Evicted" and "limit" in told:  # not for want of its node, but its own
        return end(How.BROKEN, f"The program used too much of the disk: {told}")
    if ours or why in _UNSEEN:
        lost = end(How.LOST, f"its node ended its pod: {ours or why} {told}".strip())
        return replace(lost, pressed=ours == "Evicted")
    if why in UNSTARTED:
        text = brief(message)
        missing = any(word in text.lower() for word in _NO_PROGRAM)
        return End(
            How.NO_PROGRAM if missing else How.LOST,
            code,
            reason=f"the program did not start: {text}",
        )
    if done is None:
        return _without_program(pod) or end(How.LOST, f"its pod ended before it began {told}")
    if why == "OOMKilled":
        return end(How.BROKEN, _out_of_memory(spec["containers"][0], "The program"))
    return end(How.EXITED)


def disruption_of(pod: Object) -> str:
    """Return what disrupted a pod from outside; "" for nothing."""
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            reason = str(condition.get("reason"))
            what = _DISRUPTIONS.get(reason, f"its pod was disrupted: {reason}")
            message = brief(condition.get("message"))
            return f"{what} ({message})" if message else what
    if pod["metadata"].get("deletionTimestamp"):
        return "its pod was deleted"
    return ""


def _without_program(pod: Object) -> End | None:
    """Return the end of a pod whose own init container failed."""
    for container in pod["spec"].get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            continue
        name = container["name"]
        done = _terminated(pod["status"].get("initContainerStatuses"), name)
        if done is None or done["exitCode"] == 0:
            continue
        reason = f"The init container {name!r} ended with exit code {done['exitCode']}."
        if done.get("reason") == "OOMKilled":
            reason = _out_of_memory(container, f"The init container {name!r}")
        return End(How.BROKEN, int(done["exitCode"]), reason=reason, container=name)
    return None


def _out_of_memory(container: Object, who: str) -> str:
    limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    if limit is None:
        return f"{who} was killed: its node was out of memory, and it has no limit of its own."
    return f"{who} was killed: it used more memory than its limit of {limit}."


def _terminated(statuses: list[Object] | None, name: str) -> Object | None:
    for status in statuses or ():
        if status.get("name") == name:
            found: Object | None = (status.get("state") or {}).get("terminated")
            return found
    return None
