"""Following the objects of one kind that carry our label: a list, then a stream from there on.

A stream that ends is opened again where it stopped. The server closes each after some minutes, and
sends a sign of life every minute; a connection that is silent for longer is given up. Where the
server has forgotten the place (410 Gone), all is listed anew and compared with what was known.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable

from orion_k8s.backoff import Backoff
from orion_k8s.executor.kubernetes.api import Api, Away, Object, Refused, hang_up, lines
from orion_k8s.executor.kubernetes.outage import BACKOFF_S, Outage

log = logging.getLogger(__name__)

SILENT_S = 90.0
STREAM_S = (240, 300)
LONG_S = 30.0
"""A stream that lived for so long was a good one: the next is tried at once when it breaks."""

Seen = Callable[[Object, bool], None]
"""Called with an object, and whether it is gone."""


class Watch:
    """A thread that follows objects.

    Args:
        api: the cluster.
        path: of the objects' collection.
        kind: their plural, for the count of calls.
        selector: of labels.
        seen: called for each change, by the thread.
        outage: is told when the server goes away and comes back.
    """

    def __init__(
        self, api: Api, path: str, kind: str, selector: str, seen: Seen, outage: Outage
    ) -> None:
        self._api, self._path, self._kind, self._selector = api, path, kind, selector
        self._seen, self._outage = seen, outage
        self._known: dict[str, Object] = {}
        self._version: str | None = None
        self._stream: object = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"orion-watch-{kind}", daemon=True)

    def start(self) -> None:
        """List the objects, and follow them from now on.

        Raises:
            Away: the server does not answer.
            Refused: it does not allow it.
        """
        self._list()
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        hang_up(self._stream)
        if self._thread.is_alive():
            self._thread.join(5.0)
        self._stream = None

    # --- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        backoff = Backoff(*BACKOFF_S)
        while not self._closing.is_set():
            opened = time.monotonic()
            try:
                if self._version is None:
                    self._list()
                    self._outage.ends()
                if self._follow():
                    continue
            except Away as error:
                if not self._closing.is_set():
                    self._outage.begins(error)
            except Refused as error:
                if error.status == 410:
                    self._version = None
                else:
                    self._outage.begins(error)
            except Exception:  # a fault of ours must not leave trials that nobody follows
                log.exception("the watch of %s failed, and begins anew", self._kind)
                self._version = None
            if time.monotonic() - opened > LONG_S:
                backoff.reset()
            self._closing.wait(backoff.next())

    def _list(self) -> None:
        found = self._api.get(self._path, ("list", self._kind), labelSelector=self._selector)
        before, self._known = self._known, {}
        for item in found.get("items") or ():
            self._note(item)
        for uid, item in before.items():
            if uid not in self._known:
                self._seen(item, True)
        self._version = found["metadata"]["resourceVersion"]

    def _note(self, item: Object) -> None:
        self._known[item["metadata"]["uid"]] = item
        self._seen(item, False)

    def _follow(self) -> bool:
        """Follow the changes of one stream; return whether it ended in order."""
        with self._api.stream(
            self._path,
            ("watch", self._kind),
            SILENT_S,
            watch="true",
            labelSelector=self._selector,
            resourceVersion=self._version,
            allowWatchBookmarks="true",
            timeoutSeconds=random.randint(*STREAM_S),
        ) as stream:
            self._stream = stream
            if self._closing.is_set():
                return True
            self._outage.ends()
            try:
                for line in lines(stream):
                    self._take(line)
            except Away as error:  # the next try tells whether the server is away
                log.debug("the watch of %s broke: %s", self._kind, error)
                return False
        return True

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            event = json.loads(line)
            kind, item = event["type"], event["object"]
        except (ValueError, KeyError, TypeError) as error:
            raise Away(f"the watch of {self._kind} brought no event: {error}") from error
        if kind == "ERROR":
            status, message = int(item.get("code", 500)), str(item.get("message", ""))
            raise Refused(410, message) if status == 410 else Away(message)
        self._version = item["metadata"]["resourceVersion"]
        if kind == "DELETED":
            self._known.pop(item["metadata"]["uid"], None)
            self._seen(item, True)
        elif kind != "BOOKMARK":
            self._note(item)
