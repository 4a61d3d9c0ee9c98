from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commanding import WEIRD

from orion_k8s.trial import Status


def test_a_block_an_experiment(any_history: Any, cli: Callable[..., Any]) -> None:
    h = any_history
    record = h.experiment(max_trials=10)
    h.completed(record, 0, 0.5)
    best = h.completed(record, 1, -0.25)
    h.reserved(record, 2, worker="node-a:12:ab")
    said = cli("status")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "exp · version 1 · running",
        "  2 of 10 completed, 1 reserved",
        f"  best: -0.25 (trial 1, {best}): x=0.01",
        "  1 worker alive: node-a:12:ab",
    ]


def test_a_broken_trial_shows_its_last_lines(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment(max_broken=2)
    history.broken(record, 0, "the older one")
    history.broken(record, 1, "\n".join(f"line {n}" for n in range(20)) + "\n\nMemoryError\n")
    said = cli("status")
    lines = [line.strip() for line in said.out.splitlines()]
    assert lines[0] == "exp · version 1 · broken"
    assert lines[-6:] == ["trial 1 broke:", *(f"line {n}" for n in range(16, 20)), "MemoryError"]
    assert "the older one" not in said.out


def test_who_suspended_is_said(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment()
    for number, held_by in enumerate(("person", "person", "algorithm")):
        lease = history.reserved(record, number)
        history.storage.release(lease, Status.SUSPENDED, held_by=held_by)
    assert "suspended: 2 by a person, 1 by the algorithm" in cli("status").out
    rows = cli("status", "--all").rows[1:]
    assert [row[7] for row in rows] == ["person", "person", "algorithm"]


def test_dead_workers_are_said(
    history: Any, cli: Callable[..., Any], until: Callable[..., Any]
) -> None:
    record = history.experiment()
    history.reserved(record, 0, lease_s=0.1)
    until(lambda: not history.storage.live_workers(record.id))
    assert "no worker alive" in cli("status").out


def test_all_is_a_line_a_trial(any_history: Any, cli: Callable[..., Any]) -> None:
    record = any_history.experiment()
    done = any_history.completed(record, 0, 0.1 + 0.2)
    any_history.broken(record, 1, "Traceback:\n  a\tb\nValueError: bad\n")
    any_history.reserved(record, 2)
    said = cli("status", "--all", "-n", "exp")
    columns = said.out.splitlines()[1].split("\t")
    rows = [
        dict(zip(columns, line.split("\t"), strict=True)) for line in said.out.splitlines()[2:]
    ]
    assert [row["status"] for row in rows] == ["completed", "broken", "reserved"]
    assert rows[0] == {
        **{"number": "0", "id": done, "status": "completed", "objective": "0.30000000000000004"},
        **{"params": "x=0.0", "attempt": "1", "worker": "w1", "suspended_by": "", "reason": ""},
    }
    assert rows[1]["reason"] == "ValueError: bad"


def test_versions_are_put_together(history: Any, cli: Callable[..., Any]) -> None:
    first, second = history.experiment(), history.experiment(version=2)
    history.completed(first, 0, -1.0)
    history.completed(second, 0, 1.0)
    apart = cli("status", "-n", "exp").out
    assert "version 1 ·" in apart and "version 2 ·" in apart
    together = cli("status", "-n", "exp", "--collapse").out.splitlines()
    assert together[:2] == ["exp · version 1, 2 · idle", "  2 completed"]
    assert together[2].startswith("  best: -1 (trial 0")
    lines = cli("status", "--collapse", "--all").out.splitlines()
    assert [line.split("\t")[0] for line in lines[1:]] == ["version", "1", "2"]
    (found,) = cli("status", "--collapse", "--json").json
    assert found["trials"]["completed"] == 2 and len(found["versions"]) == 2
    assert (found["best"]["version"], found["best"]["objective"]) == (1, -1.0)
    assert cli("status", "-v", "2", "-n", "exp").out.splitlines()[0].startswith("exp · version 2")


def test_json_tells_the_best(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment()
    best = history.completed(record, 7, -1.0)
    (found,) = cli("status", "--json").json
    assert found["best"] == {
        **{"version": 1, "id": best, "number": 7, "objective": -1.0, "params": {"x": 0.07}},
    }
    assert found["status"] == "idle" and found["trials"]["completed"] == 1


def test_json_of_all_trials(history: Any, cli: Callable[..., Any]) -> None:
    assert cli("status", "--json", "--all").json == []
    first, second = history.experiment("a"), history.experiment("b", version=1)
    history.completed(first, 0, 1.0)
    history.broken(second, 3, "why\nthat")
    found = cli("status", "--json", "--all").json
    assert [(t["experiment"], t["version"], t["number"], t["status"]) for t in found] == [
        ("a", 1, 0, "completed"),
        ("b", 1, 3, "broken"),
    ]
    assert found[0]["params"] == {"x": 0.0} and found[0]["results"][0]["value"] == 1.0
    assert (found[1]["reason"], found[1]["objective"]) == ("why\nthat", None)


@pytest.mark.parametrize("name", WEIRD)
def test_any_name_works(history: Any, cli: Callable[..., Any], name: str) -> None:
    history.completed(history.experiment(name), 0, 1.0)
    said = cli("status", "-n", name, "--all")
    assert said.code == 0 and said.out.startswith(f"{name} · version 1")


def test_an_unknown_name_gets_the_nearest(history: Any, cli: Callable[..., Any]) -> None:
    history.experiment("mnist")
    assert "did you mean 'mnist'?" in cli("status", "-n", "minst").refused(7)
    assert "'--version'" in cli("status", "-n", "mnist", "-v", "two").refused(2)


def test_trials_are_not_read_without_all(
    history: Any, cli: Callable[..., Any], statements: list[str]
) -> None:
    record = history.experiment()
    history.completed(record, 0, 1.0)
    statements.clear()
    cli("status")
    few = list(statements)
    for number in range(1, 300):
        history.completed(record, number, 1.0)
    statements.clear()
    assert "300 completed" in cli("status").out
    assert len(statements) == len(few)
    assert not any(
        s.startswith("SELECT id, number") and s.endswith("LIMIT 500") for s in statements
    )


def test_a_damaged_trial_is_said(history: Any, cli: Callable[..., Any], sqlite_url: str) -> None:
    record = history.experiment()
    history.completed(record, 0, 1.0)
    history.storage.close()
    path = sqlite_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as database:
        database.execute("""UPDATE trials SET point = '[1, 2, "oh"]'""")
    database.close()
    sentence = cli("status", "--json", "--all").refused_after_output(6)
    assert "damaged" in sentence and "trial 0" in sentence


@pytest.mark.mongo
def test_a_damaged_document_is_said(
    cli: Callable[..., Any], mongodb_uri: str, mongodb_name: str
) -> None:
    import pymongo
    from commanding import History

    host, _, options = mongodb_uri.partition("/?")
    url = f"{host}/{mongodb_name}?{options}"
    history = History(url)
    with history.storage, pymongo.MongoClient(mongodb_uri) as client:
        record = history.experiment()
        history.completed(record, 0, 1.0)
        trials = client[mongodb_name]["trials"]
        trials.update_one({}, {"$set": {"values": 7}})
        assert "damaged" in cli("status", "--all", "--storage", url).refused_after_output(6)
        client[mongodb_name]["experiments"].update_one({}, {"$set": {"space": "{"}})
        assert "damaged" in cli("status", "--storage", url).refused(6)


def test_a_file_that_is_no_history_is_said(cli: Callable[..., Any], tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to look at " * 40)
    assert "no SQLite database" in cli("status", "--storage", text).refused(6)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
    database.close()
    assert "another program" in cli("status", "--storage", other).refused(6)


def test_a_newer_schema_is_said(history: Any, cli: Callable[..., Any], sqlite_url: str) -> None:
    history.storage.close()
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert "newer orion-k8s" in cli("status").refused(6)


def test_words_of_a_reason_cannot_forge_lines(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment()
    history.broken(record, 0, "\x1b[2Jgone\rhidden")
    assert "\\x1b[2Jgone" in cli("status").out
