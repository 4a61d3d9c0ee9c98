"""How long the chart's workers take on a cluster, and what they cost: `make bench-k8s`.

Times of pods have a resolution of one second, rounded down: what follows a pod's start may look up
to a second longer than it was. All else is read from the history and the ledger, to the
millisecond. Images have to be on the nodes.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import datetime

from orion_k8s.trial import TrialRecord
from tests.e2e.chart_release import Release, experiment, until
from tests.e2e.kubectl import Object, found, kubectl
from tests.e2e.ledger import Ledger

LOOK_S = 30.0
MANY = "deployments,replicasets,statefulsets,jobs,pods,configmaps,secrets,services,pvc"
USED = """
import os, time
def used():
    fields = open("/proc/1/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
before = used()
time.sleep(%r)
print((used() - before) / %r)
print([int(l.split()[1]) / 1024 for l in open("/proc/1/status") if l.startswith("VmRSS")][0])
"""


def seconds(stamp: str) -> float:
    """Return a time of the cluster as POSIX seconds."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def became_ready(pod: Object) -> float:
    """Return when a pod became ready."""
    [at] = [c["lastTransitionTime"] for c in pod["status"]["conditions"] if c["type"] == "Ready"]
    return seconds(at)


def container_started(pod: Object) -> float:
    """Return when a pod's container started."""
    return seconds(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])


def first_claims(release: Release) -> dict[str, float]:
    """Return when each worker's pod began its first trial that it still holds or completed."""
    claims: dict[str, float] = {}
    for trial in release.trials():
        if trial.worker and trial.start_time is not None:
            pod = trial.worker.partition(":")[0]
            claims[pod] = min(claims.get(pod, trial.start_time), trial.start_time)
    return claims


def told(what: str, measured: str, goal: str) -> None:
    print(f"{what:58}{measured:>18}   goal {goal}")


def test_from_an_install_to_the_first_trial(release4: Release, ledger: Ledger) -> None:
    release4.install(experiment("report", 10, worker={"replicas": 2}))
    release4.completes(10)
    trials = release4.trials()
    [mongodb] = release4.pods("mongodb")
    first = min(trial.end_time for trial in trials if trial.end_time is not None)
    told("MongoDB ready → first completed trial", f"{first - became_ready(mongodb):.1f} s", "5 s")
    pods = {p["metadata"]["name"]: container_started(p) for p in release4.pods("worker")}
    claims = first_claims(release4)
    waits = sorted(claims[name] - began for name, began in pods.items() if name in claims)
    # The first has to wait for the database; the others for nobody.
    told("container started → first claim (database starts too)", f"{waits[-1]:.1f} s", "2 s")


def test_scaling(release4: Release, ledger: Ledger) -> None:
    release4.install(experiment("hold-first", 12, worker={"replicas": 1, "grace": 2}))
    until(lambda: len(ledger.notes("start")) == 1)
    release4.scale(10)
    until(lambda: len(ledger.notes("start")) == 10)
    pods = {p["metadata"]["name"]: container_started(p) for p in release4.pods("worker")}
    claims = first_claims(release4)
    waits = sorted(claims[name] - pods[name] for name in pods)
    told("1 → 10: container started → first claim, median", f"{waits[5]:.1f} s", "2 s")
    told("1 → 10: container started → first claim, slowest", f"{waits[-1]:.1f} s", "3 s")
    release4.scale(1)
    until(lambda: len(ledger.notes("term")) == 9)
    until(lambda: len(_returned(release4.trials())) == 9)
    ends = {note.trial: note.at for note in ledger.notes("term")}
    back = sorted(at - ends[trial] for trial, at in _returned(release4.trials()).items())
    told("10 → 1: program ended → trial available, slowest", f"{back[-1]:.2f} s", "2 s")
    ledger.set("go")
    release4.completes(12)


def _returned(trials: list[TrialRecord]) -> dict[str, float]:
    """Return when trials were given back for the first time."""
    return {trial.id: float(trial.story[0]["time"]) for trial in trials if trial.story}


def test_what_it_costs(release4: Release, ledger: Ledger) -> None:
    values = experiment("report", 10, worker={"replicas": 1})
    release4.install(values)
    release4.completes(10)
    few = _objects(release4)
    [pod] = release4.pods("worker")
    time.sleep(5)  # it measures: nothing is waited for
    code = USED % (LOOK_S, LOOK_S)
    words = ("exec", pod["metadata"]["name"], "-c", "worker", "--", "python", "-c", code)
    cores, mebibytes = map(float, kubectl(*words, namespace=release4.namespace).split())
    told("a worker that waits: processor", f"{cores:.4f} cores", "0.02 cores")
    told("a worker that waits: memory", f"{mebibytes:.0f} MiB", "150 MB")
    release4.upgrade({**values, "experiment": {**values["experiment"], "maxTrials": 200}})
    release4.completes(200)
    many = _objects(release4)
    told("objects in the namespace at 10 and at 200 trials", f"{few}, {many}", "the same")


def _objects(release: Release) -> int:
    """Return how many objects there are; of ReplicaSets and Helm's own, the newest."""
    kinds: Counter[str] = Counter()
    for one in found(MANY, release.namespace):
        old = one["kind"] == "ReplicaSet" and one["spec"]["replicas"] == 0
        helm = one.get("type") == "helm.sh/release.v1"
        kinds[one["kind"]] += not (old or helm)
    return sum(kinds.values())


def test_the_cluster_itself(namespace: str) -> None:
    """For comparison: a pod that does nothing."""
    spec = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bare"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {"name": "c", "image": "python:3.13-slim", "command": ["python", "-c", "pass"]}
            ],
        },
    }
    began = time.time()
    kubectl("create", "-f", "-", namespace=namespace, stdin=json.dumps(spec))
    until(lambda: found("pods", namespace)[0]["status"]["phase"] == "Succeeded")
    print(f"a bare pod, from kubectl to its end: {time.time() - began:.1f} s")
