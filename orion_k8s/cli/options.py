"""A command's options: those of the table in `config.options`, and those that all commands have.

A command is a function whose first parameter is `given`, what was typed of these options; its
other parameters are its own, declared as typer has it:

    @command("experiment.name", "experiment.version", *STORAGE)
    def status(given: Given, all: bool = typer.Option(False, "--all", help="…")) -> None:
        configuration = given.configuration()
        with given.storage(configuration) as storage:
            …
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import typer

from orion_k8s.cli.logs import BROKEN_PIPE, drop_stdout, set_up
from orion_k8s.cli.texts import CONTEXT, DEBUG, VERBOSE
from orion_k8s.config.options import OPTIONS, Option

if TYPE_CHECKING:
    from orion_k8s.config import Configuration
    from orion_k8s.storage import Storage

STORAGE = ("storage.url", "storage.wait")
"""Every command that opens the history takes it."""

EXPERIMENT = ("experiment.name", "experiment.version")
"""Which experiment."""


_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_METAVARS = {"Integer": "N", "Seconds": "SECONDS", "Table": "JSON"}
_PLACES = {"working_dir": "DIR", "url": "URL"}


@dataclass(frozen=True)
class Given:
    """What was typed of the options that commands share.

    Attributes:
        options: key of the table → text; None where it was not typed.
        config: path of the local configuration file.
        quiet: say nothing but errors and what was asked for.
        verbose: how much the log says: warnings, information from 1, all from 2.
        debug: show the traceback of an error.
    """

    options: Mapping[str, str | None]
    config: str | None = None
    quiet: bool = False
    verbose: int = 0
    debug: bool = False

    def configuration(self, stored: Mapping[str, Any] | None = None) -> Configuration:
        """Return what holds, all layers put together.

        Args:
            stored: what a stored experiment says; see `config.resolve`.

        Raises:
            ConfigurationError: something in a layer is wrong.
        """
        from orion_k8s.config import resolve

        return resolve(stored=stored, local=self.config, cli=self.options)

    def name(self, configuration: Configuration) -> str:
        """Return the experiment's name.

        Raises:
            ConfigurationError: nobody said it.
        """
        from orion_k8s.errors import ConfigurationError

        name = configuration.value("experiment.name")
        if name is None:
            raise ConfigurationError("Which experiment? Name it with -n NAME.")
        return str(name)

    def storage(self, configuration: Configuration, setup: bool = True) -> Storage:
        """Return the shared history, set up, for a `with` block.

        Args:
            configuration: where it is.
            setup: make what is missing and check the schema; False only where that is the
                command's own business.

        Raises:
            DatabaseError: it can't be used, or stays away for longer than one is to wait.
        """
        from orion_k8s.client.history import open_history

        return open_history(configuration, setup)


def command(
    *keys: str,
    config_flags: tuple[str, ...] = ("-c", "--config"),
    context_settings: Mapping[str, Any] | None = None,
    epilog: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a command of a function: see the module's docstring.

    Args:
        *keys: of the table's options that it takes.
        config_flags: of the option that names the local configuration file.
        context_settings: for typer.
        epilog: what `--help` ends with.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        table = {key.replace(".", "_"): key for key in keys}
        shared = {
            **{word: (str | None, _option(OPTIONS[key])) for word, key in table.items()},
            **_shared(config_flags),
        }

        def run(context: typer.Context, **values: Any) -> Any:
            above: Mapping[str, Any] = context.find_root().obj or {}
            given = Given(
                options={key: values.pop(word) for word, key in table.items()},
                config=values.pop("config_file"),
                quiet=values.pop("quiet"),
                verbose=values.pop("verbosity") + above.get("verbosity", 0),
                debug=values.pop("debug") or above.get("debug", False),
            )
            set_up(given.quiet, given.verbose)
            try:
                return function(given, **values)
            except BrokenPipeError:
                drop_stdout()
                raise SystemExit(BROKEN_PIPE) from None
            except Exception:
                if given.debug:
                    import traceback

                    traceback.print_exc()
                raise  # `app.run` makes a sentence of it

        parameters = [
            inspect.Parameter("context", _KEYWORD, annotation=typer.Context),
            *(parameter.replace(kind=_KEYWORD) for parameter in own),
            *(
                inspect.Parameter(word, _KEYWORD, default=default, annotation=kind)
                for word, (kind, default) in shared.items()
            ),
        ]
        # Typer makes a command's options from what a function says of itself.
        run.__doc__, run.__name__ = function.__doc__, function.__name__
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.settings = {  # type: ignore[attr-defined]
            "context_settings": {**CONTEXT, **(context_settings or {})},
            "epilog": epilog,
        }
        return run

    return decorate


def _shared(config_flags: tuple[str, ...]) -> dict[str, tuple[Any, Any]]:
    file = typer.Option(None, *config_flags, metavar="FILE", help="configuration file (YAML)")
    quiet = typer.Option(False, "-q", "--quiet", help="say nothing but errors and what was asked")
    verbosity = typer.Option(0, "-V", "--verbose", count=True, show_default=False, help=VERBOSE)
    debug = typer.Option(False, "--debug", help=DEBUG)
    return {
        "config_file": (str | None, file),
        "quiet": (bool, quiet),
        "verbosity": (int, verbosity),
        "debug": (bool, debug),
    }


def _option(option: Option) -> Any:
    """Return typer's option for one of the table. Its text is read by the configuration."""
    words: tuple[str, ...] = getattr(option.kind, "words", ())
    metavar = "|".join(words) or _METAVARS.get(type(option.kind).__name__)
    metavar = metavar or _PLACES.get(option.name, "NAME")
    said = "" if option.default in (None, "", {}, inf) else f" [default: {option.default}]"
    env = f" [{option.env[0]}]" if option.env else ""
    return typer.Option(None, *option.flags, metavar=metavar, help=f"{option.help}{said}{env}")
