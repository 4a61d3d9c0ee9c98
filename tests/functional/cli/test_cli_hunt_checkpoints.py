"""A promoted trial goes on from where its parent ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hunting import Shell

from orion_k8s import build_experiment
from orion_k8s.trial import Status, TrialRecord

TRAIN = """
import json, os, sys
from pathlib import Path

options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x, epochs = float(options["-x"]), int(options["--epochs"])
folder = Path(os.environ["ORION_WORKING_DIR"])
checkpoint = folder / "checkpoint.json"
state = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"epoch": 0, "by": []}
first = state["epoch"]
parent = os.environ.get("ORION_TRIAL_PARENT")
if parent:
    beside = Path(os.environ["ORION_PARENT_WORKING_DIR"], "checkpoint.json")
    assert parent in json.loads(beside.read_text())["by"]
attempt = os.environ["ORION_TRIAL_ATTEMPT"]
for epoch in range(first, epochs):
    state = {"epoch": epoch + 1, "by": [*state["by"], os.environ["ORION_TRIAL_ID"]]}
    new = folder / f"new-{os.getpid()}"
    new.write_text(json.dumps(state))
    new.replace(checkpoint)
    if parent and attempt == "1":
        sys.exit(int(os.environ["ORION_INTERRUPT_CODE"]))
results = [
    {"name": "loss", "type": "objective", "value": x**2 + 1 / epochs},
    {"name": "first", "type": "statistic", "value": first},
    {"name": "parent", "type": "statistic", "value": parent},
    {"name": "by", "type": "statistic", "value": state["by"]},
]
Path(os.environ["ORION_RESULTS_PATH"]).write_text(json.dumps(results))
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    yield Shell(tmp_path)


def told(trial: TrialRecord) -> dict[str, Any]:
    return {result["name"]: result["value"] for result in trial.results}


def test_a_promoted_trial_goes_on_at_the_epoch_where_its_parent_ended(shell: Shell) -> None:
    """Also where its first attempt was interrupted after an epoch of its own."""
    (shell.folder / "asha.yaml").write_text("experiment: {algorithm: {asha: {repetitions: 1}}}\n")
    program = shell.program(TRAIN, "train.py", sys.executable)
    words = ["hunt", "-n", "e", "-c", "asha.yaml", "--max-trials", "40", "--n-workers", "2"]
    words += ["--working-dir", "w", program, "-x~uniform(0, 1)"]
    # A hunt may run in a trial of another one.
    outer = {"ORION_TRIAL_PARENT": "of another hunt", "ORION_PARENT_WORKING_DIR": "/nowhere"}
    shell.ok(*words, "--epochs~fidelity(1, 9, base=3)", env=outer)
    trials = {trial.id: trial for trial in shell.trials(status=Status.COMPLETED)}
    assert 13 <= len(trials) < 40
    epochs = {id: json.loads(trial.values)[1] for id, trial in trials.items()}
    promoted = [trial for trial in trials.values() if trial.parent is not None]
    assert {epochs[trial.id] for trial in promoted} == {3, 9}
    for trial in trials.values():
        said = told(trial)
        assert said["parent"] == trial.parent
        before = trials[trial.parent] if trial.parent is not None else None
        begun = epochs[before.id] if before else 0
        own = epochs[trial.id] - begun
        assert said["by"] == [*(told(before)["by"] if before else []), *[trial.id] * own]
        assert trial.attempt == (2 if before else 1)
        # The second attempt went on from the first one's, which had begun with the parent's.
        assert said["first"] == (begun + 1 if before else 0)
    assert not [path for path in (shell.folder / "w").iterdir() if path.name.startswith(".")]


BRITTLE = """
if epochs == 3:
    try:
        os.mkdir("broke")
    except FileExistsError:
        pass
    else:
        sys.exit(1)
for epoch in range(first, epochs):"""


def test_a_population_goes_on_from_the_checkpoints_of_its_best(shell: Shell) -> None:
    """Two workers; one trial of the last generation breaks, and another is made in its place."""
    (shell.folder / "pbt.yaml").write_text(
        "experiment: {algorithm: {pbt: {population_size: 5, generations: 2}}}\n"
    )
    text = TRAIN.replace("\nfor epoch in range(first, epochs):", BRITTLE)
    program = shell.program(text, "train.py", sys.executable)
    words = ["hunt", "-n", "e", "-c", "pbt.yaml", "--max-trials", "15", "--working-dir", "w"]
    words += [program, "-x~uniform(0, 1)", "--epochs~fidelity(1, 3, base=1)"]
    workers = [shell.start(*words) for _ in range(2)]
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, out + err
    [broken] = shell.trials(status=Status.BROKEN)
    trials = {trial.id: trial for trial in shell.trials(status=Status.COMPLETED)}
    epochs = {id: json.loads(trial.values)[1] for id, trial in trials.items()}
    assert sorted(epochs.values()) == [1] * 5 + [2] * 5 + [3] * 5
    for trial in trials.values():
        before = trials[trial.parent] if trial.parent is not None else None
        assert told(trial)["by"] == [*(told(before)["by"] if before else []), trial.id]
        assert epochs[trial.id] == (epochs[before.id] + 1 if before else 1)
    tries = [(trial.decision or "").rsplit(" ", 1) for trial in (broken, *trials.values())]
    assert [place for place, tried in tries if tried == "1"] == [tries[0][0]]


def train(x: float, epochs: int, trial: Any) -> float:
    folder = Path(trial.working_dir)
    folder.mkdir(parents=True, exist_ok=True)
    saved = folder / "epoch"
    begun = int(saved.read_text()) if saved.exists() else 0
    if trial.parent is not None:
        assert begun == int(Path(trial.parent_working_dir, "epoch").read_text()) > 0
    else:
        assert begun == 0 and trial.parent_working_dir == ""
    saved.write_text(str(epochs))
    return x**2 + 1 / epochs


def test_so_does_a_python_function_that_is_given_its_trial(tmp_path: Path) -> None:
    with build_experiment(
        "e",
        space={"x": "uniform(0, 1)", "epochs": "fidelity(1, 9, base=3)"},
        algorithm={"asha": {"seed": 1}},
        max_trials=13,
        storage=f"sqlite:///{tmp_path}/history.db",
        working_dir=str(tmp_path / "w"),
    ) as experiment, experiment.tmp_executor("singleexecutor"):  # fmt: skip
        assert experiment.workon(train, trial_arg="trial") == 13
        parents = [trial.parent for trial in experiment.fetch_trials()]
        assert sum(parent is not None for parent in parents) >= 4
