"""`db setup`: make the database ready, and write its address into the global file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from orion_k8s.cli.options import STORAGE, Given, command

if TYPE_CHECKING:
    from orion_k8s.config import Configuration

ADDRESS = ("url", "type", "database.type", "database.host", "database.name", "database.port")


@command(*STORAGE)
def setup(
    given: Given,
    save: bool = typer.Option(
        False, "--save", help="write the address into the global configuration file"
    ),
) -> None:
    """Make the database ready for use, and say where it is.

    With --save its address is written into the global configuration file, so that every command of
    this user finds it.
    """
    configuration = given.configuration()
    with given.storage(configuration) as storage:
        typer.echo(f"The history is in {storage.describe()}, ready for use.")
    if save:
        path, replaced = write_address(configuration)
        typer.echo(f"Its address is written in {path}.")
        if replaced is not None:
            typer.echo(f"The file that was there is kept as {replaced}.")
        if stronger := _stronger(configuration):
            typer.echo(f"It holds unless {stronger} says otherwise, as it does now.", err=True)
    elif not given.quiet:
        source = configuration.source("storage.url")
        if any(configuration.given(f"storage.{key}") for key in ADDRESS) and source.where != "":
            typer.echo("`--save` writes that into your configuration file.")


def write_address(configuration: Configuration) -> tuple[Path, Path | None]:
    """Write where the history is into the user's global file; other sections stay as they are.

    Returns:
        the file, and the copy of what it was before, if anything changed.

    Raises:
        ConfigurationError: the file can't be read or written.
    """
    import yaml

    from orion_k8s.config.paths import global_config_paths
    from orion_k8s.config.yaml_file import read_yaml
    from orion_k8s.errors import ConfigurationError

    path = global_config_paths(os.environ)[-1]
    before: dict[str, Any] = dict(read_yaml(path)) if path.is_file() else {}
    after = {key: value for key, value in before.items() if key not in ("storage", "database")}
    after = {"storage": _address(configuration), **after}
    if before == after:
        return path, None
    kept = path.with_name(f"{path.name}.bak") if path.is_file() else None
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A URL may hold a password: nobody else may read it, not even for a moment.
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            yaml.safe_dump(after, file, allow_unicode=True, sort_keys=False)
        if kept is not None:
            os.replace(path, kept)
        os.replace(new, path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None
    return path, kept


def _address(configuration: Configuration) -> dict[str, Any]:
    """Return the section `storage` of a file, of what holds now."""
    values = {key: configuration.value(f"storage.{key}") for key in ADDRESS}
    section = {k: values[k] for k in ("url", "type") if values[k] is not None}
    database = {
        key.partition(".")[2]: value
        for key, value in values.items()
        if key.startswith("database.")
        and value is not None
        and configuration.given(f"storage.{key}")
    }
    if "://" not in str(section.get("url", "://")):
        section["url"] = str(Path(section["url"]).expanduser().absolute())
    return section | ({"database": database} if database else {})


def _stronger(configuration: Configuration) -> str:
    """Return what in the environment is stronger than a global file."""
    from orion_k8s.config import OPTIONS

    names = [name for key in ADDRESS for name in OPTIONS[f"storage.{key}"].env]
    return " and ".join(name for name in names if os.environ.get(name))
