"""Ask and tell: a person's own loop over `suggest` and `observe`, and what they insert."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orion_k8s.backoff import Backoff
from orion_k8s.client.enqueue import new_trial
from orion_k8s.client.opening import check_limits
from orion_k8s.client.reservations import Reservations
from orion_k8s.client.settings import Settings
from orion_k8s.client.suggested import SuggestedTrial
from orion_k8s.client.view import ExperimentView, status_of
from orion_k8s.errors import (
    BrokenExperiment,
    CompletedExperiment,
    ConfigurationError,
    ExperimentRemoved,
    InvalidTransition,
    LeaseLost,
    OrionError,
    SuspendedExperiment,
    UnsupportedOperation,
    WaitingForTrials,
)
from orion_k8s.script.results import check_results
from orion_k8s.storage import Lease, Storage
from orion_k8s.trial import (
    RELEASED,
    ExperimentRecord,
    Loss,
    Status,
    Trial,
    TrialRecord,
    new_token,
)
from orion_k8s.worker import Idle


class AskTell(ExperimentView):
    """An experiment that trials are asked of and results are told to.

    Trials that `suggest` returns are renewed by a thread of this process until they are observed
    or released; `close`, the end of a `with` block and the end of the program give back the rest.
    What writes rides through outages of the database: it tries again until it is back.
    """

    def __init__(
        self,
        storage: Storage,
        record: ExperimentRecord,
        settings: Settings,
        mode: str,
        owns_storage: bool,
    ) -> None:
        super().__init__(storage, record, settings)
        self.mode = mode
        self._owns_storage = owns_storage
        self._reservations = self._new_reservations()

    def _new_reservations(self) -> Reservations:
        made = Reservations(
            self.storage,
            self.id,
            self.settings.heartbeat_s,
            self.settings.max_lost,
            self._claimer.look_at_record,
            self._owns_storage,
        )
        self._patience.on_outage = made.unwell
        return made

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._reservations.forget()
        self._reservations = self._new_reservations()

    def _writing(self, what: str) -> None:
        if self.mode == "r":
            raise UnsupportedOperation(
                f"This experiment was opened for reading only and cannot {what}: open it with "
                "build_experiment, or get_experiment(mode='w')."
            )

    # --- limits, which may change while workers run ----------------------------------------------

    @property
    def max_trials(self) -> int | None:
        """Completed trials that end the experiment; set it to raise or lower it for everybody."""
        return self.record.max_trials

    @max_trials.setter
    def max_trials(self, value: int | None) -> None:
        self._writing("change max_trials")
        check_limits(max_trials=value)
        self._change({"max_trials": value})

    @property
    def max_broken(self) -> int:
        """Broken trials that end the experiment; set it to raise or lower it for everybody."""
        return self.record.max_broken

    @max_broken.setter
    def max_broken(self, value: int) -> None:
        self._writing("change max_broken")
        if value is None:
            raise ConfigurationError("max_broken must be a whole number, not None.")
        check_limits(max_broken=value)
        self._change({"max_broken": value})

    @property
    def direction(self) -> str:
        """Whether the (first) objective is to "minimize" or to "maximize"."""
        return self.aim.direction

    @property
    def goal(self) -> Any:
        """Value that ends the experiment, or None; name → value where there are several.

        Set it to change it for everybody: workers that wait go on where it is no longer reached.
        """
        return self.aim.target

    @goal.setter
    def goal(self, value: Any) -> None:
        self._writing("change the goal")
        self._change({"goal": self.aim.with_target(value).configuration})

    def _change(self, changes: Mapping[str, Any]) -> None:
        self._patience.call(lambda: self.storage.update_experiment(self.id, changes))
        with self._lock:
            self._claimer.reread_record()

    # --- ask -------------------------------------------------------------------------------------

    def suggest(self, timeout: float = 0.0) -> SuggestedTrial:
        """Return a trial to try, reserved by this process until it is observed or released.

        Args:
            timeout: seconds to wait where all that is left to do is held by others.

        Raises:
            CompletedExperiment: no more trials are needed, or the space is used up.
            BrokenExperiment: too many trials failed.
            WaitingForTrials: others hold the last trials; they may die, so ask again later.
            SuspendedExperiment: only trials that a person suspended are left.
            ExperimentRemoved: the experiment is gone.
        """
        self._writing("suggest")
        deadline = time.monotonic() + timeout
        backoff = Backoff(0.02, 2.0)
        while True:
            with self._lock:
                if not self._reservations.heard_lately():
                    self._claimer.reread_record()  # no heartbeat has read it
                found = self._claimer.acquire()
                reason = self._claimer.reason
            if isinstance(found, TrialRecord):
                return self._reserved(found)
            left = deadline - time.monotonic()
            if found is not Idle.WAIT or left <= 0:
                raise _why_nothing(found, reason)
            time.sleep(min(left, backoff.next()))

    def reserve(self, trial: Trial) -> SuggestedTrial:
        """Reserve a trial that waits (new or interrupted), to be observed or released here.

        Raises:
            LeaseLost: it does not wait any more.
        """
        self._writing("reserve a trial")
        token, claimer = new_token(), self._claimer
        record = self._patience.call(
            lambda: self.storage.reserve(
                self.id, trial.number, token, claimer.worker, claimer.lease_s
            )
        )
        if record is None:
            now = self.get_trial(trial).record.tell()
            raise LeaseLost(f"Trial {trial.id} cannot be reserved: it does not wait ({now}).")
        return self._reserved(record)

    def _reserved(self, record: TrialRecord) -> SuggestedTrial:
        self._reservations.hold(_lease(record))
        return SuggestedTrial.reserved(record, self._params(record), self._trial_dir(record), self)

    def holds(self, trial: Trial) -> bool:
        """Whether this process still holds the trial's reservation, as far as it knows."""
        return trial.record.token is not None and self._reservations.holds(_lease(trial.record))

    # --- tell ------------------------------------------------------------------------------------

    def observe(self, trial: Trial, results: Any) -> None:
        """Write the results of a trial: it is completed.

        Args:
            trial: one that `suggest` returned.
            results: the objective as a number, or a list of mappings of "name", "type", "value".

        Raises:
            InvalidResult: they are no results; the trial stays reserved.
            LeaseLost: the reservation is no longer valid.
        """
        self._writing("observe")
        loss, checked = self._ranked(results)
        lease = _lease_of(trial)
        try:
            self._patience.call(
                lambda: self.storage.complete(lease, loss.objective, checked, loss.losses)
            )
        except LeaseLost:
            self._reservations.drop(lease)
            raise
        self._reservations.drop(lease)
        self._note(trial, Status.COMPLETED, loss)

    def _ranked(self, results: Any) -> tuple[Loss, list[dict[str, Any]]]:
        objective, checked = check_results(results)
        return self.aim.loss(objective, checked), checked

    def release(
        self, trial: Trial, status: Status | str = Status.INTERRUPTED, reason: str | None = None
    ) -> None:
        """Give a reserved trial back: to interrupted (it runs again), suspended or broken.

        Args:
            trial: one that `suggest` returned.
            status: one of these three.
            reason: for people.

        Raises:
            LeaseLost: the reservation is no longer valid.
            InvalidTransition: a trial can't be released to that status.
        """
        self._writing("release a trial")
        target = status_of(status)
        if target not in RELEASED:
            allowed = ", ".join(sorted(one.value for one in RELEASED))
            raise InvalidTransition(f"A trial is released to {allowed}; not to {target}.")
        lease = _lease_of(trial)
        held_by = "person" if target is Status.SUSPENDED else None
        try:
            self._patience.call(lambda: self.storage.release(lease, target, reason, held_by))
        except LeaseLost:
            self._reservations.drop(lease)
            raise
        self._reservations.drop(lease)
        if target is not Status.SUSPENDED:  # the next read tells who holds it
            self._note(trial, target)

    def _note(self, trial: Trial, status: Status, loss: Loss | None = None) -> None:
        with self._lock:
            self._claimer.note(trial.record, status, loss)

    def insert(
        self, params: Mapping[str, Any], results: Any = None, reserve: bool = False
    ) -> Trial:
        """Insert a trial of one's own: to be run by a worker, or with its results.

        Args:
            params: name → value; missing ones take their default values.
            results: as for `observe`; None lets a worker run the trial.
            reserve: return it reserved by this process, to be observed.

        Raises:
            InvalidParams: they don't lie in the space.
            InvalidResult: they are no results.
            DuplicateTrial: a trial with these parameters exists.
            LeaseLost: a worker took the trial before it could be reserved here.
        """
        self._writing("insert a trial")
        record = new_trial(self.id, self._space, params)
        if results is not None:
            loss, checked = self._ranked(results)
            record = replace(
                record,
                status=Status.COMPLETED,
                objective=loss.objective,
                results=tuple(checked),
                losses=loss.losses,
            )
        inserted = self.trial_of(self._patience.call(lambda: self.storage.insert(self.id, record)))
        return self.reserve(inserted) if reserve and results is None else inserted

    def enqueue(self, params: Mapping[str, Any]) -> Trial:
        """Have a point tried next, before any that the algorithm suggests: as `insert`.

        Args:
            params: name → value; missing ones take their default values.

        Raises:
            InvalidParams: they don't lie in the space.
            DuplicateTrial: a trial with these parameters exists.
        """
        return self.insert(params)

    # --- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Give back what is still reserved, end the heartbeat, and close what was opened for this.

        Twice is content, and the experiment may be used again: it connects anew.
        """
        self._reservations.close()


def _lease(record: TrialRecord) -> Lease:
    return Lease(record.id, record.token or "")


def _lease_of(trial: Trial) -> Lease:
    if not isinstance(trial, SuggestedTrial):
        raise LeaseLost(
            f"Trial {trial.id} is not reserved by this program: observe and release what "
            "`suggest` or `reserve` returned."
        )
    return _lease(trial.record)


def _why_nothing(idle: Idle, reason: str) -> OrionError:
    if idle is Idle.DONE:
        return CompletedExperiment()
    if idle is Idle.GOAL:
        return CompletedExperiment("The experiment is done: a trial reached its goal.")
    if idle is Idle.USED_UP:
        return CompletedExperiment(f"The experiment is done: {reason}.")
    if idle is Idle.BROKEN:
        return BrokenExperiment()
    if idle is Idle.SUSPENDED:
        return SuspendedExperiment()
    if idle is Idle.REMOVED:
        return ExperimentRemoved()
    return WaitingForTrials(f"Nothing to try now: {reason}.")
