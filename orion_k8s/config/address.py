"""Which of the options that say where the history is count together.

They can't be layered one by one: a URL on the command line must not be mixed with the host that
the environment names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orion_k8s.config.configuration import Setting

URL, KIND, TYPE, HOST, NAME, PORT = (
    "storage.url",
    "storage.type",
    "storage.database.type",
    "storage.database.host",
    "storage.database.name",
    "storage.database.port",
)


def settle_address(given: dict[str, Setting]) -> None:
    """Take those settings out that a stronger one has made void.

    - A URL counts unless a host or a type was given at a stronger level; what counts says all:
      type, host and port are dropped.
    - A host that is a URL itself says the same of weaker levels.
    - A name of a weaker level is dropped where the URL names a database.

    Args:
        given: the settings that were given at any level, by key; changed in place.
    """
    for key in (URL, KIND, TYPE, HOST, NAME, PORT):
        # A file's null takes a weaker word back.
        # Oríon writes "legacy" where it means the database below.
        if key in given and (
            given[key].value is None or (key == KIND and given[key].value.lower() == "legacy")
        ):
            del given[key]
    url, host = given.get(URL), given.get(HOST)
    if url is not None and any(
        given[key].rank > url.rank for key in (HOST, TYPE, KIND) if key in given
    ):
        del given[URL]
        url = None
    if url is not None:
        for key in (KIND, TYPE, HOST, PORT):
            given.pop(key, None)
        _drop_weaker_name(given, url)
    elif host is not None and "://" in host.value:
        for key in (KIND, TYPE, PORT):
            if key in given and given[key].rank < host.rank:
                del given[key]
        _drop_weaker_name(given, host)


def _drop_weaker_name(given: dict[str, Setting], address: Setting) -> None:
    name = given.get(NAME)
    if name is not None and name.rank < address.rank and _names_database(str(address.value)):
        del given[NAME]


def _names_database(address: str) -> bool:
    scheme = address.partition("://")[0]
    if "mongodb" not in scheme:
        return True
    from urllib.parse import urlsplit

    try:
        return bool(urlsplit(address).path.strip("/"))
    except ValueError:  # not a URL after all: the storage says so
        return True
