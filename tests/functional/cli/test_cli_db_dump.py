from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commanding import WEIRD, History

from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord


def lived(history: History, name: str = "exp", version: int = 1) -> ExperimentRecord:
    """Return an experiment with trials of every kind."""
    record = history.experiment(name, version, max_trials=20)
    history.completed(record, 0, 0.5)
    history.broken(record, 1, "Traceback\nValueError: ü 🦉")
    history.reserved(record, 2)
    lease = history.reserved(record, 3)
    history.storage.release(lease, Status.SUSPENDED, held_by="person")
    history.completed(record, 4, 1.5)
    history.storage.set_status(record.id, "4", Status.REMOVED, "wrong data")
    return record


def trials_of(storage: Any, record: ExperimentRecord) -> tuple[list[TrialRecord], list[Any]]:
    """Return the trials without what a copy has of its own, and their times."""
    found, times = [], []
    for trial in storage.dump(record.id):
        if trial.number == 2:  # was running, so it is interrupted in the copy
            trial = dataclasses.replace(trial, status=Status.INTERRUPTED, reason=None, story=())
        times += [trial.submit_time, trial.start_time, trial.end_time]
        times += [entry["time"] for entry in trial.story]
        timeless = {
            "token": None,
            "story": tuple({**entry, "time": None} for entry in trial.story),
            **dict.fromkeys(("submit_time", "start_time", "end_time")),
        }
        found.append(dataclasses.replace(trial, **timeless))
    return found, [0.0 if time is None else time for time in times]


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongo)])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Another history, on each backend: the URL, and an opened storage."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/other.db"
        with History(url).storage as storage:
            yield url, storage
        return
    import uuid

    import pymongo

    uri = request.getfixturevalue("mongodb_uri")
    host, _, options = uri.partition("/?")
    name = f"test_{uuid.uuid4().hex[:16]}"
    url = f"{host}/{name}?{options}"
    with History(url).storage as storage:
        yield url, storage
    with pymongo.MongoClient(uri) as client:
        client.drop_database(name)


def test_from_any_backend_to_any_other(
    any_history: Any, other: Any, cli: Callable[..., Any], tmp_path: Path
) -> None:
    url, storage = other
    records = [lived(any_history, name) for name in (*WEIRD, "exp")]
    records.append(any_history.experiment("empty", 1))
    said = cli("db", "dump", tmp_path / "dump.jsonl")
    assert (said.code, said.err) == (0, "")
    assert "7 experiments with 24 trials" in said.out
    said = cli("db", "load", tmp_path / "dump.jsonl", "--storage", url)
    assert (said.code, said.err) == (0, "")
    for record in records:
        assert storage.experiment(record.id) == any_history.storage.experiment(record.id)
        trials, times = trials_of(storage, record)
        original, original_times = trials_of(any_history.storage, record)
        assert trials == original
        assert times == pytest.approx(original_times, rel=0, abs=0.0011)  # MongoDB's resolution
    trial = storage.trial(records[0].id, "2")
    assert (trial.status, trial.attempt) == (Status.INTERRUPTED, 1)


def test_through_a_pipe_and_on_with_the_work(
    history: Any, other: Any, shell: Callable[..., Any], worker: Callable[..., Any]
) -> None:
    url, storage = other
    record = history.experiment(max_trials=4)
    history.completed(record, 0, 1.0)
    history.reserved(record, 1)
    text = shell("db", "dump", "-", "-q")
    assert (text.code, text.err) == (0, "")
    said = shell("db", "load", "-", "--storage", url, stdin=text.out)
    assert (said.code, said.err) == (0, "")
    running = worker(url)
    running.go()
    assert running.end() == "done"
    assert storage.counts(record.id) == {Status.COMPLETED: 4}
    trial = storage.trial(record.id, "1")
    assert (trial.status, trial.attempt) == (Status.COMPLETED, 2)


def test_one_experiment_is_dumped(history: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    for name, version in (("a", 1), ("a", 2), ("b", 1)):
        history.experiment(name, version)
    for words, experiments in (
        (["-n", "a"], "2 experiments"),
        (["-n", "a", "-v", "1"], "1 experiment "),
        ([], "3 experiments"),
    ):
        assert experiments in cli("db", "dump", "-o", tmp_path / "d", "-f", *words).out
    assert "did you mean 'b'?" in cli("db", "dump", tmp_path / "e", "-n", "bb").refused(7)
    assert not (tmp_path / "e").exists()


def test_one_experiment_is_loaded(history: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    for name, version in (("a", 1), ("a", 2), ("b", 1)):
        lived(history, name, version)
    cli("db", "dump", tmp_path / "d")
    place = ("--storage", tmp_path / "new.db")
    said = cli("db", "load", tmp_path / "d", "-n", "a", "-v", "2", *place)
    assert said.out == "Experiment 'a' version 2: loaded 4 trials.\n"
    assert cli("db", "load", tmp_path / "d", "-n", "b", *place).code == 0
    assert [row[:2] for row in cli("list", *place).rows] == [["a", "2"], ["b", "1"]]
    assert "did you mean 'b'?" in cli("db", "load", tmp_path / "d", "-n", "bb").refused(7)
    assert "only: 1, 2" in cli("db", "load", tmp_path / "d", "-n", "a", "-v", "3").refused(7)


# --- an experiment that is there already ---------------------------------------------------------


@pytest.fixture
def dumped(any_history: Any, cli: Callable[..., Any], tmp_path: Path) -> Path:
    """A dump of `exp`, which has a trial more since."""
    record = lived(any_history)
    assert cli("db", "dump", tmp_path / "dump").code == 0
    any_history.completed(record, 5, -1.0)
    return tmp_path / "dump"


def test_it_is_not_touched_unless_that_is_said(
    any_history: Any, cli: Callable[..., Any], dumped: Path
) -> None:
    before = cli("status", "--all", "--json").json
    sentence = cli("db", "load", dumped).refused(2)
    for word in ("already", "ignore", "overwrite", "bump", "--as"):
        assert word in sentence
    said = cli("db", "load", dumped, "--resolve", "ignore")
    assert said.code == 0 and "left alone" in said.out
    assert cli("status", "--all", "--json").json == before


@pytest.mark.parametrize("words", [["--overwrite"], ["-r", "overwrite"]])
def test_it_is_replaced(
    any_history: Any, cli: Callable[..., Any], dumped: Path, words: list[str]
) -> None:
    (before,) = any_history.storage.experiments()
    said = cli("db", "load", dumped, *words)
    assert said.code == 0 and "loaded 4 trials" in said.out
    (after,) = any_history.storage.experiments()
    assert sorted(any_history.statuses(after)) == [0, 1, 2, 3]
    assert after.id != before.id  # a worker on the old one finds it gone
    assert cli("db", "load", dumped, *words).code == 0  # and once more
    assert cli("db", "load", dumped, "--as", "copy").code == 0
    counts = [any_history.storage.counts(r.id) for r in any_history.storage.experiments()]
    assert counts[0] == counts[1]


def test_workers_of_a_replaced_experiment_end(
    any_history: Any,
    cli: Callable[..., Any],
    worker: Callable[..., Any],
    until: Callable[..., Any],
    tmp_path: Path,
) -> None:
    record = any_history.experiment(max_trials=100)
    any_history.completed(record, 0, 1.0)
    cli("db", "dump", tmp_path / "dump")
    running = worker(any_history.url)
    until(running.started)
    said = cli("db", "load", tmp_path / "dump", "--overwrite")
    assert said.code == 0 and "1 worker of the replaced experiment will end" in said.err
    assert running.end() == "ExperimentRemoved"
    (after,) = any_history.storage.experiments()
    assert any_history.statuses(after) == {0: "completed"}


def test_it_becomes_a_new_version(any_history: Any, cli: Callable[..., Any], dumped: Path) -> None:
    assert cli("db", "load", dumped, "-r", "bump").out.startswith("Experiment 'exp' version 2")
    assert cli("db", "load", dumped, "-r", "bump").out.startswith("Experiment 'exp' version 3")
    records = any_history.storage.experiments()
    assert [r.version for r in records] == [1, 2, 3]
    assert len({r.id for r in records}) == 3
    ids = [t.id for r in records for t in any_history.storage.dump(r.id)]
    assert len(set(ids)) == len(ids) == 6 + 5 + 5


def test_it_gets_another_name(any_history: Any, cli: Callable[..., Any], dumped: Path) -> None:
    name = "a copy of $it"
    assert cli("db", "load", dumped, "--as", name).code == 0
    copy = any_history.storage.experiments(name)[0]
    expected = {0: "completed", 1: "broken", 2: "interrupted", 3: "suspended"}
    assert any_history.statuses(copy) == expected
    assert [t.number for t in any_history.storage.dump(copy.id)] == [0, 1, 2, 3, 4]
    assert "already" in cli("db", "load", dumped, "--as", name).refused(2)
    assert "300 characters" in cli("db", "load", dumped, "--as", "é" * 301).refused(2)
    any_history.completed(copy, 7, 1.0)  # work goes on


def test_words_that_contradict(history: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    history.experiment("a")
    history.experiment("b")
    file = tmp_path / "d"
    cli("db", "dump", file)
    assert "choose it by -n" in cli("db", "load", file, "--as", "c").refused(2)
    assert "contradict" in cli("db", "load", file, "--overwrite", "-r", "bump").refused(2)
    assert "ignore, overwrite, bump" in cli("db", "load", file, "-r", "replace").refused(2)
    assert "one file" in cli("db", "dump").refused(2)
    assert "one file" in cli("db", "dump", "x", "-o", "y").refused(2)


# --- what is wrong with a file, and what is left behind ------------------------------------------


def test_a_file_that_is_cut_off_leaves_nothing(
    any_history: Any, cli: Callable[..., Any], dumped: Path
) -> None:
    dumped.write_bytes(dumped.read_bytes()[:-30])
    before = cli("status", "--all", "--json").json
    for words in (["--overwrite"], ["-r", "bump"], ["--as", "x"], []):
        assert "cut off" in cli("db", "load", dumped, *words).refused(6)
    assert cli("status", "--all", "--json").json == before


def test_files_that_are_none(history: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("some notes\n")
    assert "no dump" in cli("db", "load", tmp_path / "text").refused(6)
    assert "No such file" in cli("db", "load", tmp_path / "missing").refused(2)
    assert "directory" in cli("db", "load", tmp_path).refused(2)
    assert history.storage.experiments() == []


def test_a_load_that_fails_halfway_tells_how_to_go_on(
    history: Any, cli: Callable[..., Any], tmp_path: Path
) -> None:
    records = {name: lived(history, name) for name in ("a", "b", "c")}
    cli("db", "dump", tmp_path / "d")
    path = tmp_path / "new.db"
    with SQLite(path) as storage:
        storage.setup()
        # Somebody's experiment there, no copy of b by its seed, has a trial of b.
        taken = next(iter(history.storage.dump(records["b"].id)))
        other = dataclasses.replace(records["b"], id="0" * 24, name="z", seed=7)
        storage.restore(other, [taken])
        said = cli("db", "load", tmp_path / "d", "--storage", path)
        sentence = said.refused_after_output(2)
        assert "experiment 'a' version 1" in sentence and "--resolve ignore" in sentence
        assert [r.name for r in storage.experiments()] == ["a", "z"]
        storage.remove_experiment("0" * 24)
        said = cli("db", "load", tmp_path / "d", "--storage", path, "--resolve", "ignore")
        assert (said.code, len(said.out.splitlines())) == (0, 3)
        assert [r.name for r in storage.experiments()] == ["a", "b", "c"]


def test_a_file_that_is_there_or_cannot_be_written(
    history: Any, cli: Callable[..., Any], tmp_path: Path
) -> None:
    history.experiment()
    file = tmp_path / "dump"
    file.write_text("precious")
    assert "already" in cli("db", "dump", file).refused(2)
    assert file.read_text() == "precious"
    assert cli("db", "dump", file, "--force").code == 0
    assert cli("db", "load", file, "-r", "ignore").code == 0
    assert "cannot be written" in cli("db", "dump", tmp_path / "no folder" / "d").refused(2)
    assert [p.name for p in tmp_path.iterdir() if "orion-k8s-dump" in p.name] == []


def test_a_dump_that_fails_leaves_no_file(
    history: Any, cli: Callable[..., Any], tmp_path: Path, sqlite_url: str
) -> None:
    import sqlite3

    record = lived(history)
    history.storage.close()
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        database.execute("UPDATE trials SET story = 'no json' WHERE number = 1")
    database.close()
    assert "damaged" in cli("db", "dump", tmp_path / "d").refused(6)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == []
    assert record.name == "exp"
