"""The template: what may stand in it, what is ours, and what the other arguments do to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.kubernetes.template import make_template


def job(**changes: Any) -> dict[str, Any]:
    """Return a template; `changes` maps a path with __ for its dots to a value."""
    template: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {},
        "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "i:1"}]}}},
    }
    for path, value in changes.items():
        inside: Any = template
        *before, last = path.split("__")
        for field in before:
            if field == "container":
                inside = template["spec"]["template"]["spec"]["containers"][0]
            elif field == "pod":
                inside = template["spec"]["template"]["spec"]
            else:
                inside = inside.setdefault(field, {})
        inside[last] = value
    return template


def test_an_image_alone() -> None:
    template = make_template(image="i:1")
    assert template.job["kind"] == "Job"
    assert template.pod["containers"] == [{"name": "trial", "image": "i:1", "env": []}]
    assert template.pod["automountServiceAccountToken"] is False
    assert template.job["spec"]["ttlSecondsAfterFinished"] == 600
    assert not template.wrapped
    assert template.namespace is None


def test_the_arguments_are_written_into_the_template() -> None:
    whole = job(
        metadata__namespace="theirs",
        metadata__labels={"team": "a", "mine": "old"},
        container__env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        pod__nodeSelector={"zone": "z"},
    )
    template = make_template(
        whole,
        image="j:2",
        env={"B": 3, "C": True},
        resources={"cpu": 2, "nvidia.com/gpu": 1},
        node_selector={"gpu": "a100"},
        service_account="robot",
        labels={"mine": "new"},
        queue="q",
        deadline=1.5,
        ttl=0,
    )
    [container] = template.pod["containers"]
    assert container["image"] == template.image == "j:2"
    assert container["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "3"},
        {"name": "C", "value": "true"},
    ]
    amounts = {"cpu": "2", "nvidia.com/gpu": "1"}
    assert container["resources"] == {"requests": amounts, "limits": amounts}
    assert template.pod["nodeSelector"] == {"zone": "z", "gpu": "a100"}
    assert template.pod["serviceAccountName"] == "robot"
    assert "automountServiceAccountToken" not in template.pod
    assert template.pod["activeDeadlineSeconds"] == template.deadline_s == 2
    assert template.job["spec"]["suspend"] is True
    assert template.job["spec"]["ttlSecondsAfterFinished"] == 0
    labels = {"team": "a", "mine": "new", "kueue.x-k8s.io/queue-name": "q"}
    assert template.job["metadata"]["labels"] == labels
    del labels["team"]
    assert template.job["spec"]["template"]["metadata"]["labels"] == labels
    assert template.namespace == "theirs"
    assert whole == job(
        metadata__namespace="theirs",
        metadata__labels={"team": "a", "mine": "old"},
        container__env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        pod__nodeSelector={"zone": "z"},
    )


def test_requests_and_limits_apart() -> None:
    given = {"requests": {"cpu": 0.5}, "limits": {"memory": "1Gi"}}
    [container] = make_template(image="i", resources=given).pod["containers"]
    assert container["resources"] == {"requests": {"cpu": "0.5"}, "limits": {"memory": "1Gi"}}


def test_the_deadline_of_a_job_is_its_pods() -> None:
    """The time in a queue does not count, and the pod's own status tells of it."""
    template = make_template(job(spec__activeDeadlineSeconds=60))
    assert template.pod["activeDeadlineSeconds"] == 60
    assert "activeDeadlineSeconds" not in template.job["spec"]


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("---\n" + yaml.safe_dump(job()) + "---\n")
    assert make_template(str(path)) == make_template(job())
    path.write_text(json.dumps(job()))
    assert make_template(str(path)) == make_template(job())


def test_other_containers_end_with_the_program() -> None:
    whole = job(
        pod__containers=[{"name": "proxy", "image": "p"}, {"name": "trial", "image": "t"}],
        pod__initContainers=[{"name": "fetch", "image": "f"}],
    )
    template = make_template(whole)
    assert [c["name"] for c in template.pod["containers"]] == ["trial"]
    assert template.container == "trial"
    assert template.pod["initContainers"] == [
        {"name": "fetch", "image": "f"},
        {"name": "proxy", "image": "p", "restartPolicy": "Always"},
    ]


@pytest.mark.parametrize("field", ["command", "args"])
def test_a_wrapper(field: str) -> None:
    assert make_template(job(**{f"container__{field}": []})).wrapped


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata__name", "mine"),
        ("metadata__generateName", "mine-"),
        ("metadata__ownerReferences", []),
        ("spec__backoffLimit", 3),
        ("spec__backoffLimitPerIndex", 0),
        ("spec__completions", 2),
        ("spec__parallelism", 0),
        ("spec__completionMode", "Indexed"),
        ("spec__podFailurePolicy", {"rules": []}),
        ("spec__successPolicy", {"rules": []}),
        ("spec__podReplacementPolicy", "Failed"),
        ("spec__selector", {}),
        ("spec__manualSelector", True),
        ("spec__template__metadata__name", "mine"),
        ("pod__restartPolicy", "OnFailure"),
        ("container__terminationMessagePath", "/tmp/message"),
        ("container__terminationMessagePolicy", "FallbackToLogsOnError"),
    ],
)
def test_what_is_ours_is_refused(path: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as error:
        make_template(job(**{path: value}))
    said = str(error.value)
    assert path.rpartition("__")[2] in said
    assert "orion-k8s sets itself" in said and said.endswith("leave it out.")


def test_what_is_as_we_have_it_may_stand_there() -> None:
    make_template(
        job(
            spec__backoffLimit=0,
            spec__completions=1,
            spec__parallelism=1,
            spec__completionMode="NonIndexed",
            pod__restartPolicy="Never",
            container__terminationMessagePolicy="File",
        )
    )


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"kind": "Pod"}, "is a Pod, not a Job"),
        ({"apiVersion": "batch/v1"}, "something without a kind, not a Job"),
        ([], "is a list, not a Job"),
        ({"kind": "Job", "apiVersion": "batch/v1beta1"}, "write batch/v1"),
        ({"kind": "Job", "spec": []}, "spec is a list, not a mapping"),
        ({"kind": "Job", "spec": {}}, "no container"),
        (job(pod__containers={}), "no container"),
        (job(pod__containers="x"), "must be a list of mappings"),
        (job(pod__volumes=["x"]), "volumes must be a list of mappings"),
        (job(container__command="python"), "must be a list"),
        (job(container__env=[{"value": "a"}]), "needs a name and a value"),
        (job(container__env=[{"name": "ORION_TRIAL_ID", "value": "a"}]), "ORION_TRIAL_ID"),
        (job(container__env=[{"name": "ORION_TRIAL_PARENT", "value": "a"}]), "ORION_TRIAL_PARENT"),
        (job(container__image=""), "needs an image"),
        (job(metadata__labels={"orion-k8s/trial": "a"}), "orion-k8s/trial is ours"),
        (
            job(spec__template__metadata__labels={"orion-k8s/x": "a"}),
            "orion-k8s/x is ours",
        ),
        (job(pod__volumes=[{"name": "orion-trial"}]), "begin with orion-"),
    ],
)
def test_templates_that_cannot_be_used(template: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make_template(template)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not valid YAML"),
        ("", "0 documents"),
        ("kind: Job\n---\nkind: Job\n", "2 documents"),
        ("\x00", "not valid YAML"),
    ],
)
def test_files_that_cannot_be_used(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        make_template(str(path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        make_template(str(tmp_path / "none.yaml"))
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="not valid YAML"):
        make_template(str(tmp_path / "latin"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "needs an image"),
        ({"image": "a b"}, "image must be one word"),
        ({"image": 3}, "image must be one word"),
        ({"image": "i", "env": "A=1"}, "env must be a mapping"),
        ({"image": "i", "env": {"A": {"secret": "b"}}}, "go into the template"),
        ({"image": "i", "env": {"ORION_RESULTS_PATH": "/x"}}, "leave it out"),
        ({"image": "i", "env": ["A"]}, "needs a name and a value"),
        ({"image": "i", "resources": "1"}, "resources must be a mapping"),
        ({"image": "i", "resources": {"cpu": None}}, "no amount of cpu"),
        ({"image": "i", "resources": {"limits": {"cpu": True}}}, "no amount of cpu"),
        ({"image": "i", "resources": {"limits": {}, "cpu": 1}}, "cannot hold 'cpu'"),
        ({"image": "i", "labels": {"a": 1}}, "put quotes around it"),
        ({"image": "i", "labels": {"orion-k8s/a": "b"}}, "is ours"),
        ({"image": "i", "node_selector": ["a"]}, "mapping of texts"),
        ({"image": "i", "queue": ""}, "queue must be one word"),
        ({"image": "i", "deadline": 0}, "number of seconds"),
        ({"image": "i", "deadline": float("nan")}, "number of seconds"),
        ({"image": "i", "deadline": True}, "number of seconds"),
        ({"image": "i", "ttl": -1}, "number of seconds"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make_template(**arguments)
    assert words in str(error.value)
