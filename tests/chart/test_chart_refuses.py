"""Values that can't be right: Helm refuses them with a sentence that says what to do."""

from __future__ import annotations

import pytest
from rendering import Helm, Refused


def refusal(helm: Helm, mode: str | None, *arguments: str, **options: object) -> str:
    """Return what Helm says when it refuses."""
    with pytest.raises(Refused) as caught:
        helm.render(mode, *arguments, **options)  # type: ignore[arg-type]
    return str(caught.value)


SENTENCES = {
    "no name": ("experiment.name=", "experiment.name is missing: name the experiment"),
    "no command": ("experiment.command=null", "experiment.command is missing: say how your"),
    "a text": ("experiment.command=python x.py", "write it as a list of words, as in [python,"),
    "no prior": ("experiment.command={python,train.py},experiment.files=null", "searches nothing"),
    "half a prior": ("experiment.command={x~uniform(0}", "a prior ends with a parenthesis"),
    "no prior at all": ("experiment.space.lr=0.1", 'experiment.space.lr is "0.1": a prior looks'),
    "two files": ("experiment.filesConfigMap=x", "files and experiment.filesConfigMap are both"),
    "two databases": ("externalMongodb.uri=mongodb://db", "There are two databases: set mongodb"),
    "none": ("mongodb.enabled=false", "There is no database: set mongodb.enabled=true, or"),
    "two URIs": (
        "mongodb.enabled=false,externalMongodb.uri=mongodb://d,externalMongodb.uriKey=uri",
        "externalMongodb.uri and externalMongodb.uriKey are both there",
    ),
    "no Secret": (
        "mongodb.enabled=false,externalMongodb.uriKey=uri",
        "externalMongodb.existingSecret names no Secret",
    ),
    "a password": (
        "mongodb.enabled=false,externalMongodb.uri=mongodb://me:secret@db/orion",
        "externalMongodb.uri holds a password, which `helm get values` would show",
    ),
    "another kind": (
        "mongodb.enabled=false,externalMongodb.uri=sqlite:////db",
        "it looks like mongodb://HOST:PORT/DATABASE",
    ),
    "TLS": ("mongodb.tls.enabled=true", "needs mongodb.tls.existingSecret: a Secret with"),
    "no workers": ("worker.enabled=false", "There are no workers: set worker.enabled=true"),
    "no time": ("worker.grace=50", "a program has 50 seconds of grace, and its worker needs 20"),
    "half an image": (
        "worker.programImage.repository=train",
        "worker.programImage names no image: it needs repository, and tag or digest",
    ),
    "a group's name": ("workerGroups.GPU.replicas=1", "a group is named by small letters"),
    "no address": ("executor.type=dask,executor.dask.mode=external", "give the scheduler's addr"),
    "an address": (
        "executor.type=dask,executor.dask.address=tcp://s:8786",
        "executor.dask.mode is chart: the mode external takes an address",
    ),
    "slots": (
        "executor.type=dask,executor.dask.mode=ephemeral,worker.slots=2",
        "the size of each worker's cluster is executor.dask.workers.replicas",
    ),
    "a scaled Job": ("autoscaling.enabled=true,worker.kind=Job", "and worker.kind Deployment"),
    "min and max": (
        "autoscaling.enabled=true,autoscaling.minReplicas=11",
        "more than autoscaling",
    ),
    "a long name": ("fullnameOverride=" + "a" * 60, "set fullnameOverride to a shorter name"),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_a_sentence_says_what_to_do(helm: Helm, case: str) -> None:
    values, sentence = SENTENCES[case]
    said = refusal(helm, "default", *(f"--set={one}" for one in _split(values)))
    assert sentence in said
    assert "nil pointer" not in said


def _split(values: str) -> list[str]:
    """Part at the commas that begin another value; those within braces belong to one."""
    parts: list[str] = []
    for part in values.split(","):
        if parts and "=" not in part.partition("(")[0]:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def test_all_that_is_missing_is_told_at_once(helm: Helm) -> None:
    said = refusal(helm, None)
    assert "experiment.name is missing" in said and "experiment.command is missing" in said


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            "executor.type=dask,executor.dask.mode=cluster",
            "no DaskCluster (kubernetes.dask.org/v1)",
        ),
        ("executor.type=dask,executor.dask.mode=ephemeral", "or take the mode chart"),
        ("metrics.podMonitor.enabled=true", "has no monitoring.coreos.com/v1: install Prometheus"),
        ("metrics.prometheusRule.enabled=true", "metrics.prometheusRule.enabled is true, but"),
        ("autoscaling.enabled=true", "no ScaledObject (keda.sh/v1alpha1): install KEDA"),
    ],
)
def test_an_api_that_the_cluster_lacks(helm: Helm, values: str, sentence: str) -> None:
    said = refusal(helm, "default", *(f"--set={v}" for v in values.split(",")), apis=())
    assert sentence in said


@pytest.mark.parametrize(
    ("setting", "where"),
    [
        ("--set=experiment.maxtrials=3", "maxtrials"),
        ("--set-string=experiment.maxTrials=many", "maxTrials"),
        ("--set=experiment.maxTrials=0", "maxTrials"),
        ("--set=worker.kind=DaemonSet", "kind"),
        ("--set=worker.replicas=-1", "replicas"),
        ("--set=worker.replica=2", "replica"),
        ("--set=workerGroups.gpu.replica=2", "replica"),
        ("--set=executor.type=ray", "type"),
        ("--set=executor.dask.mode=operator", "mode"),
        ("--set=mongodb.replicaSet.members=2", "members"),
        ("--set=image.digest=latest", "digest"),
        ("--set=logs.format=xml", "format"),
        ("--set=trials.path=trials", "path"),
        ("--set=postgresql.enabled=true", "postgresql"),
    ],
)
def test_the_schema_names_the_value(helm: Helm, setting: str, where: str) -> None:
    said = refusal(helm, "default", setting)
    assert where in said and "values don't meet the specifications of the schema" in said


def test_a_cluster_that_is_too_old(helm: Helm) -> None:
    said = refusal(helm, "default", "--kube-version=1.26.0")
    assert "incompatible with Kubernetes v1.26.0" in said
