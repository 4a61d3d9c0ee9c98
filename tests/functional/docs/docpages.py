"""The pages of the documentation: their blocks of code, headings, links and tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(r"^( *)(`{3,})(\w*)\s*$")
_NOT_RUN = re.compile(r"^ *<!-- not run: (.+) -->\s*$")
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        language: the word behind its fence.
        line: number of its first line, counted from 1.
        text: without the fences and their indentation.
        not_run: why it can't be run by a test, from the comment above it; "" where it can.
    """

    language: str
    line: int
    text: str
    not_run: str


class Page:
    """A page of Markdown, read line by line: the little of Markdown that our pages use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blocks: list[Block] = []
        self.prose: list[str] = []
        lines = path.read_text(encoding="utf-8").splitlines()
        before = ""
        number = 0
        while number < len(lines):
            fence = _FENCE.match(lines[number])
            if fence is None:
                self.prose.append(lines[number])
                before = lines[number] or before
                number += 1
                continue
            indent, ticks, language = fence.groups()
            end = number + 1
            while lines[end].strip() != ticks:
                end += 1
            inside = [line.removeprefix(indent) for line in lines[number + 1 : end]]
            reason = _NOT_RUN.match(before)
            text = "\n".join(inside) + "\n"
            self.blocks.append(Block(language, number + 2, text, reason[1] if reason else ""))
            number, before = end + 1, ""

    def of(self, language: str) -> list[Block]:
        """Return the blocks of one language."""
        return [block for block in self.blocks if block.language == language]

    @property
    def anchors(self) -> set[str]:
        """What links to this page may name behind a #, made as GitHub makes it of headings."""
        anchors: set[str] = set()
        for line in self.prose:
            if heading := _HEADING.match(line):
                words = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
                same = sum(a == words or a.rpartition("-")[0] == words for a in anchors)
                anchors.add(f"{words}-{same}" if same else words)
        return anchors

    @property
    def links(self) -> list[str]:
        """The targets of all links."""
        return [target for line in self.prose for target in _LINK.findall(_SPAN.sub("", line))]

    @property
    def spans(self) -> list[str]:
        """What stands between single backticks."""
        return [span for line in self.prose for span in _SPAN.findall(line)]

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of the first table below a heading, without its own head."""
        lines = iter(self.prose)
        for line in lines:
            found = _HEADING.match(line)
            if found and found[1] == heading:
                break
        else:
            raise LookupError(f"{self.path.name} has no heading {heading!r}")
        table: list[str] = []
        for line in lines:
            if line.startswith("|"):
                table.append(line)
            elif table or _HEADING.match(line):
                break
        assert len(table) > 2, f"{self.path.name} has no table below {heading!r}"
        return [_cells(line) for line in table[2:]]


def page(name: str) -> Page:
    """Return a page by its path from the root."""
    return Page(ROOT / name)


def code(cell: str) -> str:
    """Return what the first pair of backticks in a cell holds."""
    found = re.search(r"(`+) ?(.+?) ?\1(?!`)", cell)
    assert found is not None, f"no code in {cell!r}"
    return found[2]


def _cells(line: str) -> list[str]:
    inside = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", inside)]
