"""`hunt --executor dask` where it cannot work, and schedulers that lie about their version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from orion_k8s import get_experiment
from orion_k8s.errors import NotFound

DEADLINE_S = 60.0
PROGRAM = "from orion_k8s.client import report_objective\nreport_objective(1.0)\n"


def hunt(
    folder: Path,
    configuration: Any,
    executor: str = "dask",
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a hunt of two trials with an executor and its configuration, as a person does."""
    script = folder / "program.py"
    script.write_text(PROGRAM)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORION")}
    return subprocess.run(
        [
            *(sys.executable, "-m", "orion_k8s", "hunt", "-n", "exp", "--max-trials", "2"),
            *("--working-dir", str(folder / "trials"), "--executor", executor),
            *("--executor-configuration", json.dumps(configuration)),
            *(sys.executable, str(script), "--x~uniform(0, 1)"),
        ],
        env={
            **kept,
            "ORION_DB_TYPE": "sqlite",
            "ORION_DB_ADDRESS": str(folder / "db.sqlite"),
            **(environment or {}),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def refused(folder: Path, done: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the sentence of a hunt that ended with a code: one line, and no trial is lost."""
    assert done.returncode == code, (done.stdout, done.stderr)
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("orion-k8s: ") and sentence.endswith("."), sentence
    assert set(statuses(folder)) <= {"interrupted"}
    return sentence


def statuses(folder: Path) -> Counter[str]:
    """How many trials the history of a hunt has in each state."""
    try:
        experiment = get_experiment("exp", storage=str(folder / "db.sqlite"))
    except NotFound:
        return Counter()
    return Counter(trial.status.value for trial in experiment.fetch_trials())


def lying(folder: Path, packages: dict[str, str]) -> dict[str, str]:
    """Return an environment in which Dask says that it has other versions than it has."""
    return _started_with(
        folder,
        "import distributed.versions as versions\n"
        "tell = versions.get_package_info\n"
        f"versions.get_package_info = lambda packages: {{**tell(packages), **{packages!r}}}\n",
    )


def lacking(folder: Path, package: str) -> dict[str, str]:
    """Return an environment in which a package is not installed."""
    return _started_with(
        folder,
        "import sys\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Blocker())\n",
    )


def slow_to_import(folder: Path, module: str, go: Path) -> dict[str, str]:
    """Return an environment in which a module is only found when there is a file."""
    return _started_with(
        folder,
        "import os, sys, time\n"
        "class Waiter:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        while name == {module!r} and not os.path.exists({str(go)!r}):\n"
        "            time.sleep(0.02)\n"
        "sys.meta_path.insert(0, Waiter())\n",
    )


def _started_with(folder: Path, source: str) -> dict[str, str]:
    """Return an environment whose Pythons run some code before anything else."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(source)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{Path(__file__).parents[3]}"}
