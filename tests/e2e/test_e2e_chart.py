"""The chart on a real cluster: install, scale, upgrade, uninstall; N is exact all the while."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from orion_k8s.trial import Status
from tests.chart.helms import find
from tests.e2e.chart_release import (
    IMAGE,
    ROOT,
    Failed,
    Release,
    dask_values,
    exactly,
    experiment,
    merged,
    ready,
    until,
)
from tests.e2e.chart_tls import secret
from tests.e2e.kubectl import Object, apply, found, kubectl
from tests.e2e.ledger import Ledger

COMPONENT = "app.kubernetes.io/component"

# REPOSITORY:TAG of an image with a shell and little more.
BARE_IMAGE = os.environ.get("BARE_IMAGE", "busybox:1.37")

# Nothing runs: what is judged is the number that the chart asks for.
NOWHERE = {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}


@pytest.fixture(params=["helm4", "helm3"])
def release(request: pytest.FixtureRequest, namespace: str) -> Release:
    """A release by Helm 4, then by Helm 3."""
    return Release(find(request.param), namespace)


@pytest.fixture
def restricted(namespace: str) -> Iterator[None]:
    """Pod Security's strictest profile, enforced."""
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    yield


def test_from_nothing_to_the_first_trial(
    release: Release, restricted: None, ledger: Ledger
) -> None:
    """In a restricted namespace, two pods, and the words of NOTES.txt are the right ones."""
    said = release.install(experiment("report", 3))
    until(lambda: ledger.notes("end"))
    assert {
        pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in release.pods()
    } == {
        "mongodb",
        "worker",
    }
    assert len(release.pods()) == 2
    release.completes(3)
    exactly(release, ledger, 3)
    status = next(line for line in said.splitlines() if " exec " in line)
    shown = subprocess.run(status, shell=True, capture_output=True, text=True, check=True)
    assert "e2e" in shown.stdout and "3" in shown.stdout
    assert "Succeeded" in release.helm("test", release.name)
    release.completes(3)  # the test's own experiment has gone
    assert release.restarts() == 0
    assert release.restarts("mongodb") == 0


def test_an_upgrade_keeps_what_kubectl_scale_made(release: Release) -> None:
    values = experiment("report", 3, worker={**NOWHERE, "replicas": 2}, mongodb=NOWHERE)

    def upgrade(note: str, *words: str, replicas: int = 2) -> None:
        changed = {**values["worker"], "replicas": replicas, "podAnnotations": {"note": note}}
        release.upgrade({**values, "worker": changed}, *words)
        annotations = release.deployment()["spec"]["template"]["metadata"]["annotations"]
        assert annotations["note"] == note

    def passwords() -> object:
        [secret] = found("secrets", release.namespace, release.selector)
        return secret["data"]

    release.install(values)
    before = passwords()
    assert release.replicas() == 2
    release.scale(7)
    upgrade("first")
    assert passwords() == before
    assert release.replicas() == 7
    upgrade("second")
    assert release.replicas() == 7
    release.scale(0)
    upgrade("third")
    assert release.replicas() == 0

    release.scale(6)
    force = ["--force-conflicts"] if "v4" in release.helm("version") else []
    if force:  # two want different numbers, and Helm 4 asks who is right
        with pytest.raises(Failed, match=r"conflict with \"kubectl\".*\.spec\.replicas"):
            upgrade("fourth", replicas=4)
    upgrade("fifth", *force, replicas=4)
    assert release.replicas() == 4
    upgrade("sixth", replicas=3)  # nobody scaled meanwhile: no conflict
    assert release.replicas() == 3
    release.scale(5)
    upgrade("seventh", replicas=3)
    assert release.replicas() == 5


def test_an_upgrade_keeps_the_number_of_a_job_s_pods(release: Release) -> None:
    values = experiment(
        "report", 3, worker={**NOWHERE, "kind": "Job", "replicas": 2}, mongodb=NOWHERE
    )

    def job() -> Object:
        [one] = found("jobs", release.namespace, release.selector)
        return one

    release.install(values)
    name = job()["metadata"]["name"]
    assert job()["spec"]["parallelism"] == 2
    patch = '{"spec": {"parallelism": 5}}'
    kubectl("patch", "job", name, "-p", patch, namespace=release.namespace)
    release.upgrade({**values, "commonAnnotations": {"note": "another"}})
    assert job()["metadata"]["name"] == name and job()["spec"]["parallelism"] == 5
    # Another template is another Job, and the old one goes.
    release.upgrade({**values, "logs": {"format": "text"}})
    until(lambda: job()["metadata"]["name"] != name)


def test_scaling_under_load(release4: Release, ledger: Ledger) -> None:
    """Up, down and to zero while programs run: their trials run again, at once, and once."""
    values = experiment("hold-first", 8, worker={"replicas": 1, "grace": 2})
    release4.install(values)
    until(lambda: len(ledger.notes("start")) == 1)
    release4.scale(4)
    until(lambda: len(ledger.notes("start")) == 4)
    held = {note.trial for note in ledger.notes("start")}
    release4.scale(0)
    until(lambda: len(ledger.notes("term")) == 4)
    until(lambda: release4.counts()[Status.INTERRUPTED] == 4)
    assert {trial.id for trial in release4.trials()} == held
    ledger.set("go")
    release4.scale(2)
    release4.completes(8)
    exactly(release4, ledger, 8)
    again = {note.trial for note in ledger.notes("start") if note.attempt == 2}
    assert again == held
    # Done: workers wait for more, and whoever raises the limit gets it.
    until(lambda: all(ready(pod) for pod in release4.pods("worker")))
    release4.upgrade({**values, "experiment": {**values["experiment"], "maxTrials": 10}})
    assert release4.replicas() == 2
    release4.completes(10)
    exactly(release4, ledger, 10)


def test_a_rolling_upgrade_under_load(release4: Release, ledger: Ledger) -> None:
    worker = {"replicas": 2, "grace": 2}
    values = experiment("hold-first", 6, worker=worker)
    release4.install(values)
    until(lambda: len(ledger.notes("start")) == 2)
    old = {pod["metadata"]["name"] for pod in release4.pods("worker")}
    held = {note.trial for note in ledger.notes("start")}
    # Other pods, and MongoDB's stays.
    release4.upgrade({**values, "worker": {**values["worker"], "podAnnotations": {"new": "yes"}}})
    until(lambda: not old & {pod["metadata"]["name"] for pod in release4.pods("worker")})
    ledger.set("go")
    release4.completes(6)
    exactly(release4, ledger, 6)
    assert held <= {note.trial for note in ledger.notes("start") if note.attempt == 2}
    assert release4.restarts() == release4.restarts("mongodb") == 0


def test_an_outage_of_the_database_restarts_no_worker(release4: Release, ledger: Ledger) -> None:
    release4.install(experiment("hold", 6, worker={"replicas": 2}))
    until(lambda: len(ledger.notes("start")) == 2)
    [pod] = release4.pods("mongodb")
    kubectl(
        *("delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0"),
        namespace=release4.namespace,
    )
    ledger.set("go")  # programs end while it is away, their results are kept in hand
    until(lambda: len(ledger.notes("end")) >= 2)
    release4.completes(6)
    exactly(release4, ledger, 6)
    assert release4.restarts() == 0


def test_an_uninstall_keeps_the_history(release: Release, ledger: Ledger) -> None:
    release.install(experiment("report", 3))
    release.completes(3)
    before = {trial.id: trial.objective for trial in release.trials()}
    release.uninstall()
    assert found("secrets", release.namespace, release.selector)
    assert found("pvc", release.namespace, release.selector)
    release.install(experiment("report", 5))
    release.completes(5)
    after = {trial.id: trial.objective for trial in release.trials()}
    assert before.items() <= after.items()
    exactly(release, ledger, 5)


def test_a_rollback_loses_nothing(release: Release, ledger: Ledger) -> None:
    values = experiment("report", 3, worker={"replicas": 2})
    release.install(values)
    release.completes(3)
    [secret] = found("secrets", release.namespace, f"{release.selector},{COMPONENT}=mongodb")
    release.upgrade(merged(values, {"experiment": {"maxTrials": 5}, "worker": {"replicas": 1}}))
    release.completes(5)
    release.helm("rollback", release.name, "1")
    assert release.replicas() == 2
    until(lambda: len([p for p in release.pods("worker") if ready(p)]) == 2)
    release.completes(5)  # more than is asked for now, and all are there
    exactly(release, ledger, 5)
    [same] = found("secrets", release.namespace, f"{release.selector},{COMPONENT}=mongodb")
    assert same["data"] == secret["data"]
    assert release.restarts("mongodb") == 0


def test_jobs_end_with_the_experiment(release4: Release, ledger: Ledger) -> None:
    release4.install(experiment("report", 6, worker={"kind": "Job", "replicas": 2}))

    def conditions() -> set[str]:
        [job] = found("jobs", release4.namespace, release4.selector)
        return {one["type"] for one in job["status"].get("conditions", [])}

    until(lambda: "Complete" in conditions())
    exactly(release4, ledger, 6)


def test_groups_share_a_history(release4: Release, ledger: Ledger) -> None:
    """One of them as a user that nobody has given a name, as OpenShift does."""
    nobody = {
        "runAsNonRoot": True,
        "runAsUser": 1000730000,
        "seccompProfile": {"type": "RuntimeDefault"},
        "fsGroup": 1000730000,
    }
    other = {"replicas": 1, "slots": 2, "podSecurityContext": nobody}
    values = experiment("report", 8, workerGroups={"other": other})
    release4.install(values)
    release4.completes(8)
    exactly(release4, ledger, 8)
    assert len(release4.pods("worker")) == len(release4.pods("worker-other")) == 1


def test_trials_on_dask_workers_of_the_release(release4: Release, ledger: Ledger) -> None:
    release4.install(experiment("report", 6, executor=dask_values("chart")))
    release4.completes(6)
    exactly(release4, ledger, 6)


def test_trials_on_a_dask_cluster_that_is_there(release4: Release, ledger: Ledger) -> None:
    """It is another release's, in the same namespace."""
    other = Release(release4.program, release4.namespace, "other")
    free = {"enabled": False}
    none = {"replicas": 0}
    other.install(
        experiment("report", 1, executor=dask_values("chart"), worker=none, networkPolicy=free)
    )
    address = "tcp://other-orion-k8s-dask-scheduler:8786"
    release4.install(experiment("report", 6, executor=dask_values("external", address=address)))
    release4.completes(6)
    exactly(release4, ledger, 6)
    assert not other.pods("worker")


def test_tls_on_every_way(release4: Release, ledger: Ledger) -> None:
    mongodb, scheduler = f"{release4.fullname}-mongodb", f"{release4.fullname}-dask-scheduler"
    apply(
        secret("mongodb-tls", mongodb, f"{mongodb}-0.{mongodb}-members"),
        secret("dask-tls", scheduler),
        namespace=release4.namespace,
    )
    executor = dask_values("chart", tls={"secret": "dask-tls"})
    tls = {"tls": {"enabled": True, "existingSecret": "mongodb-tls"}}
    release4.install(experiment("report", 4, executor=executor, mongodb=tls))
    release4.uri_options += "&tls=true&tlsInsecure=true"  # it is not 127.0.0.1's certificate
    release4.completes(4)
    exactly(release4, ledger, 4)


def test_a_worker_that_is_killed_loses_nothing(release4: Release, ledger: Ledger) -> None:
    release4.install(experiment("hold-first", 4, worker={"replicas": 2, "heartbeat": 2}))
    until(lambda: len(ledger.notes("start")) == 2)
    victim = release4.pods("worker")[0]["metadata"]["name"]
    kubectl("delete", "pod", victim, "--force", "--grace-period=0", namespace=release4.namespace)
    until(lambda: any(note.attempt == 2 for note in ledger.notes("start")))
    ledger.set("go")
    release4.completes(4)
    exactly(release4, ledger, 4)


def test_trials_as_jobs(release4: Release, ledger: Ledger) -> None:
    kubernetes = {"resources": {"requests": {"cpu": "10m"}}}
    executor = {"type": "kubernetes", "kubernetes": kubernetes}
    release4.install(experiment("report", 5, executor=executor, worker={"slots": 3}))
    release4.completes(5)
    exactly(release4, ledger, 5)
    assert len(found("jobs", release4.namespace, "orion-k8s/trial")) == 5


def test_the_manifests_without_helm(
    namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """kubectl apply -k, and again; the worker finds its trials completed."""
    folder = tmp_path_factory.mktemp("overlay")
    shutil.copytree(ROOT / "manifests", folder / "manifests")
    repository, _, tag = IMAGE.rpartition(":")
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["manifests/base"],
        "images": [{"name": "orion-k8s", "newName": repository, "newTag": tag}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(overlay))
    kubectl("apply", "-k", str(folder), namespace=namespace)
    manifest = Release("", namespace)
    manifest.name = manifest.fullname = "orion-k8s"
    manifest.completes(50)
    kubectl("apply", "-k", str(folder), namespace=namespace)
    for one in found("deployments,statefulsets", namespace):
        assert one["metadata"]["generation"] == 1  # the second time nothing was changed


SHELL = r"""
set -e
tell() {
    said="$1 $ORION_TRIAL_ID $ORION_TRIAL_ATTEMPT"
    wget -q -O /dev/null --post-data "$said" http://ledger:8000/
}
tell start
echo '[{"name": "x", "type": "objective", "value": '"$1"'}]' > "$ORION_RESULTS_PATH"
tell end
"""


def test_a_program_in_an_image_without_orion_k8s(
    release4: Release, restricted: None, ledger: Ledger
) -> None:
    """The image has no Python either, nor a C library."""
    repository, _, tag = BARE_IMAGE.rpartition(":")
    release4.install(
        experiment(
            "report",
            4,
            experiment={
                "command": ["sh", "/experiment/train.sh", "x~uniform(0, 1)"],
                "files": {"train.sh": SHELL},
            },
            worker={"replicas": 2, "programImage": {"repository": repository, "tag": tag}},
        )
    )
    release4.completes(4)
    exactly(release4, ledger, 4)
    for pod in release4.pods("worker"):
        assert pod["spec"]["containers"][0]["image"] == BARE_IMAGE
