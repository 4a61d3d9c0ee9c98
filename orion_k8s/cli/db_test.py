"""`db test`: check step by step that the database can be used, the way a worker uses it."""

from __future__ import annotations

import time
from collections.abc import Callable

import typer

from orion_k8s import __version__
from orion_k8s.cli.options import STORAGE, Given, command
from orion_k8s.errors import (
    AuthenticationFailed,
    DatabaseError,
    DatabaseReadOnly,
    LeaseLost,
    OrionError,
    SchemaError,
)
from orion_k8s.storage import Lease, Storage
from orion_k8s.storage.base import SCHEMA
from orion_k8s.trial import (
    Claim,
    ExperimentRecord,
    Status,
    dump_values,
    identity_of,
    new_id,
    new_token,
)

STEPS = ("address", "reachable", "login", "schema", "may write", "trial", "lease", "clock")
LONG_S = 60.0
SHORT_S = 0.25
DEADLINE_S = 15.0
"""A lease of `SHORT_S` must be found to be over within this, else the clock does not move."""

RESULT = {"name": "objective", "type": "objective", "value": 1.0}


class Checks:
    """Prints each step as it is passed or fails."""

    def __init__(self) -> None:
        self.passed: list[str] = []

    def ok(self, step: str, what: str) -> None:
        """Tell that a step was passed."""
        self.passed.append(step)
        typer.echo(f"ok      {step:<10} {what}")

    def failed(self, step: str, error: OrionError) -> int:
        """Tell that a step failed, and which ones were not tried; return the exit code."""
        typer.echo(f"FAILED  {step:<10} {error}")
        for left in STEPS[STEPS.index(step) + 1 :]:
            typer.echo(f"-       {left:<10} not tried")
        return error.exit_code or 1


@command(*STORAGE)
def test(given: Given) -> int:
    """Check that the database can be used: reachable, login, schema, writing, leases, clock.

    A trial is claimed and completed in a scratch experiment, which is removed. The exit code is
    that of the first check that failed.
    """
    checks = Checks()
    try:
        storage = given.storage(given.configuration(), setup=False)
    except OrionError as error:
        return checks.failed("address", error)
    with storage:
        checks.ok("address", f"{storage.kind} at {storage.describe()}")
        for step in (_reach, _set_up):
            try:
                step(storage, checks)
            except OrionError as error:
                return checks.failed(_step_of(error, checks), error)
        code = _use(storage, checks)
    if code == 0:
        typer.echo("The database can be used.")
    return code


def _step_of(error: OrionError, checks: Checks) -> str:
    """Return which step an error of opening or setting up belongs to, and pass those before it."""
    if isinstance(error, DatabaseReadOnly):
        step = "may write"
    elif isinstance(error, SchemaError):
        step = "schema"
    elif isinstance(error, AuthenticationFailed):
        step = "login"
    else:
        step = "reachable"
    for before in STEPS[: STEPS.index(step)]:
        if before not in checks.passed:
            checks.ok(before, "the database answered")
    return step


def _reach(storage: Storage, checks: Checks) -> None:
    before = time.monotonic()
    version = storage.schema_version()
    took_ms = (time.monotonic() - before) * 1e3
    if version is None and storage.kind == "sqlite":
        checks.ok("reachable", "there is no file yet: it is made now")
    else:
        checks.ok("reachable", f"it answered in {took_ms:.0f} ms")
    checks.ok("login", "it lets this user read" if storage.kind != "sqlite" else "not needed")


def _set_up(storage: Storage, checks: Checks) -> None:
    before = storage.schema_version()
    storage.setup()
    new = " (made now)" if before is None else ""
    checks.ok("schema", f"version {SCHEMA}, the one of orion-k8s {__version__}{new}")


def _use(storage: Storage, checks: Checks) -> int:
    """Do in a scratch experiment what workers do; return the exit code."""
    record = ExperimentRecord(
        id=new_id(),
        name=f"orion-k8s db test {new_id()[:8]}",
        version=1,
        space={"x": "uniform(0, 1)"},
        algorithm={"random": {}},
        seed=0,
        max_trials=2,
    )
    step, code = "may write", 0
    try:
        storage.create_experiment(record)
        checks.ok(step, f"made the experiment {record.name!r}")
        for step, check in (("trial", _trial), ("lease", _lease), ("clock", _clock)):
            checks.ok(step, check(storage, record.id))
    except OrionError as error:
        code = checks.failed(step, error)
    try:
        storage.remove_experiment(record.id)
    except OrionError as error:
        if code == 0:
            return checks.failed(step, error)
        typer.echo(f"The experiment {record.name!r} is left: `orion-k8s db rm` removes it.")
    return code


def _claim(storage: Storage, experiment: str, number: int, lease_s: float) -> Lease:
    values = dump_values([number / 4])
    claim = Claim(new_id(), number, values, identity_of(values), new_token(), "orion-k8s db test")
    _must(not storage.claim(experiment, claim, lease_s), "a new trial could not be claimed")
    _must(
        bool(storage.claim(experiment, _again(claim), lease_s)),
        "one trial could be claimed twice: its unique keys are missing",
    )
    return Lease(claim.id, claim.token)


def _again(claim: Claim) -> Claim:
    return Claim(
        new_id(), claim.number, claim.values, claim.identity, new_token(), "orion-k8s db test"
    )


def _trial(storage: Storage, experiment: str) -> str:
    lease = _claim(storage, experiment, 0, LONG_S)
    storage.complete(lease, RESULT["value"], [RESULT])  # type: ignore[arg-type]
    found = storage.read(experiment, [0])
    _must(
        [(row.status, row.objective) for row in found] == [(Status.COMPLETED, RESULT["value"])],
        "a trial that was completed is not read back as it was written",
    )
    return "claimed, completed and read back; a second claim was refused"


def _lease(storage: Storage, experiment: str) -> str:
    lease = _claim(storage, experiment, 1, LONG_S)
    _must(storage.renew([lease], LONG_S) == {}, "a lease could not be renewed")
    _must(bool(storage.live_workers(experiment)), "a new lease counts as over: is the clock sane?")
    _must(storage.requeue_lost(experiment, 3) == [], "a new lease counts as over")
    try:
        storage.complete(Lease(lease.trial, new_token()), 0.0, [RESULT])
    except LeaseLost:
        pass
    else:
        raise DatabaseError("A trial could be completed under a token that is not its own.")
    storage.release(lease, Status.INTERRUPTED, "orion-k8s db test")
    return "renewed and released; a wrong token was refused"


def _clock(storage: Storage, experiment: str) -> str:
    _claim(storage, experiment, 2, SHORT_S)
    start = time.monotonic()
    _wait(lambda: storage.requeue_lost(experiment, 3) == [(2, Status.INTERRUPTED)])
    took = time.monotonic() - start
    return f"a lease of {SHORT_S:g} s was over after {took:.2f} s"


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        _must(
            time.monotonic() < deadline,
            f"a lease of {SHORT_S:g} s was not over after {DEADLINE_S:g} s: the database's clock "
            "stands still, or jumps",
        )
        time.sleep(0.02)


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DatabaseError(f"{otherwise[:1].upper()}{otherwise[1:]}.")
