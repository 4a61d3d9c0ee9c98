"""Requests to the API server: plain JSON in and out, and two kinds of errors.

The official package finds the cluster and its credentials and brings the connection pool. Its
generated classes are left aside: they refuse every field that is younger than they are, and a
template is checked best by the server that it is for.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from orion_k8s.errors import ConfigurationError, MissingExtra

Object = dict[str, Any]

CONNECT_S, READ_S = 5.0, 20.0
AT_ONCE = 8
"""Requests of an executor that are under way at once; a watch is none of them."""

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Away(Exception):
    """The API server does not answer, or says that it can't now: later it will."""


class Refused(Exception):
    """The API server refuses a request, and repeating it won't help.

    Attributes:
        status: of HTTP.
        message: the server's own words.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Api:
    """The API server of one cluster.

    Args:
        kubeconfig: path of a file; None for the usual places, and the service account in a pod.
        context: of the kubeconfig; None for its current one.

    Attributes:
        host: the server's address.
        configuration: of the package kubernetes, as it found it.
        namespace: the usual one of the context or of the pod.
        calls: how many requests of a kind were made, such as ("create", "jobs").

    Raises:
        ConfigurationError: there is no such file or context, or it can't be used.
        MissingExtra: the package kubernetes is not installed.
    """

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        configuration, self.namespace = _configuration(kubeconfig, context)
        from kubernetes.client.rest import RESTClientObject

        # Connections are made as they are needed; this is how many are kept.
        configuration.connection_pool_maxsize = 256
        self.host = str(configuration.host)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.configuration = configuration
        self._pool = RESTClientObject(configuration).pool_manager
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()

    def get(
        self, path: str, kind: tuple[str, str], read_s: float = READ_S, **query: Any
    ) -> Object:
        """Return an object or a list."""
        return self._json("GET", path, kind, query, None, read_s)

    def post(self, path: str, kind: tuple[str, str], body: Object, **query: Any) -> Object:
        """Create an object and return it."""
        return self._json("POST", path, kind, query, body)

    def patch(self, path: str, kind: tuple[str, str], change: Object) -> Object:
        """Change fields of an object (a JSON merge patch, RFC 7386) and return it."""
        return self._json("PATCH", path, kind, {}, change)

    def delete(self, path: str, kind: tuple[str, str], body: Object) -> None:
        """Delete an object; one that is gone is fine."""
        try:
            self._json("DELETE", path, kind, {}, body)
        except Refused as error:
            if error.status != 404:
                raise

    def text(self, path: str, kind: tuple[str, str], **query: Any) -> Iterator[bytes]:
        """Return a text in pieces."""
        with self._places, self._response("GET", path, kind, query) as response:
            yield from _pieces(response)

    @contextmanager
    def stream(
        self, path: str, kind: tuple[str, str], read_s: float, **query: Any
    ) -> Iterator[Any]:
        """Open a stream that may stay silent for `read_s` seconds; a block for its `lines`."""
        with self._response("GET", path, kind, query, read_s=read_s) as response:
            yield response

    def close(self) -> None:
        """Close the connections."""
        # `clear` alone leaves that to the garbage collector.
        for host in self._pool.pools.keys():
            self._pool.pools[host].close()
        self._pool.clear()

    # --- inside ----------------------------------------------------------------------------------

    def _json(
        self,
        method: str,
        path: str,
        kind: tuple[str, str],
        query: Mapping[str, Any],
        body: Object | None,
        read_s: float = READ_S,
    ) -> Object:
        with self._places, self._response(method, path, kind, query, body, read_s) as response:
            data = b"".join(_pieces(response))
        try:
            found = json.loads(data)
        except ValueError as error:
            raise Away(f"an answer of {self.host} is not JSON: {error}") from error
        return found if isinstance(found, dict) else {}

    @contextmanager
    def _response(
        self,
        method: str,
        path: str,
        kind: tuple[str, str],
        query: Mapping[str, Any],
        body: Object | None = None,
        read_s: float = READ_S,
    ) -> Iterator[Any]:
        import urllib3
        from urllib3.exceptions import HTTPError

        with self._lock:
            self.calls[kind] += 1
        headers = {"Accept": "application/json, */*", "User-Agent": "orion-k8s"}
        content = None
        if body is not None:
            merge = method == "PATCH"
            headers["Content-Type"] = f"application/{'merge-patch+' if merge else ''}json"
            content = json.dumps(body).encode()
        asked = {name: value for name, value in query.items() if value is not None}
        url = self.host + path + (f"?{urlencode(asked)}" if asked else "")
        try:
            headers |= self.credentials()
            response = self._pool.request(
                method,
                url,
                body=content,
                headers=headers,
                preload_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_S, read=read_s),
                # A connection that was kept may have been closed by the server meanwhile.
                retries=urllib3.Retry(
                    total=1, redirect=0, status=0, other=0, allowed_methods=None
                ),
            )
        except (HTTPError, OSError) as error:
            raise Away(_reason(error)) from error
        try:
            if not 200 <= response.status <= 299:
                raise _error(response.status, b"".join(_pieces(response)))
            yield response
        finally:
            # One that was not read to its end can't serve another request.
            response.close()
            response.release_conn()

    def credentials(self) -> dict[str, str]:
        """Return the headers that say who asks.

        Raises:
            Away: they cannot be had now.
        """
        from kubernetes.config import ConfigException

        try:
            # A token that runs out is renewed in here.
            token = self.configuration.auth_settings().get("BearerToken", {}).get("value")
        except (ConfigException, OSError, ValueError) as error:
            raise Away(f"no credentials: {error}") from error
        return {"Authorization": str(token)} if token else {}


def lines(response: Any) -> Iterator[bytes]:
    """Return the lines of a stream as they come.

    Raises:
        Away: the connection broke, or was silent for too long.
    """
    rest = b""
    for piece in _pieces(response):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def hang_up(response: Any) -> None:
    """End a stream that another thread reads."""
    import socket

    connection = getattr(response, "connection", None)
    try:
        connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    except (AttributeError, OSError):  # it has ended
        return


def _pieces(response: Any) -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError

    try:
        yield from response.stream(1 << 16, decode_content=True)
    except (HTTPError, OSError, ValueError, AttributeError) as error:
        # The last two: another thread has hung up.
        raise Away(_reason(error)) from error


def _error(status: int, data: bytes) -> Exception:
    try:
        message = str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        message = data[:500].decode(errors="replace").strip() or f"HTTP status {status}"
    # 401: a token ran out, and somebody may log in again. At the start it is no `Away`: see
    # `preflight`.
    if status in (401, 408, 429) or status >= 500:
        return Away(f"{message} ({status})")
    return Refused(status, message)


def _reason(error: BaseException) -> str:
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    return " ".join(str(error).split())[:300] or type(error).__name__


# --- where the cluster is ------------------------------------------------------------------------


def _configuration(kubeconfig: str | None, context: str | None) -> tuple[Any, str]:
    """Return the package's configuration, and the usual namespace."""
    try:
        from kubernetes import client, config
        from kubernetes.config import ConfigException
    except ImportError as error:
        raise MissingExtra(
            "The executor kubernetes needs the package kubernetes, which cannot be imported "
            f"({error}): pip install 'orion-k8s[k8s]'."
        ) from error
    from yaml import YAMLError

    configuration = client.Configuration()
    path = kubeconfig or os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
    # As kubectl does it: a kubeconfig first, and without one the pod's service account.
    asked = bool(kubeconfig or context or os.environ.get("KUBECONFIG"))
    try:
        if asked or os.path.exists(path):
            config.load_kube_config(path, context, configuration, persist_config=False)
            return configuration, _namespace_of(path, context)
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(configuration)
            return configuration, own_namespace() or "default"
    except (ConfigException, YAMLError, OSError, LookupError, TypeError, ValueError) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise ConfigurationError(
            f"The kubeconfig {path!r} cannot be used: {why}. Correct kubeconfig (or KUBECONFIG) "
            "and context."
        ) from error
    raise ConfigurationError(
        f"No Kubernetes cluster is known: there is no file {path}, and this is no pod. Name one "
        "with kubeconfig in executor_configuration, or with KUBECONFIG."
    )


def _namespace_of(path: str, context: str | None) -> str:
    from kubernetes.config import list_kube_config_contexts

    contexts, current = list_kube_config_contexts(path)
    chosen = next((c for c in contexts if c["name"] == context), current)
    return str((chosen or {}).get("context", {}).get("namespace") or "default")


def own_namespace() -> str | None:
    """Return the namespace of the pod that this process runs in; None outside of a cluster."""
    try:
        return (_SERVICE_ACCOUNT / "namespace").read_text().strip() or None
    except OSError:
        return None
