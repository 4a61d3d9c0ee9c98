"""`k8s values`: an experiment of this machine as a values.yaml for the chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from orion_k8s.cli.options import EXPERIMENT, STORAGE, Given, command

if TYPE_CHECKING:
    from orion_k8s.config import Configuration
    from orion_k8s.k8s.experiment import Wanted
    from orion_k8s.k8s.values import ChartValues

LIMITS = ("experiment.max_trials", "experiment.max_broken")

WORDS: Any = typer.Argument(
    None,
    metavar="CMD…",
    show_default=False,
    help="a program and its arguments; without them, the experiment in the history",
)


@command(*EXPERIMENT, *LIMITS, *STORAGE, context_settings={"allow_interspersed_args": False})
def values(given: Given, words: list[str] | None = WORDS) -> None:
    """Print a values.yaml for the chart: an experiment of the history, or a command typed now.

    The text files that the command names go along, and its paths are made those of the pod. What
    can't be carried over is said in comments and on stderr.
    """
    made = values_of(given, words or [])
    tell(made, given.quiet)
    typer.echo(made.text(), nl=False)


def tell(made: ChartValues, quiet: bool = False) -> None:
    """Say on stderr what values do not hold."""
    if not quiet:
        for sentence in made.lost:
            typer.echo(f"Not carried over: {sentence}", err=True)


def values_of(given: Given, words: list[str]) -> ChartValues:
    """Return the values of a command that was typed, or of the experiment that was named.

    Raises:
        ConfigurationError: no experiment was named.
        NotFound: it is not in the history.
        UsageError: it has no command, or files that are too large.
    """
    configuration = given.configuration()
    name = given.name(configuration)
    if words:
        return _of_words(configuration, name, words)
    return _of_history(given, configuration, name)


def _of_words(configuration: Configuration, name: str, words: list[str]) -> ChartValues:
    import os
    import shlex

    from orion_k8s.cli.job import _appended, asked_goal
    from orion_k8s.k8s.experiment import Wanted, chart_values
    from orion_k8s.script import Command
    from orion_k8s.space import Space
    from orion_k8s.stopping import normalise
    from orion_k8s.trial import Goal

    told = Command.parse(
        [*words, *_appended(configuration, words)],
        configuration.value("worker.user_script_config"),
        here=False,
    )
    Space.parse(told.priors)  # refuses here what no worker would take
    wanted = Wanted(
        name,
        told,
        os.getcwd(),
        algorithm=_given(configuration, "experiment.algorithm"),
        max_trials=_given(configuration, "experiment.max_trials"),
        max_broken=_given(configuration, "experiment.max_broken"),
        seed=_given(configuration, "experiment.seed"),
        worker=_worker(configuration),
        goal=Goal.asked(**asked_goal(configuration)).configuration,
        first=configuration.value("experiment.enqueue"),
        stopping=normalise(configuration.value("experiment.stopping")),
    )
    made = chart_values(wanted, f"the command {shlex.join(words)}")
    return _checked(made, wanted, configuration.value("experiment.version"))


def _of_history(given: Given, configuration: Configuration, name: str) -> ChartValues:
    import os

    from orion_k8s.cli.choice import called, existing_history, quoted, titled
    from orion_k8s.cli.job import stored_layer
    from orion_k8s.cli.standing import standings
    from orion_k8s.cli.tables import several
    from orion_k8s.client.opening import fetch, stopping_of
    from orion_k8s.errors import UsageError
    from orion_k8s.k8s.experiment import Wanted, chart_values
    from orion_k8s.script import Command

    with existing_history(given) as storage:
        record = fetch(storage, name, configuration.value("experiment.version"))
        [standing] = standings(storage, [record])
        count = sum(standing.view.counts.values())
        where = storage.describe()
    stored = record.metadata.get("command")
    if not stored:
        raise UsageError(
            f"{titled(record)} has no command (Python made it): type your program's, as in "
            f"`orion-k8s k8s values -n {quoted(record)} -- python train.py "
            "--lr~'loguniform(1e-5, 1)'`."
        )
    configuration = given.configuration(stored_layer(record))
    told = Command.from_metadata(stored)
    folder = str(stored.get("cwd") or "")
    gone = not os.path.isdir(folder)
    wanted = Wanted(
        record.name,
        told,
        os.getcwd() if gone else folder,
        algorithm=configuration.value("experiment.algorithm"),
        space={name: prior for name, prior in record.space.items() if name not in told.priors},
        max_trials=configuration.value("experiment.max_trials"),
        max_broken=configuration.value("experiment.max_broken"),
        seed=configuration.value("experiment.seed"),
        worker=_worker(configuration),
        goal=record.goal,
        stopping=stopping_of(record),
    )
    made = chart_values(wanted, f"{called(record)} of {where}")
    if gone:
        made.lost.append(
            f"The folder of its command is not on this machine ({folder or 'none was kept'}): "
            f"files were looked for in {wanted.folder}."
        )
    if count:
        made.lost.append(
            f"Its {several(count, 'trial')}: `orion-k8s db dump` and `db load` take them along."
        )
    return _checked(made, wanted, record.version)


def _checked(made: ChartValues, wanted: Wanted, version: int | None) -> ChartValues:
    from orion_k8s.algorithm.registry import _OURS

    if version not in (None, 1):
        # A worker refuses a version that would skip those before it.
        made.lost.append(f"Version {version}: the release's history is new, and begins with 1.")
    for name in wanted.algorithm or {}:
        if name not in _OURS:
            made.lost.append(f"The algorithm {name} is a plug-in: it must be in the image.")
    return made


def _given(configuration: Configuration, key: str) -> Any:
    return configuration.value(key) if configuration.given(key) else None


def _worker(configuration: Configuration) -> dict[str, Any]:
    """Return the options of a worker that somebody gave here, the configuration file's name aside.

    That one belongs to the command.
    """
    return {
        name: value
        for name, value in configuration.section("worker").items()
        if name != "user_script_config" and configuration.given(f"worker.{name}")
    }
