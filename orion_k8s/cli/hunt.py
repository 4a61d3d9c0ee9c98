"""`hunt`: this process becomes one worker of an experiment, which is made where it is missing."""

from __future__ import annotations

import typer

from orion_k8s.cli.options import Given, command
from orion_k8s.cli.texts import EXIT_CODES
from orion_k8s.config.options import OPTIONS

HELP_END = (
    "The first word that is no option of hunt begins your program's command; mark what to search"
    " in it, as in --lr~'loguniform(1e-5, 1)'. " + EXIT_CODES
)


@command(
    *(key for key, option in OPTIONS.items() if option.flags),
    context_settings={"allow_interspersed_args": False},
    epilog=HELP_END,
)
def hunt(
    given: Given,
    words: list[str] | None = typer.Argument(
        None,
        metavar="CMD…",
        show_default=False,
        help="your program and its arguments; without them, the command that is stored",
    ),
    init_only: bool = typer.Option(
        False, "--init-only", help="make the experiment and run nothing"
    ),
) -> None:
    """Work on an experiment until it ends; make it first where it is missing.

    Start as many workers as you like, here and on other machines that reach the same database:
    the same command, or hunt -n NAME alone.
    """
    # Late: --help needs nothing of it.
    from orion_k8s.cli.job import open_job, stored_layer
    from orion_k8s.cli.work import check_executor, make_executor, start_monitor, work
    from orion_k8s.client.opening import find

    configuration = given.configuration()
    name = given.name(configuration)
    # First the monitor: it answers while one waits for the database.
    with start_monitor(configuration) as monitor, given.storage(configuration) as storage:
        before = find(storage, name, configuration.value("experiment.version"))
        if before is not None:
            configuration = given.configuration(stored_layer(before))
        if init_only:
            here = check_executor(configuration)
            record = open_job(storage, configuration, before, words or [], here).record
            if not given.quiet:
                print(f"Experiment '{record.name}' version {record.version} is ready.")
            return
        # First the executor: nothing is stored where it can't be had.
        with make_executor(configuration) as executor:
            job = open_job(storage, configuration, before, words or [], executor.runs_here)
            work(storage, configuration, job, executor, given, monitor)
