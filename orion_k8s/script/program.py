"""Running one attempt of a trial's program, and saying how it ended.

Files
-----
`<working_dir>/<trial id>/` is the trial's folder: all attempts share it, and checkpoints go there.
`<working_dir>/<trial id>/attempt-<k>/` belongs to one attempt: `results.json`, `stdout.txt`,
`stderr.txt`, the filled copy of the program's configuration file, and where there are any its
reports and the word to stop (`reports.Channel`).

How it ended
------------
*completed*: exit 0 with a valid result, or without any but with reports, whose last value is it
then; or ended by us, with a valid result.
*interrupted*: exit with the interrupt code; or ended by us, without a valid result.
*broken*: anything else.

The program leads a session and process group of its own. When it has exited, what is left in that
group is killed. It never sees the database's credentials, and this module never touches the
database.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from orion_k8s.errors import InvalidResult
from orion_k8s.script.guardian import guardian
from orion_k8s.script.process import exit_text, group_is_alive, kill_group, tail_of, wait_exited
from orion_k8s.script.reports import Channel, last_report
from orion_k8s.script.results import MissingResult, check_results, read_results

log = logging.getLogger(__name__)

SHIM = str(Path(__file__).parent / "shim")
"""The folder that holds `orion/client.py`."""

SECRET_PREFIX = "ORION_DB_"
"""Address, user and password of the database are not for the program."""

PARENT = frozenset({"ORION_TRIAL_PARENT", "ORION_PARENT_WORKING_DIR"})
"""Told where a trial has a parent; those of a hunt that started this one say nothing of it."""

INTERRUPT_CODE = 130
GRACE_S = 10.0


@dataclass(frozen=True)
class ProgramResult:
    """How an attempt ended.

    Attributes:
        objective, results: of a completed one.
        reason: of the others, for people.
        exit_code: of the program, -N where signal N killed it; None where it did not start.
        asked: whether an interrupted program itself asked to be run again.
    """

    kind: Literal["completed", "interrupted", "broken"]
    objective: float | None = None
    results: tuple[dict[str, Any], ...] = ()
    reason: str = ""
    exit_code: int | None = None
    asked: bool = False


@dataclass
class ProgramRun:
    """One attempt of a trial, as a callable that can be pickled. Call it once.

    Attributes:
        argv: the command, filled.
        folder: of this attempt.
        environment: what is added to the worker's own.
        cwd: where the program runs; None for where the caller is.
        interrupt_code: the exit code that means "run me again".
        grace_s: seconds between SIGTERM and SIGKILL.
        config: path of the filled copy of the program's configuration file, if it has one.
    """

    argv: Sequence[str]
    folder: str
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    interrupt_code: int = INTERRUPT_CODE
    grace_s: float = GRACE_S
    config: str | None = None

    def __post_init__(self) -> None:
        """Make what is not pickled."""
        self._lock = threading.RLock()  # reentrant: a signal handler may call cancel()
        self._wake: int | None = None
        self._cancelled = False
        self._hurry = False

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields alone."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the fields, and make the rest anew."""
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def results_path(self) -> str:
        """Return the path of this attempt's result file."""
        return os.path.join(self.folder, "results.json")

    @property
    def channel(self) -> Channel:
        """The files of this attempt's reports."""
        return Channel.of(os.path.abspath(self.folder))

    @property
    def identity(self) -> str:
        """Return what all attempts of the trial have in common: its folder."""
        return os.path.dirname(self.folder)

    def __call__(self) -> ProgramResult:
        """Run the program to its end."""
        if threading.current_thread() is not threading.main_thread():
            return self._run()
        # Signal handlers run in the main thread, and may raise: that must not interrupt the start
        # of the program, nor its end. So these have a thread of their own.
        restore = self._on_sigterm()
        try:
            with ThreadPoolExecutor(1, "orion-program") as pool:
                try:
                    return pool.submit(self._run).result()
                except BaseException:
                    self.cancel()
                    raise
        finally:
            restore()

    def _run(self) -> ProgramResult:
        if self._cancelled:
            return ProgramResult("interrupted", reason="It was ended before it started.")
        try:
            process = self._start()
        except (OSError, ValueError) as error:  # ValueError: a NUL in a word
            cause = error.strerror if isinstance(error, OSError) else str(error)
            name = getattr(error, "filename", None) or self.argv[0]
            return ProgramResult("broken", reason=f"The program did not start: {cause}: {name!r}.")
        ended = self._attend(process)
        return self.judge(process.returncode, ended)

    def cancel(self) -> None:
        """End the program: SIGTERM, and SIGKILL after the grace. For any thread or signal handler.

        Returns at once; the running call then returns within the grace and a moment, with the
        program's result where it left one. Called once more it ends the grace: SIGKILL now.
        """
        self._hurry = self._cancelled
        self._cancelled = True
        with self._lock:
            if self._wake is not None:
                os.write(self._wake, b".")

    def collect(self) -> ProgramResult:
        """Return what the attempt left, where the call itself was ended and nobody saw its end.

        Completed with a valid result, else interrupted. Call it when the program is gone.
        """
        return self.judge(None, ended=True)

    # --- start -----------------------------------------------------------------------------------

    def _start(self) -> subprocess.Popen[bytes]:
        os.makedirs(self.folder, exist_ok=True)
        # Oríon's own client refuses to run where the file does not exist.
        with open(self.results_path, "wb"):
            pass
        self.channel.clear()
        guardian.start()
        with (
            open(os.path.join(self.folder, "stdout.txt"), "wb") as out,
            open(os.path.join(self.folder, "stderr.txt"), "wb") as err,
        ):
            return subprocess.Popen(
                list(self.argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.cwd,
                env=self._environment(),
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        kept = {
            k: v for k, v in os.environ.items() if not (k.startswith(SECRET_PREFIX) or k in PARENT)
        }
        kept |= self.environment
        kept |= guardian.environment
        kept["ORION_RESULTS_PATH"] = os.path.abspath(self.results_path)
        kept["ORION_REPORTS_PATH"] = self.channel.reports
        kept["ORION_STOP_PATH"] = self.channel.stop
        kept["ORION_INTERRUPT_CODE"] = str(self.interrupt_code)
        # Last: whatever the person put there comes first. An empty entry would mean the cwd.
        paths = [path for path in kept.get("PYTHONPATH", "").split(os.pathsep) if path]
        kept["PYTHONPATH"] = os.pathsep.join([*paths, SHIM])
        return kept

    # --- wait and end ----------------------------------------------------------------------------

    def _attend(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until the program is gone, and leave nothing of it; return whether we ended it."""
        group = process.pid
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        try:
            guardian.add(group)
            self._wake = wake
            return self._watch(process, woken)
        finally:
            with self._lock:
                self._wake = None
            os.close(wake)
            os.close(woken)
            # The leader is not reaped yet, so the group's number can't be anybody else's.
            kill_group(group, signal.SIGKILL)
            guardian.discard(group)
            process.wait()

    def _watch(self, process: subprocess.Popen[bytes], woken: int) -> bool:
        """Wait for the program's exit; end it where `cancel` asks so; return whether it did."""
        while not self._cancelled:
            if wait_exited(process, woken, None):
                return False
        if wait_exited(process, woken, 0):
            return False
        log.info("ending the program", extra={"group": process.pid, "grace_s": self.grace_s})
        kill_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + self.grace_s
        while not self._hurry and (left := deadline - time.monotonic()) > 0:
            if wait_exited(process, woken, left):
                # A shell that dies at once may have left a program that is saving its state.
                if not group_is_alive(process.pid):
                    break
                time.sleep(min(left, 0.02))
        kill_group(process.pid, signal.SIGKILL)
        wait_exited(process, None, None)
        return True

    def _on_sigterm(self) -> Callable[[], None]:
        """Let SIGTERM end the program and not this process, where nobody else has a use for it.

        So a child of an executor that is told to end gives the program its grace. The worker's own
        process has a handler of its own, which stays.
        """
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return _nothing
        signal.signal(signal.SIGTERM, lambda *_: self.cancel())

        def restore() -> None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

        return restore

    # --- judge -----------------------------------------------------------------------------------

    def judge(self, code: int | None, ended: bool, said: str = "stderr.txt") -> ProgramResult:
        """Return how the attempt ended, from its exit code and its files.

        Args:
            code: -N where signal N killed the program; None where nobody knows.
            ended: whether we ended it.
            said: the file in the attempt's folder whose last lines tell why it is broken.
        """
        if not ended and code == self.interrupt_code:
            return ProgramResult("interrupted", None, (), "The program asked for it.", code, True)
        if not ended and code != 0:
            assert code is not None
            return self._broken(f"The program ended with {exit_text(code)}.", code, said)
        try:
            objective, results = self._results(ended)
        except InvalidResult as error:
            if ended:
                return ProgramResult("interrupted", reason="It was ended.", exit_code=code)
            return self._broken(str(error), code, said)
        return ProgramResult("completed", objective, tuple(results), exit_code=code)

    def _results(self, ended: bool) -> tuple[float, list[dict[str, Any]]]:
        try:
            return read_results(self.results_path)
        except MissingResult:
            last = None if ended else last_report(self.channel.reports)
            if last is None:
                raise
            return check_results(last)

    def _broken(self, what: str, code: int | None, said: str) -> ProgramResult:
        lines = tail_of(os.path.join(self.folder, said))
        return ProgramResult("broken", reason=f"{what}\n{lines}".strip(), exit_code=code)


def _nothing() -> None:
    """Do nothing."""
