"""What is amiss with a release is told by Helm, or by `kubectl orion status`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orion_k8s.trial import Status
from tests.e2e.chart_release import Failed, Release, experiment, until
from tests.e2e.kubectl import Object, apply, found
from tests.e2e.ledger import IMAGE as PYTHON
from tests.e2e.ledger import Ledger


def status(release: Release) -> str:
    """Return all that `orion-k8s k8s status` prints."""
    words = ["k8s", "status", "--namespace", release.namespace, "-r", release.name]
    done = subprocess.run(
        [sys.executable, "-m", "orion_k8s", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def image(name: str) -> Object:
    repository, _, tag = name.rpartition(":")
    return {"image": {"repository": repository, "tag": tag}}


TROUBLES: dict[str, tuple[Object, str]] = {
    "an image without the package": (
        {"worker": image(PYTHON)},
        "its container 'worker' does not start: failed to create",
    ),
    "an image that is not there": (
        {"worker": image("example.invalid/no/such:1")},
        "its image 'example.invalid/no/such:1' cannot be pulled",
    ),
    "a program that is not in the image": (
        {"experiment": {"command": ["/no/such/program", "x~uniform(0, 1)"]}},
        "worker ended with exit code 2: There is no program '/no/such/program'",
    ),
    "a Secret that is not there": (
        {"mongodb": {"auth": {"existingSecret": "nobody"}}},
        'secret "nobody" not found',
    ),
    "a StorageClass that is not there": (
        {"mongodb": {"persistence": {"storageClass": "nowhere"}}},
        "no node can take it: 0/",
    ),
    "no node with room": (
        {"worker": {"resources": {"requests": {"cpu": "1000"}}}},
        "Insufficient cpu",
    ),
    "a database that is not there": (
        {
            "mongodb": {"enabled": False},
            "externalMongodb": {"uri": "mongodb://nobody.invalid:27017/orion"},
        },
        "runs and is not ready yet: `kubectl logs",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_release_that_cannot_begin(release4: Release, trouble: str) -> None:
    values, sentence = TROUBLES[trouble]
    release4.install(experiment("report", 3, **values))
    until(lambda: sentence in status(release4))


def test_a_quota_holds_pods_back_and_is_raised(release4: Release, ledger: Ledger) -> None:
    quota: Object = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "2"}},  # the ledger and MongoDB
    }
    apply(quota, namespace=release4.namespace)
    release4.install(experiment("report", 3, worker={"replicas": 0}))
    until(lambda: release4.pods("mongodb"))
    release4.scale(2)
    until(lambda: "no more pods can be made: " in status(release4))
    assert "exceeded quota: few" in status(release4)
    quota["spec"]["hard"]["pods"] = "4"
    apply(quota, namespace=release4.namespace)
    release4.completes(3)


def test_what_the_cluster_lacks_is_told_by_helm(release4: Release) -> None:
    for values, sentence in (
        ({"autoscaling": {"enabled": True}}, "this cluster has no ScaledObject"),
        ({"metrics": {"podMonitor": {"enabled": True}}}, "has no monitoring.coreos.com/v1"),
    ):
        with pytest.raises(Failed, match=sentence):
            release4.install(experiment("report", 3, **values))
    assert not found("deployments", release4.namespace)


def test_two_releases_in_a_namespace_leave_each_other_alone(
    release4: Release, ledger: Ledger
) -> None:
    other = Release(release4.program, release4.namespace, "other")
    release4.install(experiment("report", 3))
    other.install(experiment("report", 2))
    release4.completes(3)
    other.completes(2)
    other.uninstall()
    assert release4.counts() == {Status.COMPLETED: 3}
    assert len(release4.pods("worker")) == 1
