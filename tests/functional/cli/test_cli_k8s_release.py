"""Commands that ask a cluster, against a stand-in for one that holds the real chart's objects."""

from __future__ import annotations

import shlex
import signal
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commanding import History, Said
from hunting import Shell, ended
from standin import Cluster, running

from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import Status

EXPERIMENT = {"name": "digits", "command": ["python", "-x~uniform(-5, 5)"], "maxTrials": 3}
ELSEWHERE = {"mongodb": {"enabled": False}, "externalMongodb": {"uri": "mongodb://db/orion"}}
POD = "r-orion-k8s-worker-5d9c7bd6b-x2x7k"
LABELS = {"app.kubernetes.io/instance": "r"}
WORKER = "r-orion-k8s-worker"
COMMANDS = [("status",), ("scale", "2"), ("forward",), ("export", "f.db"), ("logs", "0")]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running() as made:
        yield made


@pytest.fixture
def k8s(
    cluster: Cluster,
    cli: Callable[..., Said],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Said]:
    """Run a command of `orion-k8s k8s`, as somebody whose own history is none."""
    monkeypatch.setenv("KUBECONFIG", cluster.kubeconfig(tmp_path / "kubeconfig"))
    monkeypatch.setenv("ORION_DB_ADDRESS", "/nowhere/at/all.db")
    monkeypatch.chdir(tmp_path)
    return lambda *words: cli("k8s", *words)


@pytest.fixture
def elsewhere(cluster: Cluster, tmp_path: Path) -> Iterator[History]:
    """A release whose history needs no port-forward, with a trial of each kind."""
    values = {"experiment": EXPERIMENT, **ELSEWHERE, "workerGroups": {"gpu": {"replicas": 2}}}
    cluster.install("r", values)
    path = tmp_path / "elsewhere.db"
    for name in (WORKER, f"{WORKER}-gpu"):
        [container] = cluster.one("deployments", name)["spec"]["template"]["spec"]["containers"]
        [address] = [e for e in container["env"] if e["name"] == "ORION_DB_ADDRESS"]
        address["value"] = str(path)
    cluster.one("deployments", WORKER)["status"] = {"readyReplicas": 1}
    history = History(str(path))
    with history.storage:
        yield history


def lived(history: History, worker: str = f"{POD}:1:abcdef") -> list[str]:
    """Make the experiment, with trials of several kinds; their ids."""
    record = history.experiment("digits", max_trials=3)
    done = history.reserved(record, 0, worker=worker)
    history.storage.complete(done, 0.5, [{"name": "o", "type": "objective", "value": 0.5}])
    broken = history.reserved(record, 1, worker=worker)
    history.storage.release(broken, Status.BROKEN, "no luck")
    held = history.reserved(record, 2, worker=worker)
    return [done.trial, broken.trial, held.trial]


# --- status --------------------------------------------------------------------------------------


def test_status(k8s: Callable[..., Said], elsewhere: History) -> None:
    lived(elsewhere)
    said = k8s("status")
    assert said.code == 0, said
    lines = said.out.splitlines()
    assert lines[:4] == [
        "release r in the namespace research",
        "  workers: 1 of 1 ready",
        "  workers of gpu: 0 of 2 ready",
        "",
    ]
    assert lines[4] == "digits · version 1 · running"
    assert "  1 of 3 completed, 1 reserved, 1 broken" in lines
    assert said.err == ""


def test_status_tells_why_pods_are_not_ready(
    k8s: Callable[..., Said], cluster: Cluster, elsewhere: History
) -> None:
    lived(elsewhere)
    labels = {
        "app.kubernetes.io/instance": "r",
        "app.kubernetes.io/part-of": "orion-k8s",
        "app.kubernetes.io/component": "worker-gpu",
    }
    full = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes: no GPU"}
    cluster.pod("gpu-1", labels)["status"] = {"phase": "Pending", "conditions": [full]}
    mounts = cluster.pod("gpu-2", labels)
    mounts["status"], mounts["metadata"]["uid"] = {"phase": "Pending"}, "u2"
    cluster.put(
        {
            "kind": "Event",
            "type": "Warning",
            "reason": "FailedMount",
            "message": 'secret "data" not found',
            "metadata": {
                "name": "e",
                "namespace": "research",
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "involvedObject": {"uid": "u2"},
        }
    )
    said = k8s("status").out.splitlines()
    at = said.index("  workers of gpu: 0 of 2 ready")
    assert said[at + 1] == "    no node can take it: 0/2 nodes: no GPU"
    assert said[at + 2] == '    secret "data" not found'
    cluster.denied.add(("list", "events"))
    said = k8s("status").out.splitlines()
    assert said[at + 1 : at + 3] == ["    no node can take it: 0/2 nodes: no GPU", ""]


def test_status_as_json_and_trial_by_trial(k8s: Callable[..., Said], elsewhere: History) -> None:
    ids = lived(elsewhere)
    [found] = k8s("status", "--json", "-r", "r").json
    assert found["name"] == "digits" and found["best"]["id"] == ids[0]
    assert [trial["id"] for trial in k8s("status", "--json", "--all").json] == ids


def test_a_release_whose_workers_have_not_begun(
    k8s: Callable[..., Said], elsewhere: History
) -> None:
    said = k8s("status")
    assert said.code == 7 and "There is no experiment 'digits'" in said.err
    assert said.out.startswith("release r")


@pytest.fixture
def guarded(cluster: Cluster, guarded_mongodb: str) -> Iterator[History]:
    """A release whose MongoDB lets nobody in but by the release's own Secret."""
    database = f"test_{uuid.uuid4().hex[:16]}"
    cluster.mongodb = guarded_mongodb
    mongodb = {"database": database, "auth": {"username": "worker"}}
    cluster.install("r", {"experiment": EXPERIMENT, "mongodb": mongodb})
    cluster.secret("r-orion-k8s-mongodb", mongodb_password="s3cret")
    [container] = cluster.one("deployments", WORKER)["spec"]["template"]["spec"]["containers"]
    [address] = [e for e in container["env"] if e["name"] == "ORION_DB_ADDRESS"]
    address["value"] += "&authSource=admin"
    url = f"mongodb://worker:s3cret@{guarded_mongodb}/{database}"
    history = History(f"{url}?directConnection=true&authSource=admin")
    with history.storage:
        yield history


@pytest.mark.mongo
def test_all_through_a_port_forward(
    k8s: Callable[..., Said], cluster: Cluster, tmp_path: Path, guarded: History
) -> None:
    ids = lived(guarded)
    said = k8s("status")
    assert said.code == 0, said
    assert said.err == ""
    assert "MongoDB: 0 of 1 ready" in said.out and "1 of 3 completed" in said.out
    assert k8s("export", "mine.db").code == 0
    with SQLite(str(tmp_path / "mine.db")) as copy:
        [record] = copy.experiments()
        assert [trial.id for trial in copy.trials(record.id)] == ids
    _check_forward(cluster, tmp_path)
    cluster.secret("r-orion-k8s-mongodb", mongodb_password="wrong")
    refused = k8s("status")
    assert refused.code == 5 and "Traceback" not in refused.err, refused


@pytest.mark.mongo
def test_of_several_members_the_primary_is_read(
    k8s: Callable[..., Said], cluster: Cluster, guarded: History
) -> None:
    lived(guarded)
    labels = cluster.one("pods", "r-orion-k8s-mongodb-0")["metadata"]["labels"]
    cluster.pod("r-orion-k8s-mongodb-1", labels)
    cluster.away = {"r-orion-k8s-mongodb-0"}
    said = k8s("status")
    assert said.code == 0 and "1 of 3 completed" in said.out, said


def _check_forward(cluster: Cluster, folder: Path) -> None:
    shell = Shell(folder)
    shell.env["KUBECONFIG"] = cluster.kubeconfig(folder / "kubeconfig")
    with shell.start("k8s", "forward") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("export "), process.communicate()
        told = dict(word.split("=", 1) for word in shlex.split(line)[1:])
        assert told.keys() == {"ORION_DB_ADDRESS", "ORION_DB_USERNAME", "ORION_DB_PASSWORD_FILE"}
        file = Path(told["ORION_DB_PASSWORD_FILE"])
        assert file.read_text() == "s3cret" and stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert "s3cret" not in line
        assert "1 of 3 completed" in shell.ok("status", "-n", "digits", env=told).stdout
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.returncode == 0, done.stderr
    assert not file.parent.exists()


# --- scale ---------------------------------------------------------------------------------------


def test_scale(k8s: Callable[..., Said], cluster: Cluster, elsewhere: History) -> None:
    assert k8s("scale", 7).out == f"{WORKER}: 1 → 7 workers.\n"
    assert k8s("scale", 0, "--group", "gpu").out == f"{WORKER}-gpu: 2 → 0 workers.\n"
    assert ("patch", "deployments/scale") in cluster.asked
    assert cluster.one("deployments", WORKER)["spec"]["replicas"] == 7
    assert cluster.one("deployments", f"{WORKER}-gpu")["spec"]["replicas"] == 0
    assert "has no group of workers 'cpu', only: worker, gpu." in k8s(
        "scale", 1, "--group", "cpu"
    ).refused(7)
    assert k8s("scale", -1).code == 2 and k8s("scale", "many").code == 2
    cluster.denied.add(("patch", "deployments/scale"))
    assert (
        k8s("scale", 3)
        .refused(2)
        .startswith("orion-k8s: You may not patch deployments/scale in the namespace 'research': ")
    )


def test_scale_of_a_job(k8s: Callable[..., Said], cluster: Cluster) -> None:
    cluster.install("r", {"experiment": EXPERIMENT, "worker": {"kind": "Job", "replicas": 3}})
    [name] = [name for _, kind, name in cluster.objects if kind == "jobs"]
    assert k8s("scale", 5).out == f"{name}: 3 → 5 workers.\n"
    job = cluster.one("jobs", name)
    assert job["spec"]["parallelism"] == 5
    job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    assert f"The Job {name} has ended (complete)" in k8s("scale", 6).refused(2)
    assert job["spec"]["parallelism"] == 5


def test_scale_asks_which_group(k8s: Callable[..., Said], cluster: Cluster) -> None:
    groups = {"cpu": {}, "gpu": {}}
    values = {"experiment": EXPERIMENT, "worker": {"enabled": False}, "workerGroups": groups}
    cluster.install("r", values)
    assert "several groups of workers (cpu, gpu)" in k8s("scale", 2).refused(2)


# --- export --------------------------------------------------------------------------------------


def test_export(k8s: Callable[..., Said], elsewhere: History, tmp_path: Path) -> None:
    """The release's experiment alone, as others may be in a database that it does not own."""
    ids = lived(elsewhere)
    elsewhere.experiment("somebody else's")
    said = k8s("export", "mine.db")
    assert said.out == "1 experiment with 3 trials of the release 'r' written to mine.db.\n", said
    with SQLite(str(tmp_path / "mine.db")) as copy:
        [record] = copy.experiments()
        trials = list(copy.trials(record.id))
    assert record.name == "digits"
    assert [(trial.id, trial.status) for trial in trials] == [
        (ids[0], Status.COMPLETED),
        (ids[1], Status.BROKEN),
        (ids[2], Status.INTERRUPTED),
    ]
    names = {path.name for path in tmp_path.iterdir()}
    assert not [name for name in names if name.startswith(".orion")]
    assert "mine.db is there already" in k8s("export", "mine.db").refused(2)
    assert k8s("export", "--force", "mine.db").code == 0
    assert "there is no folder" in k8s("export", "no/where.db").refused(2)


# --- logs ----------------------------------------------------------------------------------------


def test_logs(k8s: Callable[..., Said], cluster: Cluster, elsewhere: History) -> None:
    ids = lived(elsewhere)
    gone = k8s("logs", 0).refused(7)
    assert f"Trial 0 ran in {POD}, and there is no such pod" in gone
    cluster.pod(POD, LABELS)
    cluster.logs[POD] = "one\ntwo ü\n"
    for word in (0, ids[1]):
        said = k8s("logs", word)
        assert said.out == "one\ntwo ü\n", said
        assert said.err.endswith(f"ran in the pod {POD}.\n")
    assert "has no trial 9" in k8s("logs", 9).refused(7)


def test_logs_of_a_trial_with_a_pod_of_its_own(
    k8s: Callable[..., Said], cluster: Cluster, elsewhere: History
) -> None:
    """And a worker whose pod has a longer name than a host may have."""
    long = "r-orion-k8s-worker-with-a-name-that-is-as-long-as-can-be-5d9c7bd6b-x2x7k"
    ids = lived(elsewhere, worker=f"{long[:63]}:1:abcdef")
    cluster.pod(long, LABELS)
    cluster.logs |= {long: "the worker's\n", "old": "1\n", "new": "2\n"}
    assert k8s("logs", 0).out == "the worker's\n"
    for name, time in (("old", "2026-01-01T00:00:00Z"), ("new", "2026-01-02T00:00:00Z")):
        pod = cluster.pod(name, {"orion-k8s/trial": ids[0]})
        pod["metadata"]["creationTimestamp"] = time
    assert k8s("logs", 0).out == "2\n"


# --- what a person may meet ----------------------------------------------------------------------


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_no_release(k8s: Callable[..., Said], cluster: Cluster, words: tuple[str, ...]) -> None:
    assert k8s(*words).refused(7) == (
        "orion-k8s: There is no release of orion-k8s in the namespace 'research' nor in any other "
        "of this cluster: `orion-k8s k8s install` makes one."
    )


def test_a_release_elsewhere(k8s: Callable[..., Said], cluster: Cluster) -> None:
    cluster.install("r", {"experiment": EXPERIMENT, "worker": {"replicas": 2}}, "theirs")
    assert "but in: theirs (name one with --namespace)." in k8s("scale", 1).refused(7)
    assert k8s("scale", 1, "--namespace", "theirs").out == f"{WORKER}: 2 → 1 workers.\n"
    cluster.denied.add(("list everywhere", "deployments"))
    assert "and you may look in no other" in k8s("status").refused(7)


def test_several_releases(k8s: Callable[..., Said], cluster: Cluster) -> None:
    for name in ("one", "two"):
        cluster.install(name, {"experiment": EXPERIMENT})
    assert "several releases (one, two): name one with -r." in k8s("status").refused(2)
    assert k8s("scale", 3, "-r", "two").out == "two-orion-k8s-worker: 1 → 3 workers.\n"
    assert "no release 'six' of orion-k8s in the namespace 'research', only: one, two." in k8s(
        "status", "-r", "six"
    ).refused(7)


@pytest.mark.parametrize(
    "verb, resource",
    [
        ("list", "deployments"),
        ("list", "jobs"),
        ("list", "statefulsets"),
        ("get", "secrets"),
        ("list", "pods"),
        ("get", "pods/portforward"),
    ],
)
def test_rights_that_are_missing(
    k8s: Callable[..., Said], cluster: Cluster, verb: str, resource: str
) -> None:
    cluster.install("r", {"experiment": EXPERIMENT})
    cluster.denied.add((verb, resource))
    said = k8s("status")
    assert said.code == 2
    assert said.err == (
        f"orion-k8s: You may not {verb} {resource} in the namespace 'research': ask for a Role "
        "that allows it, or name another namespace with --namespace.\n"
    )


def test_a_secret_that_is_missing(k8s: Callable[..., Said], cluster: Cluster) -> None:
    cluster.install("r", {"experiment": EXPERIMENT})
    del cluster.one("secrets", "r-orion-k8s-mongodb")["data"]["mongodb-password"]
    said = k8s("forward").refused(7)
    assert "The Secret r-orion-k8s-mongodb" in said and "has no key mongodb-password" in said
    del cluster.objects["research", "secrets", "r-orion-k8s-mongodb"]
    assert "The Secret r-orion-k8s-mongodb, by which" in k8s("forward").refused(7)


def test_mongodb_that_is_not_ready(k8s: Callable[..., Said], cluster: Cluster) -> None:
    cluster.install("r", {"experiment": EXPERIMENT})
    cluster.one("pods", "r-orion-k8s-mongodb-0")["status"] = {}
    said = k8s("status")
    assert said.code == 5 and "MongoDB of the release 'r' has no pod that is ready" in said.err
    assert "  workers: 0 of 1 ready\n  MongoDB: 0 of 1 ready\n" in said.out


def test_an_api_server_that_is_away(
    k8s: Callable[..., Said], cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.port = 1
    cluster.kubeconfig(tmp_path / "kubeconfig")
    said = k8s("status").refused(10)
    assert "The Kubernetes API server http://127.0.0.1:1 does not serve you" in said
    assert "--context" in k8s("status", "--context", "other").refused(2)
    monkeypatch.setenv("KUBECONFIG", "")
    said = k8s("status").refused(2)
    assert "No Kubernetes cluster is known" in said and "executor_configuration" not in said
