"""`k8s import-katib`: an Experiment of Katib becomes values that Helm takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commanding import Said
from helm_template import arguments, configured, named, rendered

KATIB = """
apiVersion: v1
kind: Namespace
metadata: {name: kubeflow}
---
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: random}
spec:
  objective: {type: minimize, goal: 0.001, objectiveMetricName: loss}
  algorithm: {algorithmName: random}
  parallelTrialCount: 3
  maxTrialCount: 12
  maxFailedTrialCount: 3
  parameters:
    - {name: lr, parameterType: double, feasibleSpace: {min: "0.01", max: "0.05"}}
    - {name: units, parameterType: int, feasibleSpace: {min: "8", max: "64"}}
  trialTemplate:
    primaryContainerName: training
    trialParameters: [{name: learningRate, reference: lr}, {name: size, reference: units}]
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            restartPolicy: Never
            containers:
              - name: training
                image: ghcr.io/example/mnist:latest
                command:
                  - python3
                  - /opt/mnist.py
                  - --lr=${trialParameters.learningRate}
                  - --units
                  - ${trialParameters.size}
                resources: {limits: {memory: 1Gi, cpu: "0.5"}}
"""


def test_helm_takes_it(cli: Callable[..., Said], tmp_path: Path) -> None:
    path = tmp_path / "katib.yaml"
    path.write_text(KATIB)
    said = cli("k8s", "import-katib", path)
    assert said.code == 0, said
    objects = rendered(said.out)
    assert arguments(objects) == [
        *("python3", "/opt/mnist.py", "--lr=orion~uniform(0.01, 0.05)"),
        *("--units", "orion~uniform(8, 64, discrete=True)"),
    ]
    assert configured(objects) == {
        **{"name": "random", "algorithm": {"random": {}}, "max_trials": 12, "max_broken": 4},
        **{"goal": 0.001, "working_dir": "/trials"},
    }
    deployment = named(objects, "Deployment/r-orion-k8s-worker")["spec"]
    [container] = deployment["template"]["spec"]["containers"]
    assert deployment["replicas"] == 3
    assert container["image"] == "ghcr.io/example/mnist:latest"
    # What a container without requests has in Kubernetes; not the chart's usual ones.
    limits = {"memory": "1Gi", "cpu": "0.5"}
    assert container["resources"] == {"limits": limits, "requests": limits}
    assert said.err == ""
    assert f"# Made from the Katib Experiment in {path}." in said.out


def test_through_a_pipe(shell: Callable[..., Said]) -> None:
    said = shell("k8s", "import-katib", "-q", "-", stdin=KATIB)
    assert said.code == 0 and said.err == "" and "name: random" in said.out


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "is empty"),
        ("a: [", "is not valid YAML, line 1"),
        ("kind: Pod", "is no Experiment of Katib"),
        ("just a text", "is no Experiment of Katib"),
    ],
)
def test_what_is_no_experiment(
    cli: Callable[..., Said], tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "katib.yaml"
    path.write_text(text)
    assert sentence in cli("k8s", "import-katib", path).refused(2)
    assert "cannot be read" in cli("k8s", "import-katib", tmp_path / "none").refused(2)
