from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import orion_k8s
from orion_k8s.script.program import SHIM
from orion_k8s.script.results import read_results

PACKAGE = Path(orion_k8s.__file__).parent
REPORT = PACKAGE / "client" / "report.py"


def python(
    code: str, *, path: str | None = None, isolated: bool = True, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run code in a Python that does not know orion_k8s unless its path says so."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ORION", "PYTHON"))}
    if path is not None:
        environment["PYTHONPATH"] = path
    # -S: no site-packages, where orion_k8s is installed.
    flags = ["-S", "-W", "error"] if isolated else ["-W", "error"]
    return subprocess.run(
        [sys.executable, *flags, "-c", code],
        env=environment | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


CASES = [
    ("report_objective(0.5)", [{"name": "objective", "type": "objective", "value": 0.5}]),
    (
        "report_objective(objective=0.5, name='größe')",
        [{"name": "größe", "type": "objective", "value": 0.5}],
    ),
    ("report_bad_trial()", [{"name": "objective", "type": "objective", "value": 1e10}]),
    (
        "report_bad_trial(1, 'a', [{'name': 's', 'type': 'statistic', 'value': 2}])",
        [
            {"name": "a", "type": "objective", "value": 1},
            {"name": "s", "type": "statistic", "value": 2},
        ],
    ),
    (
        "report_results([{'name': 'a', 'type': 'objective', 'value': 3}])",
        [{"name": "a", "type": "objective", "value": 3}],
    ),
]


@pytest.mark.parametrize("module", ["orion.client", "orion.client.cli"])
@pytest.mark.parametrize(("call", "expected"), CASES)
def test_reports_are_written(call: str, expected: object, module: str, tmp_path: Path) -> None:
    path = tmp_path / "ü $x" / "results.json"
    path.parent.mkdir()
    done = python(f"from {module} import *; {call}", path=SHIM, ORION_RESULTS_PATH=str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(path.read_text()) == expected
    assert read_results(str(path))[1] == expected
    assert os.listdir(path.parent) == ["results.json"]


@pytest.mark.parametrize(("call", "expected"), CASES)
def test_outside_a_hunt_reports_are_printed(call: str, expected: object) -> None:
    done = python(f"from orion.client import *; {call}", path=SHIM, PYTHONIOENCODING="utf-8")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{expected}\n", "")


def test_a_second_report_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    code = "from orion.client import *; report_objective(1); report_bad_trial()"
    done = python(code, path=SHIM, ORION_RESULTS_PATH=str(path))
    assert done.returncode == 1
    assert "RuntimeWarning: Has already reported" in done.stderr
    assert read_results(str(path))[0] == 1


def test_the_interrupt_code(tmp_path: Path) -> None:
    code = "from orion.client import interrupt_trial; interrupt_trial()"
    assert python(code, path=SHIM).returncode == 130
    assert python(code, path=SHIM, ORION_INTERRUPT_CODE="77").returncode == 77


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    done = python(
        "from orion.client import *; report_objective(object())",
        path=SHIM,
        ORION_RESULTS_PATH=str(path),
    )
    assert "TypeError: A result of the type object" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", ["EBUSY", "EACCES"])
def test_a_file_that_cannot_be_replaced_is_written(error: str, tmp_path: Path) -> None:
    """The termination message of a pod is a mount: a rename onto it is refused."""
    path = tmp_path / "termination-log"
    path.touch()
    code = (
        "import errno, os\n"
        "def refuse(*_):\n"
        f"    raise OSError(errno.{error}, 'no')\n"
        "os.replace = refuse\n"
        "from orion.client import *; report_objective(2)"
    )
    done = python(code, path=SHIM, ORION_RESULTS_PATH=str(path))
    assert done.stderr == ""
    assert read_results(str(path))[0] == 2
    assert os.listdir(tmp_path) == ["termination-log"]


def test_a_report_to_a_full_disk_fails(tmp_path: Path) -> None:
    code = (
        "import errno, os\n"
        "def refuse(*_):\n"
        "    raise OSError(errno.ENOSPC, 'full')\n"
        "os.replace = refuse\n"
        "from orion.client import *; report_objective(2)"
    )
    done = python(code, path=SHIM, ORION_RESULTS_PATH=str(tmp_path / "results.json"))
    assert "full" in done.stderr
    assert os.listdir(tmp_path) == []


def test_numpy_values_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    code = (
        "import numpy as np; from orion.client import *; report_results(["
        "{'name': 'a', 'type': 'objective', 'value': np.float32(0.5)},"
        "{'name': 'b', 'type': 'gradient', 'value': np.arange(2)}])"
    )
    done = python(code, path=SHIM, isolated=False, ORION_RESULTS_PATH=str(path))
    assert done.stderr == ""
    objective, results = read_results(str(path))
    assert (objective, results[1]["value"]) == (0.5, [0, 1])


def test_the_file_is_light_and_needs_no_new_python() -> None:
    import ast

    ast.parse(REPORT.read_text(), feature_version=(3, 7))
    code = (
        "import os, sys; before = set(sys.modules);"
        "import importlib.util as u; s = u.spec_from_file_location('r', sys.argv[1]);"
        "m = u.module_from_spec(s); before |= set(sys.modules); s.loader.exec_module(m);"
        "print(sorted(set(sys.modules) - before - {'__future__'}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(REPORT)], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("kind", ["package", "module"])
@pytest.mark.parametrize("first", ["shim", "installed"])
def test_an_installed_orion_wins(kind: str, first: str, tmp_path: Path) -> None:
    installed = tmp_path / "site"
    folder = installed / "orion"
    folder.mkdir(parents=True)
    (folder / "core.py").write_text("")
    if kind == "package":
        (folder / "client").mkdir()
        (folder / "client" / "cli.py").write_text("def report_objective(x): print('real', x)\n")
        (folder / "client" / "__init__.py").write_text(
            "import orion.core\nfrom orion.client.cli import report_objective\n"
        )
    else:
        (folder / "client.py").write_text("def report_objective(x): print('real', x)\n")
    paths = [SHIM, str(installed)] if first == "shim" else [str(installed), SHIM]
    code = (
        "from orion.client import report_objective; report_objective(1);"
        "import orion.client, orion.core, sys; assert sys.modules['orion.client'] is orion.client;"
        "print(orion.client.__file__)"
    )
    done = python(code, path=":".join(paths))
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "real 1"
    assert done.stdout.splitlines()[1].startswith(str(installed))


def test_a_broken_installed_orion_says_so_itself(tmp_path: Path) -> None:
    (tmp_path / "orion").mkdir()
    (tmp_path / "orion" / "client.py").write_text("import missing_dependency\n")
    done = python("import orion.client", path=f"{SHIM}:{tmp_path}")
    assert "No module named 'missing_dependency'" in done.stderr


def test_both_names_share_one_report(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    code = (
        "import orion_k8s.client.report as ours; import orion.client as theirs;"
        "ours.report_objective(1); theirs.report_objective(2)"
    )
    done = python(code, path=SHIM, isolated=False, ORION_RESULTS_PATH=str(path))
    assert "Has already reported" in done.stderr


# --- while it runs -------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["orion.client", "orion_k8s.client"])
def test_steps_are_appended_and_the_word_to_stop_is_heard(module: str, tmp_path: Path) -> None:
    path = tmp_path / "reports"
    code = f"""
import os
from {module} import report_objective, should_stop
report_objective(0.5, step=1)
report_objective(0.25, step=2, metrics={{"accuracy": 0.9}})
assert not should_stop()
open(os.environ["ORION_STOP_PATH"], "w").close()
assert should_stop()
report_objective(float("nan"), step=3)
report_objective(0.125)
"""
    env = {"ORION_REPORTS_PATH": str(path), "ORION_STOP_PATH": str(tmp_path / "stop")}
    done = python(
        code,
        path=os.pathsep.join([SHIM, str(PACKAGE.parent)]),
        ORION_RESULTS_PATH=str(tmp_path / "results.json"),
        **env,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [json.loads(line) for line in path.read_text().splitlines()[:2]] == [
        {"step": 1, "value": 0.5},
        {"step": 2, "value": 0.25, "metrics": {"accuracy": 0.9}},
    ]
    assert read_results(str(tmp_path / "results.json"))[0] == 0.125


def test_outside_a_hunt_steps_are_printed(tmp_path: Path) -> None:
    code = (
        "from orion_k8s.client import report_objective, should_stop\n"
        "report_objective(0.5, step=1)\nprint(should_stop())\n"
    )
    done = python(code, path=str(PACKAGE.parent))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "{'step': 1, 'value': 0.5}\nFalse\n"


def test_the_command_imports_nothing_but_the_helpers(tmp_path: Path) -> None:
    code = (
        "import sys; from orion_k8s.cli import main\n"
        "before = set(sys.modules)\n"
        "assert main(['report', '-0.5', '--step', '3', '--metric', 'a=1']) == 0\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('orion', 'typer'))))"
    )
    done = python(code, path=str(PACKAGE.parent))
    assert (done.returncode, done.stderr) == (0, "")
    reported, asked, modules = done.stdout.splitlines()
    assert reported == "{'step': 3, 'value': -0.5, 'metrics': {'a': 1.0}}"
    assert asked == "continue"
    assert set(modules.split()) == {
        *("orion_k8s", "orion_k8s.cli", "orion_k8s.cli.report"),
        *("orion_k8s.client", "orion_k8s.client.report"),
    }
