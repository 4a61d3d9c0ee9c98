"""`insert`: a trial of a person's own choice, to be run by a worker or completed already."""

from __future__ import annotations

import ast
import json as jsons
import re
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from orion_k8s.cli.choice import existing_history, titled, version_of
from orion_k8s.cli.options import EXPERIMENT, STORAGE, Given, command
from orion_k8s.cli.standing import plain_trial, standings
from orion_k8s.cli.tables import params_text, plain, show_json
from orion_k8s.errors import DuplicateTrial, InvalidResult, UsageError
from orion_k8s.trial import Status

_NUMBER = re.compile(r"-(\d|\.\d|inf)", re.IGNORECASE)
"""How a negative number begins, which is no option."""

HELP = """
Parameters are written as on hunt's command line, with values for priors: --lr 0.1, --lr=0.1, -x=1,
lr=0.1; a shape takes several values, --width 3 4. One whose name is an option's too follows a --.
"""


class InsertCommand(TyperCommand):
    """Takes options that it does not know for parameters, wherever they stand."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put what is not an option of ours behind a `--`."""
        takes_value = {
            flag: not (getattr(option, "is_flag", False) or getattr(option, "count", False))
            for option in self.get_params(ctx)
            for flag in (*option.opts, *option.secondary_opts)
        }
        ours: list[str] = []
        theirs: list[str] = []
        words = iter(args)
        for word in words:
            flag = word.partition("=")[0] if word.startswith("--") else word
            if word == "--":
                theirs += words
            elif not word.startswith("-") or flag not in takes_value:
                theirs.append(word)
            else:
                ours.append(word)
                if takes_value[flag] and "=" not in word:
                    value = next(words, None)
                    if value is None:  # it is missing, which is said of what is there alone
                        theirs = []
                        break
                    ours.append(value)
        return list(super().parse_args(ctx, [*ours, "--", *theirs] if theirs else ours))


@command(*EXPERIMENT, *STORAGE, epilog=HELP)
def insert(
    given: Given,
    params: list[str] = typer.Argument(None, metavar="--NAME VALUE", help="the parameters"),
    results: str = typer.Option(
        None,
        "--results",
        "--objective",
        metavar="NUMBER|JSON",
        help="insert it completed: its objective, or a JSON list of results",
    ),
    json: bool = typer.Option(False, "--json", help="print the inserted trial as JSON"),
) -> None:
    """Insert a trial of your own choice: a worker runs it next, or it is completed already."""
    from orion_k8s.client import get_experiment
    from orion_k8s.client.opening import fetch

    name, outcome = given.name(given.configuration()), results_of(results)
    with existing_history(given) as storage:
        record = fetch(storage, name, version_of(given))
        with get_experiment(name, record.version, mode="w", storage=storage) as experiment:
            space = experiment.space
            try:
                trial = experiment.insert(params_of_words(params or [], space), outcome)
            except DuplicateTrial:
                raise DuplicateTrial(
                    f"{titled(record)} has a trial with these parameters already: change one."
                ) from None
            except InvalidResult as error:
                raise UsageError(str(error)) from None
        if json:
            show_json(plain_trial(space, trial.record))
            return
        what = "completed" if trial.status is Status.COMPLETED else "a worker will run it next"
        typer.echo(
            f"{titled(record)}: inserted trial {trial.number} ({trial.id}), {what}: "
            f"{params_text(trial.params)}"
        )
        (standing,) = standings(storage, [record])
        wanted, there = record.max_trials, standing.count(Status.COMPLETED)
        if wanted is not None and there >= wanted and not given.quiet:
            more = (
                f"which makes {there}"
                if trial.status is Status.COMPLETED
                else f"and has {there}: no worker runs it until `orion-k8s db set` raises that"
            )
            typer.echo(f"The experiment asks for {wanted} completed trials, {more}.", err=True)


insert.settings["cls"] = InsertCommand  # type: ignore[attr-defined]


def results_of(text: str | None) -> Any:
    """Return results that were typed: a number, or JSON.

    Raises:
        UsageError: they are neither.
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return jsons.loads(text)
    except ValueError:
        raise UsageError(
            f"The results {text!r} are neither a number nor JSON like "
            '[{"name": "loss", "type": "objective", "value": 0.1}].'
        ) from None


def params_of_words(words: Sequence[str], space: Any) -> dict[str, Any]:
    """Return name → value of parameters as they were typed.

    Args:
        words: `--lr 0.1`, `--lr=0.1`, `-x=1`, `lr=0.1`; several values follow a name with a shape.
        space: says which values are texts.

    Raises:
        UsageError: a value has no name, or a name no value.
        InvalidParams: a name is given twice.
    """
    texts: dict[str, list[str]] = {}
    current: list[str] | None = None
    for word in words:
        option = word.startswith("-") and not _NUMBER.match(word)
        if not option and (current is not None and (not current or "=" not in word)):
            current.append(word)
            continue
        name, joined, value = word.partition("=")
        if not option and not joined:
            raise UsageError(f"The value {word!r} has no name before it: write --NAME {word}.")
        name = name.lstrip("-")
        if name in texts:
            raise UsageError(f"The parameter {name} is given twice: keep one.")
        current = texts[name] = [value] if joined else []
        if joined and not _takes_several(space, name):
            current = None
    for name, values in texts.items():
        if not values:
            raise UsageError(f"The parameter {name} has no value: write --{name} VALUE.")
    return {name: _value(space, name, values) for name, values in texts.items()}


def _takes_several(space: Any, name: str) -> bool:
    return name in space and bool(space[name].shape)


def _value(space: Any, name: str, texts: Sequence[str]) -> Any:
    if name not in space:
        return texts[0]  # the space says what names there are
    dimension = space[name]
    if not dimension.shape and len(texts) > 1:
        raise UsageError(
            f"The parameter {name} takes one value, not {len(texts)}: {plain(' '.join(texts))}."
        )
    categories = set(filter(lambda c: isinstance(c, str), getattr(dimension, "categories", ())))
    values = [text if text in categories else _literal(text) for text in texts]
    if not dimension.shape:
        return values[0]
    if len(values) == 1 and isinstance(texts[0], str) and not isinstance(values[0], (list, tuple)):
        # `--x='0.1 0.2'`, as the words of a shape behind `=` are joined.
        values = [word if word in categories else _literal(word) for word in texts[0].split()]
    elif len(values) == 1:
        return values[0]
    return _shaped(values, dimension.shape)


def _shaped(values: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Return values as nested lists, row by row; unchanged where they don't fill the shape."""
    found: list[Any] = list(values)
    for length in reversed(shape[1:]):
        if not length or len(found) % length:
            return list(values)
        found = [found[i : i + length] for i in range(0, len(found), length)]
    return found


def _literal(text: str) -> Any:
    """Return what a text means as a number, a truth value, a list, …; else the text."""
    for read in (jsons.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    try:
        return float(text)
    except ValueError:
        return text
