"""How commands show what they found: a table on a terminal, tabs in a pipe, or JSON.

JSON and tabs are for programs: their names and order stay as they are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import typer

ON_SCREEN = 2_000
"""A terminal's table is laid out in pieces of so many lines, so that long ones begin at once."""


def plain(value: Any) -> str:
    """Return a value as text of one line: no control character of a name reaches the terminal."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table: laid out on a terminal, lines of values between tabs elsewhere."""
    if not sys.stdout.isatty():
        typer.echo("\t".join(columns))
        for row in rows:
            # Numbers keep all their digits where a program reads them.
            cells = (repr(cell) if isinstance(cell, float) else plain(cell) for cell in row)
            typer.echo("\t".join(cells))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, rows = Console(highlight=False), iter(rows)
    first = True
    while (some := list(islice(rows, ON_SCREEN))) or first:
        table = Table(box=None, show_header=first, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(Text(column), overflow="fold")
        for row in some:
            table.add_row(*(Text(plain(cell)) for cell in row))
        console.print(table)
        first = False


def show_json(value: Any) -> None:
    """Print plain data as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=True))


def show_json_lines(values: Iterable[Mapping[str, Any]]) -> None:
    """Print mappings as a JSON list, one a line, as they come: there may be very many."""
    before = "["
    for value in values:
        typer.echo(f"{before}\n{json.dumps(value)}", nl=False)
        before = ","
    typer.echo("[]" if before == "[" else "\n]")


def params_text(params: Mapping[str, Any]) -> str:
    """Return parameters as people read them: "lr=0.01, layers=3"."""
    return ", ".join(
        f"{plain(name)}={value!r}" if isinstance(value, float) else f"{plain(name)}={plain(value)}"
        for name, value in params.items()
    )


def time_text(seconds: float | None) -> str | None:
    """Return POSIX seconds as ISO 8601 in UTC, to the millisecond."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def last_line(text: str | None, width: int = 200) -> str:
    """Return the last line of a text that says something, cut to a width."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    line = plain(lines[-1]) if lines else ""
    return line if len(line) <= width else line[: width - 1] + "…"


def last_lines(text: str | None, count: int) -> list[str]:
    """Return the last lines of a text that say something."""
    return [plain(line) for line in (text or "").splitlines() if line.strip()][-count:]


def several(count: int, noun: str) -> str:
    """Return "1 trial", "2 trials"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
