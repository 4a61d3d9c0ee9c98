"""The Python of each page runs: its blocks in order, as one program.

A block that begins with #! is a program of its own.
"""

from __future__ import annotations

import pytest
from docpages import NAMES, Block, page
from visitors import Visitor

WITH_PYTHON = [name for name in NAMES if page(name).of("python")]


@pytest.mark.parametrize("name", WITH_PYTHON)
def test_python(name: str, visitor: Visitor) -> None:
    whole: list[Block] = []
    for block in page(name).of("python"):
        if block.not_run:
            compile(block.text, f"{name}, line {block.line}", "exec")
        elif block.text.startswith("#!"):
            run(visitor, [block])
        else:
            whole.append(block)
    run(visitor, whole)


def run(visitor: Visitor, blocks: list[Block]) -> None:
    """Run blocks as one program, in which each stands in its line of the page."""
    lines: list[str] = []
    for block in blocks:
        lines += [""] * (block.line - 1 - len(lines))
        lines += block.text.splitlines()
    script = visitor.folder / "page.py"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    visitor.run("python", "page.py")
