"""The executor dask-kubernetes on a real cluster: N is exact, and nothing is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dask_kubernetes.operator import make_cluster_spec

from orion_k8s.errors import OrionError
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor.probes import until
from orion_k8s.trial import Status
from tests.e2e.chart_release import Release, dask_values, experiment
from tests.e2e.chart_release import exactly as completed_exactly
from tests.e2e.dask_clusters import (
    IMAGE,
    ROOT,
    START_S,
    Laptop,
    clusters,
    dask_pods,
    exactly,
    nothing_left,
    python_of_the_image,
    start_worker_pod,
    started,
    worker_pod,
)
from tests.e2e.jobs import account, kubeconfig
from tests.e2e.kubectl import Object, apply, found, kubectl
from tests.e2e.ledger import Ledger

pytestmark = pytest.mark.usefixtures("dask_operator")


# --- from a laptop -------------------------------------------------------------------------------


def test_two_workers_with_a_cluster_each(laptop: Laptop, ledger: Ledger) -> None:
    workers = [laptop.work(12, n_workers=2) for _ in range(2)]
    until(lambda: len(clusters(laptop.namespace)) == 2, "each makes its own", START_S)
    for worker in workers:
        laptop.ended(worker)
    said = laptop.log.read_text().splitlines()
    assert said.count("completed 12") == 2
    # Nothing was left open, at which Python would have warned. Pods may be slow.
    assert all(line == "completed 12" or "has had no worker" in line for line in said)
    exactly(12, ledger, laptop)
    nothing_left(laptop.namespace)


def test_the_operator_adds_workers_for_trials_that_wait(laptop: Laptop, ledger: Ledger) -> None:
    worker = laptop.work(6, hold=True, adapt={"minimum": 0, "maximum": 3})
    # None of them ends before three run at once: there must be three workers.
    until(lambda: len(started(ledger)) == 3, "three trials run", START_S)
    ledger.set("go")
    laptop.ended(worker)
    exactly(6, ledger, laptop)
    nothing_left(laptop.namespace)


def test_a_killed_worker_leaves_nothing(laptop: Laptop, ledger: Ledger) -> None:
    """After the idle timeout; and another worker runs its trials again."""
    worker = laptop.work(4, hold=True, n_workers=2, idle_timeout=10)
    until(lambda: len(started(ledger)) == 2, "two trials run", START_S)
    worker.kill()
    worker.wait()
    nothing_left(laptop.namespace)
    ledger.set("go")
    laptop.ended(laptop.work(4, n_workers=2))
    exactly(4, ledger, laptop, again=2)
    nothing_left(laptop.namespace)


def test_a_worker_that_is_told_to_end_leaves_nothing(laptop: Laptop, ledger: Ledger) -> None:
    worker = laptop.work(4, hold=True, n_workers=2, idle_timeout=0)
    until(lambda: len(started(ledger)) == 2, "two trials run", START_S)
    worker.send_signal(signal.SIGINT)
    assert worker.wait(START_S) != 0
    nothing_left(laptop.namespace)


@pytest.mark.parametrize("what", ["pod", "cluster"])
def test_the_scheduler_goes_away(what: str, laptop: Laptop, ledger: Ledger) -> None:
    """Its pod comes back, or a whole cluster is made anew."""
    worker = laptop.work(5, hold=True, n_workers=2)
    until(lambda: len(started(ledger)) == 2, "two trials run", START_S)
    if what == "pod":
        [pod] = dask_pods(laptop.namespace, "scheduler")
        kubectl(
            *("delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0"),
            namespace=laptop.namespace,
        )
    else:
        name = clusters(laptop.namespace)[0]["metadata"]["name"]
        kubectl("delete", "daskcluster", name, namespace=laptop.namespace)
    until(lambda: len(started(ledger)) == 4, "they run again", START_S)
    ledger.set("go")
    said = laptop.ended(worker)
    assert "is away" in said and "is back after" in said
    assert ("is no more" in said) == (what == "cluster")
    exactly(5, ledger, laptop, again=2)
    nothing_left(laptop.namespace)


def test_a_dask_worker_goes_away(laptop: Laptop, ledger: Ledger) -> None:
    worker = laptop.work(4, hold=True, n_workers=2)
    until(lambda: len(started(ledger)) == 2, "two trials run", START_S)
    pod = dask_pods(laptop.namespace, "worker")[0]["metadata"]["name"]
    force = ("--force", "--grace-period=0")
    kubectl("delete", "pod", pod, *force, namespace=laptop.namespace)
    until(lambda: len(started(ledger)) == 3, "its trial runs again", START_S)
    ledger.set("go")
    laptop.ended(worker)
    exactly(4, ledger, laptop, again=1)
    nothing_left(laptop.namespace)


def test_a_cluster_that_waits_is_not_idle(laptop: Laptop, ledger: Ledger) -> None:
    """A worker without trials of its own keeps its cluster; the other one holds them all."""
    holder = laptop.work(2, hold=True, n_workers=2, idle_timeout=10)
    until(lambda: len(started(ledger)) == 2, "all trials run", START_S)
    [first] = clusters(laptop.namespace)
    waiter = laptop.work(2, hold=True, n_workers=1, idle_timeout=10)
    until(lambda: len(dask_pods(laptop.namespace, "worker")) == 3, "it has a cluster", START_S)
    [second] = [c for c in clusters(laptop.namespace) if c["metadata"] != first["metadata"]]
    idle_since = f"{second['metadata']['name']}-scheduler"
    # Three times as long as the operator would wait, by the clock of the API server.
    kubectl(
        *("exec", "ledger", "--", "python", "-c", "import time; time.sleep(30)"),
        namespace=laptop.namespace,
    )
    assert len(clusters(laptop.namespace)) == 2, idle_since
    ledger.set("go")
    for worker in (holder, waiter):
        laptop.ended(worker)
    assert "is away" not in laptop.log.read_text()
    exactly(2, ledger, laptop)
    nothing_left(laptop.namespace)


def dask_cluster(name: str, replicas: int = 2) -> Object:
    """Return a DaskCluster as a person makes one."""
    made: Object = make_cluster_spec(
        name, IMAGE, replicas, worker_command=["dask", "worker", "--nthreads", "1"]
    )
    for part, command in (("scheduler", 1), ("worker", 4)):
        container = made["spec"][part]["spec"]["containers"][0]
        container["imagePullPolicy"] = "IfNotPresent"
        container["command"] = container["args"][:command]
        container["args"] = container["args"][command:]
        if part == "scheduler":
            container["command"] = ["dask", "scheduler"]
    return made


def test_a_joined_cluster_is_left_alone(laptop: Laptop, ledger: Ledger) -> None:
    apply(dask_cluster("shared"), namespace=laptop.namespace)
    # `get daskclusters` is all that is needed there, and `list pods`.
    workers = [laptop.work(10, cluster="shared") for _ in range(2)]
    for worker in workers:
        laptop.ended(worker)
    exactly(10, ledger, laptop)
    [shared] = clusters(laptop.namespace)
    assert shared["metadata"]["name"] == "shared"
    assert "deletionTimestamp" not in shared["metadata"]
    pods = dask_pods(laptop.namespace)
    assert len(pods) == 3
    assert all("deletionTimestamp" not in pod["metadata"] for pod in pods)


def test_a_spec_of_ones_own(laptop: Laptop, ledger: Ledger) -> None:
    whole = dask_cluster("x")
    del whole["metadata"]
    path = laptop.folder / "cluster.yaml"
    path.write_text(yaml.safe_dump(whole))
    laptop.ended(laptop.work(4, custom_cluster_spec=str(path), n_workers=1))
    exactly(4, ledger, laptop)
    nothing_left(laptop.namespace)


def test_the_example_of_the_docs(laptop: Laptop) -> None:
    text = (ROOT / "docs" / "executors.md").read_text()
    blocks = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    [example] = [block for block in blocks if 'tmp_executor("dask-kubernetes"' in block]
    assert example.count("orion-k8s:0.1") == 1
    path = laptop.folder / "example.py"
    path.write_text(example.replace("orion-k8s:0.1", IMAGE))
    done = subprocess.run(
        [python_of_the_image(), str(path)],
        env={**laptop.env, "PYTHONWARNINGS": ""},
        cwd=laptop.folder,
        capture_output=True,
        text=True,
        timeout=START_S,
    )
    assert done.returncode == 0, done.stderr
    assert len(laptop.trials("dask", Status.COMPLETED)) == len(laptop.trials("dask")) == 20
    nothing_left(laptop.namespace)


def test_a_hunt(laptop: Laptop, ledger: Ledger) -> None:
    """A person's program, as a process of the Dask pods."""
    code = (
        "import os, sys, urllib.request as u\n"
        "e = os.environ\n"
        "told = 'end', e['ORION_TRIAL_ID'], e['ORION_TRIAL_ATTEMPT']\n"
        f"u.urlopen('http://ledger.{laptop.namespace}:8000/', ' '.join(told).encode())\n"
        'out = \'[{"name": "x", "type": "objective", "value": %s}]\' % sys.argv[1]\n'
        "open(e['ORION_RESULTS_PATH'], 'w').write(out)\n"
    )
    worker = {
        "executor": "dask-kubernetes",
        "executor_configuration": {"image": IMAGE, "adapt": {"maximum": 2}},
    }
    path = laptop.folder / "hunt.yaml"
    path.write_text(yaml.safe_dump({"worker": worker}))
    done = subprocess.run(
        [
            *(python_of_the_image(), "-m", "orion_k8s", "hunt", "-n", "e", "-c", str(path)),
            *("--max-trials", "4", "python", "-c", code, "x~uniform(0, 1)"),
        ],
        env=laptop.env,
        cwd=laptop.folder,
        capture_output=True,
        text=True,
        timeout=START_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    completed = {trial.id for trial in laptop.trials(status=Status.COMPLETED)}
    assert len(completed) == 4
    assert sorted(note.trial for note in ledger.notes("end")) == sorted(completed)
    nothing_left(laptop.namespace)


# --- in a pod ------------------------------------------------------------------------------------


@pytest.fixture
def restricted(namespace: str) -> str:
    """A namespace that lets in pods of the strictest standard only."""
    kubectl("label", "ns", namespace, "pod-security.kubernetes.io/enforce=restricted")
    return namespace


def test_a_worker_in_a_pod(ledger: Ledger, restricted: str) -> None:
    """The Dask pods are let in where the worker's own was, and the cluster is the pod's."""
    start_worker_pod(restricted, worker_pod(restricted, 6, hold=True, n_workers=2))
    until(lambda: len(started(ledger)) == 2, "two trials run", START_S)
    [owner] = clusters(restricted)[0]["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Pod", "worker")
    ledger.set("go")
    phase = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("wait", phase, "pod/worker", "--timeout=100s", namespace=restricted)
    assert kubectl("logs", "worker", namespace=restricted) == "completed 6\n"
    ends = [note.trial for note in ledger.notes("end")]
    assert len(ends) == len(set(ends)) == len(started(ledger)) == 6
    nothing_left(restricted)


def test_a_cluster_goes_with_the_pod_of_its_worker(ledger: Ledger, restricted: str) -> None:
    start_worker_pod(restricted, worker_pod(restricted, 6, hold=True, n_workers=2, idle_timeout=0))
    until(lambda: len(started(ledger)) == 2, "two trials run", START_S)
    force = ("--force", "--grace-period=0")
    kubectl("delete", "pod", "worker", *force, namespace=restricted)
    nothing_left(restricted)
    assert ledger.notes("end") == []


# --- what is wrong -------------------------------------------------------------------------------


def refused(code: int = 2, **configuration: Any) -> str:
    """Return why an executor can't be made: one sentence of a person's error."""
    with pytest.raises(OrionError) as caught:
        create_executor("dask-kubernetes", **configuration)
    assert caught.value.exit_code == code
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused_at(laptop: Laptop, **configuration: Any) -> str:
    """Return why it can't be made with the rights of the docs."""
    return refused(kubeconfig=laptop.env["KUBECONFIG"], **configuration)


def test_an_image_that_cannot_be_pulled(laptop: Laptop) -> None:
    said = refused_at(laptop, image="no-such-image:1")
    assert "does not start: its image 'no-such-image:1' cannot be pulled" in said
    nothing_left(laptop.namespace)


def test_a_scheduler_that_crashes(laptop: Laptop) -> None:
    """Its own last words are told."""
    whole = dask_cluster("x")
    del whole["metadata"]
    container = whole["spec"]["scheduler"]["spec"]["containers"][0]
    container |= {
        "command": ["python", "-c", "import no_such_module"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    said = refused_at(laptop, custom_cluster_spec=whole)
    assert "it said: ModuleNotFoundError: No module named 'no_such_module'" in said
    nothing_left(laptop.namespace)


def test_pods_that_the_namespace_forbids(laptop: Laptop) -> None:
    kubectl("label", "ns", laptop.namespace, "pod-security.kubernetes.io/enforce=restricted")
    assert "violates PodSecurity" in refused_at(laptop, image=IMAGE)
    nothing_left(laptop.namespace)


def test_a_cluster_that_no_node_has_room_for(laptop: Laptop) -> None:
    """It may find room later: what is waited for is `start_timeout`."""
    said = refused_at(laptop, image=IMAGE, resources={"cpu": 900}, start_timeout=5)
    assert "no node can take it: 0/" in said and "start_timeout" in said
    nothing_left(laptop.namespace)


def test_dask_workers_that_no_node_has_room_for(laptop: Laptop) -> None:
    """The scheduler runs, so there may be room some day: it is said, and waited for."""
    whole = dask_cluster("x")
    del whole["metadata"]
    whole["spec"]["worker"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "900"}}
    worker = laptop.work(2, custom_cluster_spec=whole)
    word = "has had no worker for"
    until(lambda: word in laptop.log.read_text(), "it says so", START_S)
    assert "no node can take it: 0/" in laptop.log.read_text()
    worker.send_signal(signal.SIGINT)
    worker.wait(START_S)
    nothing_left(laptop.namespace)


def test_a_name_that_is_taken(laptop: Laptop) -> None:
    apply(dask_cluster("taken", 0), namespace=laptop.namespace)
    said = refused_at(laptop, image=IMAGE, name="taken")
    assert "There is a DaskCluster 'taken'" in said and "cluster: taken" in said
    assert len(clusters(laptop.namespace)) == 1


def test_no_such_cluster_to_join(laptop: Laptop) -> None:
    apply(dask_cluster("team-shared", 0), namespace=laptop.namespace)
    said = refused_at(laptop, cluster="team-shard")
    assert said.startswith(
        f"There is no DaskCluster 'team-shard' in the namespace {laptop.namespace!r}"
    )
    rules = [
        {"apiGroups": ["kubernetes.dask.org"], "resources": ["daskclusters"], "verbs": ["list"]}
    ]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "list"},
        "rules": rules,
    }
    apply(role, namespace=laptop.namespace)
    kubectl(
        *(
            "create",
            "rolebinding",
            "list",
            "--role=list",
            f"--serviceaccount={laptop.namespace}:worker",
        ),
        namespace=laptop.namespace,
    )
    assert "did you mean 'team-shared'? There are: team-shared." in refused_at(
        laptop, cluster="team-shard"
    )


def test_rights_that_are_missing(laptop: Laptop) -> None:
    nothing: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "orion-k8s-dask"},
        "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
            {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
        ],
    }
    account(laptop.namespace, nothing)
    said = refused_at(laptop, image=IMAGE, adapt={"maximum": 2})
    for right in ("create", "get", "delete"):
        assert f"{right} daskclusters.kubernetes.dask.org" in said
    assert "create daskautoscalers.kubernetes.dask.org" in said
    assert f"in the namespace {laptop.namespace!r}" in said and "pods" not in said


def test_no_such_namespace(cluster: str) -> None:
    said = refused(image=IMAGE, namespace="no-such-namespace")
    assert "There is no namespace 'no-such-namespace'" in said


def test_an_api_server_that_does_not_answer(laptop: Laptop, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "away", laptop.namespace, server="https://127.0.0.1:1")
    said = refused(10, image=IMAGE, kubeconfig=str(path))
    assert "The Kubernetes API server https://127.0.0.1:1 cannot be reached" in said


def test_another_python(laptop: Laptop) -> None:
    """Only where the suite's Python is not the image's: no other is at hand."""
    if python_of_the_image() == sys.executable:
        pytest.skip("the suite runs on the image's own Python")
    assert "on Python 3." in (said := refused_at(laptop, image=IMAGE)) and "this worker" in said
    nothing_left(laptop.namespace)


# --- from the chart ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["cluster", "ephemeral"])
def test_a_release_of_the_chart(release4: Release, ledger: Ledger, mode: str) -> None:
    release4.install(experiment("report", 6, executor=dask_values(mode)))
    release4.completes(6)
    completed_exactly(release4, ledger, 6)
    assert len(found("daskclusters", release4.namespace)) == 1
    release4.uninstall()
    # An ephemeral one goes with the worker's pod.
    until(lambda: not found("daskclusters", release4.namespace), "it goes with its pod", START_S)
