from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orion_k8s.client.opening import ensure
from orion_k8s.errors import DamagedDatabase, NotFound, SchemaError
from orion_k8s.storage import Storage
from orion_k8s.storage.portable import DumpFile, copied, write_dump
from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import (
    Claim,
    ExperimentRecord,
    Status,
    TrialRecord,
    dump_values,
    identity_of,
    new_id,
    new_token,
)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with SQLite(tmp_path / "history.db") as storage:
        storage.setup()
        yield storage


def claim(storage: Storage, record: ExperimentRecord, number: int, x: float) -> Claim:
    values = dump_values([x])
    made = Claim(new_id(), number, values, identity_of(values), new_token(), "w")
    assert not storage.claim(record.id, made, 60.0)
    return made


@pytest.fixture
def record(storage: Storage) -> ExperimentRecord:
    record = ensure(storage, "e", space={"x": "uniform(0, 1)"}, seed=1)
    for number in range(3):
        claim(storage, record, number, number / 10)
    return record


def dumped(storage: Storage, *records: ExperimentRecord) -> bytes:
    file = io.BytesIO()
    write_dump(storage, records, file)
    return file.getvalue()


def read(data: bytes) -> DumpFile:
    return DumpFile(io.BytesIO(data), "it")


def test_what_was_written_is_read(storage: Storage, record: ExperimentRecord) -> None:
    other = ensure(storage, "other", space={"a.b": "choices(['ü', 1])"}, seed=2**62)
    file = read(dumped(storage, record, other))
    assert [d.record for d in file.experiments] == [record, other]
    assert [d.trials for d in file.experiments] == [3, 0]
    for given in (file.experiments[1], file.experiments[0], file.experiments[0]):
        expected = [dataclasses.replace(t, token=None) for t in storage.dump(given.record.id)]
        assert list(file.trials(given)) == expected


def test_an_experiment_that_changes_by_hand_meanwhile_is_written_anew(
    storage: Storage, record: ExperimentRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a point is there twice: in the trial before it was removed, and in its successor."""
    real, calls = SQLite.dump, 0

    def dump(self: SQLite, experiment: str) -> Iterator[TrialRecord]:
        nonlocal calls
        calls += 1
        for trial in real(self, experiment):
            yield trial
            if calls == 1 and trial.number == 0:
                self.set_status(experiment, "0", Status.REMOVED, "")
                claim(self, record, 3, 0.0)

    monkeypatch.setattr(SQLite, "dump", dump)
    file = read(dumped(storage, record))
    assert calls == 2
    statuses = [trial.status.value for trial in file.trials(file.experiments[0])]
    assert statuses == ["removed", "reserved", "reserved", "reserved"]


def test_an_experiment_that_is_removed_meanwhile_is_said(
    storage: Storage, record: ExperimentRecord
) -> None:
    storage.remove_experiment(record.id)
    with pytest.raises(NotFound, match="removed while"):
        dumped(storage, record)


# --- what is wrong with a file -------------------------------------------------------------------


def edited(data: bytes, line: int, **changes: object) -> bytes:
    """Return the file with fields of one line's only mapping changed; `...` takes one away."""
    lines = data.splitlines()
    ((kind, fields),) = json.loads(lines[line]).items()
    fields |= changes
    fields = {key: value for key, value in fields.items() if value is not ...}
    lines[line] = json.dumps({kind: fields}).encode()
    return b"\n".join(lines) + b"\n"


def test_a_file_that_is_cut_off_anywhere_is_refused(
    storage: Storage, record: ExperimentRecord
) -> None:
    data = dumped(storage, record)
    first = data.index(b"\n") + 1
    for end in range(first, len(data)):
        with pytest.raises(DamagedDatabase, match="cut off"):
            read(data[:end])
    for end in range(first):
        with pytest.raises((DamagedDatabase, SchemaError)):
            read(data[:end])


@pytest.mark.parametrize(
    ("line", "changes", "told"),
    [
        (1, {"name": ...}, "lacks the field 'name'"),
        (1, {"name": " "}, "without a name"),
        (1, {"version": 0}, "without a name or a version"),
        (1, {"version": "1"}, "wrong value of 'version'"),
        (1, {"max_broken": True}, "wrong value of 'max_broken'"),
        (1, {"space": {"x": "uniform(1, 0)"}}, "no search space"),
        (1, {"space": {"x": 1}}, "no text"),
        (1, {"space": {"x": "uniform(0, 1)", "y": "uniform(0, 1)"}}, "no point"),
        (1, {"color": "red"}, "unknown field 'color'"),
        (2, {"id": ...}, "lacks the field 'id'"),
        (2, {"status": "asleep"}, "'asleep'"),
        (2, {"status": "completed"}, "without an objective"),
        (2, {"status": "completed", "objective": float("nan")}, "no number in 'objective'"),
        (2, {"values": "[1,"}, "no point"),
        (2, {"values": "7"}, "no point"),
        (2, {"values": "[0.1, 0.2]"}, "no point"),
        (2, {"number": 1.5}, "wrong value of 'number'"),
        (2, {"number": 2**63}, "too large a value of 'number'"),
        (2, {"number": 2}, "out of order"),
        (2, {"story": ["so"]}, "no list of mappings"),
        (2, {"token": "abc"}, "unknown field 'token'"),
        (5, {"trials": 2}, "counts other trials"),
        (6, {"trials": 2}, "counts other"),
        (6, {"experiments": 2}, "counts other"),
    ],
)
def test_a_damaged_line_is_named(
    storage: Storage, record: ExperimentRecord, line: int, changes: dict[str, object], told: str
) -> None:
    data = dumped(storage, record)
    read(data)
    with pytest.raises(DamagedDatabase, match="is damaged: line") as refused:
        read(edited(data, line, **changes))
    assert told in str(refused.value)


def test_a_trial_that_is_there_twice_is_refused(
    storage: Storage, record: ExperimentRecord
) -> None:
    data = dumped(storage, record)
    first = json.loads(data.splitlines()[2])["trial"]
    for key in ("id", "identity"):
        with pytest.raises(DamagedDatabase, match="line 4 holds a trial for the second time"):
            read(edited(data, 3, **{key: first[key]}))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([b"no json"], "line 2 is no JSON"),
        ([b"[1]"], "line 2 is no JSON mapping"),
        ([b"\xff\xfe"], "line 2 is no JSON"),
        ([b"[" * 100_000], "line 2 is no JSON"),
        ([b'{"trial": {}}'], "line 2 should begin an experiment"),
        ([b'{"experiment": 1}'], "line 2 holds no fields"),
        ([b'{"end": {"experiments": 0, "trials": 0}}', b"{}"], "line 2 should be the last one"),
    ],
)
def test_lines_that_do_not_belong_there(lines: list[bytes], told: str) -> None:
    with pytest.raises(DamagedDatabase, match=told):
        read(b"\n".join([b'{"format": "orion-k8s dump", "version": 1}', *lines]) + b"\n")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"),
        (b"hello\n", "no dump"),
        (b'{"format": "another"}\n', "no dump"),
        (b"[]\n", "no dump"),
        (b"\x80\x04\x95", "is a pickle"),
        (b'{"format": "orion-k8s dump", "version": 3, "made_by": "orion-k8s 9.9"}\n', "9.9"),
        (b'{"format": "orion-k8s dump", "version": "1"}\n', "newer"),
    ],
)
def test_a_foreign_or_newer_file(data: bytes, told: str) -> None:
    with pytest.raises(SchemaError, match=told):
        read(data)


# --- other ids -----------------------------------------------------------------------------------


def test_a_copy_has_other_ids_and_the_same_kinship(record: ExperimentRecord) -> None:
    parent = TrialRecord("a" * 24, record.id, 0, "[0.5]", Status.COMPLETED, identity_of("[0.5]"))
    child = TrialRecord(
        "b" * 24,
        record.id,
        1,
        "[0.5]",
        Status.NEW,
        identity_of("[0.5]", parent.id, 2),
        parent=parent.id,
        decision=f"exploit:{parent.id}:0",
    )
    made, trials = copied(record, [child, parent])
    new_child, new_parent = trials
    assert made.id != record.id
    assert dataclasses.replace(made, id=record.id) == record
    assert {new_child.id, new_parent.id}.isdisjoint({child.id, parent.id})
    assert all(len(t.id) == 24 and t.experiment == made.id for t in (new_child, new_parent))
    assert new_parent.identity == parent.identity
    assert new_child.parent == new_parent.id
    assert new_child.identity == identity_of("[0.5]", new_parent.id, 2)
    assert new_child.decision == f"exploit:{new_parent.id}:0"
