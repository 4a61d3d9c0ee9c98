"""Where global files and the default database are, by the XDG base directory specification."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from orion_k8s.errors import ConfigurationError

FOLDER = "orion.core"
"""The folder's name is Oríon's: whoever comes from there has files in it."""


def global_config_paths(env: Mapping[str, str]) -> list[Path]:
    """Return where a global file may be, the weakest first.

    These are $XDG_CONFIG_DIRS (/etc/xdg without it; its first entry is the strongest), then
    $XDG_CONFIG_HOME (~/.config without it).
    """
    folders = env.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    paths = [Path(folder) for folder in reversed(folders.split(os.pathsep))]
    own = _base(env, "XDG_CONFIG_HOME", ".config")
    if own is not None:
        paths.append(own)
    # The specification: a relative path is invalid and must be ignored.
    return [path / FOLDER / "orion_config.yaml" for path in paths if path.is_absolute()]


def default_database(env: Mapping[str, str]) -> Path:
    """Return the path of the default SQLite file.

    Raises:
        ConfigurationError: there is no home directory to put it in.
    """
    folder = _base(env, "XDG_DATA_HOME", ".local/share")
    if folder is None:
        raise ConfigurationError(
            "There is no home directory for the default database: say where the history is by"
            " --storage or ORION_DB_ADDRESS."
        )
    return folder / FOLDER / "orion.db"


def _base(env: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    said = env.get(variable)
    if said and Path(said).is_absolute():
        return Path(said)
    home = env.get("HOME") or os.path.expanduser("~")
    # A container may run under a user id that has no home.
    return Path(home) / below_home if Path(home).is_absolute() else None
