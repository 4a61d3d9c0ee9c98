"""`orion-k8s k8s` from a laptop to a real cluster: Helm, port-forward, logs, rights."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import Status
from tests.chart.helms import find
from tests.e2e.chart_release import IMAGE, MINUTES_S, SMALL
from tests.e2e.kubectl import apply, kubectl

PROGRAM = """
import json, os, sys
x = float(sys.argv[2])
with open(os.environ["ORION_RESULTS_PATH"], "w") as file:
    json.dump([{"name": "o", "type": "objective", "value": x}], file)
"""
RULES = [
    {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": ["list"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]},
]
"""The Role of docs/kubernetes-cli.md."""


class Laptop:
    """A person's folder, with helm and the plug-in of kubectl on the PATH.

    Args:
        folder: where commands run.
        namespace: of all releases.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self.folder, self.namespace = folder, namespace
        programs = folder / "bin"
        programs.mkdir()
        (programs / "helm").symlink_to(find("helm4"))
        plugin = programs / "kubectl-orion"
        code = "import sys; from orion_k8s.cli import kubectl; sys.exit(kubectl())"
        plugin.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}' \"$@\"\n")
        plugin.chmod(0o755)
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("ORION", "XDG"))},
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            list(words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.env, **more},
        )

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `orion-k8s k8s` in the namespace."""
        name, *rest = words
        line = [sys.executable, "-m", "orion_k8s", "k8s", name, "--namespace", self.namespace]
        with self.start(*line, *rest, **more) as process:
            out, err = process.communicate(timeout=MINUTES_S)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def ok(self, *words: str, **more: str) -> str:
        """Run one that must succeed; what it prints."""
        done = self.run(*words, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def laptop(tmp_path: Path, namespace: str) -> Iterator[Laptop]:
    """A release that has completed three trials, installed from the laptop."""
    made = Laptop(tmp_path, namespace)
    (tmp_path / "train.py").write_text(PROGRAM)
    repository, _, tag = IMAGE.rpartition(":")
    values = {
        "image": {"repository": repository, "tag": tag},
        "worker": {"resources": SMALL},
        "mongodb": {"resources": SMALL},
    }
    (tmp_path / "small.yaml").write_text(json.dumps(values))
    words = ("-n", "digits", "--max-trials", "3", "-f", "small.yaml")
    command = ("--", "python", "train.py", "-x~uniform(0, 1)")
    made.ok("install", "r", *words, *command)
    end = time.monotonic() + MINUTES_S
    while "3 of 3 completed" not in (said := made.run("status")).stdout:
        assert time.monotonic() < end, said
        time.sleep(1.0)
    yield made


def test_from_the_laptop_and_back(laptop: Laptop) -> None:
    """The script goes along; all commands read and steer what runs there."""
    with laptop.start("kubectl", "orion", "status", "--namespace", laptop.namespace) as process:
        out, err = process.communicate(timeout=MINUTES_S)
    assert process.returncode == 0, err
    lines = out.splitlines()
    assert lines[0] == f"release r in the namespace {laptop.namespace}"
    assert lines[2] == "  MongoDB: 1 of 1 ready"
    assert lines[4] == "digits · version 1 · done"

    [trials] = [json.loads(laptop.ok("status", "--json", "--all"))]
    pod = trials[0]["worker"].partition(":")[0]
    said = laptop.run("logs", "0")
    assert said.stderr == f"Trial 0 ran in the pod {pod}.\n"
    assert said.stdout == kubectl("logs", pod, "-c", "worker", namespace=laptop.namespace)

    assert laptop.ok("scale", "2") == "r-orion-k8s-worker: 1 → 2 workers.\n"
    wanted = kubectl(
        *("get", "deploy", "r-orion-k8s-worker", "-o", "jsonpath={.spec.replicas}"),
        namespace=laptop.namespace,
    )
    assert wanted == "2"

    laptop.ok("export", "copy.db")
    with SQLite(str(laptop.folder / "copy.db")) as copy:
        [record] = copy.experiments()
        kept = {trial.id: trial.status for trial in copy.trials(record.id)}
    assert kept == {trial["id"]: Status.COMPLETED for trial in trials}
    _forward(laptop)


def _forward(laptop: Laptop) -> None:
    words = [sys.executable, "-m", "orion_k8s"]
    where = ("--namespace", laptop.namespace)
    with laptop.start(*words, "k8s", "forward", *where) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            assert line.startswith("export "), process.communicate()
            told = dict(word.split("=", 1) for word in shlex.split(line)[1:])
            with laptop.start(*words, "db", "set", "digits", "max_trials=4", **told) as change:
                assert change.wait(MINUTES_S) == 0, change.communicate()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=MINUTES_S)
    assert not os.path.exists(told["ORION_DB_PASSWORD_FILE"])
    end = time.monotonic() + MINUTES_S
    while "4 of 4 completed" not in (said := laptop.run("status")).stdout:
        assert time.monotonic() < end, said
        time.sleep(1.0)


@contextmanager
def account(laptop: Laptop, name: str, rules: list[dict[str, Any]]) -> Iterator[str]:
    """Make an account with a Role, and give the path of its kubeconfig."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {**role, "kind": "Role", "rules": rules},
        {
            **role,
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name}],
        },
        namespace=laptop.namespace,
    )
    config = yaml.safe_load(kubectl("config", "view", "--raw", "--flatten", "--minify"))
    token = kubectl("create", "token", name, namespace=laptop.namespace).strip()
    for user in config["users"]:
        user["user"] = {"token": token}
    path = laptop.folder / f"{name}.kubeconfig"
    path.write_text(json.dumps(config))
    yield str(path)


def test_rights(laptop: Laptop) -> None:
    """The Role of the documentation is enough, and what is missing is named."""
    with account(laptop, "all", RULES) as path:
        assert "3 of 3 completed" in laptop.ok("status", KUBECONFIG=path)
        laptop.ok("logs", "0", KUBECONFIG=path)
        laptop.ok("scale", "0", KUBECONFIG=path)
    for name, sentence in (
        ("deployments", "You may not list deployments in"),
        ("secrets", "You may not get secrets in"),
        ("pods/portforward", "You may not get pods/portforward in"),
    ):
        fewer = [rule for rule in RULES if name not in rule["resources"]]
        with account(laptop, name.replace("/", "-"), fewer) as path:
            said = laptop.run("status", KUBECONFIG=path)
            assert said.returncode == 2 and sentence in said.stderr, said


def test_no_release_in_the_namespace(laptop: Laptop) -> None:
    """Somebody who may look in one namespace alone, and somebody who may look in all."""
    empty = ("status", "--namespace", "default")
    line = [sys.executable, "-m", "orion_k8s", "k8s", *empty]
    with laptop.start(*line) as process:
        _, err = process.communicate(timeout=MINUTES_S)
    assert process.returncode == 7 and laptop.namespace in err
    with account(laptop, "all", RULES) as path, laptop.start(*line, KUBECONFIG=path) as process:
        _, err = process.communicate(timeout=MINUTES_S)
    assert process.returncode == 2 and "in the namespace 'default'" in err
