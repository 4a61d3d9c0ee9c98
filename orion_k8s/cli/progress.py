"""How a hunt goes, while it goes: one live line on a terminal, now and then a plain one elsewhere.

All is taken from the worker's own mirror, so it costs no look at the database, but for the number
of workers alive: one query a heartbeat.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from orion_k8s.cli import json_log
from orion_k8s.cli.logs import SAID
from orion_k8s.errors import OrionError
from orion_k8s.trial import Status
from orion_k8s.worker import Worker

log = logging.getLogger(__name__)

LIVE_S = 0.5
"""Between two looks at the mirror on a terminal."""

PLAIN_S = 5.0
"""At least so long between two plain lines."""

WINDOW_S = 120.0
"""The rate is that of the last so many seconds."""


@dataclass(frozen=True)
class Snapshot:
    """An experiment at a moment, as a worker knows it.

    Attributes:
        total: completed trials that end it; None for no end.
        best: the best objective so far.
        workers: that hold a trial now; None where it isn't known.
        rate: completed trials a second; None where it isn't known yet.
    """

    completed: int
    total: int | None
    best: float | None
    running: int
    broken: int
    workers: int | None = None
    rate: float | None = None

    def parts(self) -> list[str]:
        """Return the pieces of the line."""
        of = "" if self.total is None else f"/{self.total}"
        parts = [f"{self.completed}{of} done"]
        if self.best is not None:
            parts.append(f"best {self.best:.6g}")
        parts.append(f"{self.running} running")
        if self.broken:
            parts.append(f"{self.broken} broken")
        if self.rate:
            fast = self.rate >= 1
            parts.append(f"{self.rate:.3g}/s" if fast else f"{60 * self.rate:.3g}/min")
        if self.workers is not None:
            parts.append(f"{self.workers} worker{'' if self.workers == 1 else 's'}")
        if self.rate and self.total is not None and self.total > self.completed:
            parts.append(f"{duration((self.total - self.completed) / self.rate)} left")
        return parts


def duration(seconds: float) -> str:
    """Return a length of time for people: "16 s", "3 min", "2 h 5 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


class Observer:
    """Takes snapshots of the worker that `watch` told it about."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self._alive: int | None = None
        self._asked = -float("inf")
        self._past: deque[tuple[float, int]] = deque()

    def watch(self, worker: Worker) -> None:
        """Take this worker; it is the hook that the worker calls after each change."""
        self.worker = worker

    def look(self) -> Snapshot | None:
        """Return how it stands now; None before the worker's first trial."""
        worker = self.worker
        if worker is None:
            return None
        history, record = worker.claimer.history, worker.claimer.record
        best = worker.claimer.points(follow=False).best()
        completed = history.count(Status.COMPLETED)
        return Snapshot(
            completed=completed,
            total=record.max_trials if record else None,
            best=worker.claimer.goal.value(best[1]) if best else None,
            running=history.count(Status.RESERVED),
            broken=history.count(Status.BROKEN),
            workers=self._workers(worker),
            rate=self._rate(completed),
        )

    def _workers(self, worker: Worker) -> int | None:
        now = time.monotonic()
        if now - self._asked >= worker.heart.heartbeat_s:
            self._asked = now
            try:
                names = worker.claimer.storage.live_workers(worker.claimer.experiment)
            except OrionError as error:
                log.debug("the number of workers is not known: %s", error)
                self._alive = None
            else:
                self._alive = len({*names, worker.claimer.worker})
        return self._alive

    def _rate(self, completed: int) -> float | None:
        now, past = time.monotonic(), self._past
        if not past or completed < past[-1][1]:  # somebody removed trials
            past.clear()
            past.append((now, completed))
        while len(past) > 1 and now - past[0][0] > WINDOW_S:
            past.popleft()
        if completed > past[-1][1]:
            past.append((now, completed))
        since, before = past[0]
        return (completed - before) / (now - since) if completed > before else None


@contextmanager
def progress(title: str, quiet: bool = False) -> Iterator[Callable[[Worker], None]]:
    """Show how a hunt goes inside a `with` block.

    Args:
        title: what every line begins with.
        quiet: show nothing.

    Yields:
        the hook that the worker calls after each change.
    """
    observer = Observer()
    if quiet:
        yield observer.watch
        return
    stop = threading.Event()
    show = _live if _on_terminal() else _plain
    thread = threading.Thread(
        target=_guarded, args=(show, title, observer, stop), name="orion-progress", daemon=True
    )
    thread.start()
    try:
        yield observer.watch
    finally:
        stop.set()
        thread.join()


def _on_terminal() -> bool:
    import os

    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def _guarded(show: Callable[..., None], *args: Any) -> None:
    try:
        show(*args)
    except (OSError, ValueError) as error:  # whoever read our stderr has gone: work on in silence
        log.debug("no progress is shown any more: %s", error)


def _plain(title: str, observer: Observer, stop: threading.Event) -> None:
    said: list[str] = []
    then = -float("inf")
    while not stop.wait(LIVE_S):
        if time.monotonic() - then < PLAIN_S:
            continue
        snapshot = observer.look()
        # What counts down by itself is no news.
        news = snapshot.parts()[:3] if snapshot is not None else []
        if snapshot is not None and news != said:
            said, then = news, time.monotonic()
            line = f"{title}: {', '.join(snapshot.parts())}"
            if json_log.wanted():
                log.log(SAID, line, extra={"data": {"progress": asdict(snapshot)}})
            else:
                print(line, file=sys.stderr, flush=True)


def _live(title: str, observer: Observer, stop: threading.Event) -> None:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        while True:
            snapshot = observer.look()
            if snapshot is not None:
                live.update(_line(title, snapshot), refresh=True)
            if stop.wait(LIVE_S):
                return


def _line(title: str, snapshot: Snapshot) -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    words = Text(" · ".join(snapshot.parts()), overflow="ellipsis", no_wrap=True)
    if not snapshot.total:
        return Text.assemble((f"{title} ", "bold"), words)
    grid = Table.grid(padding=(0, 1), expand=False)
    bar = ProgressBar(total=snapshot.total, completed=snapshot.completed, width=20)
    grid.add_row(Text(title, "bold", overflow="ellipsis", no_wrap=True), bar, words)
    return grid
