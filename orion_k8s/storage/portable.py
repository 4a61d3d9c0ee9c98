"""Experiments in a file: what `db dump` writes and `db load` reads, from any backend to any other.

The file is UTF-8 text, a JSON mapping a line:

    {"format": "orion-k8s dump", "version": 2, "made_by": "orion-k8s 0.1.0", "time": …}
    {"experiment": {"id": …, "name": …, …}}            the fields of `ExperimentRecord`
    {"trial": {"id": …, "number": …, …}}               those of `TrialRecord`, by number
    {"curve": {"number": …, "steps": […], …}}          those of `Curve`, by number
    {"experiment_end": {"id": …, "trials": 2}}
    {"end": {"experiments": 1, "trials": 2}}

Tombstones are trials too; fields that are empty are left out, and so are the tokens. Version 1 has
no curves. A file that lacks its last line was cut off.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, NoReturn

from orion_k8s import __version__
from orion_k8s.errors import DamagedDatabase, InvalidParams, InvalidPrior, NotFound, SchemaError
from orion_k8s.storage.base import Storage
from orion_k8s.trial import Curve, ExperimentRecord, Status, TrialRecord, identity_of, new_id

FORMAT = "orion-k8s dump"
VERSION = 2
TRIES = 5
"""So often an experiment is written anew where somebody changed trials by hand meanwhile."""
MOST_REPETITIONS = 1000

NUMBER = (int, float)
EXPERIMENT_FIELDS: dict[str, Any] = {
    "id": str,
    "name": str,
    "version": int,
    "space": dict,
    "algorithm": dict,
    "seed": int,
    "max_trials": (int, type(None)),
    "max_broken": int,
    "working_dir": str,
    "generation": int,
    "metadata": dict,
    "goal": dict,
}
TRIAL_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("id", "values", "status", "identity"), str),
    **dict.fromkeys(("worker", "held_by", "reason", "decision", "parent", "losses"), str),
    **dict.fromkeys(("number", "attempt", "lost"), int),
    **dict.fromkeys(("objective", "submit_time", "start_time", "end_time"), NUMBER),
    **dict.fromkeys(("results", "story"), list),
}
EXPERIMENT_REQUIRED = tuple(EXPERIMENT_FIELDS.keys() - {"goal"})  # which version 1 lacks
REQUIRED = ("id", "number", "values", "status", "identity")
CURVE_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("number", "attempt", "count"), int),
    **dict.fromkeys(("steps", "values"), list),
    "metrics": dict,
}


# --- writing -------------------------------------------------------------------------------------


def write_dump(storage: Storage, experiments: Iterable[ExperimentRecord], file: IO[bytes]) -> int:
    """Write experiments with their trials; return how many trials, tombstones not counted.

    Args:
        storage: where they are.
        experiments: as they were read just now.
        file: to write to; seekable.

    Raises:
        NotFound: one of them was removed meanwhile.
        DatabaseError: the database can't be read.
    """
    _line(file, {"format": FORMAT, "version": VERSION, "made_by": f"orion-k8s {__version__}",
                 "time": time.time()})  # fmt: skip
    count = total = tombstones = 0
    for record in experiments:
        lines, removed = _write_experiment(storage, record, file)
        count, total, tombstones = count + 1, total + lines, tombstones + removed
    _line(file, {"end": {"experiments": count, "trials": total}})
    return total - tombstones


def _write_experiment(
    storage: Storage, record: ExperimentRecord, file: IO[bytes]
) -> tuple[int, int]:
    start = file.tell()
    for attempt in range(TRIES):
        before = storage.experiment(record.id)
        if before is None:
            raise NotFound(f"Experiment '{record.name}' was removed while it was being written.")
        _line(file, {"experiment": dataclasses.asdict(before)})
        count = removed = 0
        kept = set()
        for trial in storage.dump(record.id):
            _line(file, {"trial": _fields(trial)})
            count, removed = count + 1, removed + (trial.status is Status.REMOVED)
            kept.add(trial.number)
        curves = 0
        for curve in storage.read_curves(record.id):
            if curve.number in kept:  # else it began a moment ago
                _line(file, {"curve": dataclasses.asdict(curve)})
                curves += 1
        _line(file, {"experiment_end": _end(record.id, count, curves)})
        after = storage.experiment(record.id)
        # A trial that was removed by hand may be there a second time: the point was free again.
        if attempt == TRIES - 1 or (after is not None and after.generation == before.generation):
            break
        file.seek(start)
        file.truncate()
    return count, removed


def _end(experiment: str, trials: int, curves: int) -> dict[str, Any]:
    return {"id": experiment, "trials": trials, **({"curves": curves} if curves else {})}


def _fields(trial: TrialRecord) -> dict[str, Any]:
    fields = {name: getattr(trial, name) for name in TRIAL_FIELDS}
    kept = {k: v for k, v in fields.items() if v not in (None, ()) or k in REQUIRED}
    return kept | {"status": trial.status.value}


def _line(file: IO[bytes], value: Any) -> None:
    file.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dumped:
    """An experiment in a file.

    Attributes:
        record: the experiment.
        trials: how many lines of trials it has.
        offset: of the first of them, in bytes.
        line: its number, from 1.
        curves: how many lines of curves follow.
    """

    record: ExperimentRecord
    trials: int
    offset: int
    line: int
    curves: int = 0


class DumpFile:
    """A dump that was checked from its first line to its last.

    Args:
        file: seekable, opened for reading bytes.
        name: of the file, for errors.

    Raises:
        SchemaError: it is no dump, or a newer orion-k8s wrote it.
        DamagedDatabase: it is cut off, or a line can't be read.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self.name = name
        self.experiments: list[Dumped] = []
        self._number = 0
        self._check()

    def trials(self, dumped: Dumped) -> Iterator[TrialRecord]:
        """Yield the trials of an experiment, ordered by number."""
        self._file.seek(dumped.offset)
        self._number = dumped.line
        for _ in range(dumped.trials):
            yield self._trial(self._next(), dumped.record.id)

    def curves(self, dumped: Dumped) -> Iterator[Curve]:
        """Yield the curves of an experiment's trials, ordered by number."""
        for _ in self.trials(dumped):
            pass
        for _ in range(dumped.curves):
            yield self._curve(self._next())

    def _check(self) -> None:
        self._check_header()
        total = 0
        while True:
            value = self._next()
            if value.keys() == {"end"}:
                said = value["end"]
                if said != {"experiments": len(self.experiments), "trials": total}:
                    self._damaged("counts other experiments or trials than there are")
                if self._file.readline():
                    self._damaged("should be the last one")
                return
            if value.keys() != {"experiment"}:
                self._damaged("should begin an experiment")
            dumped = self._check_experiment(self._experiment(value))
            self.experiments.append(dumped)
            total += dumped.trials

    def _check_header(self) -> None:
        start = self._file.read(512)
        self._file.seek(0)
        if start[:1] == b"\x80":
            raise SchemaError(
                f"{self.name} is a pickle, as Oríon's `db dump` writes them, which orion-k8s does "
                "not read."
            )
        header: Any = None
        try:
            header = json.loads(self._file.readline())
        except (ValueError, RecursionError):
            pass
        self._number = 1
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            what = "is empty" if not start else "is no dump of orion-k8s"
            raise SchemaError(f"{self.name} {what}: `orion-k8s db dump` writes one.")
        version = header.get("version")
        if not isinstance(version, int) or version > VERSION:
            raise SchemaError(
                f"{self.name} was written by a newer orion-k8s ({header.get('made_by')}), in"
                f" version {version}; this one reads version {VERSION}: install the newer one."
            )

    def _check_experiment(self, record: ExperimentRecord) -> Dumped:
        from orion_k8s.space import Space

        try:
            space = Space.parse(record.space)
        except InvalidPrior as error:
            self._damaged(f"holds no search space ({error})")
        offset, line, count = self._file.tell(), self._number, 0
        last: int | None = None
        seen: set[str] = set()
        numbers: set[int] = set()
        curves = 0
        while True:
            value = self._next()
            if value.keys() == {"experiment_end"}:
                if value["experiment_end"] != _end(record.id, count, curves):
                    self._damaged("counts other trials than there are")
                return Dumped(record, count, offset, line, curves)
            if value.keys() == {"curve"}:
                number = self._curve(value).number
                if number not in numbers:
                    self._damaged("holds a curve without its trial")
                numbers.discard(number)
                curves += 1
                continue
            if curves:
                self._damaged("should hold a curve")
            trial = self._trial(value, record.id)
            if last is not None and trial.number <= last:
                self._damaged("holds a trial out of order")
            last = trial.number
            if trial.id in seen or trial.identity in seen:
                self._damaged("holds a trial for the second time")
            seen |= {trial.id, trial.identity}
            try:
                values = json.loads(trial.values)
                space.load(values if isinstance(values, list) else [])
            except (ValueError, TypeError, InvalidParams):
                self._damaged("holds a trial that is no point of the search space")
            count += 1
            numbers.add(trial.number)

    def _next(self) -> dict[str, Any]:
        line = self._file.readline()
        self._number += 1
        if not line.endswith(b"\n"):
            raise DamagedDatabase(
                f"{self.name} is cut off in line {self._number}: dump it again; nothing was"
                " loaded."
            )
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            self._damaged("is no JSON")
        if not isinstance(value, dict):
            self._damaged("is no JSON mapping")
        return value

    def _experiment(self, value: dict[str, Any]) -> ExperimentRecord:
        fields = self._typed(value["experiment"], EXPERIMENT_FIELDS, EXPERIMENT_REQUIRED)
        if not all(isinstance(prior, str) for prior in fields["space"].values()):
            self._damaged("holds a prior that is no text")
        if not fields["name"].strip() or fields["version"] < 1:
            self._damaged("holds an experiment without a name or a version")
        return ExperimentRecord(**fields)

    def _trial(self, value: dict[str, Any], experiment: str) -> TrialRecord:
        if value.keys() != {"trial"}:
            self._damaged("should hold a trial")
        fields = self._typed(value["trial"], TRIAL_FIELDS, REQUIRED)
        for name in ("results", "story"):
            entries = fields.get(name, [])
            if not all(isinstance(entry, dict) for entry in entries):
                self._damaged(f"holds {name} that are no list of mappings")
            fields[name] = tuple(entries)
        try:
            fields["status"] = Status(fields["status"])
        except ValueError:
            self._damaged(f"holds a trial that is {fields['status']!r}")
        if fields["status"] is Status.COMPLETED and not isinstance(
            fields.get("objective"), NUMBER
        ):
            self._damaged("holds a completed trial without an objective")
        return TrialRecord(experiment=experiment, **fields)

    def _curve(self, value: dict[str, Any]) -> Curve:
        if value.keys() != {"curve"}:
            self._damaged("should hold a curve")
        fields = self._typed(value["curve"], CURVE_FIELDS, tuple(CURVE_FIELDS))
        metrics: dict[str, Any] = fields["metrics"]
        columns = [fields["steps"], fields["values"], *metrics.values()]
        if not all(isinstance(one, list) and len(one) == len(columns[0]) for one in columns):
            self._damaged("holds a curve with columns of different lengths")
        numbers = [item for one in columns for item in one if item is not None]
        plain = all(isinstance(item, NUMBER) and math.isfinite(item) for item in numbers)
        if not plain or None in (*columns[0], *columns[1]):
            self._damaged("holds a curve that is not of numbers")
        fields["metrics"] = {name: tuple(column) for name, column in metrics.items()}
        fields |= {name: tuple(fields[name]) for name in ("steps", "values")}
        return Curve(**fields)

    def _typed(self, fields: Any, kinds: dict[str, Any], needed: Iterable[str]) -> dict[str, Any]:
        if not isinstance(fields, dict):
            self._damaged("holds no fields")
        for name in needed:
            if name not in fields:
                self._damaged(f"lacks the field {name!r}")
        for name, value in fields.items():
            if name not in kinds:
                self._damaged(f"has an unknown field {name!r}")
            if not isinstance(value, kinds[name]) or isinstance(value, bool):
                self._damaged(f"has a wrong value of {name!r}")
            if value != value:
                self._damaged(f"has no number in {name!r}")
            if isinstance(value, int) and name != "seed" and abs(value) >= 2**63:
                self._damaged(f"has too large a value of {name!r}")
        return fields

    def _damaged(self, what: str) -> NoReturn:
        raise DamagedDatabase(
            f"{self.name} is damaged: line {self._number} {what}; nothing was loaded."
        )


# --- another name, other ids ---------------------------------------------------------------------


def copied(
    record: ExperimentRecord, trials: Iterable[TrialRecord]
) -> tuple[ExperimentRecord, Iterator[TrialRecord]]:
    """Return an experiment and its trials under new ids, for a database that has the old ones."""
    experiment = new_id()

    def renewed(old: str) -> str:
        # Of the experiment and the old id alone: parents are named before or after their children.
        return hashlib.blake2b(f"{experiment}{old}".encode(), digest_size=12).hexdigest()

    def all_renewed() -> Iterator[TrialRecord]:
        for trial in trials:
            changes: dict[str, Any] = {"id": renewed(trial.id), "experiment": experiment}
            if trial.parent is not None:
                parent = changes["parent"] = renewed(trial.parent)
                changes["identity"] = _with_parent(trial, parent)
                if trial.decision is not None:
                    changes["decision"] = trial.decision.replace(trial.parent, parent)
            yield dataclasses.replace(trial, **changes)

    return dataclasses.replace(record, id=experiment), all_renewed()


def _with_parent(trial: TrialRecord, parent: str) -> str:
    """Return the identity of a trial whose parent has another id now."""
    for repetition in range(MOST_REPETITIONS):
        if identity_of(trial.values, trial.parent, repetition) == trial.identity:
            return identity_of(trial.values, parent, repetition)
    return trial.identity  # of a tombstone, which `restore` gives its own
