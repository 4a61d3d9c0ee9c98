"""The executor kubernetes on a real cluster: N is exact, whatever happens to Jobs and workers."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orion_k8s.errors import UsageError
from orion_k8s.executor.registry import create_executor
from orion_k8s.trial import Status
from tests.chaos.proxy import Proxy
from tests.e2e.jobs import Hunter, account, kubeconfig, role_of_the_docs, template
from tests.e2e.kubectl import apply, kubectl
from tests.e2e.ledger import IMAGE, Ledger
from tests.functional.cli.hunting import ended, until


@pytest.fixture
def hunter(tmp_path: Path, namespace: str) -> Hunter:
    return Hunter(tmp_path, namespace)


@pytest.fixture
def ledger(namespace: str) -> Ledger:
    return Ledger(namespace)


def exactly(ledger: Ledger, hunter: Hunter, n: int) -> None:
    """Exactly n trials completed, each by one program, as the ledger has it, too."""
    completed = {trial.id for trial in hunter.trials(status=Status.COMPLETED)}
    assert len(completed) == n
    started = Counter((note.trial, note.attempt) for note in ledger.notes("start"))
    assert set(started.values()) == {1}
    ends = Counter(note.trial for note in ledger.notes("end"))
    assert ends == dict.fromkeys(completed, 1)


def test_twenty_trials_of_two_workers(hunter: Hunter, ledger: Ledger) -> None:
    words = hunter.words("report", "--max-trials", "20", "--n-workers", "5")
    first, second = hunter.start(*words), hunter.start(*words)
    for worker in (first, second):
        done = ended(worker)
        assert done.returncode == 0, done.stdout + done.stderr
        warned = [line for line in done.stderr.splitlines() if "WARNING" in line]
        # What a busy node says of itself, before it tries again.
        assert all("a trial waits: MountVolume" in line for line in warned), done.stderr
    exactly(ledger, hunter, 20)
    assert len(ledger.notes("start")) == 20
    for trial in hunter.trials():
        assert trial.objective == pytest.approx(json.loads(trial.values)[0])
        assert hunter.log_of(trial.id).startswith("x is 0.")
    jobs = {job["metadata"]["labels"]["orion-k8s/trial"] for job in hunter.jobs()}
    assert jobs == {trial.id for trial in hunter.trials()}


def test_a_configuration_file_a_sidecar_and_a_wrapper(hunter: Hunter, namespace: str) -> None:
    """What else a template holds: and the Job ends, though its sidecar does not."""
    (hunter.folder / "settings.yaml").write_text("# kept\nlr: 'orion~uniform(1, 2)'\n")
    whole = template(command=["sh", "-c", 'exec "$@"', "wrapper"], env=[])
    whole["spec"]["template"]["spec"]["containers"].append(
        {"name": "aside", "image": IMAGE, "command": ["sleep", "inf"]}
    )
    configuration = {"template": whole, "env": {"SAY": "ü $(ORION_TRIAL_ATTEMPT)"}}
    program = (
        "import os, re, sys\n"
        "text = open(sys.argv[2]).read()\n"
        "print(text, os.environ['SAY'], sys.argv[3])\n"
        "lr = re.search('lr: (.*)', text)[1]\n"
        "folder = os.environ['ORION_WORKING_DIR']\n"
        "open(folder + '/checkpoint', 'w').write('x')\n"
        "print(sorted(os.listdir(folder)))\n"
        'out = \'[{"name": "lr", "type": "objective", "value": %s}]\' % lr\n'
        "open(os.environ['ORION_RESULTS_PATH'], 'w').write(out)\n"
    )
    hunter.ok(
        *("hunt", "-n", "e", "--working-dir", str(hunter.trials_dir), "--max-trials", "2"),
        *("--executor", "kubernetes", "--executor-configuration", json.dumps(configuration)),
        *("python", "-c", program, "--config", "settings.yaml", "$(HOME) $$ `a`"),
    )
    for trial in hunter.trials():
        said = hunter.log_of(trial.id)
        assert "# kept" in said and "ü 1" in said and "$(HOME) $$ `a`" in said
        assert "['attempt-1', 'checkpoint']" in said
        assert 1 <= trial.objective <= 2
    kubectl(
        *("wait", "--for=condition=Complete", "jobs", "--all", "--timeout=30s"),
        namespace=namespace,
    )


def test_programs_that_fail(hunter: Hunter, ledger: Ledger) -> None:
    done = hunter.run(*hunter.words("fail", "--max-trials", "2", "--max-broken", "1"))
    assert done.returncode == 3
    said = hunter.log_of(hunter.trials(status=Status.BROKEN)[0].id)
    # Both of its streams, in the order in which they came to Kubernetes.
    assert "this is why" in said and "x is 0." in said
    assert hunter.reasons()[0] == f"The program ended with exit code 1.\n{said.strip()}"


def test_a_program_that_asks_to_run_again(hunter: Hunter, ledger: Ledger) -> None:
    hunter.ok(*hunter.words("again", "--max-trials", "2", "--n-workers", "2"))
    exactly(ledger, hunter, 2)
    assert sorted(note.attempt for note in ledger.notes("start")) == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("what", "configuration", "reason"),
    [
        ("memory", {"resources": {"memory": "64Mi"}}, "more memory than its limit of 64Mi"),
        ("long", {"deadline": 3}, "longer than its deadline of 3 s"),
        ("big", {}, "more than the 4096 bytes"),
        ("none", {}, "exited 0 without a result"),
    ],
)
def test_broken(
    what: str, configuration: dict[str, object], reason: str, hunter: Hunter, ledger: Ledger
) -> None:
    options = ("--max-trials", "2", "--max-broken", "1", "--n-workers", "1")
    done = hunter.run(*hunter.words(what, *options, **configuration))
    assert done.returncode == 3, done.stdout + done.stderr
    assert reason in hunter.reasons()[0]
    assert "x is" in hunter.log_of(hunter.trials(status=Status.BROKEN)[0].id)


def evict(pod: str, namespace: str) -> None:
    """Evict one pod, as kubectl drain does it."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace},
    }
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
    kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


@pytest.mark.parametrize("how", ["evicted", "pod deleted", "Job deleted"])
def test_a_disrupted_trial_runs_again(how: str, hunter: Hunter, ledger: Ledger) -> None:
    worker = hunter.start(*hunter.words("hold", "--max-trials", "3", "--n-workers", "3"))
    until(lambda: len(ledger.notes("start")) == 3)
    pod = hunter.pods()[0]["metadata"]
    lost = pod["labels"]["orion-k8s/trial"]
    if how == "evicted":
        evict(pod["name"], hunter.namespace)
    else:
        kind, name = ("pod", pod["name"]) if "pod" in how else ("job", pod["labels"]["job-name"])
        kubectl("delete", kind, name, "--wait=false", namespace=hunter.namespace)
    until(lambda: len(ledger.notes("start")) == 4)
    ledger.set("go")
    done = ended(worker)
    assert done.returncode == 0, done.stdout + done.stderr
    exactly(ledger, hunter, 3)
    assert {(note.trial, note.attempt) for note in ledger.notes("start")[3:]} == {(lost, 2)}
    assert f"trial {lost} runs again: its pod was {how.split()[-1]}" in done.stderr


def test_a_result_that_an_evicted_program_leaves_counts(hunter: Hunter, ledger: Ledger) -> None:
    worker = hunter.start(*hunter.words("save", "--max-trials", "1"))
    until(lambda: ledger.notes("start"))
    evict(hunter.pods()[0]["metadata"]["name"], hunter.namespace)
    done = ended(worker)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [note.what for note in ledger.notes()] == ["start", "term"]
    assert hunter.counts() == {"completed": 1}


@pytest.mark.parametrize("what", ["save", "hold"])
def test_a_worker_that_is_told_to_end(what: str, hunter: Hunter, ledger: Ledger) -> None:
    """It ends its programs first; a result that they leave counts; no pod is left."""
    words = hunter.words(what, "--max-trials", "4", "--n-workers", "2", "--grace", "4")
    worker = hunter.start(*words)
    until(lambda: len(ledger.notes("start")) == 2)
    worker.terminate()
    done = ended(worker)
    assert done.returncode == 143, done.stdout + done.stderr
    assert hunter.counts() == ({"completed": 2} if what == "save" else {"interrupted": 2})
    until(lambda: hunter.pods() == [])


def test_a_killed_worker_is_succeeded(hunter: Hunter, ledger: Ledger) -> None:
    """The older Job is gone before the trial's next attempt begins."""
    words = hunter.words("hold-first", "--max-trials", "2", "--n-workers", "2", "--heartbeat", "1")
    worker = hunter.start(*words)
    until(lambda: len(ledger.notes("start")) == 2)
    worker.kill()
    worker.communicate()
    done = hunter.run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    exactly(ledger, hunter, 2)
    assert len(ledger.notes("start")) == 4
    for trial in hunter.trials():
        story = [(note.what, note.attempt) for note in ledger.notes() if note.trial == trial.id]
        assert story == [("start", 1), ("term", 1), ("start", 2), ("end", 2)]
    assert {job["metadata"]["labels"]["orion-k8s/attempt"] for job in hunter.jobs()} == {"2"}


# --- what is wrong for every trial ---------------------------------------------------------------


def requeued(hunter: Hunter) -> None:
    """No trial was broken by it, and nothing is left in the cluster."""
    assert set(hunter.counts()) <= {"interrupted"}
    until(lambda: hunter.jobs() == [] and hunter.pods() == [])


@pytest.mark.parametrize(
    ("configuration", "sentence"),
    [
        ({"image": "no-such-image:1"}, "'no-such-image:1' cannot be pulled"),
        ({"image": "UPPER:1"}, "'UPPER:1' cannot be pulled"),
        ({"resources": {"cpu": 900}}, "no node can take it: 0/"),
        ({"node_selector": {"no-such": "label"}}, "no node can take it: 0/"),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "no", "key": "a"}}}]},
            'secret "no" not found',
        ),
        ({"service_account": "nobody"}, 'serviceaccount "nobody" not found'),
    ],
)
def test_trials_that_cannot_start(
    configuration: dict[str, object], sentence: str, hunter: Hunter
) -> None:
    words = hunter.words("report", "--max-trials", "4", start_timeout=15, **configuration)
    done = hunter.run(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("orion-k8s: The trials cannot run on Kubernetes: "), done.stderr
    assert sentence in last
    assert "Traceback" not in done.stderr
    requeued(hunter)


def test_a_program_that_is_not_in_the_image(hunter: Hunter) -> None:
    words = hunter.words("report", "--max-trials", "4")
    words[words.index("python")] = "no-such-program"
    done = hunter.run(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the program did not start" in done.stderr
    assert "no-such-program" in done.stderr
    requeued(hunter)


def test_pods_that_the_namespace_forbids(hunter: Hunter, namespace: str) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    kubectl("label", "namespace", namespace, label)
    done = hunter.run(*hunter.words("report", "--max-trials", "4"))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "violates PodSecurity" in done.stderr
    requeued(hunter)


@pytest.mark.parametrize(
    ("rule", "verb", "missing"),
    [
        (0, "delete", "delete jobs.batch"),
        (1, "watch", "watch pods"),
        (2, "get", "get pods/log"),
    ],
)
def test_missing_rights(
    rule: int, verb: str, missing: str, hunter: Hunter, namespace: str
) -> None:
    role = role_of_the_docs()
    role["rules"][rule]["verbs"].remove(verb)
    if not role["rules"][rule]["verbs"]:
        del role["rules"][rule]
    account(namespace, role)
    said = hunter.refused(2, *hunter.words("report"))
    assert f"may not {missing} in the namespace '{namespace}'" in said
    assert hunter.trials() == []


@pytest.mark.parametrize(
    ("configuration", "sentence"),
    [
        ({"template": {"kind": "Pod", "spec": {}}}, "is a Pod, not a Job"),
        ({"namespace": "no-such-namespace"}, "may not create, delete, list, watch jobs.batch"),
        ({"context": "nowhere"}, "nowhere"),
    ],
)
def test_bad_input(configuration: dict[str, object], sentence: str, hunter: Hunter) -> None:
    assert sentence in hunter.refused(2, *hunter.words("report", **configuration))


def test_a_template_with_a_misspelt_field(hunter: Hunter) -> None:
    whole = template(imagePullPolice="Always")
    said = hunter.refused(2, *hunter.words("report", template=whole))
    assert "imagePullPolice" in said
    assert hunter.trials() == []


# --- what may pass -------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["pods", "count/jobs.batch"])
def test_a_quota_is_waited_for(resource: str, hunter: Hunter, ledger: Ledger) -> None:
    """With room for one more than the ledger, trials run one after the other."""
    most = "2" if resource == "pods" else "1"
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {resource: most}},
    }
    apply(quota, namespace=hunter.namespace)
    configuration = {"ttl": 0} if resource != "pods" else {}
    done = hunter.run(
        *hunter.words("report", "--max-trials", "3", "--n-workers", "3", **configuration)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    exactly(ledger, hunter, 3)
    assert len(ledger.notes("start")) == 3
    assert "a trial waits: " in done.stderr and "exceeded quota" in done.stderr


def test_a_suspended_job_is_waited_for(hunter: Hunter, ledger: Ledger) -> None:
    """As Kueue does it: made suspended, and resumed by somebody else."""
    words = hunter.words("report", "--max-trials", "1", queue="team-a", start_timeout=30)
    worker = hunter.start(*words, stderr=subprocess.STDOUT)
    job = until(hunter.jobs)[0]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert worker.stdout is not None
    until(lambda: "suspended in Kueue's queue 'team-a'" in worker.stdout.readline())
    assert hunter.pods() == []
    patch = ("patch", "job", job["metadata"]["name"], "-p", '{"spec": {"suspend": false}}')
    kubectl(*patch, namespace=hunter.namespace)
    done = ended(worker)
    assert done.returncode == 0, done.stdout
    exactly(ledger, hunter, 1)


def test_a_full_cluster_is_waited_for(hunter: Hunter, ledger: Ledger) -> None:
    """A node that will do comes while the worker waits."""
    key = f"orion-test-{hunter.namespace}"
    words = hunter.words("report", "--max-trials", "2", node_selector={key: "yes"})
    worker = hunter.start(*words, stderr=subprocess.STDOUT)
    assert worker.stdout is not None
    until(lambda: "a trial waits: no node can take it: 0/" in worker.stdout.readline())
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    kubectl("label", "node", node, f"{key}=yes")
    try:
        done = ended(worker)
    finally:
        kubectl("label", "node", node, f"{key}-")
    assert done.returncode == 0, done.stdout
    exactly(ledger, hunter, 2)


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_an_api_server_that_is_away(fault: str, hunter: Hunter, ledger: Ledger) -> None:
    """Programs go on and end meanwhile; nothing is lost, and nothing is judged wrongly."""
    server = json.loads(kubectl("config", "view", "--minify", "-o", "json"))
    address = urlsplit(server["clusters"][0]["cluster"]["server"])
    assert address.hostname in ("127.0.0.1", "localhost") and address.port is not None
    proxy = Proxy(address.port)
    try:
        through = f"https://{address.hostname}:{proxy.ports[0]}"
        hunter.env["KUBECONFIG"] = str(
            kubeconfig(hunter.folder / "through", hunter.namespace, through)
        )
        words = hunter.words("hold", "--max-trials", "4", "--n-workers", "2")
        worker = hunter.start(*words, stderr=subprocess.STDOUT)
        assert worker.stdout is not None
        until(lambda: len(ledger.notes("start")) == 2)
        proxy.set(fault)
        ledger.set("go")
        until(lambda: len(ledger.notes("end")) == 2)
        if fault == "cut":
            until(lambda: "API server" in (line := worker.stdout.readline()) and "away" in line)
        proxy.set("pass")
        done = ended(worker)
    finally:
        proxy.close()
    assert done.returncode == 0, done.stdout
    if fault == "cut":
        assert done.stdout.count("API server is back") == 1
        assert " is away " not in done.stdout
    exactly(ledger, hunter, 4)
    assert {note.attempt for note in ledger.notes()} == {1}


def test_python_functions_are_refused(hunter: Hunter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", hunter.env["KUBECONFIG"])
    with create_executor("kubernetes", image=IMAGE) as executor:
        assert executor.slots() == 10
        with pytest.raises(UsageError, match=r"runs programs .* not Python functions: take the"):
            executor.submit(abs, -1)


def test_the_jobs_of_a_worker_in_a_pod_go_with_it(hunter: Hunter, ledger: Ledger) -> None:
    """Nothing is left where the pod is killed, though nobody takes its trials over."""
    words = hunter.words("hold", "--max-trials", "2", "--n-workers", "2")
    words[words.index("--working-dir") + 1] = "/tmp/trials"
    container = {
        "name": "worker",
        "image": os.environ.get("ORION_K8S_IMAGE", "orion-k8s:test"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["orion-k8s", *words],
        "env": [{"name": "ORION_DB_ADDRESS", "value": "/tmp/history.db"}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "worker"},
        "spec": {
            "serviceAccountName": "worker",
            "restartPolicy": "Never",
            "containers": [container],
        },
    }
    apply(pod, namespace=hunter.namespace)
    until(lambda: len(ledger.notes("start")) == 2)
    for job in hunter.jobs():
        [owner] = job["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("Pod", "worker")
    force = ("--force", "--grace-period=0", "--wait=false")
    kubectl("delete", "pod", "worker", *force, namespace=hunter.namespace)
    until(lambda: hunter.jobs() == [] and hunter.pods() == [])
