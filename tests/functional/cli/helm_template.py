"""The chart as Helm renders it with values as a text."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.chart.helms import find

CHART = Path(__file__).parents[3] / "charts" / "orion-k8s"

Object = dict[str, Any]


def rendered(values: str, release: str = "r", namespace: str = "research") -> list[Object]:
    """Return the chart's objects; Helm must take the values."""
    done = subprocess.run(
        [find("helm4"), "template", release, str(CHART), "--namespace", namespace, "-f", "-"],
        input=values,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def named(objects: list[Object], name: str) -> Object:
    """Return the object that KIND/NAME names."""
    [found] = [o for o in objects if f"{o['kind']}/{o['metadata']['name']}" == name]
    return found


def arguments(objects: list[Object]) -> list[str]:
    """Return the program's command as the worker's pod has it."""
    deployment = named(objects, "Deployment/r-orion-k8s-worker")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    words: list[str] = container["args"]
    return words[2:]


def configured(objects: list[Object]) -> Object:
    """Return the experiment as the worker's configuration file has it."""
    text = named(objects, "ConfigMap/r-orion-k8s-experiment")["data"]["experiment.yaml"]
    found: Object = yaml.safe_load(text)["experiment"]
    return found
