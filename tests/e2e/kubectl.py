"""A person at a cluster: kubectl, as JSON in and out."""

from __future__ import annotations

import json
import subprocess
from typing import Any

Object = dict[str, Any]


def kubectl(*words: str, namespace: str | None = None, stdin: str | None = None) -> str:
    """Run a command of kubectl and return what it prints; it must succeed."""
    where = ["--namespace", namespace] if namespace is not None else []
    done = subprocess.run(
        ["kubectl", *where, *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"kubectl {' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


def apply(*objects: Object, namespace: str) -> None:
    """Create objects, or bring them up to date."""
    items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl("apply", "-f", "-", namespace=namespace, stdin=json.dumps(items))


def found(kind: str, namespace: str, selector: str = "") -> list[Object]:
    """Return the objects of a kind."""
    words = ["get", kind, "-o", "json", *(["-l", selector] if selector else [])]
    items: list[Object] = json.loads(kubectl(*words, namespace=namespace))["items"]
    return items
