"""The environment of our image, which brings its Python along: its copy into a pod's volume."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from orion_k8s.errors import UsageError


def copy_environment(target: Path) -> None:
    """Copy the environment that runs this, in place of what the folder holds.

    It runs at its own place alone, /opt/orion-k8s in our image: there the volume has to be
    mounted.

    Args:
        target: a folder that exists; a first try that was cut off may have filled it.

    Raises:
        UsageError: this environment uses a Python outside it, or the folder can't be written.
    """
    source = Path(sys.prefix)
    if not Path(sys.base_prefix).is_relative_to(source):
        raise UsageError(
            f"The environment {source} uses the Python of {sys.base_prefix}, so a copy would not "
            "run elsewhere: use the image of orion-k8s, whose environment has its own."
        )
    try:
        for entry in target.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        # One by one: the volume's own folder belongs to somebody else.
        for entry in source.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.copytree(entry, target / entry.name, symlinks=True)
            else:
                shutil.copy2(entry, target, follow_symlinks=False)
    except OSError as error:  # copytree gathers all that failed
        first = error.args[0][0][2] if isinstance(error, shutil.Error) else error
        raise UsageError(f"The environment can't be copied to {target}: {first}.") from None
