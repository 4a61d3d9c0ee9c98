"""The layers put together: what holds, and who said so."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from orion_k8s.config.address import HOST, KIND, NAME, PORT, TYPE, URL, settle_address
from orion_k8s.config.layers import from_command_line, from_data, from_environment
from orion_k8s.config.options import OPTIONS
from orion_k8s.config.paths import default_database, global_config_paths
from orion_k8s.config.redact import redact
from orion_k8s.config.yaml_file import read_yaml
from orion_k8s.errors import ConfigurationError


class Level(IntEnum):
    """Who may say what holds, the weakest first."""

    DEFAULT = 0
    GLOBAL = 1
    ENVIRONMENT = 2
    STORED = 3
    LOCAL = 4
    COMMAND_LINE = 5

    def __str__(self) -> str:
        return _LEVEL_NAMES[self]


_LEVEL_NAMES = {
    Level.DEFAULT: "default",
    Level.GLOBAL: "global file",
    Level.ENVIRONMENT: "environment",
    Level.STORED: "stored experiment",
    Level.LOCAL: "local",
    Level.COMMAND_LINE: "command line",
}


class Source(NamedTuple):
    """Who said what holds.

    Attributes:
        level: of the layers.
        where: the file, the variable or the flag; "" for a default.
    """

    level: Level
    where: str


@dataclass(frozen=True)
class Setting:
    """A value, who said it, and how strong that word is (a later global file is stronger)."""

    value: Any
    source: Source
    rank: int


class Row(NamedTuple):
    """One line of `info --config`, all texts, without passwords."""

    key: str
    value: str
    level: str
    where: str


class Configuration:
    """What holds, and who said so. Made by `resolve`; never changes.

    Args:
        settings: every option's setting by its key.
    """

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self._settings = dict(settings)

    def value(self, key: str) -> Any:
        """Return what holds for a key such as "worker.heartbeat".

        Raises:
            KeyError: there is no such option (a mistake in the program, not a person's).
        """
        return self._settings[key].value

    def source(self, key: str) -> Source:
        """Return who said what holds for a key."""
        return self._settings[key].source

    def given(self, key: str) -> bool:
        """Whether anybody said something, so that it isn't the default."""
        return self._settings[key].source.level is not Level.DEFAULT

    def section(self, name: str) -> dict[str, Any]:
        """Return name → value of a section; names of "storage" may have a dot in them."""
        return {
            key.partition(".")[2]: setting.value
            for key, setting in self._settings.items()
            if key.startswith(f"{name}.")
        }

    def storage(self) -> dict[str, Any]:
        """Return url, type, host, name and port, as `orion_k8s.storage.open_storage` takes them.

        Raises:
            ConfigurationError: nobody said where the history is, and there is no home directory.
        """
        kind = self.value(TYPE) or self.value(KIND)
        url, host = self.value(URL), self.value(HOST)
        if url is None and host is None and kind is None:
            raise ConfigurationError(
                "There is no home directory for the default database: say where the history is"
                " by --storage or ORION_DB_ADDRESS."
            )
        by_default = not self.given(URL) and url is not None
        return {
            "url": url,
            "type": kind,
            "host": host,
            # A name and a port belong to a server, not to the default file.
            "name": None if by_default else self.value(NAME),
            "port": None if by_default else self.value(PORT),
        }

    def explain(self) -> list[Row]:
        """Return a row for each option: key, value, level, where. No password is in it."""
        return [
            Row(key, _shown(key, setting.value), str(setting.source.level), setting.source.where)
            for key, setting in self._settings.items()
        ]

    def __repr__(self) -> str:
        said = ", ".join(f"{row.key}={row.value}" for row in self.explain() if row.where)
        return f"Configuration({said})"


def resolve(
    stored: Mapping[str, Any] | None = None,
    local: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    cli: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    global_paths: Iterable[str | os.PathLike[str]] | None = None,
) -> Configuration:
    """Put all layers together, the weakest first.

    They are: defaults, global files, environment, the experiment's stored configuration, a local
    file or Python's arguments, command line. Mappings hold sections (`{"worker": {"heartbeat":
    5}}`) or whole keys (`{"worker.heartbeat": 5}`).

    Args:
        stored: of the experiment; None is a value there ("no limit").
        local: the file of `-c`, or Python's arguments (None there: not given).
        cli: what was typed (None: not given); texts are read.
        env: environment variables; those of this process if None.
        global_paths: global files, the weakest first; the usual places if None. Those that don't
            exist are passed over.

    Raises:
        ConfigurationError: something in a layer is wrong; one sentence says what and where.
    """
    env = os.environ if env is None else env
    layers: list[tuple[Level, Mapping[str, tuple[Any, str]]]] = []
    for path in map(Path, global_config_paths(env) if global_paths is None else global_paths):
        if path.is_file():
            layers.append((Level.GLOBAL, from_data(read_yaml(path), str(path), none_counts=True)))
    layers.append((Level.ENVIRONMENT, from_environment(env)))
    if stored is not None:
        layers.append((Level.STORED, from_data(stored, "the stored experiment", none_counts=True)))
    if isinstance(local, Mapping):
        layers.append((Level.LOCAL, from_data(local, "Python", none_counts=False)))
    elif local is not None:
        path = Path(local).expanduser()
        layers.append((Level.LOCAL, from_data(read_yaml(path), str(path), none_counts=True)))
    if cli is not None:
        layers.append((Level.COMMAND_LINE, from_command_line(cli)))

    given: dict[str, Setting] = {}
    for rank, (level, layer) in enumerate(layers, start=1):
        for key, (value, where) in layer.items():
            given[key] = Setting(value, Source(level, where), rank)
    settle_address(given)
    default = Source(Level.DEFAULT, "")
    settings = {
        key: given.get(key) or Setting(deepcopy(option.default), default, 0)
        for key, option in OPTIONS.items()
    }
    if settings[URL].value is None and not any(settings[key].value for key in (HOST, TYPE, KIND)):
        settings[URL] = Setting(_default_url(env), default, 0)
    return Configuration(settings)


def _default_url(env: Mapping[str, str]) -> str | None:
    try:
        return str(default_database(env))
    except ConfigurationError:  # said when somebody wants to open it
        return None


def _shown(key: str, value: Any) -> str:
    value = redact(value)
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
