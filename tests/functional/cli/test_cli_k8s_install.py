"""`k8s install` and the plug-in of kubectl: what Helm is told, and what is said without it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from helm_template import CHART, arguments, rendered
from hunting import Shell

HELM = f"""#!{sys.executable}
import json, sys
words = sys.argv[1:]
files = [open(words[n + 1]).read() for n, word in enumerate(words) if word == "-f"]
with open("told.json", "w") as file:
    json.dump({{"words": words, "files": files}}, file)
print("installed")
sys.exit(7 if "bad" in words else 0)
"""
WORDS = ("--", "python", "-c", "pass", "-x~uniform(0, 1)")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A person whose helm notes what it is told; the real one is for tests on a cluster."""
    shell = Shell(tmp_path)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "helm").write_text(HELM)
    (folder / "helm").chmod(0o755)
    shell.env["PATH"] = f"{folder}{os.pathsep}{shell.env['PATH']}"
    return shell


def told(shell: Shell) -> tuple[list[str], list[str]]:
    found = json.loads((shell.folder / "told.json").read_text())
    return found["words"], found["files"]


def test_a_command(shell: Shell) -> None:
    (shell.folder / "more.yaml").write_text("worker: {replicas: 2}\n")
    done = shell.ok(
        *("k8s", "install", "r", "-n", "e", "-f", "more.yaml", "--set", "logs.format=text"),
        *("--namespace", "theirs", "--context", "there", *WORDS),
    )
    assert done.stdout == "installed\n"
    words, [own, more] = told(shell)
    assert words[:3] == ["install", "r", str(CHART)]
    assert words[5:] == [
        *("-f", "more.yaml", "--set", "logs.format=text"),
        *("--namespace", "theirs", "--kube-context", "there"),
    ]
    assert arguments(rendered(own)) == ["python", "-c", "pass", "-x~uniform(0, 1)"]
    assert more == "worker: {replicas: 2}\n"
    assert not os.path.exists(words[4])


def test_values_alone(shell: Shell) -> None:
    (shell.folder / "mine.yaml").write_text("experiment: {}\n")
    chart = shell.folder / "chart"
    chart.mkdir()
    shell.ok("k8s", "install", "r", "-f", "mine.yaml", "--chart", str(chart))
    assert told(shell)[0] == ["install", "r", str(chart), "-f", "mine.yaml"]


def test_what_is_wrong_is_said(shell: Shell) -> None:
    assert "What is to run?" in shell.refused(2, "k8s", "install", "r")
    assert "-n NAME" in shell.refused(2, "k8s", "install", "r", *WORDS)
    words = ("k8s", "install", "r", "-n", "e")
    assert "There is no file no.yaml" in shell.refused(2, *words, "-f", "no.yaml", *WORDS)
    assert "There is no chart no" in shell.refused(2, *words, "--chart", "no", *WORDS)
    assert not (shell.folder / "told.json").exists()
    failed = shell.run("k8s", "install", "bad", "-n", "e", *WORDS)
    assert failed.returncode == 1 and "did not install the release 'bad' (exit code 7)" in (
        failed.stderr
    )
    said = shell.refused(2, *words, *WORDS, env={"PATH": "/nowhere"})
    assert said.startswith("There is no helm on the PATH")


def test_the_plug_in_of_kubectl(shell: Shell) -> None:
    """As an installed package has it: a program of this name, which kubectl finds."""
    import subprocess

    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert '\nkubectl-orion = "orion_k8s.cli:kubectl"\n' in text
    script = "import sys; from orion_k8s.cli import kubectl; sys.exit(kubectl())"
    words = ["values", "-n", "e", *WORDS]
    plugin = [sys.executable, "-c", script, *words]
    made = subprocess.run(
        plugin, capture_output=True, text=True, env=shell.env, cwd=shell.folder, check=True
    )
    assert made.stdout == shell.ok("k8s", *words).stdout
