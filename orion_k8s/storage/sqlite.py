"""The shared history in one SQLite file: the default, for one machine.

Clock: leases are POSIX's monotonic clock, which all processes of a machine share, with the id of
its start; times for people are the date. A lease of another start of a machine (it was rebooted,
or the file lies on a volume that two machines use) is over once that machine's heartbeat has stood
still for one lease; if it goes on beating the volume is shared, which SQLite cannot do safely.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from orion_k8s.errors import (
    ConfigurationError,
    ExperimentRemoved,
    SharedVolume,
)
from orion_k8s.storage import codec, sqlite_schema
from orion_k8s.storage.base import SCHEMA, Conflict, Held, Lease
from orion_k8s.storage.machine import boot_id as this_boot
from orion_k8s.storage.sqlite_connection import Connection
from orion_k8s.storage.sqlite_people import PeopleVerbs
from orion_k8s.storage.sqlite_records import ROW, to_row
from orion_k8s.storage.sqlite_sql import KEY, STORY
from orion_k8s.storage.sqlite_whole import WholeVerbs
from orion_k8s.trial import Claim, Row, Status, TrialRecord

PAGE = 5_000
"""Rows that `read_all` fetches at a time, so that no read transaction stays open between them."""
MANY = 400
"""Leases in one statement: old SQLite takes 999 parameters."""


class SQLite(PeopleVerbs, WholeVerbs):
    """A history in a SQLite file (3.31 or newer) on a local disk.

    Args:
        path: of the file; folders that are missing are made by `setup`.
        synchronous: "normal" (a power cut may lose the last moments, a crash of any process
            loses nothing), or "full".
        busy_s: how many seconds to wait for other processes' writes.
        monotonic: seconds that pass at the same rate for all processes of the machine.
        boot_id: tells one start of a machine from another.
        wall: POSIX seconds, for people.
    """

    kind: ClassVar[str] = "sqlite"

    def __init__(
        self,
        path: str | Path,
        *,
        synchronous: str = "normal",
        busy_s: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
        boot_id: Callable[[], str] = this_boot,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if synchronous not in ("normal", "full"):
            raise ConfigurationError(f"synchronous is normal or full, not {synchronous!r}.")
        self.path = str(Path(path).expanduser().absolute())
        self._connection = self._new_connection(synchronous, busy_s)
        self._monotonic, self._boot_id, self._wall = monotonic, boot_id, wall
        self._boot: str | None = None
        # Boot id of another machine → its beat, and since when it was seen to stand there.
        self._watched: dict[str, tuple[int, float]] = {}

    @classmethod
    def from_url(cls, url: str, name: str | None = None) -> SQLite:
        """Return the history that `sqlite:///PATH[?synchronous=full]` or a bare path names.

        Args:
            url: three slashes and a relative path, or four and an absolute one.
            name: not used.
        """
        if not url.startswith("sqlite:"):
            return cls(url)
        path, _, query = url.removeprefix("sqlite:").partition("?")
        if not path.startswith("///") or not path.strip("/"):
            raise ConfigurationError(
                f"{url} names no file: write sqlite:///relative/path or sqlite:////absolute/path."
            )
        options = dict(parse_qsl(query))
        synchronous = options.pop("synchronous", "normal").lower()
        if options:
            raise ConfigurationError(
                f"SQLite has no option {', '.join(options)}, only synchronous=normal or full."
            )
        return cls(path[3:], synchronous=synchronous)

    def _new_connection(self, synchronous: str, busy_s: float) -> Connection:
        return Connection(self.path, synchronous, busy_s)

    # --- the database ----------------------------------------------------------------------------

    def setup(self) -> None:
        """Make the file and its tables, and check the schema's version."""
        run = self._connection.rows
        self._connection.create()
        if sqlite_schema.version_of(run, self.path) is None:
            with self._connection.transaction():
                if sqlite_schema.version_of(run, self.path) is None:  # or somebody was faster
                    sqlite_schema.create(run)
        sqlite_schema.check(sqlite_schema.version_of(run, self.path), self.path)
        if sqlite_schema.missing(run):
            with self._connection.transaction():
                sqlite_schema.add_missing(run)
        self._beat()

    def schema_version(self) -> int | None:
        """Return the version of the schema that is there, or None where there is none."""
        if not Path(self.path).exists():
            return None
        return sqlite_schema.version_of(self._connection.rows, self.path)

    def upgrade(self) -> tuple[int, int]:
        """Bring an older schema up to date; return (before, after)."""
        run = self._connection.rows
        if self.schema_version() is None:
            self.setup()
            return SCHEMA, SCHEMA
        with self._connection.transaction():
            before = sqlite_schema.version_of(run, self.path)
            if before is not None and before < SCHEMA:
                sqlite_schema.migrate(run, before)
        self.setup()  # which refuses a newer one
        return before or 0, SCHEMA

    def describe(self) -> str:
        """Return where this history is."""
        return f"sqlite:///{self.path}"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # --- what workers do -------------------------------------------------------------------------

    def claim(self, experiment: str, claim: Claim, lease_s: float) -> frozenset[Conflict]:
        """Insert a new trial, already reserved; see the contract."""
        for _ in range(codec.CLAIM_TRIES):
            wall = self._wall()
            try:
                self._connection.write(
                    f"""INSERT INTO trials (experiment, number, id, status, point, parent,
                        decision, identity, token, worker, attempt, lease, lease_s, boot,
                        submit_time, start_time)
                    VALUES ({KEY}, ?, ?, 'reserved', ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)""",
                    (
                        *(experiment, claim.number, claim.id, claim.values, claim.parent),
                        *(claim.decision, claim.identity, claim.token, claim.worker),
                        *(self._monotonic() + lease_s, lease_s, self._this_boot(), wall, wall),
                    ),
                )
                return frozenset()
            except sqlite3.IntegrityError as error:
                # Which key was taken is read back: the error names one, and there may be several.
                if self.experiment(experiment) is None:
                    raise ExperimentRemoved() from error
            taken = self._taken(experiment, claim, lease_s)
            if taken is not None:
                return taken  # otherwise what stood in the way was removed meanwhile
        raise codec.keys_without_holder(self.path)

    def _taken(self, experiment: str, claim: Claim, lease_s: float) -> frozenset[Conflict] | None:
        own = self._connection.rows("SELECT 1 FROM trials WHERE id = ?", (claim.id,))
        if own:
            mine = not self.renew([Lease(claim.id, claim.token)], lease_s)
            return frozenset() if mine else frozenset({Conflict.NUMBER})
        found = self._connection.rows(
            f"""SELECT
                EXISTS (SELECT 1 FROM trials WHERE experiment = {KEY} AND number = ?),
                EXISTS (SELECT 1 FROM trials WHERE experiment = {KEY} AND identity = ?),
                EXISTS (SELECT 1 FROM trials WHERE experiment = {KEY} AND decision = ?)""",
            (experiment, claim.number, experiment, claim.identity, experiment, claim.decision),
        )[0]
        kinds = (Conflict.NUMBER, Conflict.IDENTITY, Conflict.DECISION)
        return frozenset(kind for kind, hit in zip(kinds, found, strict=True) if hit) or None

    def reserve(
        self, experiment: str, number: int, token: str, worker: str, lease_s: float
    ) -> TrialRecord | None:
        """Reserve a waiting trial under a new token; see the contract."""
        took = self._connection.write(
            f"""UPDATE trials SET status = 'reserved', token = ?, worker = ?,
                attempt = attempt + 1, lease = ?, lease_s = ?, boot = ?, start_time = ?,
                end_time = NULL, reason = NULL, held_by = NULL
            WHERE experiment = {KEY} AND number = ? AND status IN ('new', 'interrupted')""",
            (
                *(token, worker, self._monotonic() + lease_s, lease_s, self._this_boot()),
                *(self._wall(), experiment, number),
            ),
        )
        found = self._trial(experiment, f"experiment = {KEY} AND number = ?", experiment, number)
        if found is None or found.token != token or found.status is not Status.RESERVED:
            return None
        if not took:  # by an earlier attempt, whose reply was lost
            self.renew([Lease(found.id, token)], lease_s)
        return found

    def renew(self, leases: Iterable[Lease], lease_s: float) -> dict[str, Held]:
        """Renew leases; see the contract."""
        failed: dict[str, Held] = {}
        for some in codec.in_chunks(leases, MANY):
            marks = ",".join("?" * len(some))
            ids, tokens = [lease.trial for lease in some], [lease.token for lease in some]
            renewed = self._connection.write(
                f"""UPDATE trials SET lease = ?, lease_s = ?, boot = ?
                WHERE id IN ({marks}) AND token IN ({marks}) AND status = 'reserved'""",
                (self._monotonic() + lease_s, lease_s, self._this_boot(), *ids, *tokens),
            )
            if renewed < len(some):
                failed |= self._held(some, marks)
        self._beat()
        return failed

    def _held(self, leases: Sequence[Lease], marks: str) -> dict[str, Held]:
        found = self._connection.rows(
            f"SELECT id, token, status FROM trials WHERE id IN ({marks})",
            [lease.trial for lease in leases],
        )
        state = {trial: (token, status) for trial, token, status in found}
        return codec.not_renewed({lease.trial: lease.token for lease in leases}, state)

    def complete(
        self,
        lease: Lease,
        objective: float,
        results: Sequence[Mapping[str, Any]],
        losses: str | None = None,
    ) -> None:
        """Complete a trial; see the contract."""
        done = self._connection.write(
            """UPDATE trials SET status = 'completed', objective = ?, results = ?, losses = ?,
                end_time = ?, lease = NULL, reason = NULL
            WHERE id = ? AND token = ? AND status IN ('reserved', 'interrupted')""",
            (
                *(codec.check_objective(objective), codec.results_text(results), losses),
                *(self._wall(), lease.trial, lease.token),
            ),
        )
        if not done:
            self._content_with(lease, Status.COMPLETED)

    def release(
        self, lease: Lease, status: Status, reason: str | None = None, held_by: str | None = None
    ) -> None:
        """Release a reserved trial; see the contract."""
        word = codec.check_released(status)
        done = self._connection.write(
            f"""UPDATE trials SET status = :status, reason = :reason, held_by = :held_by,
                lease = NULL, end_time = CASE :status WHEN 'broken' THEN :now END, {STORY}
            WHERE id = :trial AND token = :token AND status = 'reserved'""",
            {
                "status": word,
                "reason": codec.clean(reason),
                "held_by": held_by if word == "suspended" else None,
                "now": self._wall(),
                "trial": lease.trial,
                "token": lease.token,
            },
        )
        if not done:
            self._content_with(lease, status)

    def _content_with(self, lease: Lease, status: Status) -> None:
        found = self._trial("", "id = ?", lease.trial)
        if found is None or found.token != lease.token or found.status is not status:
            raise codec.lease_lost(lease.trial, found)

    def requeue_lost(
        self, experiment: str, max_lost: int, within_s: float = math.inf
    ) -> list[tuple[int, Status]]:
        """Release the trials whose lease is over; see the contract."""
        asked = self._monotonic()
        self._beat()  # it writes: it waits for whoever holds the lock
        if self._monotonic() - asked > within_s:
            return []
        here = self._this_boot()
        reserved = self._connection.rows(
            f"""SELECT id, number, token, lost, lease, lease_s, boot FROM trials
            WHERE experiment = {KEY} AND status = 'reserved'""",
            (experiment,),
        )
        elsewhere: dict[str, float] = {}
        for *_, lease_s, boot in reserved:
            if boot != here:
                elsewhere[boot] = max(lease_s, elsewhere.get(boot, 0.0))
        gone = {boot for boot, lease_s in elsewhere.items() if self._stands_still(boot, lease_s)}
        now, lost = self._monotonic(), []
        for trial, number, token, times, lease, lease_s, boot in reserved:
            if boot == here and lease > now + lease_s + 1e-3:
                self._cut(trial, token)
            elif boot in gone or (boot == here and lease < now):
                status = Status.BROKEN if times + 1 >= max_lost else Status.INTERRUPTED
                if self._give_up(trial, token, boot, lease, status, times + 1):
                    lost.append((number, status))
        return lost

    def _give_up(
        self, trial: str, token: str, boot: str, lease: float, status: Status, times: int
    ) -> bool:
        broken = status is Status.BROKEN
        # The lease must still be the one that was found to be over: nobody renewed it since.
        return bool(
            self._connection.write(
                f"""UPDATE trials SET status = :status, reason = :reason, lost = :times,
                    lease = NULL, end_time = CASE :status WHEN 'broken' THEN :now END, {STORY}
                WHERE id = :trial AND token = :token AND status = 'reserved'
                AND boot = :boot AND lease = :lease""",
                {
                    "status": status.value,
                    "reason": codec.lost_for_good(times) if broken else codec.LOST,
                    "times": times,
                    "now": self._wall(),
                    "trial": trial,
                    "token": token,
                    "boot": boot,
                    "lease": lease,
                },
            )
        )

    def _cut(self, trial: str, token: str) -> None:
        now = self._monotonic()
        self._connection.write(
            """UPDATE trials SET lease = ? + lease_s
            WHERE id = ? AND token = ? AND status = 'reserved' AND lease > ? + lease_s""",
            (now, trial, token, now),
        )

    def resume(self, experiment: str, number: int) -> bool:
        """Set a trial that an algorithm suspended to interrupted; see the contract."""
        return bool(
            self._connection.write(
                f"""UPDATE trials SET status = 'interrupted', held_by = NULL
                WHERE experiment = {KEY} AND number = ? AND status = 'suspended'
                AND held_by = 'algorithm'""",
                (experiment, number),
            )
        )

    # --- what the mirror reads -------------------------------------------------------------------

    def read_all(self, experiment: str) -> Iterable[Row]:
        """Yield a row for every trial of the experiment, tombstones too, ordered by number."""
        after = -(2**63)
        while True:
            rows = self._connection.rows(
                f"""SELECT {ROW} FROM trials WHERE experiment = {KEY} AND number > ?
                ORDER BY number LIMIT {PAGE}""",
                (experiment, after),
            )
            yield from map(to_row, rows)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    def read(self, experiment: str, numbers: Sequence[int]) -> list[Row]:
        """Return the rows of those numbers that exist."""
        rows = self._connection.rows(
            f"""SELECT {ROW} FROM trials WHERE experiment = {KEY}
            AND number IN (SELECT value FROM json_each(?))""",
            (experiment, codec.dumps(list(map(int, numbers)))),
        )
        return [to_row(row) for row in rows]

    # --- the machine -----------------------------------------------------------------------------

    def _this_boot(self) -> str:
        if self._boot is None:
            self._boot = self._boot_id()
        return self._boot

    def _beat(self) -> None:
        self._connection.write(
            """INSERT INTO machines (boot, beat) VALUES (?, 1)
            ON CONFLICT (boot) DO UPDATE SET beat = beat + 1""",
            (self._this_boot(),),
        )

    def _stands_still(self, boot: str, lease_s: float) -> bool:
        """Whether another machine's heart has been seen to stand still for one lease."""
        found = self._connection.rows("SELECT beat FROM machines WHERE boot = ?", (boot,))
        beat, now = (found[0][0] if found else 0), self._monotonic()
        seen, since = self._watched.setdefault(boot, (beat, now))
        if beat != seen:
            del self._watched[boot]
            raise SharedVolume(
                f"{self.path} is used by another machine at the same time, which SQLite cannot do "
                "safely: use MongoDB for more than one machine."
            )
        return now - since >= lease_s
