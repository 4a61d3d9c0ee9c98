from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from orion_k8s.errors import ConfigurationError, OrionError
from orion_k8s.k8s.katib import chart_values

KATIB = yaml.safe_load("""
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: mnist, namespace: kubeflow}
spec:
  objective: {type: maximize, goal: 0.99, objectiveMetricName: accuracy}
  algorithm:
    algorithmName: tpe
    algorithmSettings:
      - {name: random_state, value: "7"}
      - {name: n_EI_candidates, value: "20"}
      - {name: prior_weight, value: "1.1"}
  parallelTrialCount: 4
  maxTrialCount: 12
  maxFailedTrialCount: 3
  parameters:
    - {name: lr, parameterType: double, feasibleSpace: {min: "1e-4", max: "0.1",
       distribution: logUniform}}
    - {name: momentum, parameterType: double, feasibleSpace: {min: "0.5", max: "0.9"}}
    - {name: layers, parameterType: int, feasibleSpace: {min: "2", max: "5"}}
    - {name: optimizer, parameterType: categorical, feasibleSpace: {list: [sgd, adam]}}
    - {name: batch, parameterType: discrete, feasibleSpace: {list: ["16", "32"]}}
  trialTemplate:
    primaryContainerName: main
    trialParameters:
      - {name: learningRate, reference: lr}
      - {name: momentum, reference: momentum}
      - {name: layers, reference: layers}
      - {name: optimizer, reference: optimizer}
      - {name: batch, reference: batch}
      - {name: trial, reference: "${trialSpec.Name}"}
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            restartPolicy: Never
            serviceAccountName: trainer
            nodeSelector: {disk: ssd}
            containers:
              - name: side
                image: busybox
              - name: main
                image: registry.example:5000/team/mnist:v3
                imagePullPolicy: Always
                command: [python3, /opt/mnist.py, --epochs=1]
                args:
                  - --lr=${trialParameters.learningRate}
                  - --mu
                  - ${trialParameters.momentum}
                  - --layers
                  - ${trialParameters.layers}
                  - ${trialParameters.optimizer}
                  - --batch=${trialParameters.batch}
                  - --tag=${trialParameters.trial}
                env: [{name: SEED, value: "1"}]
                resources: {limits: {memory: 1Gi, cpu: "0.5"}, requests: {cpu: "0.25"}}
                workingDir: /opt
""")


@pytest.fixture
def katib() -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(KATIB)
    return found


def container(katib: dict[str, Any]) -> dict[str, Any]:
    pod = katib["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    found: dict[str, Any] = pod["containers"][-1]
    return found


def only(katib: dict[str, Any], space: dict[str, Any], kind: str = "double") -> str:
    """Return the prior that a parameter alone becomes."""
    katib["spec"]["parameters"] = [{"name": "lr", "parameterType": kind, "feasibleSpace": space}]
    container(katib)["args"] = ["--lr=${trialParameters.learningRate}"]
    made = chart_values(katib, "a.yaml")
    word: str = made.values["experiment"]["command"][-1]
    return word.removeprefix("--lr=orion~")


def test_what_is_carried_over(katib: dict[str, Any]) -> None:
    values = chart_values(katib, "a.yaml").values
    assert values["image"] == {
        "repository": "registry.example:5000/team/mnist",
        "tag": "v3",
        "pullPolicy": "Always",
    }
    assert values["experiment"] == {
        "name": "mnist",
        "command": [
            *("python3", "/opt/mnist.py", "--epochs=1", "--lr=orion~loguniform(0.0001, 0.1)"),
            *("--mu", "orion~uniform(0.5, 0.9)", "--layers", "orion~uniform(2, 5, discrete=True)"),
            *("optimizer~choices(['sgd', 'adam'])", "--batch=orion~choices([16, 32])"),
            "--tag={trial.id}",
        ],
        "algorithm": {"tpe": {"n_ei_candidates": 20}},
        "seed": 7,
        "direction": "maximize",
        "goal": 0.99,
        "maxTrials": 12,
        # Katib stops when there are more than three.
        "maxBroken": 4,
    }
    assert values["worker"] == {
        "replicas": 4,
        "resources": {
            "limits": {"memory": "1Gi", "cpu": "0.5"},
            "requests": {"memory": "1Gi", "cpu": "0.25"},
        },
        "extraEnv": [{"name": "SEED", "value": "1"}],
        "nodeSelector": {"disk": "ssd"},
    }


def test_what_is_not_is_named(katib: dict[str, Any]) -> None:
    katib["spec"] |= {"earlyStopping": {"algorithmName": "medianstop"}, "resumePolicy": "Never"}
    made = chart_values(katib, "a.yaml")
    said = "\n".join(made.lost)
    for word in (
        *("prior_weight", "serviceAccountName", "workingDir"),
        *("container side", "earlyStopping", "resumePolicy", "The name momentum"),
        "Kubernetes' names of a trial",
    ):
        assert word in said
        assert word in made.text()
    assert yaml.safe_load(made.text()) == made.values


@pytest.mark.parametrize(
    "theirs, ours",
    [("random", "random"), ("grid", "gridsearch"), ("sobol", "sobol"), ("cmaes", "cmaes")],
)
def test_algorithms(katib: dict[str, Any], theirs: str, ours: str) -> None:
    katib["spec"]["algorithm"] = {"algorithmName": theirs}
    made = chart_values(katib, "a.yaml")
    assert made.values["experiment"]["algorithm"] == ours


def test_an_algorithm_that_is_not_there(katib: dict[str, Any]) -> None:
    katib["spec"]["algorithm"] = {"algorithmName": "enas"}
    made = chart_values(katib, "a.yaml")
    assert made.values["experiment"]["algorithm"] == "random"
    assert "The algorithm enas: random search takes its place." in made.lost


@pytest.mark.parametrize(
    "kind, space, prior",
    [
        ("int", {"min": "1", "max": "9", "step": "1"}, "uniform(1, 9, discrete=True)"),
        ("int", {"min": "0", "max": "9", "step": "4"}, "choices([0, 4, 8])"),
        ("double", {"min": "0", "max": "0.3", "step": "0.1"}, "choices([0.0, 0.1, 0.2, 0.3])"),
        (
            "int",
            {"min": "8", "max": "512", "distribution": "logUniform"},
            "loguniform(8, 512, discrete=True)",
        ),
        ("double", {"min": "0", "max": "1", "distribution": "logUniform"}, "uniform(0, 1)"),
        ("double", {"min": "-1", "max": "1", "distribution": "normal"}, "uniform(-1, 1)"),
        ("double", {"min": "0", "max": "1", "step": "1e-9"}, "uniform(0, 1)"),
        ("categorical", {"list": ["it's", "1"]}, "choices([\"it's\", '1'])"),
    ],
)
def test_priors(katib: dict[str, Any], kind: str, space: dict[str, Any], prior: str) -> None:
    assert only(katib, space, kind) == prior


@pytest.mark.parametrize(
    "image, found",
    [
        ("busybox", {"repository": "busybox", "tag": "latest"}),
        ("host:5000/a/b", {"repository": "host:5000/a/b", "tag": "latest"}),
        ("a/b@sha256:12", {"repository": "a/b", "digest": "sha256:12"}),
        ("a/b:1@sha256:12", {"repository": "a/b", "tag": "1", "digest": "sha256:12"}),
    ],
)
def test_images(katib: dict[str, Any], image: str, found: dict[str, str]) -> None:
    container(katib).pop("imagePullPolicy")
    container(katib)["image"] = image
    assert chart_values(katib, "a.yaml").values["image"] == found


def test_a_job_of_pytorch(katib: dict[str, Any]) -> None:
    template = katib["spec"]["trialTemplate"]
    pod = template["trialSpec"]["spec"]["template"]
    replicas = {"Master": {"template": pod}, "Worker": {"replicas": 2, "template": pod}}
    template["trialSpec"] = {"kind": "PyTorchJob", "spec": {"pytorchReplicaSpecs": replicas}}
    made = chart_values(katib, "a.yaml")
    assert made.values["image"]["tag"] == "v3"
    assert any("PyTorchJob" in sentence for sentence in made.lost)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda k: k.update(kind="Trial"), "is no Experiment of Katib"),
        (lambda k: k.update(apiVersion="v1"), "has the apiVersion 'v1'"),
        (lambda k: k.update(spec=None), "has no spec"),
        (lambda k: k["spec"].pop("parameters"), "has no spec.parameters"),
        (lambda k: k["spec"]["parameters"][0].update(parameterType="x"), "has the type 'x'"),
        (lambda k: k["spec"]["parameters"][0]["feasibleSpace"].update(min="a"), "'a' of lr is no"),
        (lambda k: k["spec"]["parameters"][3]["feasibleSpace"].clear(), "has no list"),
        (lambda k: k["spec"].pop("trialTemplate"), "has no trialTemplate"),
        (
            lambda k: k["spec"]["trialTemplate"].pop("trialSpec"),
            "trialSpec: write the trial's Job",
        ),
        (lambda k: k["spec"]["trialTemplate"]["trialSpec"].update(kind="MPIJob"), "kind MPIJob"),
        (lambda k: container(k).update(command=None, args=None), "has no command"),
        (
            lambda k: container(k)["args"].pop(0),
            "The parameter lr of a.yaml is not in the trial's",
        ),
        (lambda k: container(k)["args"].append("--lr=${trialParameters.learningRate}"), "twice"),
        (lambda k: container(k)["args"].append("${trialParameters.no}"), "refers to no parameter"),
        (
            lambda k: container(k).update(args=["-c", "p --lr=${trialParameters.learningRate} x"]),
            "inside a longer text",
        ),
        (
            lambda k: container(k)["env"].append({"name": "A", "value": "${trialParameters.a}"}),
            "environment in a.yaml uses a parameter",
        ),
        (
            lambda k: k["spec"]["parameters"][1]["feasibleSpace"].update(min="2"),
            "",
        ),
    ],
)
def test_what_is_refused(katib: dict[str, Any], change: Any, sentence: str) -> None:
    change(katib)
    with pytest.raises(OrionError) as refused:
        chart_values(katib, "a.yaml")
    assert sentence in str(refused.value)
    assert refused.value.exit_code == ConfigurationError.exit_code
