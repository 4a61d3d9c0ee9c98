"""The chart as Helm renders it, and the values that the tests render."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "orion-k8s"
MODES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*.yaml"))
# What a cluster may have beyond Kubernetes itself.
APIS = ("kubernetes.dask.org/v1", "monitoring.coreos.com/v1", "keda.sh/v1alpha1")
GENERATED = {"mongodb-root-password", "mongodb-password", "mongodb-replica-set-key"}

Object = dict[str, Any]


class Refused(Exception):
    """Helm refused the values; the text is what it said."""


@dataclass(frozen=True)
class Helm:
    """One of the Helms.

    Args:
        program: its path.
    """

    program: str

    def run(self, *arguments: str | Path, folder: Path = ROOT) -> str:
        """Run a command; its standard output.

        Raises:
            Refused: it failed.
        """
        done = subprocess.run(
            [self.program, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        if done.returncode:
            raise Refused(done.stderr + done.stdout)
        return done.stdout

    def render(
        self,
        mode: str | None = "default",
        *arguments: str,
        release: str = "demo",
        apis: tuple[str, ...] = APIS,
    ) -> list[Object]:
        """Return the objects of the chart with the values ci/MODE-values.yaml and more."""
        told = ["-f", str(values_file(mode))] if mode else []
        known = [word for api in apis for word in ("--api-versions", api)]
        text = _template(self, release, (*told, *known, *arguments))
        return [found for found in yaml.safe_load_all(text) if found]


@cache
def _template(helm: Helm, release: str, arguments: tuple[str, ...]) -> str:
    return helm.run("template", release, CHART, "--namespace", "research", *arguments)


def values_file(mode: str) -> Path:
    """Return the path of a mode's values."""
    return CHART / "ci" / f"{mode}-values.yaml"


def name_of(found: Object) -> str:
    """Return KIND/NAME of an object."""
    return f"{found['kind']}/{found['metadata']['name']}"


def pick(objects: list[Object], kind: str, end: str = "") -> Object:
    """Return the one object of a kind whose name ends so."""
    found = [
        one for one in objects if one["kind"] == kind and one["metadata"]["name"].endswith(end)
    ]
    assert len(found) == 1, f"{len(found)} objects are {kind} …{end}"
    return found[0]


def pod_specs(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield name and spec of every pod that the objects make."""
    for found in objects:
        if found["kind"] == "Pod":
            yield name_of(found), found["spec"]
        elif found["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield name_of(found), found["spec"]["template"]["spec"]
        elif found["kind"] == "DaskCluster":
            for side in ("scheduler", "worker"):
                yield f"{name_of(found)} {side}", found["spec"][side]["spec"]


def containers(spec: Object) -> list[Object]:
    """Return the containers of a pod, those that begin it first."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def masked(objects: list[Object]) -> list[Object]:
    """Return the objects with fixed words where Helm draws passwords at random."""
    for found in objects:
        if found["kind"] == "Secret":
            for key in GENERATED & set(found.get("data", {})):
                found["data"][key] = "generated"
    return objects


def flat(value: Any, path: str = "") -> Iterator[str]:
    """Yield a line for each leaf: its path and its value."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from flat(value[key], f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            named = isinstance(item, dict) and item.get("name")
            yield from flat(item, f"{path}[{named or index}]")
    else:
        yield f"{path} = {value!r}"
