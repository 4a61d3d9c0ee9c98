"""A trial that continues another one begins in a folder with all that the other left in its own.

The copy is made beside, under a name of the attempt's own, and renamed when it is whole and on the
disk. So a trial's folder is there with everything or not at all, wherever its maker was killed,
and a program never sees half of a checkpoint. A folder that is there is left as it is: what an
earlier attempt saved is newer than what the parent left.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

from orion_k8s.errors import UsageError

log = logging.getLogger(__name__)

_ATTEMPT = re.compile(r"attempt-\d+")


def inherit_folder(working_dir: str, trial: str, parent: str, attempt: int) -> None:
    """Make a trial's folder as a copy of its parent's, if it is not there yet.

    Output, results and configuration files of the parent's attempts are left out. Where the
    parent's folder is not on this machine there is nothing to copy.

    Args:
        working_dir: of the experiment.
        trial: id of the trial.
        parent: id of the trial that it continues, which has ended.
        attempt: of the trial; no two attempts have the same.

    Raises:
        UsageError: the copy can't be made.
    """
    root = Path(os.path.abspath(working_dir))
    folder, source = root / trial, root / parent
    if folder.exists():
        return
    if not source.is_dir():
        log.info("trial %s begins anew: the folder of its parent, %s, is not here", trial, source)
        return
    for left in root.glob(f".{trial}.attempt-*"):  # by attempts that were killed over it
        shutil.rmtree(left, ignore_errors=True)
    copy = root / f".{trial}.attempt-{attempt}"
    try:
        shutil.copytree(source, copy, symlinks=True, ignore=_left_out, copy_function=_copy)
        os.rename(copy, folder)
    except OSError as error:  # shutil.Error is one
        shutil.rmtree(copy, ignore_errors=True)
        if folder.exists():
            return  # by another attempt, which may have gone on from there
        raise UsageError(
            f"The checkpoints of trial {parent} cannot be copied to {folder} "
            f"({error.strerror or error}): make room, or make {source} readable."
        ) from error


def _left_out(folder: str, names: list[str]) -> list[str]:
    """Return what is no checkpoint: the attempts' own, and pipes and sockets."""
    of_attempts = [name for name in names if _ATTEMPT.fullmatch(name)]
    paths = ((name, Path(folder, name)) for name in names)
    odd = [n for n, path in paths if not (path.is_symlink() or path.is_file() or path.is_dir())]
    return [*of_attempts, *odd]


def _copy(source: str, target: str) -> None:
    shutil.copy2(source, target)
    if not os.path.islink(target):
        with open(target, "rb") as file:
            os.fsync(file.fileno())  # before the rename: a power cut must not leave an empty file
