"""Workers as processes of their own, all of them typing the same command."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.chaos.program import COMMAND_PRIORS

PROGRAM = Path(__file__).with_name("program.py")
MARK = "CHAOS_RUN"
"""The environment variable by which every process of a run is found, whoever started it."""

FAKED = Path(__file__).with_name("faked")
"""A folder on the PYTHONPATH of shifted workers."""

FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
EXPERIMENT = "chaos"


def faketime_library() -> str:
    """Return libfaketime, which shifts the clock of one process."""
    found = glob.glob(FAKETIME)
    if not found:
        pytest.fail(
            "libfaketime is missing, which shifts a worker's clock: apt-get install libfaketime.",
            pytrace=False,
        )
    return found[0]


class Worker:
    """One worker process.

    Args:
        words: its command line.
        environment: its whole environment.
        output: its stdout and stderr.
        slot: which place of the crew it fills.

    Attributes:
        ended_by_us: SIGKILL, SIGTERM or SIGINT was sent to it.
        stopped: it stands still by SIGSTOP.
    """

    def __init__(
        self, words: Sequence[str], environment: dict[str, str], output: Path, slot: int
    ) -> None:
        self.slot, self.output = slot, output
        self.since = time.monotonic()
        self.ended_by_us: signal.Signals | None = None
        self.stopped = False
        with open(output, "wb") as file:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            self.ended_by_us = number
        self.stopped = number is signal.SIGSTOP or (self.stopped and number is not signal.SIGCONT)
        self.process.send_signal(number)

    def code(self) -> int | None:
        """Return its exit code, None while it lives."""
        return self.process.poll()

    def said(self) -> str:
        """Return what it printed."""
        return self.output.read_text(errors="replace")


class Crew:
    """All that is needed to start a worker of one experiment, and to know what they did.

    Args:
        folder: for logs and for the trials' folders.
        urls: of the shared history; workers take them in turn, so that each may have its own road.
        max_trials: of the experiment.
        mean_ms: how long a program takes, on average.
        options: further words of `hunt`.
        shifting: whether every other worker runs with a clock that can be shifted.
    """

    def __init__(
        self,
        folder: Path,
        urls: Sequence[str],
        max_trials: int,
        mean_ms: int,
        options: Sequence[str] = (),
        shifting: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.urls, self.max_trials = folder, list(urls), max_trials
        self.log = folder / "programs.log"
        self.mark = uuid.uuid4().hex
        self.started: list[Worker] = []
        self._mean_ms, self._options = mean_ms, list(options)
        self._faketime = faketime_library() if shifting else None

    def words(self, slot: int, hunt: Sequence[str] = ()) -> list[str]:
        """Return the command line of a worker."""
        return [
            *(sys.executable, "-m", "orion_k8s", "-v", "hunt", "-n", EXPERIMENT),
            *("--storage", self.urls[slot % len(self.urls)]),
            *("--max-trials", str(self.max_trials), "--max-broken", "1000"),
            *("--working-dir", str(self.folder / "work"), *self._options, *hunt),
            *(sys.executable, "-I", "-S", str(PROGRAM), str(self.log), str(self._mean_ms)),
            *COMMAND_PRIORS,
        ]

    def environment(self, slot: int) -> dict[str, str]:
        """Return the environment of a worker."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORION", "FAKETIME"))}
        kept |= {MARK: self.mark, "XDG_CONFIG_HOME": str(self.folder / "config")}
        if self.shifts(slot):
            assert self._faketime is not None
            self.shift(slot, 0)
            kept |= {
                "LD_PRELOAD": self._faketime,
                "FAKETIME_TIMESTAMP_FILE": str(self._clock(slot)),
                "FAKETIME_CACHE_DURATION": "1",
                "PYTHONPATH": str(FAKED),
                # All processes of a machine share this clock, whatever its date.
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        return kept

    def start(self, slot: int, hunt: Sequence[str] = ()) -> Worker:
        """Start a worker."""
        output = self.folder / f"worker-{slot}-{len(self.started)}.txt"
        made = Worker(self.words(slot, hunt), self.environment(slot), output, slot)
        self.started.append(made)
        return made

    def init(self) -> None:
        """Make the experiment, and run nothing."""
        done = subprocess.run(
            self.words(0, ["--init-only"]),
            capture_output=True,
            text=True,
            env=self.environment(0),
            check=False,
        )
        assert done.returncode == 0, done.stderr

    # --- clocks ----------------------------------------------------------------------------------

    def shifts(self, slot: int) -> bool:
        """Whether this place's worker has a clock that can be shifted."""
        return self._faketime is not None and slot % 2 == 1

    def shift(self, slot: int, hours: float) -> None:
        """Put the date of a worker forward or back; it notices within a second."""
        clock = self._clock(slot)
        fresh = clock.with_suffix(".new")
        fresh.write_text(f"{3600 * hours:+.0f}\n")
        fresh.replace(clock)

    def _clock(self, slot: int) -> Path:
        return self.folder / f"clock-{slot}"

    # --- the end ---------------------------------------------------------------------------------

    def processes(self) -> Iterator[tuple[int, str]]:
        """Yield the id and the command of each process of this run, zombies aside."""
        wanted = f"{MARK}={self.mark}".encode()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if wanted in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    words = Path(f"/proc/{entry}/cmdline").read_bytes()
                    yield int(entry), words.replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue

    def left_over(self, patience_s: float = 10.0) -> list[tuple[int, str]]:
        """Return the processes that are still there after a while in which they may go."""
        end = time.monotonic() + patience_s
        while (found := list(self.processes())) and time.monotonic() < end:
            time.sleep(0.05)
        return found

    def close(self) -> None:
        """End everything that is left, whatever happened."""
        for worker in self.started:
            if worker.code() is None:
                worker.process.kill()
                worker.process.wait()
        for pid, _ in self.left_over(3.0):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
