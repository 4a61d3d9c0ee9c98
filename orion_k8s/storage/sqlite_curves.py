"""Learning curves in SQLite: a row a trial, in a table beside that of the trials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from orion_k8s.storage import codec, sqlite_schema
from orion_k8s.storage.base import Lease, Storage
from orion_k8s.storage.sqlite_connection import Connection
from orion_k8s.storage.sqlite_sql import KEY
from orion_k8s.trial import Curve

PAGE = 200
"""Curves fetched at a time: each may have some kilobytes."""


class CurveVerbs(Storage):
    """The verbs of trials that report while they run."""

    _connection: Connection
    _curves_seen = False

    def write_curves(self, curves: Sequence[tuple[Lease, Curve]]) -> None:
        """Write what trials have reported so far, in one statement; see the contract."""
        if not curves:
            return
        given = codec.dumps(
            [
                [lease.trial, lease.token, curve.revision, codec.curve_text(curve)]
                for lease, curve in curves
            ]
        )
        self._connection.write(
            """INSERT INTO curves (experiment, number, revision, curve)
            SELECT t.experiment, t.number, json_extract(given.value, '$[2]'),
                json_extract(given.value, '$[3]')
            FROM json_each(?) AS given JOIN trials AS t
                ON t.id = json_extract(given.value, '$[0]')
            WHERE t.token = json_extract(given.value, '$[1]') AND t.status != 'removed'
            ON CONFLICT (experiment, number) DO UPDATE
            SET revision = excluded.revision, curve = excluded.curve
            WHERE excluded.revision > revision""",
            (given,),
        )

    def read_curves(
        self, experiment: str, known: Mapping[int, int] | None = None
    ) -> Iterable[Curve]:
        """Yield curves; see the contract."""
        if not self._has_curves():
            return []
        if known is None:
            return self._all_curves(experiment)
        rows = self._connection.rows(
            f"""SELECT c.number, c.curve FROM json_each(?) AS known JOIN curves AS c
                ON c.experiment = {KEY} AND c.number = json_extract(known.value, '$[0]')
            WHERE c.revision > json_extract(known.value, '$[1]')""",
            (codec.dumps([[int(n), int(r)] for n, r in known.items()]), experiment),
        )
        return [codec.to_curve(*row) for row in rows]

    def _all_curves(self, experiment: str) -> Iterator[Curve]:
        after = -(2**63)
        while True:
            rows = self._connection.rows(
                f"""SELECT number, curve FROM curves WHERE experiment = {KEY} AND number > ?
                ORDER BY number LIMIT {PAGE}""",
                (experiment, after),
            )
            for row in rows:
                yield codec.to_curve(*row)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    def _has_curves(self) -> bool:
        # A file that was made before there were any, and that nobody has worked on since.
        if not self._curves_seen:
            self._curves_seen = "curves" not in sqlite_schema.missing(self._connection.rows)
        return self._curves_seen

    def _put_curve(self, experiment: str, curve: Curve) -> None:
        self._connection.write(
            f"INSERT OR REPLACE INTO curves VALUES ({KEY}, ?, ?, ?)",
            (experiment, curve.number, curve.revision, codec.curve_text(curve)),
        )

    def _forget_curves(self, experiment: str, number: int | None = None) -> None:
        if self._has_curves():
            self._connection.write(
                f"DELETE FROM curves WHERE experiment = {KEY} AND (? IS NULL OR number = ?)",
                (experiment, number, number),
            )
