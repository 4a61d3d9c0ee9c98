"""A port of this machine that leads to a port of a pod, as `kubectl port-forward` makes one.

The pod is chosen anew for each connection, so the port stays while pods come and go. Neither the
port-forward of dask-kubernetes is of use here (its threads never end) nor that of kr8s (it waits
for its connections when it is closed, and leaves keys in temporary files).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from orion_k8s.errors import UsageError
from orion_k8s.executor.kubernetes.api import Api, Away, Refused

log = logging.getLogger(__name__)

PROTOCOL = "v4.channel.k8s.io"

HEARTBEAT_S = 15.0
"""A tunnel whose far end does not answer a ping for half of this is given up: a node may be lost,
and nobody closes its connections."""

OPEN_S = 30.0
PAUSE_S = 1.0
CLOSE_S = 10.0

_CHUNK = 1 << 16
_DATA, _ERROR = b"\0", 1
"""The channels of one port. Each begins with a message that holds the port's number."""


@dataclass(frozen=True)
class Tunnels:
    """How to reach ports of pods.

    Attributes:
        find: returns the URL of the port of a pod that is ready; called for each connection, in a
            thread. Raises `UsageError`, `Away` or `Refused` where there is none now.
        headers: returns the credentials.
        tls: of the API server; None for plain HTTP.
        server_hostname: that its certificate is for, where that is another than its host.
        proxy: its URL.
    """

    find: Callable[[], str]
    headers: Callable[[], Mapping[str, str]]
    tls: ssl.SSLContext | None = None
    server_hostname: str | None = None
    proxy: str | None = None

    @classmethod
    def through(cls, api: Api, find: Callable[[], str]) -> Tunnels:
        """Return the tunnels that an API server opens, with its own TLS, credentials and proxy."""
        configuration = api.configuration
        return cls(
            find=find,
            headers=api.credentials,
            tls=_tls(configuration),
            server_hostname=configuration.tls_server_name or None,
            proxy=configuration.proxy or None,
        )


class Forward:
    """A port of this machine that leads to pods. A thread of its own carries the bytes.

    Args:
        tunnels: where it leads.

    Attributes:
        port: on 127.0.0.1.
    """

    def __init__(self, tunnels: Tunnels) -> None:
        self._tunnels = tunnels
        self._connections: dict[asyncio.Task[None], socket.socket] = {}
        ready: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name="orion-port-forward", daemon=True
        )
        self._thread.start()
        self.port = ready.result()

    @property
    def alive(self) -> bool:
        """Whether the port still leads anywhere."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Close the port and its connections."""
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(CLOSE_S)

    # --- in the thread ---------------------------------------------------------------------------

    def _run(self, ready: concurrent.futures.Future[int]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            if ready.done():
                log.exception("the port-forward ended")
            else:
                ready.set_exception(error)

    async def _serve(self, ready: concurrent.futures.Future[int]) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tunnels.tls or True)
        async with aiohttp.ClientSession(connector=connector) as session:
            # Not `asyncio.start_server`: before Python 3.12 a connection that arrives while that
            # server closes is left open, and nobody knows it.
            with socket.create_server(("127.0.0.1", 0)) as listener:
                listener.setblocking(False)
                self._loop.add_reader(listener, self._accept, session, listener)
                ready.set_result(listener.getsockname()[1])
                await self._closing.wait()
                self._loop.remove_reader(listener)
            connections = dict(self._connections)
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
            for connection in connections.values():
                connection.close()  # of a task that was cancelled before it began

    def _accept(self, session: aiohttp.ClientSession, listener: socket.socket) -> None:
        with suppress(OSError):  # who connected has gone again
            connection, _ = listener.accept()
            task = asyncio.create_task(self._carry(session, connection))
            self._connections[task] = connection
            task.add_done_callback(self._connections.pop)

    async def _carry(self, session: aiohttp.ClientSession, connection: socket.socket) -> None:
        """Carry the bytes of one connection, until one of its ends closes it."""
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            url = await asyncio.to_thread(self._tunnels.find)
            tunnel = await asyncio.wait_for(self._open(session, url), OPEN_S)
            async with tunnel:
                ways = (
                    asyncio.create_task(_up(reader, tunnel)),
                    asyncio.create_task(_down(tunnel, writer)),
                )
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        except (UsageError, Away, Refused) as error:
            log.debug("no pod to forward to: %s", error)
            # Dask's client tries again at once, and each try asks the API server.
            await asyncio.sleep(PAUSE_S)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            log.debug("a forwarded connection ended: %s", error)
        finally:
            writer.close()

    async def _open(
        self, session: aiohttp.ClientSession, url: str
    ) -> aiohttp.ClientWebSocketResponse:
        return await session.ws_connect(
            url,
            protocols=(PROTOCOL,),
            headers=await asyncio.to_thread(self._tunnels.headers),
            proxy=self._tunnels.proxy,
            server_hostname=self._tunnels.server_hostname,
            heartbeat=HEARTBEAT_S,
            max_msg_size=0,
        )


async def _up(reader: asyncio.StreamReader, tunnel: aiohttp.ClientWebSocketResponse) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            await tunnel.send_bytes(_DATA + data)


async def _down(tunnel: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
    begun: set[int] = set()
    with suppress(OSError):
        async for message in tunnel:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                return
            channel = message.data[0]
            if channel not in begun:
                begun.add(channel)
            elif channel == _ERROR:
                log.debug("a forwarded connection ended: %s", message.data[1:].decode())
                return
            else:
                writer.write(message.data[1:])
                await writer.drain()


def _tls(configuration: Any) -> ssl.SSLContext | None:
    """Return the TLS settings that the package kubernetes uses for its own requests."""
    from urllib3.util.ssl_ import create_urllib3_context

    if not str(configuration.host).startswith("https:"):
        return None
    mode = ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE
    context: ssl.SSLContext = create_urllib3_context(cert_reqs=mode)
    data = getattr(configuration, "ca_cert_data", None)
    if configuration.ssl_ca_cert or data:
        context.load_verify_locations(cafile=configuration.ssl_ca_cert, cadata=data)
    else:
        context.load_default_certs()
    context.check_hostname = bool(
        configuration.verify_ssl and configuration.assert_hostname is not False
    )
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context
