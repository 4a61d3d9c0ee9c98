from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commanding import WEIRD

from orion_k8s.trial import Status

COLUMNS = [
    *("name", "version", "status", "completed", "max_trials", "broken", "reserved", "waiting"),
    *("suspended", "workers", "best"),
]


def states(said: Any) -> dict[str, str]:
    return {row[0]: row[2] for row in said.rows}


def test_each_experiment_says_how_it_stands(any_history: Any, cli: Callable[..., Any]) -> None:
    h = any_history
    done = h.experiment("done", max_trials=2)
    h.completed(done, 0, 0.5)
    h.completed(done, 1, -0.125)
    broken = h.experiment("broken", max_broken=1)
    h.broken(broken, 0)
    running = h.experiment("running")
    h.reserved(running, 0, worker="a")
    h.reserved(running, 1, worker="b")
    h.experiment("idle")
    held = h.experiment("suspended")
    lease = h.reserved(held, 0)
    h.storage.release(lease, Status.SUSPENDED, held_by="person")
    said = cli("list")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0].split("\t") == COLUMNS
    assert states(said) == {
        name: name for name in ("done", "broken", "running", "idle", "suspended")
    }
    rows = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in said.rows}
    assert (rows["done"]["completed"], rows["done"]["max_trials"]) == ("2", "2")
    assert rows["done"]["best"] == "-0.125"
    assert (rows["running"]["reserved"], rows["running"]["workers"]) == ("2", "2")
    assert (rows["broken"]["broken"], rows["suspended"]["suspended"]) == ("1", "1")
    assert (rows["idle"]["max_trials"], rows["idle"]["best"]) == ("", "")


def test_trials_of_dead_workers_are_not_running(
    history: Any, cli: Callable[..., Any], until: Callable[..., Any]
) -> None:
    record = history.experiment()
    history.reserved(record, 0, lease_s=0.1)
    until(lambda: not history.storage.live_workers(record.id))
    (row,) = cli("list").rows
    assert (row[2], row[6]) == ("idle", "1")


def test_a_space_that_is_used_up_is_done(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment(space={"x": "choices([0.0, 0.01])"}, max_trials=10)
    history.completed(record, 0, 1.0)
    assert states(cli("list")) == {"exp": "idle"}
    history.broken(record, 1)
    assert states(cli("list")) == {"exp": "done"}


def test_versions_are_lines_and_a_name_chooses(history: Any, cli: Callable[..., Any]) -> None:
    for name, version in (("a", 1), ("a", 2), ("b", 1)):
        history.experiment(name, version)
    assert [row[:2] for row in cli("list").rows] == [["a", "1"], ["a", "2"], ["b", "1"]]
    assert [row[:2] for row in cli("list", "-n", "a").rows] == [["a", "1"], ["a", "2"]]
    assert [row[:2] for row in cli("list", "-n", "a", "-v", "2").rows] == [["a", "2"]]


def test_json_is_stable(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment(max_trials=5)
    history.completed(record, 0, 0.5)
    (found,) = cli("list", "--json").json
    times = [found.pop("start_time"), found.pop("end_time")]
    assert found == {
        "name": "exp",
        "version": 1,
        "id": record.id,
        "status": "idle",
        "algorithm": {"random": {}},
        "max_trials": 5,
        "max_broken": 3,
        "direction": "minimize",
        "goal": None,
        "trials": {
            **dict.fromkeys(("new", "reserved", "interrupted", "suspended", "broken"), 0),
            "completed": 1,
        },
        "suspended_by_person": 0,
        "best_objective": 0.5,
        "workers": [],
    }
    assert all(time.endswith("Z") and len(time) == 24 for time in times)
    assert cli("list", "--json", "-q").code == 0


def test_an_empty_history_says_so(history: Any, cli: Callable[..., Any]) -> None:
    said = cli("list")
    assert said.code == 0 and "no experiments" in said.out
    assert cli("list", "--json").json == []


def test_any_name_is_listed(any_history: Any, cli: Callable[..., Any]) -> None:
    for name in WEIRD:
        any_history.experiment(name)
        assert [row[0] for row in cli("list", "-n", name).rows] == [name]
    assert [row[0] for row in cli("list").rows] == sorted(WEIRD)
    assert [found["name"] for found in cli("list", "--json").json] == sorted(WEIRD)


def test_control_characters_do_not_reach_the_terminal(
    history: Any, cli: Callable[..., Any]
) -> None:
    history.experiment("tab\there\nand \x1b[31mred")
    (row,) = cli("list").rows
    assert row[0] == "tab\\there\\nand \\x1b[31mred"


def test_an_unknown_name_gets_the_nearest(history: Any, cli: Callable[..., Any]) -> None:
    history.experiment("mnist")
    assert "did you mean 'mnist'?" in cli("list", "-n", "minst").refused(7)
    assert "only: 1" in cli("list", "-n", "mnist", "-v", "2").refused(7)


def test_a_mistyped_address_makes_no_database(cli: Callable[..., Any], tmp_path: Path) -> None:
    for words in (
        ["list"],
        ["status"],
        ["insert", "-n", "e", "--x", "1"],
        ["db", "rm", "e", "-f"],
    ):
        assert "no history" in cli(*words, "--storage", tmp_path / "wrong.db").refused(7)
    assert not (tmp_path / "wrong.db").exists()


def test_no_trial_is_read(history: Any, cli: Callable[..., Any], statements: list[str]) -> None:
    """One query counts the trials of all experiments, however many there are of either."""
    for number in range(3):
        history.completed(history.experiment(f"e{number}"), 0, 1.0)
    statements.clear()
    cli("list")
    few = len(statements)
    assert sum("FROM experiments e JOIN trials" in s for s in statements) == 1
    for number in range(3, 20):
        record = history.experiment(f"e{number}")
        for trial in range(10):
            history.completed(record, trial, 1.0)
    statements.clear()
    assert len(cli("list").rows) == 20
    assert len(statements) == few


def test_a_terminal_gets_a_table(
    history: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    history.experiment("[bold]markup[/bold]")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    said = cli("list")
    assert "[bold]markup[/bold]" in said.out and "\t" not in said.out


def test_an_unreachable_database_is_said_without_the_password(cli: Callable[..., Any]) -> None:
    url = "mongodb://ada:s3cr3t@127.0.0.1:1/db?serverSelectionTimeoutMS=100"
    for words in (["list"], ["status", "--all"], ["db", "rm", "e", "-f"], ["db", "dump", "-"]):
        sentence = cli(*words, "--storage", url).refused(5)
        assert "cannot be reached" in sentence and "s3cr3t" not in sentence


def test_a_pipe_that_closes_is_no_error(history: Any, own_home: Path) -> None:
    import subprocess
    import sys

    for number in range(300):
        history.experiment(f"{number:03d}" + "x" * 290)
    command = f"'{sys.executable}' -m orion_k8s list | head -n 1"
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.split("\t")[0], done.stderr) == ("name", "")
