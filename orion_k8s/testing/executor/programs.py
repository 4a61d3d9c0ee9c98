"""Programs of their own that use an executor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from orion_k8s.testing.executor.setting import Program


class ProgramContract(Program):
    """What only a script can show."""

    def test_functions_of_a_script_go_by_value(self, tmp_path: Path) -> None:
        """Lambdas, functions and classes of `__main__` need no import."""
        script = self.program(
            tmp_path,
            "k = 3\n"
            "future = executor.submit(lambda x: k * x, 5)\n"
            "point = executor.submit(twice, Point(4)).get()\n"
            "assert isinstance(point, Point), type(point)\n"
            "print(future.get(), point.x)",
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
        assert (done.stdout, done.stderr, done.returncode) == ("15 8\n", "", 0)
