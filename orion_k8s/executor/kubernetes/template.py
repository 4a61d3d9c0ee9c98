"""The person's part of a trial's Job: read, checked, and brought into one shape.

A template is a whole Job (YAML or JSON file, or a mapping); the other arguments are written into
it, or into an empty one. What the protocol depends on is refused here with a sentence; the rest is
checked by the API server itself, which knows its own fields (`preflight`).
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.kubernetes.arguments import (
    a_kind,
    amounts,
    checked_environment,
    environment,
    merged_environment,
    own_labels,
    seconds,
    texts,
    word,
)

Object = dict[str, Any]

QUEUE = "kueue.x-k8s.io/queue-name"

TTL_S = 600

_OURS: tuple[tuple[str, tuple[Any, ...], str], ...] = (
    ("metadata.name", (), "each Job is named after its trial"),
    ("metadata.generateName", (), "each Job is named after its trial"),
    ("metadata.ownerReferences", (), "a Job belongs to its worker's pod"),
    ("spec.backoffLimit", (0,), "the workers run a trial again, not its Job"),
    ("spec.backoffLimitPerIndex", (), "the workers run a trial again, not its Job"),
    ("spec.completions", (1,), "a Job is one attempt of one trial"),
    ("spec.parallelism", (1,), "a Job is one attempt of one trial"),
    ("spec.completionMode", ("NonIndexed",), "a Job is one attempt of one trial"),
    ("spec.podFailurePolicy", (), "the worker judges how a pod ended"),
    ("spec.successPolicy", (), "the worker judges how a pod ended"),
    ("spec.podReplacementPolicy", (), "the workers run a trial again, not its Job"),
    ("spec.selector", (), "Kubernetes makes it"),
    ("spec.manualSelector", (), "Kubernetes makes it"),
    ("spec.template.metadata.name", (), "each pod is named after its trial"),
    ("spec.template.spec.restartPolicy", ("Never",), "the workers run a trial again"),
)
"""Path in the Job, values that are as we set it, and whose business it is."""

_OURS_IN_CONTAINER = (
    ("terminationMessagePath", (), "the result comes that way"),
    ("terminationMessagePolicy", ("File",), "the result comes that way"),
)


@dataclass(frozen=True)
class Template:
    """A Job without what tells one trial from another.

    Attributes:
        job: the manifest; its pod has one container, the program's, and sidecars that end with it.
        namespace: the one that the template names, if any.
        container: name of the program's container.
        wrapped: whether the trial's command is added to a command or arguments of the template's.
    """

    job: Object
    namespace: str | None
    container: str
    wrapped: bool

    @property
    def pod(self) -> Object:
        """The specification of the pod."""
        found: Object = self.job["spec"]["template"]["spec"]
        return found

    @property
    def image(self) -> str:
        """The image of the program's container."""
        return str(self.pod["containers"][0]["image"])

    @property
    def deadline_s(self) -> int | None:
        """How long a pod may run; None for no end."""
        found: int | None = self.pod.get("activeDeadlineSeconds")
        return found


def make_template(
    template: str | Mapping[str, Any] | None = None,
    *,
    image: str | None = None,
    env: Mapping[str, Any] | list[Any] | None = None,
    resources: Mapping[str, Any] | None = None,
    node_selector: Mapping[str, str] | None = None,
    service_account: str | None = None,
    labels: Mapping[str, str] | None = None,
    queue: str | None = None,
    deadline: float | None = None,
    ttl: float | None = None,
) -> Template:
    """Return the template that the arguments of the executor describe.

    Args:
        template: path of a file with one Job, or the Job itself; None for an empty one.
        image: of the program's container.
        env: name → value for the program; or a list as Kubernetes has it.
        resources: such as {"cpu": 2, "memory": "4Gi", "nvidia.com/gpu": 1}, which is requested
            and the limit; or {"requests": …, "limits": …}.
        node_selector: labels of the nodes that will do.
        service_account: of the pod; without one it gets no token.
        labels: of the Job and its pod.
        queue: of Kueue: the Job is made suspended, and Kueue lets it start.
        deadline: seconds that a program may run.
        ttl: seconds after which Kubernetes deletes a Job that has ended.

    Raises:
        ConfigurationError: one of them can't be used; a sentence says why.
    """
    job = _read(template)
    spec = job["spec"]
    pod = spec["template"]["spec"]
    _refuse_ours(job)
    # The person's own Job may hold it, where it would count the time in the queue, too.
    moved = spec.pop("activeDeadlineSeconds", None)
    if moved is not None:
        pod.setdefault("activeDeadlineSeconds", moved)
    program = _program(pod)
    if image is not None:
        program["image"] = word("image", image)
    if not isinstance(program.get("image"), str) or not program["image"].strip():
        raise ConfigurationError(
            "The executor kubernetes needs an image: give image in executor_configuration, or one "
            "in the template's container."
        )
    if env is not None:
        program["env"] = merged_environment(program.get("env") or [], environment(env))
    if resources is not None:
        program["resources"] = amounts(resources)
    if node_selector is not None:
        pod["nodeSelector"] = {
            **(pod.get("nodeSelector") or {}),
            **texts("node_selector", node_selector),
        }
    if service_account is not None:
        pod["serviceAccountName"] = word("service_account", service_account)
    own = own_labels(texts("labels", labels or {}))
    if queue is not None:
        own[QUEUE] = word("queue", queue)
        spec["suspend"] = True
    for metadata in (job["metadata"], spec["template"]["metadata"]):
        metadata["labels"] = {**own_labels(metadata.get("labels") or {}), **own}
    if deadline is not None:
        pod["activeDeadlineSeconds"] = math.ceil(seconds("deadline", deadline))
    if ttl is not None:
        spec["ttlSecondsAfterFinished"] = math.ceil(seconds("ttl", ttl, zero=True))
    spec.setdefault("ttlSecondsAfterFinished", TTL_S)
    # The program must not speak for anybody in the cluster who did not mean it to.
    if "serviceAccountName" not in pod:
        pod.setdefault("automountServiceAccountToken", False)
    namespace = job["metadata"].pop("namespace", None)
    return Template(
        job,
        None if namespace is None else str(namespace),
        str(program["name"]),
        "command" in program or "args" in program,
    )


# --- reading -------------------------------------------------------------------------------------


def _read(template: str | Mapping[str, Any] | None) -> Object:
    """Return a Job of our own to write into, with the shape that is relied on."""
    if template is None:
        given: Any = {"kind": "Job", "spec": {"template": {"spec": {"containers": [{}]}}}}
        name = "The template"
    elif isinstance(template, (str, os.PathLike)):
        given = _load(os.fspath(template))
        name = f"The template {os.fspath(template)!r}"
    else:
        given, name = template, "The template"
    if not isinstance(given, Mapping) or given.get("kind") != "Job":
        kind = given.get("kind") if isinstance(given, Mapping) else type(given).__name__
        raise ConfigurationError(
            f"{name} is {a_kind(kind)}, not a Job: write a whole manifest with apiVersion: "
            "batch/v1 and kind: Job."
        )
    version = given.get("apiVersion", "batch/v1")
    if version != "batch/v1":
        raise ConfigurationError(f"{name} has the apiVersion {version!r}: write batch/v1.")
    job = copy.deepcopy(dict(given))
    job.pop("status", None)
    metadata = _part(job, "metadata", name, "metadata")
    spec = _part(job, "spec", name, "spec")
    outer = _part(spec, "template", name, "spec.template")
    _part(outer, "metadata", name, "spec.template.metadata")
    pod = _part(outer, "spec", name, "spec.template.spec")
    for field in ("labels", "annotations"):
        _part(metadata, field, name, f"metadata.{field}")
    for field in ("containers", "initContainers", "volumes", "tolerations"):
        items = pod.get(field) or []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ConfigurationError(
                f"{name} is not a Job: spec.template.spec.{field} must be a list of mappings."
            )
    if not pod.get("containers"):
        raise ConfigurationError(
            f"{name} has no container: name one in spec.template.spec.containers."
        )
    return {"apiVersion": "batch/v1", **job}


def _load(path: str) -> Any:
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            documents = [d for d in yaml.safe_load_all(file) if d is not None]
    except OSError as error:
        raise ConfigurationError(
            f"The template {path!r} cannot be read ({error.strerror}): correct its path."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The template {path!r} is not valid YAML: {' '.join(str(error).split())}."
        ) from error
    if len(documents) != 1:
        raise ConfigurationError(
            f"The template {path!r} holds {len(documents)} documents: keep the Job alone."
        )
    return documents[0]


def _part(inside: Object, field: str, name: str, path: str) -> Object:
    found = inside.get(field)
    if found is None:
        found = {}
    if not isinstance(found, Mapping):
        raise ConfigurationError(
            f"{name} is not a Job: {path} is {a_kind(type(found).__name__)}, not a mapping."
        )
    inside[field] = found = dict(found)
    return found


def _refuse_ours(job: Object) -> None:
    for path, as_we_do, whose in _OURS:
        _refuse(job, path, as_we_do, whose)
    for index, volume in enumerate(job["spec"]["template"]["spec"].get("volumes") or []):
        if str(volume.get("name", "")).startswith("orion-"):
            raise ConfigurationError(
                f"The template's volume {index + 1} is called {volume['name']!r}: names that "
                "begin with orion- are ours, take another one."
            )


def _refuse(
    inside: Object, path: str, as_we_do: tuple[Any, ...], whose: str, at: str = ""
) -> None:
    found: Any = inside
    for field in path.split("."):
        if not isinstance(found, Mapping) or found.get(field) is None:
            return
        found = found[field]
    if found not in as_we_do:
        raise ConfigurationError(
            f"The template sets {at}{path}, which orion-k8s sets itself ({whose}): leave it out."
        )


# --- containers ----------------------------------------------------------------------------------


def _program(pod: Object) -> Object:
    """Return the program's container; the others become sidecars that end with it."""
    containers = pod["containers"]
    program: Object = next((c for c in containers if c.get("name") == "trial"), containers[0])
    program.setdefault("name", "trial")
    for field, as_we_do, whose in _OURS_IN_CONTAINER:
        _refuse(program, field, as_we_do, whose, f"{program['name']}.")
    for field in ("command", "args", "volumeMounts", "env"):
        if not isinstance(program.get(field) or [], list):
            raise ConfigurationError(
                f"The template's {field} of the container {program['name']!r} must be a list."
            )
    program["env"] = checked_environment(program.get("env") or [])
    sidecars = [c for c in containers if c is not program]
    # A plain container that goes on would keep the Job from ending. One among the
    # initContainers that restarts always is ended by Kubernetes when the program has ended.
    for sidecar in sidecars:
        sidecar["restartPolicy"] = "Always"
    if sidecars:
        pod["initContainers"] = [*(pod.get("initContainers") or []), *sidecars]
    pod["containers"] = [program]
    return program
