"""A person's hunt with the executor kubernetes, from this machine, with the rights of the docs."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

import orion_k8s.client.report
from orion_k8s.trial import Status
from tests.e2e.kubectl import Object, apply, found, kubectl
from tests.e2e.ledger import IMAGE
from tests.functional.cli.hunting import Shell

ROOT = Path(__file__).parents[2]
ACCOUNT = "worker"


def role_of_the_docs(name: str = "orion-k8s-jobs") -> Object:
    """Return a Role that docs/executors.md shows."""
    text = (ROOT / "docs" / "executors.md").read_text()
    blocks = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    roles = [yaml.safe_load(block) for block in blocks if "kind: Role" in block]
    [role] = [role for role in roles if role["metadata"]["name"] == name]
    assert isinstance(role, dict)
    return role


def account(namespace: str, role: Object) -> None:
    """Make a service account with a role, and no other rights."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "worker"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": role["metadata"]["name"],
        },
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT}],
    }
    service_account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT},
    }
    apply(service_account, role, binding, namespace=namespace)


def kubeconfig(path: Path, namespace: str, server: str | None = None) -> Path:
    """Write a kubeconfig for that account."""
    token = kubectl("create", "token", ACCOUNT, namespace=namespace).strip()
    raw = json.loads(kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json"))
    cluster = raw["clusters"][0]["cluster"]
    if server is not None:
        cluster = {**cluster, "server": server}
    context = {"cluster": "c", "user": "u", "namespace": namespace}
    data = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": context}],
    }
    path.write_text(json.dumps(data))
    return path


def template(**container: Any) -> Object:
    """Return a Job in which the tests' program is mounted."""
    trial = {
        "name": "trial",
        "image": IMAGE,
        "volumeMounts": [{"name": "code", "mountPath": "/code"}],
        **container,
    }
    pod = {
        "containers": [trial],
        "volumes": [{"name": "code", "configMap": {"name": "code"}}],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": pod}}}


class Hunter(Shell):
    """Runs hunts whose programs are Jobs of a namespace.

    Args:
        folder: where the person stands.
        namespace: of the Jobs.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        super().__init__(folder)
        self.namespace = namespace
        self.trials_dir = folder / "trials"
        account(namespace, role_of_the_docs())
        self.env["KUBECONFIG"] = str(kubeconfig(folder / "kubeconfig", namespace))
        files = [ROOT / "tests" / "e2e" / "trial.py", Path(orion_k8s.client.report.__file__)]
        code = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "code"},
            "data": {file.name: file.read_text() for file in files},
        }
        apply(code, namespace=namespace)

    def words(self, what: str, *options: str, **configuration: Any) -> list[str]:
        """Return the words of a hunt with the tests' program."""
        configuration = {"template": template(), **configuration}
        return [
            *("hunt", "-n", "e", "--working-dir", str(self.trials_dir)),
            *("--executor", "kubernetes", "--executor-configuration", json.dumps(configuration)),
            *options,
            *("python", "/code/trial.py", what, "x~uniform(0, 1)"),
        ]

    def counts(self) -> Counter[str]:
        """Return how many trials of each status there are."""
        return Counter(trial.status.value for trial in self.trials())

    def reasons(self) -> list[str]:
        """Return why trials are broken."""
        return [str(t.story[-1]["reason"]) for t in self.trials(status=Status.BROKEN)]

    def jobs(self) -> list[Object]:
        """Return the Jobs of trials."""
        return found("jobs", self.namespace, "orion-k8s/trial")

    def pods(self) -> list[Object]:
        """Return the pods of trials."""
        return found("pods", self.namespace, "orion-k8s/trial")

    def log_of(self, trial: str, attempt: int = 1) -> str:
        """Return what an attempt's program printed."""
        path = self.trials_dir / trial / f"attempt-{attempt}" / "log.txt"
        return path.read_text() if os.path.exists(path) else ""
