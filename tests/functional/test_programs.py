"""The examples, run as a worker runs them: command, parameters, program, result."""

from __future__ import annotations

import math
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.script import Command, ProgramResult, prepare_run
from orion_k8s.trial import ExperimentRecord

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(argv: list[str], params: dict[str, Any], folder: Path, attempt: int = 1) -> ProgramResult:
    # Through metadata and pickle, as a resumed experiment on an executor would.
    command = Command.from_metadata(Command.parse(argv).to_metadata())
    experiment = ExperimentRecord("e1", "größe $x 'q'", 2, command.priors, {"random": {}}, 1)
    prepared = prepare_run(
        command,
        params,
        experiment=experiment,
        working_dir=str(folder),
        trial="t1",
        hash_params="abc",
        attempt=attempt,
    )
    result = pickle.loads(pickle.dumps(prepared))()
    assert isinstance(result, ProgramResult)
    return result


def completed(result: ProgramResult) -> float:
    assert result.kind == "completed", result.reason
    assert result.objective is not None
    return result.objective


def test_python_with_scikit_learn(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    argv = [sys.executable, str(EXAMPLES / "train.py")]
    argv += ["--lr~loguniform(1e-4, 1)", "--hidden", "orion~randint(8, 65)"]
    good = run(argv, {"lr": 0.01, "hidden": 32}, tmp_path / "good")
    bad = completed(run(argv, {"lr": 1e-4, "hidden": 8}, tmp_path / "bad"))
    assert completed(good) < 0.1 < bad
    assert [result["type"] for result in good.results] == ["objective", "statistic"]


def test_python_with_a_yaml_configuration(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    config = EXAMPLES / "train_config.yaml"
    argv = [sys.executable, str(EXAMPLES / "train_config.py"), "--config", str(config)]
    params = {"model.degree": 1, "model.alpha": 1.0}
    good = completed(run(argv, params, tmp_path / "good"))
    bad = completed(run(argv, params | {"model.degree": 2, "model.alpha": 1e-4}, tmp_path / "bad"))
    assert good < bad
    copy = (tmp_path / "good/t1/attempt-1/config.yaml").read_text()
    assert "alpha: 1.0 # strength of the penalty" in copy


def test_shell(tmp_path: Path) -> None:
    argv = [str(EXAMPLES / "train.sh"), "-x~uniform(-2, 2)", "-y~uniform(-1, 3)"]
    assert completed(run(argv, {"x": 1.0, "y": 1.0}, tmp_path)) == 0
    value = completed(run(argv, {"x": -1e-05, "y": -0.5}, tmp_path, 2))
    assert value == pytest.approx((1 + 1e-05) ** 2 + 100 * (-0.5 - 1e-10) ** 2, rel=1e-15)


def test_c(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    assert compiler, "these tests need a C compiler: install cc"
    program = tmp_path / "train program"
    subprocess.run([compiler, "-o", program, EXAMPLES / "train.c", "-lm"], check=True)
    argv = [str(program), "x~uniform(-5, 10)", "y~uniform(0, 15)"]
    value = completed(run(argv, {"x": math.pi, "y": 2.275}, tmp_path))
    assert value == pytest.approx(0.397887, abs=1e-6)


def test_what_a_program_sees(tmp_path: Path) -> None:
    program = tmp_path / "see it.py"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "from orion.client import report_results\n"
        "env = {k: v for k, v in os.environ.items() if k.startswith('ORION')}\n"
        "report_results([{'name': 'o', 'type': 'objective', 'value': 1},\n"
        "  {'name': 'seen', 'type': 'statistic', 'value': [sys.argv[1:], env, os.getcwd()]}])\n"
    )
    program.chmod(0o755)
    argv = [str(program), "--größe $x 'q'~choices(['a'])", "{exp.name}-{exp.version}"]
    argv += [
        "{trial.id}",
        "{trial.working_dir}",
        '{"a": "$HOME {}"}',
        "--dims~normal(0, 1, shape=2)",
    ]
    value = "a \"b\" 'c' $HOME `x` {trial.id}\n\\"
    params = {"größe $x 'q'": value, "dims": [0.5, -1e-07]}
    result = run(argv, params, tmp_path / "w", attempt=3)
    completed(result)
    words, env, cwd = result.results[1]["value"]
    trial = str(tmp_path / "w" / "t1")
    assert words == [
        "--größe $x 'q'",
        value,
        "größe $x 'q'-2",
        "t1",
        trial,
        '{"a": "$HOME {}"}',
        "--dims",
        "0.5",
        "-0.0000001",
    ]
    assert cwd == os.getcwd()
    assert env.pop("ORION_GUARDIAN")
    assert env == {
        "ORION_EXPERIMENT_ID": "e1",
        "ORION_EXPERIMENT_NAME": "größe $x 'q'",
        "ORION_EXPERIMENT_VERSION": "2",
        "ORION_OBJECTIVES": '{"": "minimize"}',
        "ORION_TRIAL_ID": "t1",
        "ORION_TRIAL_ATTEMPT": "3",
        "ORION_WORKING_DIR": trial,
        "ORION_RESULTS_PATH": f"{trial}/attempt-3/results.json",
        "ORION_REPORTS_PATH": f"{trial}/attempt-3/reports.jsonl",
        "ORION_STOP_PATH": f"{trial}/attempt-3/stop",
        "ORION_INTERRUPT_CODE": "130",
    }
    assert sorted(os.listdir(f"{trial}/attempt-3")) == ["results.json", "stderr.txt", "stdout.txt"]
