"""What the tests of the suite share: the fixtures, and scripts that use an executor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from orion_k8s.executor.base import Executor
from orion_k8s.testing.executor.probes import leftovers, until

Make = Callable[[int], Executor]


class Setting(ABC):
    """The fixtures.

    Attributes:
        processes: whether calls run in other processes.
        calls: number of calls in the test of many.
    """

    processes: ClassVar[bool] = False
    calls: ClassVar[int] = 300

    @pytest.fixture
    @abstractmethod
    def make(self) -> Make:
        """Return what makes an executor of so many workers."""

    @pytest.fixture(autouse=True)
    def nothing_left(self) -> Iterator[None]:
        """No test may leave a thread, a process or a socket."""
        before = leftovers()
        yield
        until(lambda: leftovers() <= before, f"left behind: {leftovers() - before}")


class Program(Setting):
    """Tests that need a program of their own.

    Attributes:
        source: a Python expression that makes an executor of two workers; `create_executor` is
            imported there.
    """

    source: ClassVar[str]

    def program(self, folder: Path, body: str) -> Path:
        """Write a script that has an `executor`, and return its path."""
        script = folder / "script.py"
        lines = "\n".join(f"        {line}" for line in body.splitlines())
        script.write_text(
            "import os, sys, time\n"
            "from orion_k8s.executor.registry import create_executor\n"
            "from orion_k8s.testing.executor.work import note_and_sleep\n"
            "class Point:\n"
            "    def __init__(self, x):\n"
            "        self.x = x\n"
            "def twice(point):\n"
            "    return Point(2 * point.x)\n"
            "def main():\n"
            f"    with {self.source} as executor:\n{lines}\n"
            "if __name__ == '__main__':\n"
            "    main()\n"
        )
        return script
