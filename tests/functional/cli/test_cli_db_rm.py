from __future__ import annotations

from collections.abc import Callable
from typing import Any

from commanding import WEIRD

from orion_k8s.trial import Status


def test_an_experiment_of_any_name_is_removed(any_history: Any, cli: Callable[..., Any]) -> None:
    kept = any_history.experiment("kept")
    for name in WEIRD:
        any_history.completed(any_history.experiment(name), 0, 1.0)
        said = cli("db", "rm", name, "--force")
        assert (said.code, said.err) == (0, "")
        assert "1 trial with it" in said.out
        assert [r.id for r in any_history.storage.experiments()] == [kept.id]


def test_all_versions_or_one(history: Any, cli: Callable[..., Any]) -> None:
    for version in (1, 2, 3):
        history.experiment(version=version)
    assert cli("db", "rm", "-n", "exp", "-v", "2", "-f").code == 0
    assert [r.version for r in history.storage.experiments()] == [1, 3]
    assert cli("db", "rm", "exp", "-f").code == 0
    assert history.storage.experiments() == []


def test_without_a_terminal_force_is_needed(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment()
    history.completed(record, 0, 1.0)
    history.reserved(record, 1)
    sentence = cli("db", "rm", "exp").refused(2)
    assert "version 1 with 2 trials" in sentence and "1 worker is alive" in sentence
    assert "--force" in sentence
    assert "--force" in cli("db", "rm", "exp", "-s", "completed").refused(2)
    assert history.statuses(record) == {0: "completed", 1: "reserved"}


def test_a_person_is_asked(
    history: Any, cli: Callable[..., Any], terminal: Callable[[str], None]
) -> None:
    history.experiment()
    terminal("n\n")
    said = cli("db", "rm", "exp")
    assert said.code == 1 and "Nothing was changed" in said.out
    assert len(history.storage.experiments()) == 1
    terminal("y\n")
    assert cli("db", "rm", "exp").code == 0
    assert history.storage.experiments() == []


def test_trials_of_a_status_are_removed(any_history: Any, cli: Callable[..., Any]) -> None:
    record = any_history.experiment()
    any_history.completed(record, 0, 1.0)
    any_history.broken(record, 1)
    any_history.broken(record, 2)
    said = cli("db", "rm", "exp", "-s", "broken", "-f")
    assert said.code == 0 and "2 trials" in said.out
    assert any_history.statuses(record) == {0: "completed"}
    assert cli("db", "rm", "exp", "-s", "broken", "-f").out == "There are no such trials.\n"
    assert cli("db", "rm", "exp", "--status", "*", "-f").code == 0
    assert any_history.statuses(record) == {}
    assert len(any_history.storage.experiments()) == 1


def test_single_trials_are_removed(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment()
    ids = [history.completed(record, number, 1.0) for number in range(3)]
    cli("insert", "-n", "exp", "--x", "4")
    assert cli("db", "rm", "exp", "-t", "1", "--trial", ids[2], "-t", "-1", "-f").code == 0
    assert history.statuses(record) == {0: "completed"}
    sentence = cli("db", "rm", "exp", "-t", "1", "-f").refused(7)
    assert "trial 1 any more: it was removed" in sentence
    assert "has no trial 9" in cli("db", "rm", "exp", "-t", "0", "-t", "9", "-f").refused(7)
    assert history.statuses(record) == {0: "completed"}


def test_a_number_in_two_versions_is_refused(history: Any, cli: Callable[..., Any]) -> None:
    first, second = history.experiment(), history.experiment(version=2)
    history.completed(first, 0, 1.0)
    trial = history.completed(second, 0, 1.0)
    assert "name one by -v" in cli("db", "rm", "exp", "-t", "0", "-f").refused(2)
    assert cli("db", "rm", "exp", "-t", trial, "-f").code == 0
    assert (history.statuses(first), history.statuses(second)) == ({0: "completed"}, {})


def test_what_is_wrong_is_said(history: Any, cli: Callable[..., Any]) -> None:
    history.experiment("mnist")
    assert "did you mean 'mnist'?" in cli("db", "rm", "minst", "-f").refused(7)
    assert "did you mean broken?" in cli("db", "rm", "mnist", "-s", "brokn", "-f").refused(2)
    assert "not both" in cli("db", "rm", "mnist", "-s", "new", "-t", "1", "-f").refused(2)
    assert "Two experiments" in cli("db", "rm", "mnist", "-n", "other", "-f").refused(2)
    assert "-n NAME" in cli("db", "rm").refused(2)


# --- under running workers -----------------------------------------------------------------------


def test_workers_of_a_removed_experiment_end(
    any_history: Any,
    cli: Callable[..., Any],
    worker: Callable[..., Any],
    until: Callable[..., Any],
) -> None:
    any_history.experiment(max_trials=100)
    running = worker(any_history.url)
    until(running.started)
    said = cli("db", "rm", "exp", "-f")
    assert said.code == 0 and "1 worker is alive and will end" in said.out
    assert running.end() == "ExperimentRemoved"
    assert any_history.storage.experiments() == []


def test_the_program_of_a_removed_trial_is_ended_and_its_place_filled(
    any_history: Any,
    cli: Callable[..., Any],
    worker: Callable[..., Any],
    until: Callable[..., Any],
) -> None:
    record = any_history.experiment(max_trials=3)
    running = worker(any_history.url)
    until(running.started)
    said = cli("db", "rm", "exp", "-t", "0", "-f")
    assert said.code == 0
    until(lambda: running.started() == 2)
    running.go()
    assert running.end() == "done"
    assert any_history.storage.counts(record.id) == {Status.COMPLETED: 3}
    assert sorted(any_history.statuses(record)) == [1, 2, 3]
