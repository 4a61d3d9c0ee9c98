"""Plug-ins by name: ours, and those that other packages register under an entry point."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from orion_k8s.errors import ConfigurationError

T = TypeVar("T")


@dataclass(frozen=True)
class Family(Generic[T]):
    """Plug-ins of one kind.

    Attributes:
        noun: what one of them is called, for errors.
        unknown: what is said before a name that none has.
        group: of the entry points.
        base: what each is a subclass of.
        ours: name → `package.module:Class`, found without a search through the installed
            packages, which takes longer than all the rest.
        words: other words that may stand for a name, to be suggested, too.
    """

    noun: str
    unknown: str
    group: str
    base: type[T]
    ours: Mapping[str, str]
    words: Collection[str] = ()

    def names(self) -> list[str]:
        """Return the names of all that are installed."""
        return sorted({*self.ours, *(point.name for point in entry_points(group=self.group))})

    def find(self, name: str) -> type[T]:
        """Return the class of that name.

        Raises:
            ConfigurationError: there is none; the nearest name is suggested.
        """
        if name in self.ours:
            module, _, attribute = self.ours[name].partition(":")
            found = getattr(import_module(module), attribute)
        else:
            points = [p for p in entry_points(group=self.group) if p.name.lower() == name]
            if not points:
                names = self.names()
                near = difflib.get_close_matches(name, [*names, *self.words], n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names)}."
                raise ConfigurationError(f"{self.unknown} '{name}': {hint}")
            try:
                found = points[0].load()
            except (ImportError, AttributeError) as error:
                raise ConfigurationError(
                    f"The {self.noun} '{name}' is registered as {points[0].value} and can't be "
                    f"loaded: {error}."
                ) from error
        if not (isinstance(found, type) and issubclass(found, self.base)):
            raise ConfigurationError(
                f"The {self.noun} '{name}' is not a subclass of {self.base.__name__}."
            )
        return found

    def check(
        self,
        name: str,
        given: Collection[str],
        known: Mapping[str, inspect.Parameter],
        also: Sequence[str] = (),
    ) -> None:
        """Refuse parameters that one of them does not take, or lacks.

        Args:
            name: of the plug-in.
            given: names of the parameters.
            known: what its class takes, as `parameters_of` tells it.
            also: what it takes in another way, for the list of what it takes.

        Raises:
            ConfigurationError: see above; the nearest name is suggested.
        """
        words = [word for word, p in known.items() if p.kind is not p.VAR_KEYWORD]
        takes_any = len(words) < len(known)
        for key in given:
            if key not in words and not takes_any:
                near = difflib.get_close_matches(str(key), words, n=1)
                all_words = ", ".join([*words, *also])
                hint = f"did you mean '{near[0]}'?" if near else f"it takes: {all_words}."
                raise ConfigurationError(
                    f"The {self.noun} '{name}' has no parameter '{key}': {hint}"
                )
        missing = [word for word in words if known[word].default is inspect.Parameter.empty]
        missing = [word for word in missing if word not in given]
        if missing:
            raise ConfigurationError(
                f"The {self.noun} '{name}' needs {' and '.join(missing)} too: add them."
            )


def parameters_of(plugin: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters that are given by name, and the one that takes any, by their names."""
    found = inspect.signature(plugin).parameters
    kinds = (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.VAR_KEYWORD,
    )
    return {name: p for name, p in found.items() if p.kind in kinds}
