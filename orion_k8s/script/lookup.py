"""Whether this machine can start a command's program."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence

from orion_k8s.errors import UsageError


def check_program(argv: Sequence[str], cwd: str = "") -> None:
    """Raise where the program of a command cannot be started, with what to do about it.

    Args:
        argv: the command; its first word is the program.
        cwd: where it will run; "" for where this process is.

    Raises:
        UsageError: the program, or the script that an interpreter is to run, is missing or cannot
            be executed.
    """
    program = argv[0]
    there = os.path.join(cwd, program)
    found = shutil.which(there if os.sep in program else program)
    if found is None:
        if os.path.isdir(there):
            raise UsageError(f"{program!r} is a folder: name the program in it.")
        if os.path.isfile(there):
            raise UsageError(_not_started(program))
        if os.sep in program:
            raise UsageError(f"There is no program {program!r}: correct its path.")
        raise UsageError(f"There is no program {program!r} on the PATH: correct its name.")
    if _is_script(found) and not _has_shebang(found):
        raise UsageError(
            f"The script {program!r} has no #! line that names its interpreter: write "
            f"{_interpreter(program)} {program} instead."
        )
    if re.fullmatch(r"python[\d.]*", os.path.basename(program)) and len(argv) > 1:
        script = argv[1]
        if not script.startswith("-") and not os.path.exists(os.path.join(cwd, script)):
            raise UsageError(f"There is no script {script!r}: correct its path.")


def _not_started(program: str) -> str:
    if os.sep not in program:
        return f"The program {program!r} is not on the PATH: write ./{program}."
    instead = f", or write {_interpreter(program)} {program}" if _is_script(program) else ""
    return f"The program {program!r} is not executable: run chmod +x {program}{instead}."


def _is_script(path: str) -> bool:
    return path.endswith((".py", ".sh"))


def _interpreter(path: str) -> str:
    return "python" if path.endswith(".py") else "sh"


def _has_shebang(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:  # executable, but not readable: the kernel will tell
        return True
