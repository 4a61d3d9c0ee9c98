from __future__ import annotations

import subprocess
import sys

import pytest

from orion_k8s.cli import main
from orion_k8s.cli.app import K8S_COMMANDS


@pytest.mark.parametrize("name", K8S_COMMANDS)
def test_every_command_has_its_own_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["k8s", name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: orion-k8s k8s {name} ")
    asks_the_cluster = name in {"status", "scale", "logs", "forward", "export", "install"}
    assert ("--namespace NAMESPACE" in out) == asks_the_cluster
    assert ("--context NAME" in out) == asks_the_cluster


def test_help_imports_nothing_that_it_does_not_need() -> None:
    names = [["k8s", "--help"], *(["k8s", name, "--help"] for name in K8S_COMMANDS)]
    code = (
        "import sys; from orion_k8s.cli import main\n"
        f"for words in {names!r}: main(words)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not {"numpy", "scipy", "pymongo", "kubernetes", "aiohttp", "yaml"} & loaded
