"""An independent log: a small server in the cluster that programs tell what they do.

It also keeps flags, which a test sets and programs wait for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.e2e.kubectl import apply, kubectl

IMAGE = "python:3.13-slim"

SERVER = """
import http.server, time
flags = set()
class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, status=200):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        print(f"{time.time():.3f}", text, flush=True)
        self.reply()
    def do_PUT(self):
        flags.add(self.path)
        self.reply()
    def do_GET(self):
        self.reply(200 if self.path in flags or self.path == "/" else 404)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Note:
    """What a program said.

    Attributes:
        at: seconds, by the server's clock.
        what: start, term, end, or a program's own word.
    """

    at: float
    what: str
    trial: str
    attempt: int


class Ledger:
    """The server in one namespace.

    Args:
        namespace: of the programs, too.
        node: where it runs; None for any.
    """

    def __init__(self, namespace: str, node: str | None = None) -> None:
        self.namespace = namespace
        apply(*objects(node), namespace=namespace)
        kubectl(
            "wait", "--for=condition=Ready", "pod/ledger", "--timeout=60s", namespace=namespace
        )

    def notes(self, what: str = "") -> list[Note]:
        """Return what was said, in order; of one kind where it is named."""
        lines = [line.split() for line in self._log().splitlines()]
        said = [Note(float(at), word, trial, int(attempt)) for at, word, trial, attempt in lines]
        return [note for note in said if what in ("", note.what)]

    def set(self, flag: str) -> None:
        """Set a flag."""
        code = (
            "import urllib.request as u; "
            f"u.urlopen(u.Request('http://localhost:8000/{flag}', method='PUT'))"
        )
        kubectl("exec", "ledger", "--", "python", "-c", code, namespace=self.namespace)

    def _log(self) -> str:
        return kubectl("logs", "ledger", namespace=self.namespace)


def objects(node: str | None = None) -> list[dict[str, Any]]:
    """Return what the server is made of."""
    where = {"kubernetes.io/hostname": node} if node is not None else {}
    probe = {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1}
    container = {
        "name": "ledger",
        "image": IMAGE,
        "command": ["python", "-c", SERVER],
        "readinessProbe": probe,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "ledger", "labels": {"app": "ledger"}},
        "spec": {
            "containers": [container],
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": where,
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "ledger"},
        "spec": {"selector": {"app": "ledger"}, "ports": [{"port": 8000}]},
    }
    return [pod, service]
