"""A stand-in for an API server that holds releases of the chart, as Helm renders it.

It answers what a person's commands ask: lists by labels, single objects, changes of scale, logs,
and a port-forward, which is a real one: to a database of the test.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from aiohttp import WSMsgType, web
from helm_template import rendered

Object = dict[str, Any]

KINDS = {
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "Event": "events",
    "Job": "jobs",
    "Pod": "pods",
    "Secret": "secrets",
    "StatefulSet": "statefulsets",
}
PATH = re.compile(
    r"/(?:api|apis/apps|apis/batch)/v1(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>\w+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<part>\w+))?"
)


class Cluster:
    """What the cluster holds, and the server in front of it.

    Attributes:
        objects: by namespace, resource and name.
        logs: of pods by their names.
        denied: (verb, resource) that the account may not do; the verb "list everywhere" is one.
        mongodb: HOST:PORT that port-forwards lead to.
        away: pods whose port-forwards break at once.
        asked: (verb, resource) of all requests.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.logs: dict[str, str] = {}
        self.denied: set[tuple[str, str]] = set()
        self.mongodb = ""
        self.away: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    # --- for tests -------------------------------------------------------------------------------

    def install(self, release: str, values: Object, namespace: str = "research") -> None:
        """Keep what Helm makes of the chart, and a pod of MongoDB that is ready."""
        for made in rendered(json.dumps(values), release, namespace):
            # Helm's own hooks, such as the pod of `helm test`, are not there yet.
            hook = "helm.sh/hook" in (made["metadata"].get("annotations") or {})
            if made["kind"] in KINDS and not hook:
                self.put(made)
        for found in [o for o in self.objects.values() if o["kind"] == "StatefulSet"]:
            labels = found["spec"]["template"]["metadata"]["labels"]
            if labels["app.kubernetes.io/instance"] == release:
                self.pod(f"{found['metadata']['name']}-0", labels, namespace)

    def put(self, made: Object) -> None:
        """Keep an object."""
        where = made["metadata"]
        self.objects[where["namespace"], KINDS[made["kind"]], where["name"]] = made

    def pod(self, name: str, labels: Object, namespace: str = "research") -> Object:
        """Keep a pod that is ready."""
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        metadata = {"name": name, "namespace": namespace, "labels": dict(labels)}
        made = {"kind": "Pod", "metadata": metadata, "status": ready}
        self.put(made)
        return made

    def one(self, resource: str, name: str, namespace: str = "research") -> Object:
        """Return an object."""
        return self.objects[namespace, resource, name]

    def secret(self, name: str, **data: str) -> None:
        """Write values into a Secret."""
        encoded = {
            k.replace("_", "-"): base64.b64encode(v.encode()).decode() for k, v in data.items()
        }
        self.one("secrets", name)["data"].update(encoded)

    def kubeconfig(self, path: Path) -> str:
        """Write a kubeconfig for it, and return its path."""
        context = {"cluster": "c", "user": "u", "namespace": "research"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": context}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "u", "user": {}}],
        }
        path.write_text(yaml.safe_dump(config))
        return str(path)

    # --- the server ------------------------------------------------------------------------------

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        found = PATH.fullmatch(request.path)
        if found is None:
            return _status(404, "the server could not find the requested resource")
        namespace, resource, name, part = found.group("namespace", "resource", "name", "part")
        verb = "patch" if request.method == "PATCH" else "get" if name else "list"
        if namespace is None:
            verb = "list everywhere"
        whole = f"{resource}/{part}" if part else resource
        self.asked.append((verb, whole))
        if (verb, whole) in self.denied:
            return _status(403, f'{whole} is forbidden: User "u" cannot {verb} resource')
        if name is None:
            chosen = [
                o
                for (where, of, _), o in self.objects.items()
                if of == resource and where == (namespace or where) and _selected(o, request)
            ]
            return web.json_response({"items": chosen})
        key = (str(namespace), resource, name)
        if key not in self.objects:
            return _status(404, f'{resource} "{name}" not found')
        if part == "portforward":
            return await self._tunnel(request, name in self.away)
        if part == "log":
            return web.Response(text=self.logs[name])
        if verb == "patch":
            if request.content_type != "application/merge-patch+json":
                return _status(415, "the body of the request was in an unknown format")
            self.objects[key]["spec"].update((await request.json())["spec"])
        return web.json_response(self.objects[key])

    async def _tunnel(self, request: web.Request, away: bool) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return _status(400, "Upgrade request required")
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        if away:
            assert request.transport is not None
            request.transport.abort()
            return socket
        number = int(request.query["ports"]).to_bytes(2, "little")
        await socket.send_bytes(b"\0" + number)
        await socket.send_bytes(b"\1" + number)
        host, _, port = self.mongodb.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))

        async def down() -> None:
            while data := await reader.read(1 << 16):
                await socket.send_bytes(b"\0" + data)
            await socket.close()

        task = asyncio.create_task(down())
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY and message.data[:1] == b"\0":
                    writer.write(message.data[1:])
        finally:
            # Also where the peer left in the middle, or the server ends under an open tunnel.
            task.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await task
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        return socket


def _selected(found: Object, request: web.Request) -> bool:
    if about := request.query.get("fieldSelector", ""):
        return bool(about == f"involvedObject.uid={found['involvedObject']['uid']}")
    labels = found["metadata"].get("labels") or {}
    wanted = filter(None, request.query.get("labelSelector", "").split(","))
    return all(labels.get(part.partition("=")[0]) == part.partition("=")[2] for part in wanted)


def _status(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)


@contextmanager
def running() -> Iterator[Cluster]:
    """Give a cluster that answers, in a thread of its own."""
    cluster, ready, ends = Cluster(), threading.Event(), threading.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", cluster.answer)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        cluster.port = runner.addresses[0][1]
        ready.set()
        await asyncio.to_thread(ends.wait)
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30.0)
        yield cluster
    finally:
        ends.set()
        thread.join()
