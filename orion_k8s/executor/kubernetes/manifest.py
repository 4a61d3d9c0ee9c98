"""The Job of one attempt: the template with the trial's command, environment and files in it.

The program finds its files where they are on the worker's machine: the trial's folder is an empty
one, or whatever volume of the template is mounted there or above; the filled configuration file
lies in it. So neither its arguments nor a shared volume need to know that there is a container.
"""

from __future__ import annotations

import copy
import hashlib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orion_k8s.errors import UsageError
from orion_k8s.executor.kubernetes.arguments import PREFIX
from orion_k8s.executor.kubernetes.template import Template
from orion_k8s.script import ProgramRun

Object = dict[str, Any]

WORKER, EXPERIMENT = PREFIX + "worker", PREFIX + "experiment"
TRIAL, ATTEMPT = PREFIX + "trial", PREFIX + "attempt"
CONFIG = PREFIX + "config"

RESULTS = "/dev/termination-log"
"""What a container's program leaves in this file, Kubernetes passes on."""

CONFIG_BYTES = 200 << 10
"""Of a configuration file: all annotations of an object together may have 256 KiB."""

NODE_LOST_S = 30
"""So long may a node not answer before its pods are given up; Kubernetes' own default is 300."""

_NAME_LENGTH = 57
"""A pod's name is its Job's with six characters more, and 63 is the most for both."""


@dataclass(frozen=True)
class Identity:
    """Which attempt of which trial a Job is.

    Attributes:
        experiment, trial: their ids, as they stand in labels.
        attempt: 1, 2, …; a reservation has one, as it has one token.
    """

    experiment: str
    experiment_name: str
    trial: str
    attempt: int

    @classmethod
    def of(cls, run: ProgramRun) -> Identity:
        """Return which attempt a run is: its program is told so."""
        told = run.environment
        return cls(
            _safe(told["ORION_EXPERIMENT_ID"], 63),
            told["ORION_EXPERIMENT_NAME"],
            _safe(told["ORION_TRIAL_ID"], 63),
            int(told["ORION_TRIAL_ATTEMPT"]),
        )

    @property
    def job_name(self) -> str:
        """A name that no other attempt has: experiment (for people), trial, attempt."""
        end = f"{_safe(self.trial, 30)}-{self.attempt}"
        start = _slug(self.experiment_name)[: _NAME_LENGTH - len(end) - 1].strip("-")
        return f"{start or 'trial'}-{end}"[:63]


def make_manifest(
    template: Template,
    run: ProgramRun,
    *,
    worker: str,
    namespace: str,
    owner: Object | None = None,
    shared_files: bool = False,
) -> Object:
    """Return the Job of one attempt.

    Args:
        template: what is the same for all.
        run: of the trial's program.
        worker: of whose executor it is; by this label it is watched.
        namespace: where it runs.
        owner: reference to the worker's pod, if it runs in one here.
        shared_files: whether the template mounts the trials' folder as the worker sees it.

    Raises:
        UsageError: its configuration file or its folder can't be given to a container.
    """
    identity = Identity.of(run)
    job = copy.deepcopy(template.job)
    metadata, spec = job["metadata"], job["spec"]
    pod_metadata, pod = spec["template"]["metadata"], spec["template"]["spec"]
    ours = {
        WORKER: worker,
        EXPERIMENT: identity.experiment,
        TRIAL: identity.trial,
        ATTEMPT: str(identity.attempt),
    }
    for labels in (metadata["labels"], pod_metadata["labels"]):
        labels.setdefault("app.kubernetes.io/managed-by", "orion-k8s")
        labels.update(ours)
    metadata["name"], metadata["namespace"] = identity.job_name, namespace
    metadata["annotations"][PREFIX + "experiment-name"] = identity.experiment_name
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    spec.update(backoffLimit=0, completions=1, parallelism=1)
    pod["restartPolicy"] = "Never"
    pod.setdefault("terminationGracePeriodSeconds", max(1, math.ceil(run.grace_s)))
    pod["tolerations"] = _tolerations(pod.get("tolerations") or [])
    _fill_container(pod["containers"][0], template, run, shared_files)
    _mount_files(pod, pod_metadata, run, shared_files)
    return job


def _fill_container(
    container: Object, template: Template, run: ProgramRun, shared_files: bool
) -> None:
    argv = [_literal(word) for word in run.argv]
    if template.wrapped:
        container["args"] = [*(container.get("args") or []), *argv]
    else:
        container["command"] = argv
    told = {
        **run.environment,
        "ORION_RESULTS_PATH": RESULTS,
        "ORION_INTERRUPT_CODE": str(run.interrupt_code),
    }
    if shared_files:
        told["ORION_REPORTS_PATH"] = run.channel.reports
        told["ORION_STOP_PATH"] = run.channel.stop
    # First: the person's own may refer to them, as $(ORION_TRIAL_ID).
    container["env"] = [
        *({"name": name, "value": _literal(value)} for name, value in told.items()),
        *(container.get("env") or []),
    ]
    container["terminationMessagePath"] = RESULTS
    container["terminationMessagePolicy"] = "File"


def _mount_files(pod: Object, pod_metadata: Object, run: ProgramRun, shared_files: bool) -> None:
    container = pod["containers"][0]
    mounts = container["volumeMounts"] = list(container.get("volumeMounts") or [])
    volumes = pod["volumes"] = list(pod.get("volumes") or [])
    folder = run.identity
    if ":" in folder:
        raise UsageError(
            f"The trial's folder {folder!r} cannot be mounted into a container, for the colon in "
            "it: name another one with --working-dir."
        )
    if not any(_covers(mount, folder) for mount in mounts):
        if shared_files:
            raise UsageError(
                f"shared_files is true, but the template mounts nothing at {folder} or above: "
                "mount the volume of the trials there, or leave shared_files out."
            )
        volumes.append({"name": "orion-trial", "emptyDir": {}})
        mounts.append({"name": "orion-trial", "mountPath": folder})
    if run.config is not None:
        name = os.path.basename(run.config)
        annotations = pod_metadata["annotations"] = dict(pod_metadata.get("annotations") or {})
        annotations[CONFIG] = _read_config(run.config)
        item = {"path": name, "fieldRef": {"fieldPath": f"metadata.annotations['{CONFIG}']"}}
        volumes.append({"name": "orion-config", "downwardAPI": {"items": [item]}})
        mounts.append(
            {
                "name": "orion-config",
                "mountPath": run.config,
                "subPath": name,
                "readOnly": True,
            }
        )


def _read_config(path: str) -> str:
    with open(path, "rb") as file:
        data = file.read(CONFIG_BYTES + 1)
    if len(data) > CONFIG_BYTES:
        raise UsageError(
            f"The program's configuration file has more than {CONFIG_BYTES >> 10} KiB, which a "
            "Job cannot carry: move what does not vary into the image or a volume."
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(
            "The program's configuration file is not UTF-8 text for these parameters: a Job "
            "cannot carry it."
        ) from None


def _covers(mount: Mapping[str, Any], folder: str) -> bool:
    path = str(mount.get("mountPath", "")).rstrip("/")
    return path != "" and (folder == path or folder.startswith(path + "/"))


def _tolerations(given: list[Object]) -> list[Object]:
    """Return them with two of our own, so that a lost node is noticed sooner."""
    known = {item.get("key") for item in given}
    if None in known:  # one that tolerates all
        return given
    keys = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    added = [
        {
            "key": key,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": NODE_LOST_S,
        }
        for key in keys
        if key not in known
    ]
    return [*given, *added]


def _literal(text: str) -> str:
    """Return a text that Kubernetes leaves alone: it replaces $(NAME), and $$ is a dollar."""
    return text.replace("$", "$$")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _safe(text: str, length: int) -> str:
    """Return a text that may stand in a name or a label; itself, where it is one of our ids."""
    if len(text) <= length and re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", text):
        return text
    return hashlib.sha256(text.encode()).hexdigest()[: min(length, 24)]
