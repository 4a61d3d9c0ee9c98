"""A stand-in for an API server, with what the executor asks of one, and with faults to order.

Jobs get a pod as the controller would make it; what becomes of the pod is for the test to say
(`set_pod`), or for `on_pod`, which is called with each new one. A pod that is deleted ends with
SIGTERM's exit code and is gone.
"""

from __future__ import annotations

import copy
import json
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Object = dict[str, Any]


class ApiServer:
    """The state, and the server in front of it.

    Attributes:
        on_pod: called with each new pod, in a thread of the server.
        log: what each container printed.
        token: the one that is let in; "" for any.
        denied: (verb, resource) that the account may not do.
        refusals: what the next requests to create a Job are answered: (status, message).
        lose_replies: so many Jobs are created and nobody is told.
        requests: how many there were of each verb and path.
        stubborn: pods that are deleted stay, as on a node that does not answer.
    """

    def __init__(self) -> None:
        self.on_pod: Callable[[Object], None] = lambda pod: None
        self.log = b"said\n"
        self.token = ""
        self.denied: set[tuple[str, str]] = set()
        self.refusals: list[tuple[int, str]] = []
        self.lose_replies = 0
        self.requests: Counter[tuple[str, str]] = Counter()
        self.events: list[Object] = []
        self.stubborn = False
        self._closing = False
        self._changed = threading.Condition(threading.RLock())
        self._objects: dict[tuple[str, str], Object] = {}
        self._history: list[tuple[int, str, str, Object]] = []
        self._version = self._forgotten = 0
        self._streams: set[Any] = set()
        handler = type("Bound", (_Handler,), {"server_state": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        """End it, and all that is connected to it."""
        self._closing = True
        self._http.shutdown()
        self._thread.join()
        self.break_streams()
        self._http.server_close()

    # --- for tests -------------------------------------------------------------------------------

    def all(self, kind: str) -> list[Object]:
        """Return the objects of a kind."""
        with self._changed:
            return [copy.deepcopy(o) for (k, _), o in self._objects.items() if k == kind]

    def set_pod(self, name: str, **status: Any) -> None:
        """Change a pod's status."""
        with self._changed:
            pod = copy.deepcopy(self._objects["pods", name])
            pod["status"] = {**pod["status"], **status}
            self._put("pods", "MODIFIED", pod)

    def end_pod(self, name: str, code: int, message: str = "", reason: str = "Error") -> None:
        """Let the program of a pod end."""
        done = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
        phase = "Failed" if code else "Succeeded"
        self.set_pod(name, phase=phase, containerStatuses=[{"name": "trial", "state": done}])

    def run_pod(self, name: str) -> None:
        """Let the program of a pod run."""
        state = {"running": {}}
        self.set_pod(name, phase="Running", containerStatuses=[{"name": "trial", "state": state}])

    def add_pod(self, pod: Object) -> None:
        """Add a pod of somebody else."""
        with self._changed:
            self._put("pods", "ADDED", pod)

    def forget(self) -> None:
        """Answer 410 to whoever wants to go on from where he was."""
        with self._changed:
            self._forgotten = self._version + 1
            self._version += 1

    def break_streams(self) -> None:
        """Break off all watches."""
        for connection in list(self._streams):
            with contextless(OSError):
                connection.shutdown(2)

    def remove(self, kind: str, name: str) -> None:
        """Delete an object at once."""
        with self._changed:
            gone = self._objects.pop((kind, name))
            self._note(kind, "DELETED", gone)

    # --- verbs -----------------------------------------------------------------------------------

    def create_job(self, job: Object) -> tuple[int, Object]:
        """Keep a Job and make its pod."""
        with self._changed:
            if self.refusals:
                return _status(*self.refusals.pop(0))
            name = job["metadata"]["name"]
            if ("jobs", name) in self._objects:
                return _status(409, f'jobs.batch "{name}" already exists')
            self._put("jobs", "ADDED", job)
            if job["spec"].get("suspend"):
                return 201, job
            pod: Object = {
                "metadata": {
                    **job["spec"]["template"]["metadata"],
                    "name": f"{name}-pod",
                    "job": name,
                },
                "spec": job["spec"]["template"]["spec"],
                "status": {"phase": "Pending"},
            }
            self._put("pods", "ADDED", pod)
        threading.Thread(target=self.on_pod, args=(pod,)).start()
        return 201, job

    def delete(self, kind: str, name: str, options: Object) -> tuple[int, Object]:
        """Delete a Job with its pods, or a pod, as its owner would see it."""
        with self._changed:
            found = self._objects.get((kind, name))
            if found is None:
                return _status(404, f"{kind} {name} not found")
            if (
                options.get("preconditions", {}).get("uid", found["metadata"]["uid"])
                != (found["metadata"]["uid"])
            ):
                return _status(409, "the UID in the precondition does not match")
            now = copy.deepcopy(found)
            now["metadata"] |= {
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "deletionGracePeriodSeconds": options.get("gracePeriodSeconds", 1),
            }
            self._put(kind, "MODIFIED", now)
            pods = [n for (k, n), o in self._objects.items() if k == "pods"]
            mine = [n for n in pods if self._objects["pods", n]["metadata"].get("job") == name]
            if kind == "pods":
                self._end_deleted(name)
            else:
                for pod in mine:
                    self.delete("pods", pod, {})
                if not any(("pods", pod) in self._objects for pod in mine):
                    self.remove("jobs", name)
        return 200, {}

    def _end_deleted(self, name: str) -> None:
        if self.stubborn:
            return
        if self._objects["pods", name]["status"]["phase"] in ("Pending", "Running"):
            self.end_pod(name, 143)
        self.remove("pods", name)

    def listed(self, kind: str, query: dict[str, str]) -> tuple[int, Object]:
        """Return the objects of a kind that are selected."""
        with self._changed:
            items = [o for o in self.all(kind) if _selected(o, query)]
            return 200, {"metadata": {"resourceVersion": str(self._version)}, "items": items}

    def watched(self, kind: str, query: dict[str, str]) -> Iterator[Object | None]:
        """Yield events from a place on; None to give the caller a chance to look around."""
        place = int(query["resourceVersion"])
        end = time.monotonic() + float(query["timeoutSeconds"])
        while time.monotonic() < end and not self._closing:
            with self._changed:
                if place < self._forgotten:
                    yield {"type": "ERROR", "object": _status(410, "too old")[1]}
                    return
                news = [e for e in self._history if e[0] > place]
                if not news:
                    self._changed.wait(0.1)
            for version, of, what, item in news:
                place = version
                if of == kind and _selected(item, query):
                    yield {"type": what, "object": item}
            yield None

    # --- inside ----------------------------------------------------------------------------------

    def _put(self, kind: str, what: str, item: Object) -> None:
        item["metadata"].setdefault("uid", uuid.uuid4().hex)
        self._objects[kind, item["metadata"]["name"]] = item
        self._note(kind, what, item)

    def _note(self, kind: str, what: str, item: Object) -> None:
        with self._changed:
            self._version += 1
            item["metadata"]["resourceVersion"] = str(self._version)
            self._history.append((self._version, kind, what, copy.deepcopy(item)))
            self._changed.notify_all()


@contextmanager
def contextless(*errors: type[BaseException]) -> Iterator[None]:
    """Let errors pass."""
    try:
        yield
    except errors:
        pass


def _selected(item: Object, query: dict[str, str]) -> bool:
    labels = item["metadata"].get("labels") or {}
    for part in filter(None, query.get("labelSelector", "").split(",")):
        name, _, value = part.partition("=")
        if labels.get(name) != value:
            return False
    field, _, value = query.get("fieldSelector", "").partition("=")
    return field == "" or item["metadata"][field.rpartition(".")[2]] == value


def _status(code: int, message: str) -> tuple[int, Object]:
    return code, {"kind": "Status", "code": code, "message": message, "metadata": {}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: ApiServer

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, body: Object | bytes) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self) -> Object:
        found: Object = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        kind = "jobs" if "/jobs" in parts.path else "pods"
        verb = self.command
        if dict(parse_qsl(parts.query)).get("watch"):
            verb = "WATCH"
        elif parts.path.endswith("/log"):
            verb = "LOG"
        self.server_state.requests[verb, kind] += 1
        return parts.path, dict(parse_qsl(parts.query))

    def do_POST(self) -> None:
        state, body = self.server_state, self._body()
        if state.token and self.headers["Authorization"] != f"Bearer {state.token}":
            self._answer(*_status(401, "Unauthorized"))
            return
        if "selfsubjectaccessreviews" in self.path:
            asked = body["spec"]["resourceAttributes"]
            denied = (asked["verb"], asked["resource"]) in state.denied
            self._answer(201, {"status": {"allowed": not denied}})
            return
        _, query = self._asked()
        if "dryRun" in query:
            state.requests["POST", "jobs"] -= 1
            self._answer(201, body)
            return
        answer = state.create_job(body)
        if answer[0] == 201 and state.lose_replies:
            state.lose_replies -= 1
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self._answer(*answer)

    def do_DELETE(self) -> None:
        path, _ = self._asked()
        found = re.search(r"/(jobs|pods)/([^/]+)$", path)
        assert found is not None
        self._answer(*self.server_state.delete(found[1], found[2], self._body()))

    def do_GET(self) -> None:
        state = self.server_state
        path, query = self._asked()
        if path.endswith("/log"):
            self._answer(200, state.log)
        elif path.endswith("/events"):
            self._answer(200, {"metadata": {}, "items": state.events})
        elif "watch" in query:
            self._watch("jobs" if path.endswith("/jobs") else "pods", query)
        else:
            self._answer(*state.listed("jobs" if path.endswith("/jobs") else "pods", query))

    def _watch(self, kind: str, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        streams = self.server_state._streams
        streams.add(self.connection)
        with contextless(OSError):
            for event in self.server_state.watched(kind, query):
                if event is not None:
                    line = json.dumps(event).encode() + b"\n"
                    self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        streams.discard(self.connection)
        self.close_connection = True
