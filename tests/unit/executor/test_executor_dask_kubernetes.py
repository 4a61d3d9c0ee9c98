"""The DaskCluster that is asked for, and what is refused before a cluster is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dask_kubernetes.operator import make_cluster_spec
from hypothesis import given
from hypothesis import strategies as st

from orion_k8s.errors import ConfigurationError, MissingExtra
from orion_k8s.executor.dask_kubernetes import arguments, spec
from orion_k8s.executor.dask_kubernetes.arguments import make_wanted
from orion_k8s.executor.dask_kubernetes.scheduler import is_ready, why_not
from orion_k8s.executor.dask_kubernetes.spec import OwnPod, autoscaler_object, cluster_object
from orion_k8s.executor.registry import create_executor

OWN = OwnPod(
    name="worker-0",
    namespace="team",
    uid="1234",
    image="registry/own:1",
    container={
        "imagePullPolicy": "Never",
        "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
    },
    pod={"imagePullSecrets": [{"name": "key"}], "securityContext": {"runAsNonRoot": True}},
)


def make(own: OwnPod | None = None, **wanted: Any) -> dict[str, Any]:
    return cluster_object(make_wanted(**wanted), "sweep", "team", "host/1/abc", own)


def pod_of(made: dict[str, Any], part: str) -> dict[str, Any]:
    found: dict[str, Any] = made["spec"][part]["spec"]
    return found


# --- the object ----------------------------------------------------------------------------------


def test_made_from_arguments() -> None:
    made = make(
        n_workers=3,
        image="orion-k8s:1",
        env={"OMP_NUM_THREADS": 1},
        resources={"cpu": 2, "nvidia.com/gpu": 1},
        idle_timeout=60.5,
    )
    assert made["metadata"]["name"] == "sweep"
    assert made["metadata"]["namespace"] == "team"
    assert made["metadata"]["annotations"] == {"orion-k8s/made-by": "host/1/abc"}
    assert "ownerReferences" not in made["metadata"]
    assert made["spec"]["idleTimeout"] == 61
    assert made["spec"]["worker"]["replicas"] == 3
    worker, scheduler = (pod_of(made, part)["containers"][0] for part in ("worker", "scheduler"))
    assert worker["image"] == scheduler["image"] == "orion-k8s:1"
    assert worker["command"] == ["dask", "worker", "--nthreads", "1"]
    assert worker["args"][:2] == ["--name", "$(DASK_WORKER_NAME)"]
    assert scheduler["command"] == ["dask", "scheduler"]
    assert worker["resources"]["limits"] == {"cpu": "2", "nvidia.com/gpu": "1"}
    assert {"name": "OMP_NUM_THREADS", "value": "1"} in worker["env"]
    routes = next(e["value"] for e in scheduler["env"] if e["name"] == spec.HTTP_ROUTES)
    assert "distributed.http.scheduler.api" in json.loads(routes)
    assert "distributed.http.health" in json.loads(routes)


def test_a_worker_command_of_ones_own() -> None:
    made = make(image="a", worker_command="dask-cuda worker --nthreads 4")
    worker = pod_of(made, "worker")["containers"][0]
    assert worker["command"] == ["dask-cuda", "worker", "--nthreads", "4"]
    assert worker["args"][0] == "--name"


def test_a_pod_gives_what_its_namespace_asks_for() -> None:
    made = make(OWN)
    for part in ("worker", "scheduler"):
        pod = pod_of(made, part)
        container = pod["containers"][0]
        assert container["image"] == "registry/own:1"
        assert container["imagePullPolicy"] == "Never"
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
        assert pod["securityContext"] == {"runAsNonRoot": True}
        assert pod["imagePullSecrets"] == [{"name": "key"}]
        assert pod["automountServiceAccountToken"] is False
    assert "imagePullPolicy" not in pod_of(make(OWN, image="b"), "worker")["containers"][0]


def test_owned_by_the_pod_of_the_same_namespace_alone() -> None:
    (owner,) = make(OWN)["metadata"]["ownerReferences"]
    assert owner == {"apiVersion": "v1", "kind": "Pod", "name": "worker-0", "uid": "1234"}
    elsewhere = cluster_object(make_wanted(), "sweep", "other", "me", OWN)
    assert "ownerReferences" not in elsewhere["metadata"]


def test_a_pod_as_the_server_tells_it() -> None:
    found = {
        "metadata": {"name": "worker-0", "namespace": "team", "uid": "1234"},
        "spec": {
            "containers": [
                {"name": "worker", "image": "registry/own:1", **OWN.container},
                {"name": "sidecar", "image": "other"},
            ],
            "serviceAccountName": "worker",
            **OWN.pod,
        },
    }
    assert OwnPod.read(found) == OWN


def test_a_spec_of_ones_own_stays_as_it_is(tmp_path: Path) -> None:
    own = make_cluster_spec("mine", image="a", n_workers=5)
    own["metadata"]["labels"] = {"team": "vision"}
    own["spec"]["idleTimeout"] = 42
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(own))
    wanted = make_wanted(custom_cluster_spec=str(path))
    assert wanted == make_wanted(custom_cluster_spec=own)
    assert (wanted.name, wanted.pods) == ("mine", 5)
    made = cluster_object(wanted, "mine", "team", "me", OWN)
    assert made["metadata"]["labels"]["team"] == "vision"
    assert made["metadata"]["ownerReferences"] == [OWN.reference]
    # What the operator asks by HTTP is added, and nothing else.
    scheduler = pod_of(made, "scheduler")["containers"][0]
    assert [item["name"] for item in scheduler.pop("env")] == [spec.HTTP_ROUTES]
    del pod_of(own, "scheduler")["containers"][0]["env"]
    assert made["spec"] == own["spec"]


def test_a_spec_without_a_name_serves_many_workers() -> None:
    own = make_cluster_spec("x", image="a", n_workers=5)
    del own["metadata"], own["spec"]["idleTimeout"]
    made = make(custom_cluster_spec=own, n_workers=2, idle_timeout=30)
    assert make_wanted(custom_cluster_spec=own).name is None
    assert made["metadata"]["name"] == "sweep"
    assert made["spec"]["scheduler"]["service"]["selector"]["dask.org/cluster-name"] == "sweep"
    assert (made["spec"]["idleTimeout"], made["spec"]["worker"]["replicas"]) == (30, 2)
    assert "metadata" not in own


@pytest.mark.parametrize(("idle_timeout", "written"), [(300.0, 300), (0, 0)])
def test_a_spec_of_dasks_own_builder_ends_when_idle(idle_timeout: float, written: int) -> None:
    own = make_cluster_spec("x", image="a")
    assert own["spec"]["idleTimeout"] == 0
    made = make(custom_cluster_spec=own, idle_timeout=idle_timeout)
    assert made["spec"]["idleTimeout"] == written


def test_autoscaler_belongs_to_its_cluster() -> None:
    wanted = make_wanted(adapt={"maximum": 4}, image="a")
    assert (wanted.pods, wanted.adapt) == (0, arguments.Adapt(0, 4))
    made = cluster_object(wanted, "sweep", "team", "me")
    made["metadata"]["uid"] = "99"
    assert wanted.adapt is not None
    autoscaler = autoscaler_object(wanted.adapt, made)
    assert autoscaler["spec"] == {"cluster": "sweep", "minimum": 0, "maximum": 4}
    assert autoscaler["metadata"]["ownerReferences"][0]["uid"] == "99"


@given(st.text(max_size=80))
def test_names_are_good_and_never_the_same(host: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: host)
        name, other = arguments.new_name(), arguments.new_name()
    assert name != other
    assert re.fullmatch(r"orion-[a-z0-9]([-a-z0-9]*[a-z0-9])?", name) and "--" not in name
    assert len(name) <= arguments.GENERATED_LENGTH


# --- what is refused -----------------------------------------------------------------------------

SPEC = make_cluster_spec("x", image="a")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"name": "No"}, "small letters"),
        ({"name": "x" * 54}, "53 at most"),
        ({"adapt": 3}, '{"minimum": 0, "maximum": 10}'),
        ({"adapt": {"maxmum": 3}}, "did you mean 'maximum'?"),
        ({"adapt": {"minimum": 3}}, "adapt needs a maximum"),
        ({"adapt": {"minimum": 3, "maximum": 2}}, "3 to 2"),
        ({"adapt": {"maximum": 2.5}}, "whole number"),
        ({"adapt": {"maximum": 2}, "n_workers": 3}, "more than adapt allows"),
        ({"n_workers": 0}, "at least 1"),
        ({"n_workers": "two"}, "n_workers must be a whole number"),
        ({"resources": {"cpus": None}}, "resources"),
        ({"env": "A=1"}, "env must be"),
        ({"worker_command": []}, "worker_command must be"),
        ({"idle_timeout": 3}, "at least 10 seconds"),
        ({"idle_timeout": -1}, "idle_timeout"),
        ({"custom_cluster_spec": "/nowhere.yaml"}, "cannot be read"),
        ({"custom_cluster_spec": {"kind": "Pod"}}, "must be a DaskCluster"),
        ({"custom_cluster_spec": SPEC, "image": "b"}, "write image into it"),
        ({"custom_cluster_spec": SPEC, "name": "y"}, "leave one out"),
        ({"custom_cluster_spec": {**SPEC, "spec": {}}}, "no containers in spec.scheduler.spec"),
    ],
    ids=str,
)
def test_refused(wanted: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)) as caught:
        make_wanted(**wanted)
    assert "\n" not in str(caught.value)


def test_no_image_outside_of_a_pod() -> None:
    with pytest.raises(ConfigurationError, match="needs an image with orion-k8s"):
        make()


def test_an_argument_that_there_is_not() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'image'"):
        create_executor("dask-kubernetes", imge="a")


def test_joined_or_made() -> None:
    with pytest.raises(ConfigurationError, match="joins a DaskCluster that is there, and image"):
        create_executor("dask-kubernetes", cluster="a", image="b")


def test_no_cluster_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigurationError, match="No Kubernetes cluster is known"):
        create_executor("dask-kubernetes", image="a")


def test_an_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for module in [m for m in sys.modules if m.startswith("orion_k8s.executor.dask_kubernetes")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "dask_kubernetes", None)
    with pytest.raises(MissingExtra, match=r"pip install 'orion-k8s\[dask,k8s\]'"):
        create_executor("dask-kubernetes", image="a")


# --- why a scheduler does not come ---------------------------------------------------------------


class Deployments:
    """What the API server says of the pods that it does not let be made."""

    def __init__(self, refused: str | None = None) -> None:
        self.refused = refused

    def refused_pods(self, name: str, part: str) -> str | None:
        return self.refused


def reason(pods: list[dict[str, Any]], refused: str | None = None) -> str | None:
    hold = why_not(Deployments(refused), "sweep", "scheduler", pods)  # type: ignore[arg-type]
    return hold.text if hold else None


def test_why_the_scheduler_does_not_start() -> None:
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s"}
    ended = {"terminated": {"exitCode": 1, "message": "Traceback …\nNo module named 'dask'\n"}}
    crashing = {
        "status": {
            "containerStatuses": [
                {"name": "scheduler", "state": {"waiting": waiting}, "lastState": ended}
            ]
        }
    }
    said = reason([crashing])
    assert said is not None and said.endswith("it said: No module named 'dask'")
    assert reason([{"status": {"phase": "Pending"}}]) is None
    assert reason([]) is None
    assert reason([], 'pods "x" is forbidden: exceeded quota: q') == (
        'its pod is refused: pods "x" is forbidden: exceeded quota: q'
    )


def test_ready_by_its_condition_alone() -> None:
    running = {
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
    }
    assert not is_ready(running)
    running["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert is_ready(running)
