"""What the chart renders in each mode, without a cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from golden import GOLDEN, difference
from rendering import (
    APIS,
    CHART,
    MODES,
    Helm,
    Object,
    containers,
    masked,
    name_of,
    pick,
    pod_specs,
    values_file,
)

# Of Kubernetes' own kinds and those of APIS: none belongs to the whole cluster.
NAMESPACED = {
    *("ConfigMap", "Secret", "Service", "ServiceAccount", "Pod", "Deployment", "StatefulSet"),
    *("Job", "NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding", "DaskCluster"),
    *("DaskAutoscaler", "PodMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"),
}
SELECTOR = {f"app.kubernetes.io/{part}" for part in ("name", "instance", "component")}


def worker(objects: list[Object]) -> Object:
    """Return the container of the first workers."""
    return next(
        one
        for name, spec in pod_specs(objects)
        if "-orion-k8s-worker" in name
        for one in spec["containers"]
        if one["name"] == "worker"
    )


def environment(container: Object) -> dict[str, Any]:
    """Return the container's variables."""
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def experiment(objects: list[Object]) -> Any:
    """Return what the workers' configuration file says of the experiment."""
    text = pick(objects, "ConfigMap", "-experiment")["data"]["experiment.yaml"]
    return yaml.safe_load(text)["experiment"]


def test_it_is_without_fault_by_lint(helm: Helm) -> None:
    helm.run("lint", "--strict", CHART)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_without_fault_by_lint(helm: Helm, mode: str) -> None:
    helm.run("lint", "--strict", CHART, "-f", values_file(mode))


@pytest.mark.parametrize("mode", MODES)
def test_both_helms_render_the_same(helm4: Helm, helm: Helm, mode: str) -> None:
    assert masked(helm.render(mode)) == masked(helm4.render(mode))


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "default"])
def test_a_mode_changes_what_it_did(helm4: Helm, mode: str) -> None:
    told = (GOLDEN / f"{mode}.txt").read_text(encoding="utf-8")
    assert difference(helm4, mode) == told, "if it is meant: python tests/chart/golden.py"


@pytest.mark.parametrize("mode", MODES)
def test_nothing_belongs_to_the_whole_cluster(helm4: Helm, mode: str) -> None:
    for found in helm4.render(mode):
        assert found["kind"] in NAMESPACED
        if mode != "everything":  # which has objects of the person's own
            assert found["metadata"]["namespace"] == "research"


@pytest.mark.parametrize("mode", MODES)
def test_pods_are_found_by_three_labels_alone(helm4: Helm, mode: str) -> None:
    objects = helm4.render(mode)
    seen = []
    for found in objects:
        if found["kind"] in ("Deployment", "StatefulSet"):
            selector = found["spec"]["selector"]["matchLabels"]
            assert set(selector) == SELECTOR
            assert selector.items() <= found["spec"]["template"]["metadata"]["labels"].items()
            seen.append(tuple(selector.values()))
        if found["kind"] in ("PodDisruptionBudget",):
            assert set(found["spec"]["selector"]["matchLabels"]) == SELECTOR
    assert len(seen) == len(set(seen))


def test_another_version_of_the_chart_starts_no_pod_anew(helm4: Helm) -> None:
    for found in helm4.render("default"):
        if found["kind"] in ("Deployment", "StatefulSet"):
            labels = found["spec"]["template"]["metadata"]["labels"]
            assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()
            assert found["metadata"]["labels"]["helm.sh/chart"].startswith("orion-k8s-")


@pytest.mark.parametrize("mode", MODES)
def test_every_image_can_be_moved(helm4: Helm, mode: str) -> None:
    digest = "sha256:" + "ab" * 32
    moved = helm4.render(
        *(mode, "--set=global.imageRegistry=mirror.example.org:5000/team"),
        *(f"--set=image.digest={digest}", f"--set=mongodb.image.digest={digest}"),
        *("--set=worker.initContainers=null", "--set=worker.sidecars=null"),
        *([f"--set=worker.programImage.digest={digest}"] * (mode == "program-image")),
    )
    images = [one["image"] for _, spec in pod_specs(moved) for one in containers(spec)]
    assert images
    for image in images:
        assert image.startswith("mirror.example.org:5000/team/")
        assert image.endswith(f"@{digest}")
    text = json.dumps(moved)
    assert "orion-k8s:0" not in text and "mongo:8" not in text


@pytest.mark.parametrize("mode", MODES)
def test_pods_keep_to_the_strictest_profile(helm4: Helm, mode: str) -> None:
    for name, spec in pod_specs(helm4.render(mode)):
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True and pod["runAsUser"] > 0, name
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for one in containers(spec):
            if mode == "everything" and one["name"] in ("fetch", "proxy"):
                continue  # the person's own
            context = one["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, (name, one["name"])
            assert context["readOnlyRootFilesystem"] is True, (name, one["name"])
            assert context["capabilities"] == {"drop": ["ALL"]}, (name, one["name"])


@pytest.mark.parametrize("mode", MODES)
def test_a_token_is_for_those_that_need_one(helm4: Helm, mode: str) -> None:
    objects = helm4.render(mode)
    needs = mode in ("dask-ephemeral", "kubernetes-executor")
    for name, spec in pod_specs(objects):
        mounted = needs and name == "Deployment/demo-orion-k8s-worker"
        assert spec["automountServiceAccountToken"] is mounted, name
    assert any(found["kind"] == "Role" for found in objects) is needs


@pytest.mark.parametrize("mode", MODES)
def test_no_secret_stands_anywhere_but_in_secrets(helm4: Helm, mode: str) -> None:
    objects = helm4.render(mode)
    words = [
        value
        for found in objects
        if found["kind"] == "Secret"
        for value in found.get("data", {}).values()
    ]
    others = json.dumps([found for found in objects if found["kind"] != "Secret"])
    for word in words:
        assert word not in others
    for _, spec in pod_specs(objects):
        for one in containers(spec):
            for variable in one.get("env", []):
                if "PASSWORD" in variable["name"]:
                    assert variable["name"].endswith("_FILE")


def test_a_worker_is_told_of_its_experiment(helm4: Helm) -> None:
    objects = helm4.render(
        *("groups", "--set=experiment.algorithm=sobol", "--set-json=worker.grace=2.5"),
        "--set-string=experiment.command[2]=$(HOME)",
    )
    assert experiment(objects) == {
        "name": "groups",
        "version": 2,
        "algorithm": {"sobol": {}},
        "space": {"lr": "loguniform(1e-5, 1)", "layers": "randint(1, 5)"},
        "direction": "maximize",
        "goal": 0.99,
        "enqueue": [{"lr": 0.01, "layers": 2}],
        "max_trials": 1000,
        "max_broken": 10,
        "seed": 7,
        "working_dir": "/trials",
    }
    container = worker(objects)
    assert container["command"] == ["orion-k8s"]
    # As typed: Kubernetes would fill in $(HOME).
    assert container["args"][-3:] == ["python", "train.py", "$$(HOME)"]
    told = environment(container)
    assert told["ORION_GRACE"] == "2.5" and told["ORION_N_WORKERS"] == "2"


def test_the_product_takes_the_file_that_it_is_told_of(helm4: Helm, tmp_path: Any) -> None:
    from orion_k8s.config import Level, resolve

    for mode in MODES:
        objects = helm4.render(mode)
        path = tmp_path / f"{mode}.yaml"
        path.write_text(pick(objects, "ConfigMap", "-experiment")["data"]["experiment.yaml"])
        told = {
            name: value
            for name, value in environment(worker(objects)).items()
            if isinstance(value, str)
        }
        told.pop("ORION_DB_PASSWORD_FILE", None)
        configuration = resolve(local=path, env=told)
        assert configuration.value("experiment.name")
        assert configuration.source("experiment.name").level is Level.LOCAL


def test_large_numbers_stay_whole(helm4: Helm) -> None:
    objects = helm4.render("default", "--set=experiment.maxTrials=100000000")
    assert experiment(objects)["max_trials"] == 100_000_000


def test_what_is_not_said_is_left_to_the_history(helm4: Helm) -> None:
    objects = helm4.render("default", "--set=experiment.maxTrials=null")
    assert experiment(objects) == {"name": "branin", "working_dir": "/trials"}


def test_a_group_takes_zero_false_and_null_for_what_they_are(helm4: Helm) -> None:
    objects = helm4.render("groups")
    assert pick(objects, "Deployment", "-worker")["spec"]["replicas"] == 3
    assert pick(objects, "Deployment", "-worker-gpu")["spec"]["replicas"] == 0
    waiting = pick(objects, "Deployment", "-worker-waiting")
    assert "replicas" not in waiting["spec"]
    assert "orion-k8s/replicas" not in waiting["metadata"].get("annotations", {})
    assert pick(objects, "Deployment", "-worker")["metadata"]["annotations"] == {
        "orion-k8s/replicas": "3"
    }


def test_who_scales_by_itself_has_no_replicas_rendered(helm4: Helm) -> None:
    deployment = pick(helm4.render("monitoring"), "Deployment", "-worker")
    assert "replicas" not in deployment["spec"]
    target = pick(helm4.render("monitoring"), "ScaledObject")["spec"]["scaleTargetRef"]
    assert target == {"name": deployment["metadata"]["name"]}


def test_keda_asks_what_workers_leave_word_of(helm4: Helm) -> None:
    from orion_k8s.storage.mongo_documents import DEMAND

    [trigger] = pick(helm4.render("monitoring"), "ScaledObject")["spec"]["triggers"]
    asked = trigger["metadata"]
    assert json.loads(asked["query"]) == {"name": "monitoring", **DEMAND}
    assert (asked["dbName"], asked["collection"]) == ("orion", "experiments")


def test_a_job_is_another_for_another_template_and_the_same_for_another_number(
    helm4: Helm,
) -> None:
    name = name_of(pick(helm4.render("job"), "Job"))
    assert name_of(pick(helm4.render("job", "--set=worker.replicas=9"), "Job")) == name
    assert name_of(pick(helm4.render("job", "--set-string=image.tag=2"), "Job")) != name


@pytest.mark.parametrize(
    ("settings", "uri"),
    [
        ((), "mongodb://demo-orion-k8s-mongodb:27017/orion?directConnection=true"),
        (
            ("--set=mongodb.replicaSet.members=3",),
            "mongodb://demo-orion-k8s-mongodb:27017/orion?replicaSet=rs0",
        ),
        (
            ("--set=mongodb.tls.enabled=true", "--set=mongodb.tls.existingSecret=tls"),
            "mongodb://demo-orion-k8s-mongodb:27017/orion?directConnection=true"
            "&tls=true&tlsCAFile=/etc/orion-k8s/ca/ca.crt",
        ),
    ],
)
def test_workers_are_told_where_the_history_is(
    helm4: Helm, settings: tuple[str, ...], uri: str
) -> None:
    told = environment(worker(helm4.render("default", *settings)))
    assert told["ORION_DB_ADDRESS"] == uri
    assert told["ORION_DB_USERNAME"] == "orion"
    assert told["ORION_DB_PASSWORD_FILE"] == "/etc/orion-k8s/database/password"


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("mongodb://db", "mongodb://db/?"),
        ("mongodb://db/", "mongodb://db/?"),
        ("mongodb://db/orion?w=1", "mongodb://db/orion?w=1&"),
    ],
)
def test_an_authority_of_ones_own_goes_into_the_uri(helm4: Helm, uri: str, told: str) -> None:
    objects = helm4.render("external-mongodb", f"--set=externalMongodb.uri={uri}")
    address = environment(worker(objects))["ORION_DB_ADDRESS"]
    assert address == told + "tls=true&tlsCAFile=/etc/orion-k8s/ca/ca.crt"


def test_a_whole_uri_comes_from_its_secret(helm4: Helm) -> None:
    told = environment(worker(helm4.render("external-uri")))
    assert told["ORION_DB_ADDRESS"] == {"secretKeyRef": {"name": "orion-db", "key": "uri"}}
    assert "ORION_DB_PASSWORD_FILE" not in told


def test_the_executor_takes_what_the_chart_tells_it(helm4: Helm) -> None:
    from orion_k8s.executor.dask_kubernetes.arguments import make_wanted
    from orion_k8s.executor.kubernetes.template import make_template

    told = environment(worker(helm4.render("kubernetes-executor")))
    assert told["ORION_EXECUTOR"] == "kubernetes"
    template = make_template(**json.loads(told["ORION_EXECUTOR_CONFIGURATION"]))
    assert template.image == "orion-k8s:0.1.0"
    program = template.pod["containers"][0]
    assert program["resources"] == {"limits": {"nvidia.com/gpu": 1}}
    assert program["securityContext"]["readOnlyRootFilesystem"] is True

    told = environment(worker(helm4.render("dask-ephemeral")))
    assert told["ORION_EXECUTOR"] == "dask-kubernetes"
    assert "ORION_N_WORKERS" not in told
    text = told["ORION_EXECUTOR_CONFIGURATION"].replace("$$(", "$(")  # as the kubelet does
    wanted = make_wanted(**json.loads(text))
    assert wanted.pods == 2 and wanted.idle_s == 600
    assert wanted.custom is not None
    assert "--name=$(DASK_WORKER_NAME)" in json.dumps(wanted.custom)


def test_what_a_person_says_of_the_trials_pod_is_laid_over(helm4: Helm) -> None:
    from orion_k8s.executor.kubernetes.template import make_template

    pod = {
        "metadata": {"annotations": {"a": "b"}},
        "spec": {
            "priorityClassName": "batch",
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [
                {"name": "proxy", "image": "proxy:1"},
                {
                    "name": "trial",
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    "env": [{"name": "TRIAL", "value": "$(ORION_TRIAL_ID)"}],
                },
            ],
        },
    }
    objects = helm4.render(
        *("kubernetes-executor", f"--set-json=executor.kubernetes.template={json.dumps(pod)}"),
        *("--set=executor.kubernetes.queueName=q", "--set=executor.kubernetes.deadline=60"),
    )
    text = environment(worker(objects))["ORION_EXECUTOR_CONFIGURATION"].replace("$$(", "$(")
    template = make_template(**json.loads(text))
    program = template.pod["containers"][0]
    assert [one["mountPath"] for one in program["volumeMounts"]] == ["/tmp", "/trials", "/data"]
    assert program["image"] == "orion-k8s:0.1.0"
    assert program["env"] == [{"name": "TRIAL", "value": "$(ORION_TRIAL_ID)"}]
    assert [one["name"] for one in template.pod["initContainers"]] == ["proxy"]
    assert template.pod["priorityClassName"] == "batch"
    assert template.deadline_s == 60
    assert template.job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q"
    assert template.job["spec"]["template"]["metadata"]["annotations"] == {"a": "b"}


def test_names_do_not_hang_on_the_namespace(helm4: Helm) -> None:
    for found in helm4.render("default"):
        found["metadata"].pop("namespace")
        assert "research" not in json.dumps(found)


def test_release_and_names_of_ones_own(helm4: Helm) -> None:
    short = helm4.render("default", release="orion-k8s")
    assert pick(short, "Deployment")["metadata"]["name"] == "orion-k8s-worker"
    other = helm4.render("default", "--set=fullnameOverride=tuning", "--set=nameOverride=hunt")
    deployment = pick(other, "Deployment")
    assert deployment["metadata"]["name"] == "tuning-worker"
    assert deployment["metadata"]["labels"]["app.kubernetes.io/name"] == "hunt"


def test_without_a_cluster_s_other_apis_it_renders_all_the_same(helm: Helm) -> None:
    assert helm.render("default", apis=()) and APIS


@pytest.mark.parametrize("executor", ["local", "dask", "kubernetes"])
def test_a_program_s_image_gets_orion_k8s_where_it_is_needed(helm4: Helm, executor: str) -> None:
    objects = helm4.render("program-image", f"--set=executor.type={executor}")
    pods = dict(pod_specs(objects))
    program = "registry.example.com/research/train:1.4"
    brought = {
        name
        for name, spec in pods.items()
        if any(v["name"] == "environment" for v in spec["volumes"])
    }
    if executor == "kubernetes":
        assert not brought
        assert worker(objects)["image"] == "orion-k8s:0.1.0"
        arguments = json.loads(environment(worker(objects))["ORION_EXECUTOR_CONFIGURATION"])
        (trial,) = arguments["template"]["spec"]["template"]["spec"]["containers"]
        assert trial["image"] == program
        return
    workers = {name for name in pods if name.endswith("-worker")}
    assert brought == workers and len(workers) == (2 if executor == "dask" else 1)
    for name in workers:
        (first,) = pods[name]["initContainers"]
        (one,) = pods[name]["containers"]
        assert (first["image"], one["image"]) == ("orion-k8s:0.1.0", program)
        assert one["command"][0].startswith("/opt/orion-k8s/")


@pytest.mark.parametrize(
    ("word", "given"),
    [("experiment.stopping=median", {"median": {}}), ("experiment.repetitions=2", 2)],
)
def test_workers_are_told_of_the_experiment_s_options(helm4: Helm, word: str, given: Any) -> None:
    told = experiment(helm4.render("default", f"--set={word}"))
    assert told[word.partition("=")[0].partition(".")[2]] == given
