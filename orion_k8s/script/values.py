"""How a parameter's value is written: as words of a command, in a text file, in YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any


def words_of(value: Any) -> list[str]:
    """Return a value as words of a command line: one, or one for each item of a list (row by row).

    Args:
        value: plain data.
    """
    if isinstance(value, (list, tuple)):
        return [word for item in value for word in words_of(item)]
    return [word_of(value)]


def word_of(value: Any) -> str:
    """Return a scalar (or a mapping, as JSON) as one word of a command line."""
    if isinstance(value, float) and value < 0:
        # argparse before Python 3.13 takes -1e-05 for an option; -0.00001 it takes for a number.
        return format(Decimal(repr(value)), "f")
    if isinstance(value, Mapping):
        import json

        return json.dumps(value, ensure_ascii=False)
    return text_of(value)


def text_of(value: Any) -> str:
    """Return a value as it stands in a plain text file: a string without quotes."""
    return value if isinstance(value, str) else str(value)


def yaml_of(value: Any) -> str:
    """Return a value as YAML of one line that may stand anywhere, inside `[…]` and `{…}` too."""
    import yaml

    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{yaml_of(k)}: {yaml_of(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(yaml_of, value)) + "]"
    style = '"' if isinstance(value, str) else None
    text: str = yaml.safe_dump(value, default_style=style, allow_unicode=True, width=2**31)
    return text.removesuffix("...\n").strip()
