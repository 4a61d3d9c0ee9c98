"""From what a file, the environment, Python or the command line says to checked values by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orion_k8s.config.kinds import BadValue
from orion_k8s.config.options import ALIASES, OPTIONS, ORION_ONLY, SECTIONS, Option
from orion_k8s.config.redact import redact
from orion_k8s.errors import ConfigurationError

_GROUPS = frozenset(
    key[:dot] for key in OPTIONS for dot in range(len(key)) if key[dot] == "."
)  # "storage", "storage.database", "experiment", "worker"


def flatten(data: Mapping[Any, Any], where: str) -> dict[str, tuple[str, Any]]:
    """Return key → (the key as it was written, value) for a mapping of sections.

    A key may also be written whole: `{"worker.heartbeat": 5}`.

    Args:
        data: sections, or keys.
        where: for errors: the file, "the command line", …

    Raises:
        ConfigurationError: a key is unknown, is there twice, or a section isn't a mapping.
    """
    flat: dict[str, tuple[str, Any]] = {}
    _flatten(data, where, "", "", flat)
    return flat


def _flatten(
    data: Mapping[Any, Any],
    where: str,
    group: str,
    written_group: str,
    flat: dict[str, tuple[str, Any]],
) -> None:
    for name, value in data.items():
        written = f"{written_group}.{name}" if written_group else str(name)
        key = f"{group}.{name}" if group else str(name)
        key = ALIASES.get(key, key)
        if key in OPTIONS:
            if key in flat:
                raise ConfigurationError(
                    f"'{flat[key][0]}' and '{written}' in {where} are the same: keep one of them."
                )
            flat[key] = (written, value)
        elif key in _GROUPS:
            if value is None:  # a section whose lines are all commented out
                continue
            if not isinstance(value, Mapping):
                raise ConfigurationError(
                    f"'{written}' in {where} must be a mapping of options, not {_shown(value)}."
                )
            _flatten(value, where, key, written, flat)
        elif key in ORION_ONLY:
            raise ConfigurationError(
                f"'{written}' in {where} is an option of Oríon without a meaning here: remove it."
            )
        else:
            raise ConfigurationError(
                f"Unknown key '{written}' in {where}: {_advice(str(name), group)}"
            )


def check(option: Option, value: Any, subject: str, text: bool = False) -> Any:
    """Return the value of an option in its canonical form.

    Args:
        option: whose value it is.
        value: as it was given.
        subject: what an error calls it: "worker.heartbeat in FILE", "ORION_HEARTBEAT", …
        text: whether a text is to be read (environment, command line).

    Raises:
        ConfigurationError: the value is of another kind.
    """
    try:
        read = text and isinstance(value, str)
        return option.kind.read(value) if read else option.kind.check(value)
    except BadValue as error:
        said = "" if option.kind.secret else f", not {_shown(value)}"
        raise ConfigurationError(f"{subject} must be {error}{said}.") from error


def from_data(
    data: Mapping[Any, Any], where: str, none_counts: bool
) -> dict[str, tuple[Any, str]]:
    """Return key → (value, where) of what a file, a stored experiment or Python says.

    Args:
        data: sections, or keys.
        where: the file, or another name for the source.
        none_counts: whether None says "none" for options that can be without a value (a file's
            `null`), or else "not given" (a Python argument that was left out).
    """
    found = {}
    for key, (written, value) in flatten(data, where).items():
        option = OPTIONS[key]
        if value is None and not (none_counts and option.kind.optional):
            continue
        found[key] = (check(option, value, f"{written} in {where}"), where)
    return found


def from_environment(env: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Return key → (value, variable) of what the environment says; an empty one says nothing."""
    found = {}
    for key, option in OPTIONS.items():
        for variable in option.env:
            text = env.get(variable)
            if text is not None and text.strip():
                subject = f"{variable} (which sets {key})"
                found[key] = (check(option, text, subject, text=True), variable)
                break
    return found


def from_command_line(cli: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Return key → (value, flag) of what was typed. None says nothing."""
    found = {}
    for key, (_, value) in flatten(cli, "the command line").items():
        if value is None:
            continue
        option = OPTIONS[key]
        flag = next((flag for flag in option.flags if flag.startswith("--")), key)
        found[key] = (check(option, value, flag, text=True), flag)
    return found


def _advice(name: str, group: str) -> str:
    import difflib

    depth = group.count(".") + 1 if group else 0
    below = {key.split(".")[depth] for key in OPTIONS if not group or key.startswith(f"{group}.")}
    near = difflib.get_close_matches(name, sorted(below), n=1)
    if near:
        return f"did you mean '{f'{group}.' if group else ''}{near[0]}'?"
    homes = [key.rpartition(".")[0] for key in OPTIONS if key.endswith(f".{name}")]
    if homes:
        return f"it belongs in the section {' or '.join(homes)}."
    anywhere = difflib.get_close_matches(name, sorted(OPTIONS), n=1)
    if anywhere:
        return f"did you mean '{anywhere[0]}'?"
    known = sorted(below) if group else SECTIONS
    return f"known here are {', '.join(known)}."


def _shown(value: Any) -> str:
    text = repr(redact(value))
    return text if len(text) <= 60 else f"{text[:57]}..."
