"""The program's own configuration file: where priors stand in it, and how they are filled.

YAML and plain text are filled in place, so that comments, anchors, tags and the spelling of all
other values stay as they were written. JSON is read and written anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orion_k8s.errors import ConfigurationError, UsageError
from orion_k8s.script.values import text_of, yaml_of

MAX_BYTES = 4 << 20
"""The text is stored with the experiment, and a document of the database holds at most 16 MB."""

MARK = "orion~"

_IN_TEXT = re.compile(r"(?P<name>[\w$/.-]+)~(?P<prior>\+?[^\W\d]\w*[ \t]*\(|>[^\W\d]\w*|-(?!\S))")
_KEY_BEFORE = re.compile(r"""(?P<key>[\w$/.-]+)["']?\s*[=:]\s*["']?$""")


@dataclass(frozen=True)
class Slot:
    """A place in the file that a parameter's value goes to.

    Attributes:
        prior: text of the prior, without its mark.
        start, end: the characters that the value replaces.
        path: keys and indices that lead there, in JSON.
        tail: what follows the value (the line break that a block scalar of YAML swallows).
    """

    name: str
    prior: str
    start: int = 0
    end: int = 0
    path: tuple[str | int, ...] = ()
    tail: str = ""


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file with priors.

    Attributes:
        path: as it was given.
        text: the whole file as it was written.
        slots: in the order of the file.
    """

    path: str
    text: str
    slots: tuple[Slot, ...]

    @classmethod
    def read(cls, path: str) -> ConfigFile:
        """Read the file and find its priors.

        Raises:
            ConfigurationError: it is missing, too large, no text, or not valid YAML or JSON.
        """
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ConfigurationError(
                f"The program's configuration file {path!r} cannot be read "
                f"({error.strerror}): correct its path, or name another argument with "
                "worker.user_script_config."
            ) from None
        if len(data) > MAX_BYTES:
            raise ConfigurationError(
                f"The program's configuration file {path!r} is larger than {MAX_BYTES >> 20} MB: "
                "move its data to another file."
            )
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ConfigurationError(
                f"The program's configuration file {path!r} is not UTF-8 text: save it as UTF-8, "
                "or name another argument with worker.user_script_config."
            ) from None
        return cls.parse(path, text)

    @classmethod
    def parse(cls, path: str, text: str) -> ConfigFile:
        """Find the priors in a text whose kind is told by the path's extension.

        Raises:
            ConfigurationError: it is not valid YAML or JSON.
        """
        find = {"yaml": _find_yaml, "json": _find_json, "text": _find_text}[_kind(path)]
        try:
            return cls(path, text, tuple(find(path, text)))
        except RecursionError:
            raise ConfigurationError(
                f"The program's configuration file {path!r} is nested too deeply."
            ) from None

    @property
    def extension(self) -> str:
        """Return the extension with its dot, or an empty text."""
        return os.path.splitext(self.path)[1]

    def fill(self, params: Mapping[str, Any]) -> str:
        """Return the text with the values of `params` in place of the priors.

        What `params` lacks is null in YAML, nothing in other text, and is left out of JSON.
        """
        if _kind(self.path) == "json":
            return self._fill_json(params)
        write = yaml_of if _kind(self.path) == "yaml" else text_of
        pieces, position = [], 0
        for slot in self.slots:
            missing = "null" if write is yaml_of else ""
            value = write(params[slot.name]) if slot.name in params else missing
            pieces += [self.text[position : slot.start], value, slot.tail]
            position = slot.end
        return "".join([*pieces, self.text[position:]])

    def _fill_json(self, params: Mapping[str, Any]) -> str:
        import json

        root = [json.loads(self.text)]
        for slot in self.slots:
            here: Any = root
            for key in (0, *slot.path)[:-1]:
                here = here[key]
            last = (0, *slot.path)[-1]
            if slot.name in params:
                here[last] = params[slot.name]
            elif isinstance(here, dict):
                del here[last]
            else:  # the items behind it must keep their places
                here[last] = None
        return json.dumps(root[0], indent=2, ensure_ascii=False) + "\n"


def _kind(path: str) -> str:
    extension = os.path.splitext(path)[1].lower()
    return {".yml": "yaml", ".yaml": "yaml", ".json": "json"}.get(extension, "text")


def _joined(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path))


# --- YAML ----------------------------------------------------------------------------------------


def _find_yaml(path: str, text: str) -> Iterator[Slot]:
    import yaml

    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        # A node's own start includes its anchor and tag, which must stay: a token's does not.
        tokens = {
            token.end_mark.index: token
            for token in yaml.scan(text, Loader=yaml.SafeLoader)
            if isinstance(token, yaml.ScalarToken)
        }
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(
            f"The program's configuration file {path!r} is not valid YAML{where}: "
            f"{error.problem or error.context} (put quotes around priors)."
        ) from None
    except yaml.YAMLError as error:
        raise ConfigurationError(
            f"The program's configuration file {path!r} is not valid YAML: "
            f"{' '.join(str(error).split())}."
        ) from None

    seen: set[int] = set()

    def walk(node: Any, at: tuple[str | int, ...]) -> Iterator[Slot]:
        if node is None or id(node) in seen:  # an alias names what its anchor has named
            return
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield from walk(value, (*at, str(getattr(key, "value", "?"))))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                yield from walk(item, (*at, index))
        elif node.value.strip().startswith(MARK):
            token = tokens[node.end_mark.index]
            prior = node.value.strip().removeprefix(MARK)
            if node.style is None and prior.count("(") > prior.count(")"):
                line = node.start_mark.line + 1
                raise ConfigurationError(
                    f"The prior of {_joined(at)} in {path!r}, line {line}, is cut at a comma: "
                    "put quotes around it."
                )
            tail = "\n" if node.style in ("|", ">") else ""
            start, end = token.start_mark.index, token.end_mark.index
            yield Slot(_joined(at) or "value", prior, start, end, tail=tail)

    for number, document in enumerate(documents):
        yield from walk(document, (number,) if len(documents) > 1 else ())


# --- JSON ----------------------------------------------------------------------------------------


def _find_json(path: str, text: str) -> Iterator[Slot]:
    import json

    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"The program's configuration file {path!r} is not valid JSON, line {error.lineno}: "
            f"{error.msg}."
        ) from None
    except ValueError as error:
        raise ConfigurationError(
            f"The program's configuration file {path!r} is not valid JSON: {error}."
        ) from None

    def walk(value: Any, at: tuple[str | int, ...]) -> Iterator[Slot]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from walk(item, (*at, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from walk(item, (*at, index))
        elif isinstance(value, str) and value.strip().startswith(MARK):
            yield Slot(_joined(at) or "value", value.strip().removeprefix(MARK), path=at)

    yield from walk(data, ())


# --- any other text ------------------------------------------------------------------------------


def _find_text(path: str, text: str) -> Iterator[Slot]:
    position = 0
    while match := _IN_TEXT.search(text, position):
        line = text.count("\n", 0, match.start()) + 1
        start, name = match.start(), match["name"]
        if name == "orion":  # `lr = orion~uniform(0, 1)`: the key on its left is the name
            before = text[text.rfind("\n", 0, start) + 1 : start]
            key = _KEY_BEFORE.search(before)
            if key is None:
                raise UsageError(
                    f"The prior in {path!r}, line {line}, has no name: write NAME~PRIOR, for "
                    "example lr~loguniform(1e-5, 1)."
                )
            name = key["key"]
        opened = match.end() - 1
        end = _closing(text, opened) if text[opened] == "(" else match.end()
        if end is None:
            raise UsageError(
                f"The prior of {name} in {path!r}, line {line}, is not closed: its parenthesis "
                "must end on the same line."
            )
        name = name.strip("/").replace("/", ".")
        yield Slot(name, text[match.start("prior") : end], start, end)
        position = end


def _closing(text: str, opened: int) -> int | None:
    """Return the position after the parenthesis that closes the one at `opened`, on its line."""
    depth, quote, escaped = 0, "", False
    for position in range(opened, len(text)):
        char = text[position]
        if char in "\r\n":
            return None
        if quote:
            if not escaped and char == quote:
                quote = ""
            escaped = char == "\\" and not escaped
        elif char in "'\"":
            quote = char
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return position + 1
    return None
