"""What a running program reports: lines that it appends to a file, read as they come.

A line is a JSON mapping `{"step": 3, "value": 0.25}`; without a step it is the next one. It may
have `"metrics": {"accuracy": 0.9}`. Whatever is no such line is passed over; the first one is told
of, and no program ends of it. Nothing here waits, and what is kept and read at a time is bounded,
however much a program writes.
"""

from __future__ import annotations

import json
import logging
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orion_k8s.trial import Curve, CurveBuilder
from orion_k8s.trial.channel import REPORTS, STOP

log = logging.getLogger(__name__)

READ_BYTES = 1 << 18
"""So much is read of a file in one look. Of a program that writes more than that between two looks
the newest is read."""

LINE_BYTES = 1 << 14
"""A longer line is no report."""


@dataclass(frozen=True)
class Channel:
    """The two files between a running trial and its worker.

    Attributes:
        reports: the trial appends lines to it.
        stop: the worker makes it, empty, when the trial should stop.
    """

    reports: str
    stop: str

    @classmethod
    def of(cls, folder: str) -> Channel:
        """Return the files of an attempt's folder."""
        return cls(os.path.join(folder, REPORTS), os.path.join(folder, STOP))

    def clear(self) -> None:
        """Remove what an earlier process of this attempt left."""
        for path in (self.reports, self.stop):
            try:
                os.unlink(path)
            except OSError:
                pass

    def ask_to_stop(self) -> None:
        """Leave word for the trial.

        Raises:
            OSError: the file can't be made.
        """
        os.makedirs(os.path.dirname(self.stop), exist_ok=True)
        with open(self.stop, "wb"):
            pass


@dataclass(frozen=True)
class Report:
    """One line.

    Attributes:
        value: finite.
        step: finite; None for the next one.
        metrics: name → finite number.
    """

    value: float
    step: float | None
    metrics: Mapping[str, float]


class ReportFile:
    """Follows the file of one attempt.

    Args:
        path: of the file; it may not be there yet.
        number: of the trial.
        attempt: of the trial.

    Attributes:
        last: the value that was reported last, of whatever step; None before the first.
    """

    def __init__(self, path: str, number: int, attempt: int) -> None:
        self.path = path
        self.number = number
        self.last: float | None = None
        self._builder = CurveBuilder(number, attempt)
        self._known: tuple[int, int] | None = None
        self._offset = 0
        self._rest = b""
        self._skip = False
        self._warned = False

    @property
    def count(self) -> int:
        """How many reports were taken."""
        return self._builder.count

    @property
    def revision(self) -> int:
        """Of the curve so far."""
        return self._builder.revision

    def curve(self) -> Curve:
        """Return the curve so far."""
        return self._builder.curve()

    def look(self) -> bool:
        """Read what is new; return whether there was a report. Without news it costs one stat."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        known = (found.st_size, found.st_mtime_ns)
        if known == self._known:
            return False
        before = self.count
        try:
            self._read(found)
        except OSError as error:
            self._warn(f"its file of reports cannot be read: {error.strerror}")
        self._known = known
        return self.count != before

    def _read(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            self._warn("its file of reports is no regular file")
            return
        if found.st_size < self._offset:  # written anew from its beginning
            self._offset, self._rest, self._skip = 0, b"", False
        if found.st_size - self._offset > READ_BYTES:
            self._warn("it reports more than can be read: some of it is left out")
            self._offset, self._rest, self._skip = found.st_size - READ_BYTES, b"", True
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            data = file.read(READ_BYTES)
        self._offset += len(data)
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._skip:
                self._skip = False  # the end of a line whose beginning was not read
                continue
            self._take(line)
        if len(rest) > LINE_BYTES:
            self._warn("a line of its reports is too long")
            rest, self._skip = b"", True
        self._rest = rest

    def finish(self) -> bool:
        """Read the rest, when the program has ended: a last line needs no end of its own."""
        before = self.count
        self.look()
        rest, self._rest = self._rest, b""
        if rest.strip() and not self._skip and parse(rest) is not None:
            self._take(rest)
        return self.count != before

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        report = parse(line)
        if report is None:
            self._warn(f"this is no report with a finite value: {shown(line)}")
            return
        step = report.step
        if step is None:
            step = max(self._builder.last_step, 0.0) + 1
        self.last = report.value
        if not self._builder.add(step, report.value, report.metrics):
            self._warn(f"a report of step {step:g} comes after step {self._builder.last_step:g}")

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning("trial number %d: %s", self.number, what)


def parse(line: bytes) -> Report | None:
    """Return what a line reports; None where it is no report."""
    if len(line) > LINE_BYTES:
        return None
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict):
        return None
    value, step = _finite(given.get("value")), given.get("step")
    if value is None or (step is not None and _finite(step) is None):
        return None
    metrics = given.get("metrics")
    columns = metrics.items() if isinstance(metrics, dict) else ()
    kept = {str(k)[:100]: v for k, item in columns if (v := _finite(item)) is not None}
    return Report(value, None if step is None else _finite(step), kept)


def last_report(path: str) -> float | None:
    """Return the value of the last line that is a report, looked for at the end of the file."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            return None
        with open(path, "rb") as file:
            file.seek(max(0, found.st_size - READ_BYTES))
            data = file.read(READ_BYTES)
    except OSError:
        return None
    for line in reversed(data.split(b"\n")):
        if line.strip() and (report := parse(line)) is not None:
            return report.value
    return None


def shown(line: bytes) -> str:
    """Return the beginning of a line, as it can be printed."""
    return repr(line[:80].decode(errors="replace"))


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
