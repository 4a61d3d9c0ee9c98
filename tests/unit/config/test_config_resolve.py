"""The layers: which one wins, what is refused, and with what words."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.config import OPTIONS, Configuration, Level, resolve
from orion_k8s.errors import ConfigurationError

HOME = {"HOME": "/home/ada"}


def plain(**layers: Any) -> Configuration:
    """Resolve without anything of this machine."""
    return resolve(**{"env": HOME, "global_paths": (), **layers})


def write(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))  # JSON is YAML
    return path


def said_by(level: Level, value: int, folder: Path) -> dict[str, Any]:
    """Let one level say that max_trials is `value`."""
    data = {"experiment": {"max_trials": value}}
    match level:
        case Level.DEFAULT:
            return {}
        case Level.GLOBAL:
            return {"global_paths": [write(folder / "global.yaml", data)]}
        case Level.ENVIRONMENT:
            return {"env": {**HOME, "ORION_EXP_MAX_TRIALS": str(value)}}
        case Level.STORED:
            return {"stored": data}
        case Level.LOCAL:
            return {"local": write(folder / "local.yaml", data)}
        case Level.COMMAND_LINE:
            return {"cli": {"experiment.max_trials": value}}


@pytest.mark.parametrize(("weaker", "stronger"), list(pairwise(Level)))
def test_each_level_wins_over_the_one_below(
    weaker: Level, stronger: Level, tmp_path: Path
) -> None:
    layers = said_by(weaker, 11, tmp_path) | said_by(stronger, 22, tmp_path)
    config = plain(**layers)
    assert config.value("experiment.max_trials") == 22
    assert config.source("experiment.max_trials").level is stronger


def test_the_defaults() -> None:
    config = plain()
    assert config.section("worker") == {
        "n_workers": 1,
        "executor": "joblib",
        "executor_configuration": {},
        "heartbeat": 15.0,
        "max_trials": None,
        "max_broken": None,
        "idle_timeout": math.inf,
        "at_end": "exit",
        "interrupt_signal_code": 130,
        "user_script_config": "config",
        "grace": 10.0,
        "stop_grace": 30.0,
        "metrics_port": None,
        "max_lost": 3,
    }
    experiment = config.section("experiment")
    assert experiment["algorithm"] == {"random": {}}
    assert experiment["stopping"] is None
    assert experiment["max_trials"] is None
    assert experiment["max_broken"] == 3
    assert experiment["working_dir"] == ""
    assert config.storage()["url"] == "/home/ada/.local/share/orion.core/orion.db"
    assert not any(config.given(key) for key in OPTIONS)


def test_every_default_is_a_value_of_its_kind() -> None:
    for option in OPTIONS.values():
        assert option.kind.check(option.default) == option.default
        assert option.help


def test_defaults_are_not_shared_between_configurations() -> None:
    plain().value("worker.executor_configuration")["n"] = 1
    plain().value("experiment.algorithm")["random"]["n"] = 1
    assert plain().value("worker.executor_configuration") == {}
    assert plain().value("experiment.algorithm") == {"random": {}}


def test_no_variable_or_flag_means_two_things() -> None:
    for words in ([v for o in OPTIONS.values() for v in getattr(o, f)] for f in ("env", "flags")):
        assert len(words) == len(set(words))


ENVIRONMENT = {
    "ORION_DB_TYPE": ("mongodb", "storage.database.type", "mongodb"),
    "ORION_DB_ADDRESS": ("db.example", "storage.database.host", "db.example"),
    "ORION_DB_NAME": ("orion", "storage.database.name", "orion"),
    "ORION_DB_PORT": ("27018", "storage.database.port", 27018),
    "ORION_EXP_MAX_TRIALS": ("10", "experiment.max_trials", 10),
    "ORION_EXP_MAX_BROKEN": ("5", "experiment.max_broken", 5),
    "ORION_WORKING_DIR": ("/runs", "experiment.working_dir", "/runs"),
    "ORION_N_WORKERS": ("4", "worker.n_workers", 4),
    "ORION_EXECUTOR": ("dask", "worker.executor", "dask"),
    "ORION_EXECUTOR_CONFIGURATION": (
        '{"processes": false}',
        "worker.executor_configuration",
        {"processes": False},
    ),
    "ORION_HEARTBEAT": ("2.5", "worker.heartbeat", 2.5),
    "ORION_WORKER_MAX_TRIALS": ("inf", "worker.max_trials", None),
    "ORION_WORKER_MAX_BROKEN": ("7", "worker.max_broken", 7),
    "ORION_IDLE_TIMEOUT": ("0", "worker.idle_timeout", 0.0),
    "ORION_INTERRUPT_CODE": ("120", "worker.interrupt_signal_code", 120),
    "ORION_USER_SCRIPT_CONFIG": ("cfg", "worker.user_script_config", "cfg"),
    "ORION_GRACE": ("0", "worker.grace", 0.0),
    "ORION_MAX_LOST": ("9", "worker.max_lost", 9),
}


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_each_variable_is_read(variable: str) -> None:
    text, key, expected = ENVIRONMENT[variable]
    config = plain(env={**HOME, variable: text})
    assert config.value(key) == expected
    assert config.source(key) == (Level.ENVIRONMENT, variable)


def test_an_empty_variable_says_nothing() -> None:
    config = plain(env={**HOME, "ORION_N_WORKERS": "", "ORION_HEARTBEAT": " "})
    assert not config.given("worker.n_workers")
    assert not config.given("worker.heartbeat")


def test_global_files_in_their_order(tmp_path: Path) -> None:
    env = {
        "XDG_CONFIG_DIRS": f"{tmp_path}/strong:{tmp_path}/weak:relative",
        "XDG_CONFIG_HOME": f"{tmp_path}/own",
        "HOME": str(tmp_path),
    }
    name = "orion.core/orion_config.yaml"
    write(tmp_path / "weak" / name, {"worker": {"heartbeat": 1, "grace": 1, "max_lost": 1}})
    write(tmp_path / "strong" / name, {"worker": {"heartbeat": 2, "grace": 2}})
    own = write(tmp_path / "own" / name, {"worker": {"heartbeat": 3}})
    config = resolve(env=env)
    assert [config.value(f"worker.{key}") for key in ("heartbeat", "grace", "max_lost")] == [
        3,
        2,
        1,
    ]
    assert config.source("worker.heartbeat") == (Level.GLOBAL, str(own))


def test_the_global_file_at_home(tmp_path: Path) -> None:
    write(tmp_path / ".config/orion.core/orion_config.yaml", {"worker": {"max_lost": 8}})
    env = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    assert resolve(env=env).value("worker.max_lost") == 8


def test_none_is_not_given_in_python_and_on_the_command_line() -> None:
    stored = {"experiment": {"max_trials": 5}}
    for layer in ("local", "cli"):
        config = plain(stored=stored, **{layer: {"experiment.max_trials": None}})
        assert config.value("experiment.max_trials") == 5


def test_none_is_a_value_in_a_file_and_in_what_is_stored(tmp_path: Path) -> None:
    limit = {"ORION_EXP_MAX_TRIALS": "5", **HOME}
    local = write(tmp_path / "c.yaml", "experiment:\n  max_trials: null\n  name:\n")
    for layers in ({"local": local}, {"stored": {"experiment": {"max_trials": None}}}):
        config = plain(env=limit, **layers)
        assert config.value("experiment.max_trials") is None
        assert config.given("experiment.max_trials")


def test_texts_from_the_command_line_are_read() -> None:
    config = plain(cli={"worker.executor_configuration": '{"a": 1}', "worker.heartbeat": "3"})
    assert config.value("worker.executor_configuration") == {"a": 1}
    assert config.value("worker.heartbeat") == 3.0
    assert config.source("worker.heartbeat").where == "--heartbeat"


def test_orion_spellings_are_the_same(tmp_path: Path) -> None:
    local = write(
        tmp_path / "orion.yaml",
        """
        database: {type: mongodb, host: db.example}
        experiment: {algorithms: {tpe: {seed: 1}}, worker_trials: 4}
        worker: {max_idle_time: 30}
        """,
    )
    config = plain(local=local)
    assert config.value("storage.database.host") == "db.example"
    assert config.value("experiment.algorithm") == {"tpe": {"seed": 1}}
    assert config.value("worker.max_trials") == 4
    assert config.value("worker.idle_timeout") == 30


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("worker: {heartbeat: ten}", ["worker.heartbeat", "FILE", "seconds above 0", "'ten'"]),
        ("worker: {heartbeat: 0}", ["worker.heartbeat", "FILE", "seconds above 0", "not 0"]),
        ("worker: {heartbeat: -3}", ["worker.heartbeat", "not -3"]),
        ("worker: {n_workers: true}", ["worker.n_workers", "whole number", "True"]),
        ("experiment: {max_trials: '10'}", ["experiment.max_trials", "whole number", "'10'"]),
        ("experiment: {name: 2024}", ["experiment.name", "quotes"]),
        ("worker: {heartbeet: 3}", ["'worker.heartbeet'", "FILE", "did you mean 'worker.heartb"]),
        ("wroker: {heartbeat: 3}", ["'wroker'", "FILE", "did you mean 'worker'"]),
        ("storage: {database: {hots: x}}", ["did you mean 'storage.database.host'"]),
        ("max_trials: 3", ["'max_trials'", "FILE", "experiment or worker"]),
        ("worker: {zzz: 3}", ["'worker.zzz'", "known here are", "heartbeat"]),
        ("zzz: 3", ["'zzz'", "storage, experiment, worker"]),
        ("3: 4", ["'3'"]),
        ("worker: 3", ["'worker'", "FILE", "mapping", "not 3"]),
        ("storage: {database: [a]}", ["'storage.database'", "mapping"]),
        ("evc: {enable: true}", ["'evc'", "FILE", "Oríon"]),
        (
            "experiment: {algorithm: tpe, algorithms: random}",
            ["'experiment.algorithm'", "'experiment.algorithms'", "keep one"],
        ),
    ],
)
def test_mistakes_in_a_file(text: str, words: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "local.yaml", text)
    for layers in ({"local": path}, {"global_paths": [path]}):
        with pytest.raises(ConfigurationError) as caught:
            plain(**layers)
        message = str(caught.value).replace(str(path), "FILE")
        assert "\n" not in message
        for word in words:
            assert word in message


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"env": {"ORION_HEARTBEAT": "abc"}}, ["ORION_HEARTBEAT", "worker.heartbeat", "'abc'"]),
        ({"env": {"ORION_HEARTBEAT": "-1"}}, ["ORION_HEARTBEAT", "above 0"]),
        ({"env": {"ORION_EXECUTOR_CONFIGURATION": "{'a': 1}"}}, ["_CONFIGURATION", "JSON"]),
        ({"cli": {"worker.heartbeat": 0}}, ["--heartbeat", "above 0", "not 0"]),
        ({"cli": {"worker": {"hearbeat": 1}}}, ["command line", "worker.heartbeat"]),
        ({"local": {"worker": {"n_workers": "4"}}}, ["worker.n_workers", "Python", "'4'"]),
        ({"stored": {"experiment": {"max_broken": "x"}}}, ["stored experiment", "max_broken"]),
        ({"local": "/no/such.yaml"}, ["no configuration file", "/no/such.yaml"]),
    ],
)
def test_mistakes_elsewhere(layers: Mapping[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plain(**layers)
    for word in words:
        assert word in str(caught.value)


def test_a_global_file_that_is_broken_is_not_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "g.yaml", "worker: [")
    with pytest.raises(ConfigurationError, match="not valid YAML"):
        plain(global_paths=[path])


def test_explain_shows_every_option_and_no_password(tmp_path: Path) -> None:
    local = write(
        tmp_path / "c.yaml",
        """
        storage: {url: "mongodb://ada:hunter2@db.example/x"}
        worker: {executor_configuration: {address: "tls://a:hunter2@s:1", token: hunter2}}
        """,
    )
    config = plain(local=local, cli={"worker.heartbeat": 4})
    rows = {row.key: row for row in config.explain()}
    assert list(rows) == list(OPTIONS)
    assert rows["storage.url"].value == "mongodb://ada:***@db.example/x"
    assert rows["storage.url"].where == str(local)
    assert rows["worker.heartbeat"] == ("worker.heartbeat", "4.0", "command line", "--heartbeat")
    assert rows["experiment.max_trials"].value == "none"
    assert "hunter2" not in str(rows) + repr(config)
    assert config.value("storage.url") == "mongodb://ada:hunter2@db.example/x"


def test_it_can_be_pickled() -> None:
    config = plain(cli={"worker.heartbeat": 4})
    assert pickle.loads(pickle.dumps(config)).explain() == config.explain()


def test_yaml_and_numpy_are_not_imported_where_there_is_no_file() -> None:
    code = (
        "import sys; from orion_k8s.config import resolve;"
        "resolve(env={'HOME': '/nowhere'}, global_paths=(), cli={'worker.heartbeat': 1});"
        "print([m for m in ('yaml', 'numpy', 'json.tool', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
