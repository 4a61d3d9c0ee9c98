"""From what a person configures (a URL, or Oríon's type, host and name) to a storage."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote_plus, unquote_plus

from orion_k8s.config.paths import default_database
from orion_k8s.config.redact import redact
from orion_k8s.errors import ConfigurationError
from orion_k8s.storage.base import Storage

GROUP = "orion_k8s.storage"
"""Entry points of this group are kinds of storage: a name, the URL's scheme too, and a class with
`from_url(url, name=None) -> Storage`."""

BUILT_IN = {
    # Found without reading the metadata of every installed package, which takes a while.
    "sqlite": ("orion_k8s.storage.sqlite", "SQLite"),
    "mongodb": ("orion_k8s.storage.mongo", "MongoDB"),
    "memory": ("orion_k8s.storage.memory", "Memory"),
}

ALIASES = {"mongodb+srv": "mongodb", "ephemeraldb": "memory", "sqlite3": "sqlite"}


def open_storage(
    url: str | None = None,
    *,
    type: str | None = None,
    host: str | None = None,
    name: str | None = None,
    port: int | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Storage:
    """Return the storage that a person means, not connected yet.

    Args:
        url: mongodb://…, mongodb+srv://…, sqlite:///PATH, memory://NAME, the scheme of an
            installed plug-in, or the bare path of a SQLite file. It says all; the others then only
            fill what it leaves open.
        type: "sqlite", "mongodb", "memory" or a plug-in's; Oríon's "ephemeraldb" is "memory".
        host: a host name, a URL, or for SQLite the path.
        name: of the database (MongoDB) or of the history (memory).
        port: of a host that names none.
        environ: where ORION_DB_USERNAME, ORION_DB_PASSWORD and ORION_DB_PASSWORD_FILE are looked
            up; they complete a MongoDB URL that names no user or no password.

    Raises:
        ConfigurationError: it names no storage.
    """
    if not url and host and "://" in host:
        url = host
    if not url:
        url = _url_of(type, host, name, port, environ)
    scheme = (
        url.partition(":")[0].lower() if "://" in url or url.startswith("sqlite:") else "sqlite"
    )
    kind = ALIASES.get(scheme, scheme)
    backend = _backend(kind, url)
    if kind == "mongodb":
        url = with_credentials(url, environ)
    return cast("Storage", backend.from_url(url, name=name))


def with_credentials(url: str, environ: Mapping[str, str]) -> str:
    """Return the URL, with the environment's user and password where it has none itself."""
    user, password = environ.get("ORION_DB_USERNAME", ""), environ.get("ORION_DB_PASSWORD", "")
    file = environ.get("ORION_DB_PASSWORD_FILE")
    if file:
        password = read_password(file, f"ORION_DB_PASSWORD_FILE names {file}, which")
    scheme, _, rest = url.partition("://")
    # Host names hold no @; what is quoted wrongly is left to the driver, which refuses it.
    found = re.match(r"([^/?]*)@", rest)
    given = found[1] if found else ""
    place = rest[found.end() :] if found else rest
    if given and ":" in given:
        return url
    user = unquote_plus(given) or user
    if not user:
        return url
    if not password:
        return url if given else f"{scheme}://{quote_plus(user)}@{place}"
    return f"{scheme}://{quote_plus(user)}:{quote_plus(password)}@{place}"


def read_password(path: str | Path, what: str) -> str:
    """Return what a file holds, without the end of its line.

    Args:
        path: of the file.
        what: what an error's sentence begins with.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(f"{what} cannot be read: {why}.") from error


def _url_of(
    type: str | None,
    host: str | None,
    name: str | None,
    port: int | None,
    environ: Mapping[str, str],
) -> str:
    if type is None:
        # A word alone is taken for a path, as a bare URL is.
        return host or str(default_database(environ))
    kind = ALIASES.get(type.lower(), type.lower())
    if kind == "pickleddb":
        raise ConfigurationError(
            "The storage type pickleddb does not exist here: use sqlite, which is as simple and "
            "lets many workers in, or mongodb."
        )
    if kind == "sqlite":
        return host or str(default_database(environ))
    if kind == "memory":
        return f"memory://{name or host or ''}"
    _backend(kind, kind)
    place = host or "localhost"
    if port and not re.search(r":\d+$|[,/]", place):
        place = f"{place}:{port}"
    return f"{kind}://{place}"


def _backend(kind: str, url: str) -> Any:
    if kind in BUILT_IN:
        module, attribute = BUILT_IN[kind]
        return getattr(import_module(module), attribute)
    found: dict[str, EntryPoint] = {e.name: e for e in entry_points(group=GROUP)}
    if kind in found:
        return found[kind].load()
    known = sorted({*BUILT_IN, *found, "mongodb+srv"})
    near = difflib.get_close_matches(kind, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
    raise ConfigurationError(f"There is no storage {kind!r} (in {redact(url)}): {hint}")
