"""`report`, as the command line knows it: its help, its options, and what is said of mistakes."""

from __future__ import annotations

import typer

from orion_k8s.cli.options import Given, command
from orion_k8s.cli.report import tell

IN_A_SHELL = 'In a shell: if [ "$(orion-k8s report "$loss" --step "$epoch")" = stop ]; then …'


@command(epilog=IN_A_SHELL, context_settings={"ignore_unknown_options": True})
def report(
    given: Given,
    value: str = typer.Argument(
        None, metavar="VALUE", help="the objective as it is now; without it, it is only asked"
    ),
    step: float = typer.Option(
        None, "--step", metavar="N", help="how far the program has come; without it, one further"
    ),
    metric: list[str] = typer.Option(
        [], "--metric", metavar="NAME=VALUE", help="another number beside it; as many as you like"
    ),
) -> int:
    """Report the objective of a running trial, and print whether it should 'stop' or 'continue'.

    For programs in a hunt; elsewhere the report is printed.
    """
    from orion_k8s.errors import UsageError

    if value is None and (step is not None or metric):
        raise UsageError(
            "A step or a metric goes with a value: `orion-k8s report VALUE --step N`."
        )
    return tell(_number(value), step, _metrics(metric))


def _number(value: str | None) -> float | None:
    from orion_k8s.errors import UsageError

    try:
        return None if value is None else float(value)
    except ValueError:
        raise UsageError(f"The value is a number, not {value!r}.") from None


def _metrics(given: list[str]) -> dict[str, float]:
    from orion_k8s.errors import UsageError

    found = {}
    for metric in given:
        name, _, text = metric.partition("=")
        try:
            found[name] = float(text)
        except ValueError:
            raise UsageError(f"--metric takes NAME=VALUE, a number, not {metric!r}.") from None
    return found
