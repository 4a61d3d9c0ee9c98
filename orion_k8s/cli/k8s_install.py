"""`k8s install`: an experiment of this machine becomes a release, by Helm."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import typer

from orion_k8s.cli.k8s_options import CONTEXT, NAMESPACE
from orion_k8s.cli.k8s_values import LIMITS, tell, values_of
from orion_k8s.cli.options import EXPERIMENT, STORAGE, Given, command


@command(*EXPERIMENT, *LIMITS, *STORAGE, context_settings={"allow_interspersed_args": True})
def install(
    given: Given,
    release: str = typer.Argument(..., metavar="RELEASE", help="name of the release"),
    words: list[str] | None = typer.Argument(
        None, metavar="CMD…", show_default=False, help="behind --: a program and its arguments"
    ),
    files: list[str] | None = typer.Option(
        None, "-f", "--values", metavar="FILE", help="values; laid over the experiment's"
    ),
    settings: list[str] | None = typer.Option(
        None, "--set", metavar="KEY=VALUE", help="one value; laid over all others"
    ),
    chart: str | None = typer.Option(None, "--chart", metavar="PATH", help="the chart"),
    namespace: str | None = NAMESPACE,
    kube_context: str | None = CONTEXT,
) -> None:
    """Install the chart for an experiment: that of -n, a command behind --, or that of the values.

    Helm does it; it must be on the PATH. Its release is looked after by Helm from then on.
    """
    from orion_k8s.errors import OrionError, UsageError

    helm = shutil.which("helm")
    if helm is None:
        raise UsageError(
            "There is no helm on the PATH: install it (https://helm.sh/docs/intro/install), or "
            "print the values by `orion-k8s k8s values` for whoever has it."
        )
    path = _chart(chart)
    for file in files or []:
        if not os.path.isfile(file):
            raise UsageError(f"There is no file {file} with values.")
    asked = bool(words) or given.options["experiment.name"] is not None
    if not asked and not files:
        raise UsageError(
            "What is to run? Name an experiment with -n NAME, type its command behind --, or give "
            "values with -f FILE."
        )
    with tempfile.TemporaryDirectory(prefix="orion-k8s-") as folder:
        line = [helm, "install", release, path]
        if asked:
            made = values_of(given, words or [])
            tell(made, given.quiet)
            own = Path(folder) / "values.yaml"
            own.write_text(made.text(), encoding="utf-8")
            line += ["-f", str(own)]
        for flag, values in (("-f", files), ("--set", settings)):
            for value in values or []:
                line += [flag, value]
        for flag, word in (("--namespace", namespace), ("--kube-context", kube_context)):
            if word:
                line += [flag, word]
        code = subprocess.run(line, check=False).returncode
    if code != 0:
        raise OrionError(f"Helm did not install the release '{release}' (exit code {code}).")


def _chart(given: str | None) -> str:
    """Return the chart's folder or archive.

    Raises:
        UsageError: there is none.
    """
    import orion_k8s
    from orion_k8s.errors import UsageError

    # In a source tree it is beside the package; a wheel does not hold it.
    beside = Path(orion_k8s.__file__).parents[1] / "charts" / "orion-k8s"
    path = given or str(beside)
    if not path.startswith("oci://") and not os.path.exists(path):
        raise UsageError(
            f"There is no chart {path}: name its folder or archive with --chart."
            if given
            else "The chart is not here: name its folder or archive with --chart."
        )
    return path
