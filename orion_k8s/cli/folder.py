"""The folder of an experiment's trials: where it is by default, and whether it can be used."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from orion_k8s.config.paths import default_database
from orion_k8s.errors import ConfigurationError, UsageError
from orion_k8s.trial import ExperimentRecord


def default_folder(record: ExperimentRecord) -> str:
    """Return the folder of an experiment for which nobody named one.

    It is beside the default database, named so that a person finds it again:
    `~/.local/share/orion.core/trials/NAME-vVERSION-ID`. Without a home directory it is below the
    system's temporary folder.
    """
    try:
        base = default_database(os.environ).parent
    except ConfigurationError:
        base = Path(tempfile.gettempdir()) / f"orion-k8s-{os.getuid()}"
    # Of the name only what is harmless in a path and in a shell; the id tells such names apart.
    word = re.sub(r"[^\w.-]+", "-", record.name, flags=re.ASCII)[:40].strip("-.")
    parts = [word, f"v{record.version}", record.id[:8]]
    return str(base / "trials" / "-".join(part for part in parts if part))


def make_folder(folder: str) -> str:
    """Make a folder if it is missing, and return its absolute path.

    Raises:
        UsageError: it can't be made, or nothing can be written in it.
    """
    path = os.path.abspath(folder)
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):  # permissions alone don't tell of a read-only disk
            pass
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"The folder {path} for the trials cannot be used ({why}): name another one with"
            " --working-dir."
        ) from error
    return path
