"""A values.yaml for the chart: what it says, and what could not be put into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

FILES_PATH = "/experiment"
"""Where the chart puts files, unless its `experiment.filesPath` says otherwise."""

FILES_LIMIT = 1_000_000
"""Bytes. A ConfigMap takes 1 MiB, of which names and labels need a little."""

# Helm reads YAML as Go does: a plain 1e-5, 0x1 or `on` would be a number or a truth value there,
# though PyYAML takes them for texts.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_BREAKS = re.compile("[\r\x85\u2028\u2029]")
"""YAML reads these as line breaks too: a block would come back with others."""
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass
class ChartValues:
    """Values for `helm install`.

    Attributes:
        origin: what they were made of, for the first line.
        values: for the chart.
        lost: a sentence for each thing that they do not hold.
        hints: a sentence for each thing that a person may want to add.
    """

    origin: str
    values: dict[str, Any] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return them as YAML; what could not be carried over stands in comments above."""
        lines = [f"Made from {self.origin}."]
        if self.lost:
            lines += ["Not carried over:", *(f"  - {sentence}" for sentence in self.lost)]
        lines += self.hints
        # A name may hold anything, and a line break would end the comment.
        head = "".join(f"# {_one_line(line)}\n" for line in lines)
        body = yaml.dump(
            self.values,
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=False,
            width=95,
        )
        return f"{head}{body}"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)  # lists are indented, as in the chart


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style: str | None = '"'
    if "\n" in value and not _BREAKS.search(value):
        style = "|"
    elif _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        style = None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
