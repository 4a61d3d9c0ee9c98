from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from commanding import WEIRD

from orion_k8s.trial import Status


@pytest.mark.parametrize(
    "words",
    [
        ["1", "interrupted"],
        ["number=1", "interrupted"],
        ["1", "status=interrupted"],
        ["ID", "interrupted"],
        ["id=ID", "status=interrupted"],
        ["status=broken", "status=interrupted", "--force"],
    ],
)
def test_a_trial_is_set(history: Any, cli: Callable[..., Any], words: list[str]) -> None:
    record = history.experiment()
    history.completed(record, 0, 1.0)
    trial = history.broken(record, 1)
    said = cli("db", "set", "exp", *(word.replace("ID", trial) for word in words))
    assert (said.code, said.err) == (0, "")
    assert "interrupted now" in said.out
    assert history.statuses(record) == {0: "completed", 1: "interrupted"}


def test_any_name_works(any_history: Any, cli: Callable[..., Any]) -> None:
    for name in WEIRD:
        record = any_history.experiment(name)
        any_history.broken(record, 0)
        said = cli("db", "set", name, "0", "suspended", "--reason", f"because of {name}")
        assert said.code == 0
        trial = any_history.storage.trial(record.id, "0")
        assert (trial.status, trial.held_by) == (Status.SUSPENDED, "person")
        assert trial.reason == f"because of {name}"
        assert cli("db", "release", "-n", name, "0").code == 0
        assert any_history.statuses(record) == {0: "interrupted"}


def test_many_are_asked_about(
    history: Any, cli: Callable[..., Any], terminal: Callable[[str], None]
) -> None:
    record = history.experiment()
    history.broken(record, 0)
    history.broken(record, 1)
    assert "2 broken trials" in cli("db", "set", "exp", "status=broken", "interrupted").refused(2)
    terminal("no\n")
    assert cli("db", "set", "exp", "status=broken", "interrupted").code == 1
    assert history.statuses(record) == {0: "broken", 1: "broken"}
    terminal("y\n")
    assert cli("db", "set", "exp", "status=broken", "interrupted").code == 0
    assert history.statuses(record) == {0: "interrupted", 1: "interrupted"}
    said = cli("db", "set", "exp", "status=broken", "interrupted")
    assert (said.code, said.out) == (0, "Experiment 'exp' version 1 has no broken trials.\n")


def test_what_makes_no_sense_tells_the_story(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment()
    history.completed(record, 0, 1.0)
    lease = history.reserved(record, 1)
    history.storage.release(lease, Status.BROKEN, "Traceback\nValueError: too hot")
    sentence = cli("db", "set", "exp", "0", "broken").refused(2)
    assert "only to: removed" in sentence and "attempt 1 by w1" in sentence
    assert "db rm --trial 0" in sentence
    sentence = cli("db", "set", "exp", "1", "completed").refused(2)
    assert "ended broken (ValueError: too hot)" in sentence
    sentence = cli("db", "release", "exp", "1").refused(2)
    assert "is broken" in sentence and "ValueError: too hot" in sentence
    assert history.statuses(record) == {0: "completed", 1: "broken"}


def test_limits_are_set(any_history: Any, cli: Callable[..., Any]) -> None:
    record = any_history.experiment(max_trials=5)
    said = cli("db", "set", "exp", "max_trials=7", "max-broken=9")
    assert said.out == "Experiment 'exp' version 1: max_trials is 7 now, max_broken is 9 now.\n"
    found = any_history.storage.experiment(record.id)
    assert (found.max_trials, found.max_broken) == (7, 9)
    assert cli("db", "set", "exp", "max_trials=none").code == 0
    assert any_history.storage.experiment(record.id).max_trials is None


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "-n NAME"),
        (["exp"], 2, "What should be set"),
        (["exp", "0"], 2, "Two words"),
        (["exp", "0", "1", "broken"], 2, "Two words"),
        (["exp", "0", "brokn"], 2, "did you mean broken?"),
        (["exp", "0", "removed"], 2, "no status"),
        (["exp", "9", "broken"], 7, "has no trial 9"),
        (["exp", "nobody", "broken"], 7, "has no trial nobody"),
        (["exp", "worker=w1", "broken"], 2, "only by id, number or status"),
        (["expp", "0", "broken"], 7, "did you mean 'exp'?"),
        (["exp", "max_trials=-1"], 2, "whole number from 0"),
        (["exp", "max_trials=many"], 2, "whole number from 0"),
        (["exp", "max_broken=0"], 2, "whole number from 1"),
        (["exp", "max_trials=1", "0", "broken"], 2, "one after the other"),
        (["exp", "0", "broken", "--forse"], 2, "no option --forse"),
    ],
)
def test_what_is_wrong_is_said(
    history: Any, cli: Callable[..., Any], words: list[str], code: int, told: str
) -> None:
    record = history.experiment(max_trials=5)
    history.reserved(record, 0)
    assert told in cli("db", "set", *words).refused(code)
    assert history.statuses(record) == {0: "reserved"}
    assert history.storage.experiment(record.id).max_trials == 5


def test_more_than_was_asked_for_is_said(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment(max_trials=1)
    history.broken(record, 0)
    history.completed(record, 1, 1.0)
    assert "until max_trials is raised" in cli("db", "set", "exp", "0", "interrupted").err


# --- release -------------------------------------------------------------------------------------


def test_release_of_all(history: Any, cli: Callable[..., Any], until: Callable[..., Any]) -> None:
    record = history.experiment()
    assert "no reserved" in cli("db", "release", "exp").out
    history.reserved(record, 0, lease_s=0.1)
    lease = history.reserved(record, 1)
    history.storage.release(lease, Status.SUSPENDED, held_by="algorithm")
    history.completed(record, 2, 1.0)
    until(lambda: not history.storage.live_workers(record.id))
    assert "2 trials released" in cli("db", "release", "exp").out
    assert history.statuses(record) == {0: "interrupted", 1: "interrupted", 2: "completed"}


def test_release_under_live_workers_needs_force(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment()
    history.reserved(record, 0)
    assert "1 worker alive" in cli("db", "release", "exp").refused(2)
    assert history.statuses(record) == {0: "reserved"}
    assert cli("db", "release", "exp", "--force").code == 0
    assert history.statuses(record) == {0: "interrupted"}


def test_release_of_one_by_its_number(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment()
    cli("insert", "-n", "exp", "--x", "1")
    cli("db", "set", "exp", "-1", "suspended")
    assert history.statuses(record) == {-1: "suspended"}
    assert cli("db", "release", "exp", "-1").code == 0
    assert history.statuses(record) == {-1: "interrupted"}
    assert "has no trial 5" in cli("db", "release", "exp", "-1", "5").refused(7)


# --- under running workers -----------------------------------------------------------------------


def test_a_running_trial_that_is_set_runs_again(
    any_history: Any,
    cli: Callable[..., Any],
    worker: Callable[..., Any],
    until: Callable[..., Any],
) -> None:
    record = any_history.experiment(max_trials=1)
    running = worker(any_history.url)
    until(running.started)
    said = cli("db", "set", "exp", "0", "interrupted", "--reason", "it hangs")
    assert said.code == 0
    until(lambda: running.started() == 2)
    running.go()
    assert running.end() == "done"
    trial = any_history.storage.trial(record.id, "0")
    assert (trial.status, trial.attempt) == (Status.COMPLETED, 2)
    assert [entry["reason"] for entry in trial.story] == ["it hangs"]
    assert any_history.storage.counts(record.id) == {Status.COMPLETED: 1}


def test_a_waiting_trial_that_is_suspended_is_not_run(
    history: Any, cli: Callable[..., Any], worker: Callable[..., Any]
) -> None:
    record = history.experiment(max_trials=2)
    history.completed(record, 0, 1.0)
    cli("insert", "-n", "exp", "--x", "1")
    cli("db", "set", "exp", "-1", "suspended")
    running = worker(history.url)
    running.go()
    assert running.end() == "SuspendedExperiment"
    assert history.statuses(record) == {0: "completed", -1: "suspended"}


def test_limits_reach_running_workers(
    any_history: Any,
    cli: Callable[..., Any],
    worker: Callable[..., Any],
    until: Callable[..., Any],
) -> None:
    record = any_history.experiment(max_trials=1)
    running = worker(any_history.url)
    until(running.started)
    assert cli("db", "set", "exp", "max_trials=4").code == 0
    running.go()
    assert running.end() == "done"
    assert any_history.storage.counts(record.id) == {Status.COMPLETED: 4}
