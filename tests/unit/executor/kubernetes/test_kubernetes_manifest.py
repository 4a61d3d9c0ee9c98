"""The Job of one attempt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion_k8s.errors import UsageError
from orion_k8s.executor.kubernetes.manifest import CONFIG_BYTES, Identity, make_manifest
from orion_k8s.executor.kubernetes.template import make_template
from orion_k8s.script import Command, prepare_run
from orion_k8s.trial import ExperimentRecord
from tests.unit.executor.kubernetes.objects import a_run

FOLDER = "/home/me/trials/" + "0a" * 12


def manifest(template: Any = None, folder: str = FOLDER, *argv: str, **more: Any) -> Any:
    made = make_template(template, image="i:1")
    return make_manifest(made, a_run(folder, *argv, **more), worker="w", namespace="n")


def pod_of(job: Any) -> Any:
    return job["spec"]["template"]["spec"]


def job_with(**container: Any) -> Any:
    pod = {"containers": [{"name": "trial", **container}]}
    return {"kind": "Job", "spec": {"template": {"spec": pod}}}


def test_what_the_protocol_needs() -> None:
    job = manifest(grace_s=2.5)
    assert job["metadata"]["name"] == f"gr-e-co-{'0a' * 12}-2"
    assert job["metadata"]["namespace"] == "n"
    labels = {
        "app.kubernetes.io/managed-by": "orion-k8s",
        "orion-k8s/worker": "w",
        "orion-k8s/experiment": "5f" * 12,
        "orion-k8s/trial": "0a" * 12,
        "orion-k8s/attempt": "2",
    }
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"] == labels
    spec = job["spec"]
    assert (spec["backoffLimit"], spec["completions"], spec["parallelism"]) == (0, 1, 1)
    assert pod_of(job)["restartPolicy"] == "Never"
    assert pod_of(job)["terminationGracePeriodSeconds"] == 3
    assert "ownerReferences" not in job["metadata"]


def test_the_template_is_left_as_it_is() -> None:
    template = make_template(image="i:1")
    first = make_manifest(template, a_run(FOLDER), worker="w", namespace="n")
    second = make_manifest(template, a_run(FOLDER), worker="w", namespace="n")
    assert first == second
    assert "name" not in template.job["metadata"]


def test_a_job_belongs_to_its_workers_pod() -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "worker-0", "uid": "u"}
    made = make_template(image="i:1")
    job = make_manifest(made, a_run(FOLDER), worker="w", namespace="n", owner=owner)
    assert job["metadata"]["ownerReferences"] == [owner]


def test_the_program_is_told_which_trial_it_continues(tmp_path: Path) -> None:
    (tmp_path / "w" / "p1").mkdir(parents=True)
    (tmp_path / "w" / "p1" / "checkpoint").write_text("of the parent")
    run = prepare_run(
        Command.parse(["true", "-x~uniform(0, 1)"]),
        {"x": 0.5},
        experiment=ExperimentRecord("e1", "e", 1, {"x": "uniform(0, 1)"}, {"asha": {}}, 1),
        working_dir=str(tmp_path / "w"),
        trial="t1",
        hash_params="abc",
        attempt=1,
        parent="p1",
    )
    job = make_manifest(make_template(image="i:1"), run, worker="w", namespace="n")
    told = {item["name"]: item["value"] for item in pod_of(job)["containers"][0]["env"]}
    assert told["ORION_TRIAL_PARENT"] == "p1"
    assert told["ORION_PARENT_WORKING_DIR"] == str(tmp_path / "w" / "p1")
    # On a volume that the worker and the Job share:
    assert (tmp_path / "w" / "t1" / "checkpoint").read_text() == "of the parent"


def test_the_program_is_told_what_it_is_told_here() -> None:
    own = [{"name": "MINE", "value": "$(ORION_TRIAL_ID)"}]
    [container] = pod_of(manifest(job_with(env=own), interrupt_code=77))["containers"]
    told = {item["name"]: item["value"] for item in container["env"]}
    assert told["ORION_TRIAL_ID"] == "0a" * 12
    assert told["ORION_TRIAL_ATTEMPT"] == "2"
    assert told["ORION_WORKING_DIR"] == FOLDER
    assert told["ORION_INTERRUPT_CODE"] == "77"
    assert told["ORION_RESULTS_PATH"] == container["terminationMessagePath"]
    assert container["terminationMessagePolicy"] == "File"
    # Kubernetes replaces what was named before.
    assert container["env"][-1] == own[0]
    assert list(told).index("MINE") > list(told).index("ORION_TRIAL_ID")


def test_the_command() -> None:
    [container] = pod_of(manifest(None, FOLDER, "sh", "-c", "$x $(y) $$"))["containers"]
    assert container["command"] == ["sh", "-c", "$$x $$(y) $$$$"]
    assert "args" not in container
    wrapper = job_with(command=["tini", "--"], args=["-v"])
    [container] = pod_of(manifest(wrapper, FOLDER, "a", "b"))["containers"]
    assert (container["command"], container["args"]) == (["tini", "--"], ["-v", "a", "b"])
    [container] = pod_of(manifest(job_with(args=[]), FOLDER, "a"))["containers"]
    assert container["args"] == ["a"]
    assert "command" not in container


def test_the_folder_is_an_empty_one() -> None:
    pod = pod_of(manifest())
    assert pod["volumes"] == [{"name": "orion-trial", "emptyDir": {}}]
    [container] = pod["containers"]
    assert container["volumeMounts"] == [{"name": "orion-trial", "mountPath": FOLDER}]


@pytest.mark.parametrize(
    ("path", "covers"),
    [
        (FOLDER, True),
        ("/home/me/trials", True),
        ("/home/me/trials/", True),
        ("/home/me/tri", False),
        ("/data", False),
    ],
)
def test_a_volume_of_the_template_may_hold_the_folder(path: str, covers: bool) -> None:
    mounts = [{"name": "trials", "mountPath": path}]
    pod = pod_of(manifest(job_with(volumeMounts=mounts)))
    assert (len(pod["containers"][0]["volumeMounts"]) == 1) is covers
    assert bool(pod["volumes"]) is not covers


def test_the_configuration_file(tmp_path: Path) -> None:
    folder = tmp_path / "trial"
    config = folder / "attempt-2" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("lr: 0.1  # ü\n")
    job = manifest(None, str(folder), config=str(config))
    annotations = job["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"orion-k8s/config": "lr: 0.1  # ü\n"}
    pod = pod_of(job)
    field = {"fieldPath": "metadata.annotations['orion-k8s/config']"}
    [volume] = [v for v in pod["volumes"] if v["name"] == "orion-config"]
    assert volume["downwardAPI"]["items"] == [{"path": "config.yaml", "fieldRef": field}]
    mount = pod["containers"][0]["volumeMounts"][-1]
    assert (mount["mountPath"], mount["subPath"]) == (str(config), "config.yaml")


def test_a_configuration_file_that_is_too_large(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("x" * CONFIG_BYTES)
    manifest(None, str(tmp_path), config=str(config))
    config.write_text("x" * (CONFIG_BYTES + 1))
    with pytest.raises(UsageError, match="200 KiB"):
        manifest(None, str(tmp_path), config=str(config))
    config.write_bytes(b"\xed\xa0\x80")
    with pytest.raises(UsageError, match="UTF-8"):
        manifest(None, str(tmp_path), config=str(config))


def test_a_folder_that_cannot_be_mounted() -> None:
    with pytest.raises(UsageError, match="colon"):
        manifest(None, "/a:b/trial")


def test_a_lost_node_is_given_up_soon() -> None:
    keys = ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"]
    tolerations = pod_of(manifest())["tolerations"]
    assert [t["key"] for t in tolerations] == keys
    assert all(t["tolerationSeconds"] == 30 for t in tolerations)
    own = {"key": keys[0], "operator": "Exists", "tolerationSeconds": 3}
    whole = job_with()
    whole["spec"]["template"]["spec"]["tolerations"] = [own]
    assert [t["key"] for t in pod_of(manifest(whole))["tolerations"]] == keys
    assert pod_of(manifest(whole))["tolerations"][0] == own
    whole["spec"]["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]
    assert pod_of(manifest(whole))["tolerations"] == [{"operator": "Exists"}]


ANY = st.text(max_size=80)


@given(name=ANY, trial=ANY, attempt=st.integers(1, 10**6))
def test_names_are_names_whatever_they_are_made_of(name: str, trial: str, attempt: int) -> None:
    found = Identity("e", name, trial, attempt).job_name
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", found)
    assert len(found) <= 57


@given(name=ANY, trials=st.lists(ANY, min_size=2, max_size=2, unique=True))
def test_names_of_two_trials_differ(name: str, trials: list[str]) -> None:
    first, second = (Identity("e", name, trial, 1).job_name for trial in trials)
    assert first != second


def test_a_folder_that_is_shared_holds_the_files_of_reports() -> None:
    mount = {"name": "trials", "mountPath": "/home/me/trials"}
    template = make_template(job_with(image="i:1", volumeMounts=[mount]))
    run = a_run(FOLDER)
    for shared in (True, False):
        job = make_manifest(template, run, worker="w", namespace="n", shared_files=shared)
        told = {one["name"]: one["value"] for one in pod_of(job)["containers"][0]["env"]}
        found = {name: told.get(f"ORION_{name}_PATH") for name in ("REPORTS", "STOP")}
        paths = {
            "REPORTS": f"{FOLDER}/attempt-2/reports.jsonl",
            "STOP": f"{FOLDER}/attempt-2/stop",
        }
        assert found == (paths if shared else {"REPORTS": None, "STOP": None})


def test_a_folder_that_is_said_to_be_shared_and_is_not_mounted_is_refused() -> None:
    with pytest.raises(UsageError, match="mounts nothing at"):
        make_manifest(
            make_template(image="i:1"), a_run(FOLDER), worker="w", namespace="n", shared_files=True
        )
