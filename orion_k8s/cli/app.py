"""The table of all commands, and what holds for each of them: errors, exit codes, signals."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from orion_k8s import __version__
from orion_k8s.cli import json_log
from orion_k8s.cli.logs import BROKEN_PIPE, drop_stdout, set_up
from orion_k8s.cli.texts import CONTEXT, DEBUG, EXIT_CODES, VERBOSE
from orion_k8s.errors import OrionError


class Entry(NamedTuple):
    """A command of the table.

    Attributes:
        where: "module:function", imported when the command is run.
        help: one line, for the list of commands.
    """

    where: str
    help: str


COMMANDS = {
    "hunt": Entry("orion_k8s.cli.hunt:hunt", "Work on an experiment: run its trials."),
    "insert": Entry("orion_k8s.cli.insert:insert", "Insert a trial of your own choice."),
    "list": Entry("orion_k8s.cli.listing:list_experiments", "List the experiments."),
    "status": Entry("orion_k8s.cli.status:status", "Show how experiments stand."),
    "info": Entry("orion_k8s.cli.info:info", "Show all about an experiment."),
    "report": Entry("orion_k8s.cli.report_command:report", "Report from a running trial."),
}

DB_COMMANDS = {
    "setup": Entry("orion_k8s.cli.db_setup:setup", "Write the database's address down."),
    "test": Entry("orion_k8s.cli.db_test:test", "Check that the database can be used."),
    "upgrade": Entry("orion_k8s.cli.db_upgrade:upgrade", "Bring an older database up to date."),
    "rm": Entry("orion_k8s.cli.db_rm:remove", "Remove experiments or trials."),
    "set": Entry("orion_k8s.cli.db_set:set_trials", "Set trials to another status."),
    "release": Entry("orion_k8s.cli.db_release:release", "Give reserved trials back."),
    "dump": Entry("orion_k8s.cli.db_dump:dump", "Write experiments to a file."),
    "load": Entry("orion_k8s.cli.db_load:load", "Read experiments from a file."),
}

K8S_COMMANDS = {
    "values": Entry("orion_k8s.cli.k8s_values:values", "Make a values.yaml of an experiment."),
    "install": Entry("orion_k8s.cli.k8s_install:install", "Install a release with Helm."),
    "status": Entry("orion_k8s.cli.k8s_status:status", "Show how a release stands."),
    "scale": Entry("orion_k8s.cli.k8s_scale:scale", "Set how many workers a release has."),
    "logs": Entry("orion_k8s.cli.k8s_logs:logs", "Show the log of the pod that ran a trial."),
    "forward": Entry("orion_k8s.cli.k8s_forward:forward", "Open a port to the history."),
    "export": Entry("orion_k8s.cli.k8s_export:export", "Copy the history to a SQLite file."),
    "import-katib": Entry(
        "orion_k8s.cli.k8s_import_katib:import_katib", "Make a values.yaml of Katib's Experiment."
    ),
    "init-environment": Entry(
        "orion_k8s.cli.k8s_init_environment:init_environment",
        "Bring orion-k8s into another image's pod.",
    ),
    "init-mongodb": Entry(
        "orion_k8s.cli.k8s_init_mongodb:init_mongodb", "Set up the chart's MongoDB."
    ),
}

GROUPS = {
    "db": (DB_COMMANDS, "Look after the database."),
    "k8s": (K8S_COMMANDS, "Run experiments on Kubernetes."),
}


class LazyGroup(TyperGroup):
    """Commands whose modules are imported when they are run, and for nothing else."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put the command itself in the place of its line of help."""
        name, found, rest = super().resolve_command(ctx, args)
        entry = getattr(getattr(found, "callback", None), "entry", None)
        return name, found if entry is None else load(entry, str(name)), rest


def load(entry: Entry, name: str) -> Any:
    """Import a command and make of it what the group runs."""
    module, _, attribute = entry.where.partition(":")
    function = getattr(import_module(module), attribute)
    one = typer.Typer(add_completion=False, rich_markup_mode=None)
    one.command(name, help=function.__doc__ or entry.help, **getattr(function, "settings", {}))(
        function
    )
    return typer.main.get_command(one)


def _group(commands: dict[str, Entry], help: str, **more: Any) -> typer.Typer:
    made = typer.Typer(
        cls=LazyGroup,
        add_completion=False,
        rich_markup_mode=None,
        help=help,
        context_settings=CONTEXT,
        **more,
    )
    for name, entry in commands.items():

        def stand_in() -> None:
            """Stand in the list of commands until the command itself is loaded."""

        stand_in.entry = entry  # type: ignore[attr-defined]
        made.command(name, help=entry.help)(stand_in)
    return made


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"orion-k8s {__version__}")
        raise typer.Exit


def build() -> Any:
    """Return the whole command line, with stand-ins for the commands."""
    app = _group(
        COMMANDS,
        "Hyperparameter optimisation by identical workers that share one history.",
        epilog=EXIT_CODES,
    )
    for name, (commands, help) in GROUPS.items():
        app.add_typer(_group(commands, help), name=name)

    @app.callback()
    def options(
        context: typer.Context,
        verbose: int = typer.Option(
            0, "-v", "--verbose", count=True, help=VERBOSE, show_default=False
        ),
        debug: bool = typer.Option(False, "--debug", help=DEBUG),
        version: bool = typer.Option(
            False, "--version", help="show the version", is_eager=True, callback=_show_version
        ),
    ) -> None:
        context.obj = {"verbosity": verbose, "debug": debug}

    return typer.main.get_command(app)


# Typer's own base of wrong usage, wherever this version of it has its home.
_WrongUsage: Any = typer.BadParameter.__base__


def run(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code. An error becomes one sentence on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == [] or (len(words) == 1 and words[0] in GROUPS):
        words.append("--help")
    if os.getpid() == 1:
        # The kernel spares the first process of a container a signal that it has no handler for.
        signal.signal(signal.SIGTERM, _terminate)
    try:
        code = build().main(words, prog_name="orion-k8s", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except _WrongUsage as error:
        path = getattr(getattr(error, "ctx", None), "command_path", "orion-k8s")
        _say(f"{error.format_message()} (`{path} --help` shows what there is)")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        drop_stdout()
        return BROKEN_PIPE
    except Exception as error:
        if isinstance(error, OrionError):
            _say(str(error))
            return error.exit_code
        _say(
            f"Unexpected {type(error).__name__}: {error} (a fault of orion-k8s itself:"
            " --debug shows where)"
        )
        return 1


def _terminate(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def _say(sentence: str) -> None:
    if json_log.wanted():
        set_up(quiet=True, verbose=0)
        logging.getLogger("orion_k8s").error("%s", sentence)
        return
    try:
        print(f"orion-k8s: {sentence}", file=sys.stderr)
    except OSError:  # nobody listens: the exit code tells
        pass
