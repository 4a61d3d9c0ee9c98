"""Writes the table of all values into the chart's README: run it after a change of values.yaml.

python tests/chart/readme.py

A comment that begins with "# --" describes the key below it, as for helm-docs; lines of comment
that follow go on with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "charts" / "orion-k8s"
README = CHART / "README.md"
_PLACE = re.compile(r"(<!-- begin: values\..*?-->\n).*?(<!-- end: values -->)", re.DOTALL)
_KEY = re.compile(r"^( *)([A-Za-z][\w.-]*):(.*)$")


def described() -> Iterator[tuple[str, str]]:
    """Yield path and description of every key that has one, in the file's order."""
    said: list[str] = []
    path: list[str] = []
    for line in (CHART / "values.yaml").read_text(encoding="utf-8").splitlines():
        words = line.strip()
        key = _KEY.match(line)
        if words.startswith("# --"):
            said = [words.removeprefix("# --").strip()]
        elif words.startswith("#"):
            if said:
                said.append(words.removeprefix("#").strip())
        elif key:
            path = [*path[: len(key[1]) // 2], key[2]]
            if said:
                yield ".".join(path), " ".join(said)
            said = []
        else:
            said = []


def values_table() -> str:
    """Return the table in Markdown."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for path, text in described():
        value: Any = values
        for key in path.split("."):
            value = value[key]
        default = "" if value is None or value == "" else f"`{json.dumps(value)}`"
        rows.append(f"| `{path}` | {default} | {text} |")
    return "\n".join(rows) + "\n"


def filled(text: str) -> str:
    """Return the README's text with the table in its place."""
    new, count = _PLACE.subn(lambda found: found[1] + values_table() + found[2], text)
    assert count == 1, "the chart's README has lost the marks of its table"
    return new


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
