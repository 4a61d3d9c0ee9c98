"""The kinds of values that options take: how each is checked, and how it is read from a text.

A value that came as data (YAML, JSON, Python) is checked strictly: the text '10' is not a number
there. One that came as a text (environment, command line) is read first.
"""

from __future__ import annotations

import json
import math
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NONE_WORDS = frozenset({"none", "null", "inf", "infinity", "unlimited"})
"""What people write for "no limit" where an option may be without one."""

TRUE_WORDS = frozenset({"true", "yes", "on", "1"})
FALSE_WORDS = frozenset({"false", "no", "off", "0"})

LARGEST = 2**63 - 1
"""No database holds a larger whole number."""

LONGEST_S = 1e9
"""30 years: longer waits overflow clocks and locks."""


class BadValue(ValueError):
    """A value of the wrong kind. Its message completes "it must be …"."""


class Kind(ABC):
    """A kind of value."""

    optional: bool = False
    """Whether None is a value of this kind, and says "none" rather than "not given"."""

    secret: bool = False
    """Whether an error must not repeat the value."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """What is expected, to complete the sentence "it must be …"."""

    @abstractmethod
    def check(self, value: Any) -> Any:
        """Return the canonical value.

        Raises:
            BadValue: it is of another kind.
        """

    def read(self, text: str) -> Any:
        """Return the value that a text stands for.

        Raises:
            BadValue: it stands for none.
        """
        return self.check(text)


@dataclass(frozen=True)
class Text(Kind):
    """A text.

    Attributes:
        empty: whether it may be empty.
        optional: whether it may be None.
        path: whether a leading `~` stands for the home directory.
        secret: whether it may hold a password.
    """

    empty: bool = False
    optional: bool = False
    path: bool = False
    secret: bool = False

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        return "a text" if self.empty else "a text that is not empty"

    def check(self, value: Any) -> str | None:
        """See `Kind.check`."""
        if value is None and self.optional:
            return None
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if not isinstance(value, str):
            # YAML turns 2024, 1.10 and `on` into something else than what was written.
            raise BadValue(f"{self.expected} (write it in quotes)")
        if not value and not self.empty:
            raise BadValue(self.expected)
        return os.path.expanduser(value) if self.path else value


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words.

    Attributes:
        words: those that there are.
        optional: whether there may be none.
    """

    words: tuple[str, ...]
    optional: bool = False

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        return " or ".join(self.words)

    def check(self, value: Any) -> str | None:
        """See `Kind.check`."""
        if value is None and self.optional:
            return None
        if value not in self.words:
            raise BadValue(self.expected)
        return str(value)


@dataclass(frozen=True)
class Integer(Kind):
    """A whole number.

    Attributes:
        low, high: bounds, both included.
        optional: whether there may be none.
        also: one more number that has a meaning, below the bounds.
        also_means: that meaning.
    """

    low: int = 0
    high: int = LARGEST
    optional: bool = False
    also: int | None = None
    also_means: str = ""

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        bounds = f"from {self.low}" + (f" to {self.high}" if self.high < LARGEST else " up")
        also = f", or {self.also} for {self.also_means}" if self.also is not None else ""
        return f"a whole number {bounds}{also}" + (", or none" if self.optional else "")

    def check(self, value: Any) -> int | None:
        """See `Kind.check`."""
        if value is None and self.optional:
            return None
        # __index__: NumPy's integers too
        whole = hasattr(type(value), "__index__") and not isinstance(value, bool)
        if isinstance(value, float):
            if self.optional and value == math.inf:
                return None
            whole = value.is_integer()
        if not whole:
            raise BadValue(self.expected)
        number = int(value)
        if self.optional and self.high == LARGEST and number >= sys.maxsize:
            return None  # Oríon stores "no limit" so
        if number != self.also and not self.low <= number <= self.high:
            raise BadValue(self.expected)
        return number

    def read(self, text: str) -> int | None:
        """See `Kind.read`."""
        if self.optional and text.strip().lower() in NONE_WORDS:
            return None
        try:
            return self.check(int(text))
        except ValueError as error:
            raise BadValue(self.expected) from error


@dataclass(frozen=True)
class Seconds(Kind):
    """A duration in seconds.

    Attributes:
        zero: whether it may be 0.
        endless: whether it may be infinite.
    """

    zero: bool = False
    endless: bool = False

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        bounds = "from 0 up" if self.zero else "above 0"
        return f"a number of seconds {bounds}" + (", or inf" if self.endless else "")

    def check(self, value: Any) -> float:
        """See `Kind.check`."""
        if isinstance(value, (bool, str)) or not hasattr(type(value), "__float__"):
            raise BadValue(self.expected)
        try:
            number = float(value)
        except OverflowError as error:
            raise BadValue(self.expected) from error
        if number == math.inf and self.endless:
            return number
        if not (number >= 0 if self.zero else number > 0) or number > LONGEST_S:  # nan is refused
            raise BadValue(self.expected)
        return number

    def read(self, text: str) -> float:
        """See `Kind.read`."""
        try:
            return self.check(float(text))
        except ValueError as error:
            raise BadValue(self.expected) from error


@dataclass(frozen=True)
class Boolean(Kind):
    """True or false; the text "false" is false."""

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        return "true or false"

    def check(self, value: Any) -> bool:
        """See `Kind.check`."""
        if not isinstance(value, bool):
            raise BadValue(self.expected)
        return value

    def read(self, text: str) -> bool:
        """See `Kind.read`."""
        word = text.strip().lower()
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS:
            return False
        raise BadValue(self.expected)


@dataclass(frozen=True)
class Table(Kind):
    """A mapping from names to values; JSON in a text.

    Attributes:
        example: what one looks like, for errors.
        secret: whether it may hold a password.
    """

    example: str = "{}"
    secret: bool = True

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        return f"a mapping such as {self.example}"

    def check(self, value: Any) -> dict[str, Any]:
        """See `Kind.check`."""
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise BadValue(self.expected)
        return dict(value)

    def read(self, text: str) -> dict[str, Any]:
        """See `Kind.read`."""
        return self.check(_read_json(text, self.expected))


@dataclass(frozen=True)
class Tables(Kind):
    """A list of mappings from names to values; JSON in a text.

    Attributes:
        example: what one looks like, for errors.
    """

    example: str = "[{}]"

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        return f"a list of mappings such as {self.example}"

    def check(self, value: Any) -> list[dict[str, Any]]:
        """See `Kind.check`."""
        if not isinstance(value, (list, tuple)):
            raise BadValue(self.expected)
        for item in value:
            if not isinstance(item, Mapping) or not all(isinstance(key, str) for key in item):
                raise BadValue(self.expected)
        return [dict(item) for item in value]

    def read(self, text: str) -> list[dict[str, Any]]:
        """See `Kind.read`."""
        return self.check(_read_json(text, self.expected))


@dataclass(frozen=True)
class Target(Kind):
    """A finite number, or a mapping from names to such; or none."""

    optional: bool = True

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        return "a finite number, a mapping such as {accuracy: 0.9}, or none"

    def check(self, value: Any) -> float | dict[str, float] | None:
        """See `Kind.check`."""
        if value is None:
            return None
        if isinstance(value, Mapping):
            if not value or not all(isinstance(name, str) for name in value):
                raise BadValue(self.expected)
            return {name: self._number(item) for name, item in value.items()}
        return self._number(value)

    def _number(self, value: Any) -> float:
        if isinstance(value, (bool, str)) or not hasattr(type(value), "__float__"):
            raise BadValue(self.expected)
        number = float(value)
        if not math.isfinite(number):
            raise BadValue(self.expected)
        return number

    def read(self, text: str) -> float | dict[str, float] | None:
        """See `Kind.read`."""
        if text.strip().lower() in NONE_WORDS:
            return None
        if text.lstrip().startswith("{"):
            return self.check(_read_json(text, self.expected))
        try:
            return self.check(float(text))
        except ValueError as error:
            raise BadValue(self.expected) from error


@dataclass(frozen=True)
class AlgorithmChoice(Kind):
    """An algorithm: a name, or one name with its parameters, as `{name: {parameter: value}}`."""

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        return "the name of an algorithm, or a mapping such as {tpe: {n_initial_points: 10}}"

    def check(self, value: Any) -> dict[str, dict[str, Any]]:
        """Return {name: parameters}, one entry."""
        if isinstance(value, str) and value:
            return {value: {}}
        if not isinstance(value, Mapping):
            raise BadValue(self.expected)
        if isinstance(value.get("of_type"), str):  # Oríon's other spelling
            value = {value["of_type"]: {k: v for k, v in value.items() if k != "of_type"}}
        if len(value) != 1:
            raise BadValue(f"a single algorithm, {self.expected}")
        [(name, parameters)] = value.items()
        parameters = {} if parameters is None else parameters
        if not isinstance(name, str) or not name or not isinstance(parameters, Mapping):
            raise BadValue(self.expected)
        return {name: dict(parameters)}

    def read(self, text: str) -> dict[str, dict[str, Any]]:
        """See `Kind.read`."""
        if text.lstrip().startswith("{"):
            return self.check(_read_json(text, self.expected))
        return self.check(text.strip())


@dataclass(frozen=True)
class StoppingChoice(Kind):
    """Rules of early stopping: a name, or names with their parameters; "none" for no rule."""

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        return "the name of a rule, none, or a mapping such as {median: {min_steps: 5}}"

    def check(self, value: Any) -> dict[str, dict[str, Any]] | None:
        """Return {name: parameters}, empty for no rule; None where nothing is said."""
        if value is None:
            return None
        if isinstance(value, str) and value.strip():
            word = value.strip()
            return {} if word.lower() == "none" else {word: {}}
        if not isinstance(value, Mapping):
            raise BadValue(self.expected)
        rules = {}
        for name, parameters in value.items():
            parameters = {} if parameters is None else parameters
            if not isinstance(name, str) or not name or not isinstance(parameters, Mapping):
                raise BadValue(self.expected)
            rules[name] = dict(parameters)
        return rules

    def read(self, text: str) -> dict[str, dict[str, Any]] | None:
        """See `Kind.read`."""
        if text.lstrip().startswith("{"):
            return self.check(_read_json(text, self.expected))
        return self.check(text)


def _read_json(text: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # Only what is wrong and where: the text itself may hold a password.
        raise BadValue(
            f"JSON, {expected}: {error.msg.lower()} at line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise BadValue(f"JSON, {expected}: it is nested too deeply") from error
