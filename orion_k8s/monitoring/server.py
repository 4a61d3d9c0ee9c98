"""One small HTTP server of a worker: /livez, /readyz and /metrics.

`/livez` fails where the heart no longer beats, so that the process had better be started anew; an
outage of the database is no such reason, for the heart tries on. `/readyz` fails until the worker
has begun to work. Nothing here changes anything, so nobody has to say who they are.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from orion_k8s.errors import ConfigurationError, MissingExtra
from orion_k8s.monitoring.metrics import families

if TYPE_CHECKING:
    from orion_k8s.worker import Worker

BEATS = 4
PATIENCE_S = 120.0
"""A heart that has not tried for so many beats and so many seconds more will not try again: its
thread has died, or hangs where every call has a timeout."""


class Monitor:
    """Serves a worker's health and metrics, from before there is a worker.

    Args:
        port: on all addresses of this machine; 0 for a free one.

    Attributes:
        port: where it listens.
        worker: set as soon as there is one.

    Raises:
        MissingExtra: the package prometheus-client is not installed.
        ConfigurationError: the port can't be had.
    """

    def __init__(self, port: int) -> None:
        try:
            from prometheus_client import CollectorRegistry, make_wsgi_app
        except ImportError as error:
            raise MissingExtra(
                "A metrics port needs the package prometheus-client, which cannot be imported "
                f"({error}): pip install 'orion-k8s[k8s]'."
            ) from error
        self.worker: Worker | None = None
        registry = CollectorRegistry()
        registry.register(self)
        self._metrics = make_wsgi_app(registry)
        try:
            self._server = make_server("", port, self._answer, _Server, _Handler)
        except OSError as error:
            raise ConfigurationError(
                f"The metrics port {port} cannot be had ({error.strerror}): give another one with "
                "--metrics-port."
            ) from error
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="orion-monitor", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def collect(self) -> Iterator[Any]:
        """Yield the metrics. For `prometheus_client`."""
        if self.worker is not None:
            yield from families(self.worker)

    def alive(self) -> bool:
        """Whether the worker's heart beats, or has not begun to."""
        if self.worker is None:
            return True
        heart = self.worker.heart
        return heart.silence_s() < BEATS * heart.heartbeat_s + PATIENCE_S

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        if path not in ("/livez", "/readyz"):
            status, text = "404 Not Found", "There are /livez, /readyz and /metrics."
        elif path == "/readyz" and self.worker is None:
            status, text = "503 Service Unavailable", "The worker has not begun to work."
        elif not self.alive():
            status, text = "503 Service Unavailable", "The worker's heart does not beat."
        else:
            status, text = "200 OK", "ok"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{text}\n".encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # IPv4 and IPv6, as far as this machine has them.
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Handler(WSGIRequestHandler):
    timeout = 10  # a client that says nothing holds its thread no longer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a probe every few seconds is no news."""
