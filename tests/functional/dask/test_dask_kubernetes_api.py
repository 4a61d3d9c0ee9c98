"""What a cluster at hand does not answer: no operator, a lost reply, a used-up quota."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.errors import AccessRefused, ConfigurationError
from orion_k8s.executor.dask_kubernetes import scheduler
from orion_k8s.executor.dask_kubernetes.arguments import make_wanted
from orion_k8s.executor.dask_kubernetes.place import Made
from orion_k8s.executor.kubernetes.api import Api

Object = dict[str, Any]
Answer = tuple[int, Object | str]

NAME = "sweep"


class Server:
    """Answers as it is told.

    Attributes:
        answers: (method, last word of the path) → status and body, or what makes them of the body
            that was sent; 404 with the words of a real server for what is missing.
        asked: what was sent, in order.
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Answer | Callable[[Object], Answer]] = {}
        self.asked: list[tuple[str, str, Object]] = []

    def answer(self, method: str, path: str, body: Object) -> Answer:
        word = path.partition("?")[0].rpartition("/")[2]
        if word == "selfsubjectaccessreviews":
            return 201, {"status": {"allowed": True}}
        self.asked.append((method, word, body))
        found = self.answers.get((method, word), (404, f'"{word}" not found'))
        return found(body) if callable(found) else found


@pytest.fixture
def server() -> Server:
    return Server()


@contextmanager
def serving(server: Server) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = server.answer(self.command, self.path, json.loads(sent or b"{}"))
            if isinstance(body, str) and body.startswith("404"):
                data = body.encode()  # for a group that it does not know, a server has plain text
            else:
                data = json.dumps({"message": body} if isinstance(body, str) else body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = reply

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def make(server: Server, tmp_path: Path) -> Iterator[Callable[..., Made]]:
    """Make places whose API server is the one that answers as it is told."""
    made: list[Made] = []
    with serving(server) as address:
        path = tmp_path / "kubeconfig"
        context = {"cluster": "c", "user": "u", "namespace": "team"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "test", "context": context}],
        }
        path.write_text(json.dumps(config))

        def make(start_s: float = 5.0, **wanted: Any) -> Made:
            wanted = {"image": "a", **wanted}
            api = Api(str(path))
            made.append(Made(api, api.namespace, False, start_s, make_wanted(**wanted), None))
            return made[-1]

        yield make
        for place in made:
            place.close()


def kept(body: Object, phase: str | None = "Created") -> Object:
    """Return an object as the server keeps it."""
    body["metadata"] |= {"uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    body["status"] = {"phase": phase} if phase else {}
    return body


def ready(server: Server) -> None:
    """Let the scheduler be there."""
    conditions = [{"type": "Ready", "status": "True"}]
    pod = {"metadata": {"name": "s"}, "status": {"conditions": conditions}}
    server.answers["GET", "pods"] = 200, {"items": [pod]}


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        ((404, "404 page not found"), ConfigurationError, "operator is not installed"),
        (
            (404, 'namespaces "team" not found'),
            ConfigurationError,
            "There is no namespace 'team'",
        ),
        (
            (
                403,
                'daskclusters.kubernetes.dask.org is forbidden: User "me" cannot create resource '
                '"daskclusters" in API group "kubernetes.dask.org" in the namespace "team"',
            ),
            AccessRefused,
            "refuses to create daskclusters.kubernetes.dask.org in the namespace 'team'",
        ),
        (
            (403, "unable to create new content in namespace team because it is being terminated"),
            ConfigurationError,
            "being terminated",
        ),
        ((422, "spec.worker.replicas: Invalid value"), ConfigurationError, "Invalid value"),
    ],
)
def test_a_cluster_that_cannot_be_made(
    answer: Answer, kind: type[Exception], says: str, server: Server, make: Callable[..., Made]
) -> None:
    server.answers["POST", "daskclusters"] = answer
    place = make()
    with pytest.raises(kind, match=re.escape(says)) as caught:
        place.address()
    assert "\n" not in str(caught.value)


def test_a_reply_that_was_lost(server: Server, make: Callable[..., Made]) -> None:
    """The second try finds what the first one made, and it is ours."""

    def lost(body: Object) -> Answer:
        server.answers["GET", NAME] = 200, kept(body)
        return 409, f'daskclusters.kubernetes.dask.org "{NAME}" already exists'

    server.answers["POST", "daskclusters"] = lost
    ready(server)
    place = make(name=NAME)
    assert place.address() == f"tcp://{NAME}-scheduler.team.svc:8786"
    server.answers["DELETE", NAME] = 200, {}
    place.close()
    options = {"propagationPolicy": "Foreground", "preconditions": {"uid": "1"}}
    assert server.asked[-1] == ("DELETE", NAME, options)


def test_a_cluster_of_the_name_that_ends_is_waited_for(
    server: Server, make: Callable[..., Made]
) -> None:
    old = {"metadata": {"name": NAME, "uid": "0", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    server.answers["GET", NAME] = 200, old
    tries: list[Object] = []

    def create(body: Object) -> Answer:
        tries.append(body)
        return (201, kept(body)) if len(tries) == 3 else (409, "already exists")

    server.answers["POST", "daskclusters"] = create
    ready(server)
    make(name=NAME).address()
    assert len(tries) == 3


def test_an_operator_that_sleeps(
    server: Server, make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "OPERATOR_S", 0.1)
    phase: str | None = None

    def create(body: Object) -> Answer:
        server.answers["GET", NAME] = 200, kept(body, phase)
        return 201, kept(body, phase)

    server.answers["POST", "daskclusters"] = create
    server.answers["GET", "pods"] = 200, {"items": []}
    server.answers["GET", "deployments"] = 403, "forbidden"
    with pytest.raises(ConfigurationError, match="operator does not notice the DaskCluster"):
        make(name=NAME).address()
    # Running in the cluster's own status is no scheduler.
    phase = "Running"
    with pytest.raises(ConfigurationError, match="does not start: it has no pod"):
        make(name=NAME, start_s=0.5).address()


def test_a_quota_is_waited_for_and_said(server: Server, make: Callable[..., Made]) -> None:
    said = 'pods "sweep-scheduler" is forbidden: exceeded quota: small'
    condition = {"type": "ReplicaFailure", "status": "True", "message": said}
    server.answers["POST", "daskclusters"] = lambda body: (201, kept(body))
    server.answers["GET", "pods"] = 200, {"items": []}
    server.answers["GET", "deployments"] = (
        200,
        {"items": [{"status": {"conditions": [condition]}}]},
    )
    with pytest.raises(ConfigurationError, match="exceeded quota: small") as caught:
        make(name=NAME, start_s=0.5).address()
    assert "start_timeout" in str(caught.value)


def test_a_cluster_that_was_deleted_is_made_anew(
    server: Server, make: Callable[..., Made]
) -> None:
    """Under another name, where the name is ours to choose."""
    made: list[str] = []

    def create(body: Object) -> Answer:
        made.append(body["metadata"]["name"])
        server.answers["GET", made[-1]] = 200, kept(body)
        return 201, kept(body)

    server.answers["POST", "daskclusters"] = create
    ready(server)
    place = make()
    first = place.address()
    assert place.address() == first and len(made) == 1
    del server.answers["GET", made[0]]
    assert place.address() != first
    assert len(set(made)) == 2 and place.name == made[1]


def test_waiting_ends_when_it_is_given_up(server: Server, make: Callable[..., Made]) -> None:
    server.answers["POST", "daskclusters"] = lambda body: (201, kept(body))
    server.answers["GET", "pods"] = 200, {"items": []}
    place = make(start_s=300.0)
    errors: list[Exception] = []

    def wait() -> None:
        try:
            place.address()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    place.give_up()
    thread.join(30.0)
    assert not thread.is_alive() and "was closed" in str(errors[0])
