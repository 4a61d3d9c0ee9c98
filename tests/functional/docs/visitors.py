"""Somebody who does what the documentation says, in a folder with the examples."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from docpages import ROOT

DEADLINE_S = 120.0


class Visitor:
    """Does what the documentation says, as a person who has just installed orion-k8s.

    Args:
        folder: where that person stands.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "examples", folder / "examples")
        commands = folder / ".bin"
        commands.mkdir()
        for name in ("orion-k8s", "orion"):
            command = commands / name
            command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orion_k8s "$@"\n')
            command.chmod(0o755)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORION", "XDG"))}
        paths = [str(commands), str(Path(sys.executable).parent), kept["PATH"]]
        self.env = {
            **kept,
            "HOME": str(folder / ".home"),
            "XDG_CONFIG_DIRS": str(folder / ".etc"),
            "ORION_DB_ADDRESS": str(folder / "history.db"),
            "PATH": os.pathsep.join(paths),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command, which must succeed."""
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.env,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done
