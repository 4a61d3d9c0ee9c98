"""Reading a configuration file: YAML, with the mistakes found that PyYAML lets pass."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orion_k8s.errors import ConfigurationError

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1 << 20
"""Nobody writes a configuration of a megabyte: a larger file is another file."""


def read_yaml(path: Path) -> dict[Any, Any]:
    """Return the mapping that a YAML file holds; an empty one for an empty file.

    Raises:
        ConfigurationError: the file can't be read, isn't YAML, or isn't a mapping; with the line.
    """
    import yaml  # 20 ms that a run without any file does not spend

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not a text in UTF-8: save it as one.") from error
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no configuration file {path}: check the path."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The configuration file {path} cannot be read: {error.strerror}."
        ) from error
    if len(text) > MAX_BYTES:
        raise ConfigurationError(f"{path} is too large for a configuration file: is it another?")
    try:
        data = yaml.load(text, Loader=_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigurationError(f"{path}{where}: not valid YAML: {error.problem}.") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigurationError(
            f"{path}, line {line}: not valid YAML: {error.reason}."
        ) from error
    except RecursionError as error:
        raise ConfigurationError(f"{path}: not valid YAML: it is nested too deeply.") from error
    except ValueError as error:  # a date such as 2024-99-99
        raise ConfigurationError(f"{path}: not valid YAML: {error}.") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigurationError(
            f"{path} must hold a mapping with sections such as 'worker:', not {_kind_of(data)}."
        )
    return data


def _kind_of(data: Any) -> str:
    return "a list" if isinstance(data, list) else "a single value"


@cache
def _loader() -> type[yaml.SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """PyYAML's safe loader, but 1e-3 is a number and a key given twice is refused."""

        def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
            """Compose a mapping; a second section of one name would silently replace the first."""
            # Before merge keys (<<) are resolved: what they bring may be given again.
            node: yaml.MappingNode = super().compose_mapping_node(anchor)
            lines: dict[str, int] = {}
            for key_node, _ in node.value:
                if not isinstance(key_node, yaml.ScalarNode):
                    continue
                if key_node.value in lines:
                    raise yaml.composer.ComposerError(
                        problem=f"'{key_node.value}' is there already, in line"
                        f" {lines[key_node.value]}",
                        problem_mark=key_node.start_mark,
                    )
                lines[key_node.value] = key_node.start_mark.line + 1
            return node

    # YAML 1.1, which PyYAML reads, wants a dot: 1e-3 would be a text.
    # https://github.com/yaml/pyyaml/issues/173
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )
    return Loader
