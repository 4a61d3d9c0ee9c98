"""Writes the table of all options into docs/configuration.md: run it after a change of them.

python tests/functional/docs/options_table.py
"""

from __future__ import annotations

import json
import math
import re

from docpages import ROOT

from orion_k8s.config import OPTIONS, Option

PAGE = ROOT / "docs" / "configuration.md"
_PLACE = re.compile(r"(<!-- begin: options\..*?-->\n).*?(<!-- end: options -->)", re.DOTALL)


def options_table() -> str:
    """Return the table in Markdown, from the one table of options."""
    lines = [
        "| key | default | environment | command line | meaning |",
        "|---|---|---|---|---|",
    ]
    for key, option in OPTIONS.items():
        cells = [
            f"`{key}`",
            _default(option),
            " ".join(f"`{name}`" for name in option.env),
            " ".join(f"`{flag}`" for flag in option.flags),
            option.help.replace("|", r"\|"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def filled(text: str) -> str:
    """Return the page's text with the table in its place."""
    new, count = _PLACE.subn(lambda found: found[1] + options_table() + found[2], text)
    assert count == 1, "docs/configuration.md has lost the marks of its table"
    return new


def _default(option: Option) -> str:
    value = option.default
    if value is None or value == "":
        return ""
    if value == math.inf:
        return "endless"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
