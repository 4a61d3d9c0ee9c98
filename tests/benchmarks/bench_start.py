"""How long a person waits before anything happens."""

from __future__ import annotations

import subprocess
import sys

from tests.benchmarks.figures import median, say, timed


def _seconds(*words: str) -> float:
    return median(lambda: timed(lambda: subprocess.run(words, check=True, capture_output=True)), 9)


def test_start() -> None:
    python = _seconds(sys.executable, "-c", "pass")
    say("bare Python, s", f"{python:.3f}")
    package = _seconds(sys.executable, "-c", "import orion_k8s")
    say("import orion_k8s above it, s", f"{package - python:.3f}", "goal 0.05")
    say("orion-k8s --help, s", f"{_seconds(sys.executable, '-m', 'orion_k8s', '--help'):.3f}",
        "goal 0.2")  # fmt: skip
