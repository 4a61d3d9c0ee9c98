from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from orion_k8s.trial import Status

SPACE = {
    "x": "uniform(-5, 5)",
    "n": "randint(1, 9, default_value=3)",
    "act": "choices(['relu', 'tanh', 1, None, True], default_value='relu')",
    "w": "uniform(-1, 1, shape=2, default_value=[0, 0])",
    "opt.momentum": "uniform(0, 1, default_value=0.5)",
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--x", "1.5"], {"x": 1.5}),
        (["--x=1.5"], {"x": 1.5}),
        (["-x=1.5"], {"x": 1.5}),
        (["-x", "-1e-3"], {"x": -0.001}),
        (["x=1.5"], {"x": 1.5}),
        (["--x", "1", "--n", "7.0"], {"x": 1.0, "n": 7}),
        (["--x", "1", "--act", "tanh"], {"act": "tanh"}),
        (["--x", "1", "--act", "1"], {"act": 1}),
        (["--x", "1", "--act", "None"], {"act": None}),
        (["--x", "1", "--act", "null"], {"act": None}),
        (["--w", "0.1", "-0.2", "--x", "1"], {"w": [0.1, -0.2], "x": 1.0}),
        (["--w=[0.1, 0.2]", "--x", "1"], {"w": [0.1, 0.2]}),
        (["--w=0.1 0.2", "--x", "1"], {"w": [0.1, 0.2]}),
        (["-opt.momentum=0.25", "--x", "1"], {"opt.momentum": 0.25}),
        (["--opt.momentum", "0.25", "x=2"], {"opt.momentum": 0.25, "x": 2.0}),
    ],
)
def test_values_are_read_as_the_space_says(
    history: Any, cli: Callable[..., Any], words: list[str], expected: dict[str, Any]
) -> None:
    history.experiment(space=SPACE)
    said = cli("insert", *words, "-n", "exp", "--json")
    assert said.code == 0, said
    params = said.json["params"]
    assert {name: params[name] for name in expected} == expected
    assert [type(params[name]) for name in expected] == [type(v) for v in expected.values()]
    assert said.json["status"] == "new"


def test_names_that_are_options_too_stand_behind_two_dashes(
    history: Any, cli: Callable[..., Any]
) -> None:
    history.experiment(
        space={"n": "uniform(0, 1)", "results": "uniform(0, 1)", "c": "randint(1, 5)"}
    )
    said = cli("insert", "-n", "exp", "--json", "--", "-n", "0.5", "--results=0.25", "-c", "3")
    assert said.json["params"] == {"n": 0.5, "results": 0.25, "c": 3}


def test_letters_of_our_options_inside_a_name_mean_nothing(
    history: Any, cli: Callable[..., Any]
) -> None:
    history.experiment(space={"momentum": "uniform(0, 1)", "vnc": "uniform(0, 1)"})
    said = cli("insert", "-momentum=0.5", "-vnc", "0.25", "-n", "exp", "--json")
    assert said.json["params"] == {"momentum": 0.5, "vnc": 0.25}


@pytest.mark.parametrize("option", ["--results", "--objective"])
def test_a_completed_trial_is_inserted(history: Any, cli: Callable[..., Any], option: str) -> None:
    record = history.experiment()
    said = cli("insert", "-n", "exp", "--x", "2", option, "-0.5")
    assert (said.code, said.err) == (0, "")
    assert "trial -1" in said.out and "completed" in said.out and "x=2" in said.out
    trial = history.storage.trial(record.id, "-1")
    assert (trial.status, trial.objective) == (Status.COMPLETED, -0.5)


def test_whole_results_are_inserted(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment()
    results = [
        {"name": "loss", "type": "objective", "value": 0.25},
        {"name": "size", "type": "statistic", "value": [1, 2]},
    ]
    said = cli("insert", "-n", "exp", "--x", "2", "--results", json.dumps(results), "--json")
    assert said.json["results"] == results
    assert history.storage.best(record.id).objective == 0.25


def test_a_worker_runs_it_next(
    any_history: Any, shell: Callable[..., Any], worker: Callable[..., Any]
) -> None:
    record = any_history.experiment("Größe 実験 $x", max_trials=1)
    said = shell("insert", "-n", "Größe 実験 $x", "-x=1.25")
    assert (said.code, said.err) == (0, "")
    running = worker(any_history.url, "Größe 実験 $x")
    running.go()
    assert running.end() == "done"
    trial = any_history.storage.trial(record.id, "-1")
    assert (trial.status, trial.objective, trial.attempt) == (Status.COMPLETED, 1.25, 1)
    assert any_history.storage.counts(record.id) == {Status.COMPLETED: 1}


def test_more_than_was_asked_for_is_said(history: Any, cli: Callable[..., Any]) -> None:
    record = history.experiment(max_trials=1)
    history.completed(record, 0, 1.0)
    said = cli("insert", "-n", "exp", "--x", "2", "--results", "3")
    assert said.code == 0 and "asks for 1" in said.err and "makes 2" in said.err
    said = cli("insert", "-n", "exp", "--x", "3")
    assert said.code == 0 and "max_trials" not in said.out and "no worker runs it" in said.err
    assert cli("insert", "-n", "exp", "--x", "4", "-q").err == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--lrr", "1"], "did you mean lr?"),
        (["--lr", "7"], "between 0 and 1"),
        (["--lr", "fast"], "finite number"),
        (["--lr", "nan"], "finite number"),
        (["--lr"], "has no value"),
        (["--lr", "0.1", "0.2"], "one value"),
        (["0.5"], "no name"),
        (["--lr", "0.1", "--lr", "0.2"], "given twice"),
        (["--lr=0.1", "0.2"], "no name"),
        ([], "lr is missing"),
        (["--lr", "0.1", "--results", "good"], "neither a number nor JSON"),
        (["--lr", "0.1", "--results", "nan"], "nan"),
        (["--lr", "0.1", "--results", "[]"], "no objective"),
        (["--lr", "0.1", "--results"], "--results"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    history: Any, cli: Callable[..., Any], words: list[str], told: str
) -> None:
    record = history.experiment(space={"lr": "uniform(0, 1)"})
    assert told in cli("insert", "-n", "exp", *words).refused(2)
    assert history.storage.counts(record.id) == {}


def test_a_point_that_is_there_is_not_inserted(history: Any, cli: Callable[..., Any]) -> None:
    history.experiment()
    assert cli("insert", "-n", "exp", "--x", "1").code == 0
    assert "already" in cli("insert", "-n", "exp", "--x", "1.0", "--results", "1").refused(2)


def test_an_unknown_experiment_is_not_made(history: Any, cli: Callable[..., Any]) -> None:
    history.experiment("mnist")
    assert "did you mean 'mnist'?" in cli("insert", "-n", "minst", "--x", "1").refused(7)
    assert "no version 3" in cli("insert", "-n", "mnist", "-v", "3", "--x", "1").refused(7)
    assert "-n NAME" in cli("insert", "--x", "1").refused(2)
    assert [r.name for r in history.storage.experiments()] == ["mnist"]


def test_the_newest_version_is_meant(history: Any, cli: Callable[..., Any]) -> None:
    first, second = history.experiment(), history.experiment(version=2)
    cli("insert", "-n", "exp", "--x", "1")
    cli("insert", "-n", "exp", "-v", "1", "--x", "2")
    assert history.storage.trial(second.id, "-1").values == "[1.0]"
    assert history.storage.trial(first.id, "-1").values == "[2.0]"


def test_values_of_every_kind_of_dimension(history: Any, cli: Callable[..., Any]) -> None:
    history.experiment(
        space={
            "epochs": "fidelity(1, 16, base=2)",
            "kernel": "choices([(1, 2), (3, 4)])",
            "flag": "choices([True, False])",
            "text": "choices(['a=b', '-x', '1'])",
            "grid": "uniform(0, 1, shape=(2, 2))",
            "names": "choices(['a', 'b'], shape=2)",
        }
    )
    for words, expected in (
        (
            "--epochs 4 --kernel '(1, 2)' --flag false --text a=b --grid 0 .1 .2 .3 --names a b",
            [4, [1, 2], False, "a=b", [[0.0, 0.1], [0.2, 0.3]], ["a", "b"]],
        ),
        (
            "'--kernel=[3, 4]' --flag=True --text=-x '--grid=[[0, 1], [1, 0]]' '--names=b a'",
            [16, [3, 4], True, "-x", [[0.0, 1.0], [1.0, 0.0]], ["b", "a"]],
        ),
        (
            "'--kernel=[3, 4]' --flag=0 --text 1 '--grid=1 1 1 1' '--names=b b'",
            None,
        ),
    ):
        said = cli("insert", "-n", "exp", "--json", *shlex.split(words))
        if expected is None:
            assert "True, False" in said.refused(2)  # 0 is not False
        else:
            assert list(said.json["params"].values()) == expected
