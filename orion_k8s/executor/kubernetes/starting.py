"""Why a pod does not run its program yet, from its status alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

IMAGE = (
    *("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"),
    *("ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"),
)
CONTAINER = (
    *("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
    *("CrashLoopBackOff", "PostStartHookError"),
)
"""Reasons for which a container waits."""

NEVER = ("InvalidImageName",)
"""What no waiting will mend."""

_TEXT = 400


@dataclass(frozen=True)
class Hold:
    """What holds a pod, or a Job, back.

    Attributes:
        text: for people.
        crowded: it is for want of room, which others may give free: there is no end to that.
        final: no waiting will mend it.
        clocked: whether the time counts; Kueue may hold a Job back for as long as it likes.
    """

    text: str
    crowded: bool = False
    final: bool = False
    clocked: bool = True


def running(pod: Object) -> bool:
    """Whether the program's container runs."""
    name = pod["spec"]["containers"][0]["name"]
    for status in pod.get("status", {}).get("containerStatuses") or ():
        if status.get("name") == name:
            return "running" in (status.get("state") or {})
    return False


def hold_of(pod: Object) -> Hold | None:
    """Return what holds a pod back; None for nothing in particular."""
    status = pod.get("status", {})
    for condition in status.get("conditions") or ():
        if condition.get("type") != "PodScheduled" or condition.get("status") != "False":
            continue
        message = brief(condition.get("message"))
        if condition.get("reason") == "SchedulingGated":
            return Hold(f"its pod is gated: {message}", crowded=True, clocked=False)
        return Hold(f"no node can take it: {message}", crowded=True)
    for container, reason, message in _waiting(status):
        image = container.get("image")
        if reason in IMAGE:
            said = message or reason
            return Hold(f"its image {image!r} cannot be pulled: {said}", final=reason in NEVER)
        if reason in CONTAINER:
            said = f"{reason}: {message}" if message else reason
            return Hold(f"its container {container.get('name')!r} does not start: {said}")
    return None


def hold_of_job(job: Object | None) -> Hold | None:
    """Return what holds back a Job that has no pod yet; None for nothing in particular."""
    if job is None or not job.get("spec", {}).get("suspend"):
        return None
    queue = (job["metadata"].get("labels") or {}).get("kueue.x-k8s.io/queue-name")
    what = f"it is suspended in Kueue's queue {queue!r}" if queue else "its Job is suspended"
    return Hold(what, crowded=True, clocked=False)


def hold_of_events(events: list[Object]) -> Hold | None:
    """Return what the last warning about a Job or a pod says."""
    warnings = [e for e in events if e.get("type") == "Warning" and e.get("message")]
    if not warnings:
        return None
    last = max(warnings, key=_time_of)
    message = brief(last["message"])
    crowded = "exceeded quota" in last["message"]
    # A pod that the server forbids: Pod Security, a LimitRange, a quota that asks for limits.
    final = not crowded and last.get("reason") == "FailedCreate" and "forbidden" in message
    return Hold(message, crowded=crowded, final=final)


def brief(text: object) -> str:
    """Return a text on one line, of bounded length."""
    line = " ".join(str(text or "").split())
    return line if len(line) <= _TEXT else line[: _TEXT - 1] + "…"


def _waiting(status: Object) -> Iterator[tuple[Object, str, str]]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            waiting = (container.get("state") or {}).get("waiting")
            if waiting:
                reason, message = waiting.get("reason", ""), brief(waiting.get("message"))
                yield container, str(reason), message


def _time_of(event: Object) -> str:
    series = event.get("series") or {}
    times = (
        *(series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime")),
        event["metadata"].get("creationTimestamp"),
    )
    return max(str(time)[:19] for time in times if time)
