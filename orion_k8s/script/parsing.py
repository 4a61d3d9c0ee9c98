"""A person's command: where priors stand in it, and the words of a trial's own command.

Spellings of a prior, and what the program is given:

    -x~'uniform(-5, 5)'              -x 0.5
    --lr~'loguniform(1e-5, 1)'       --lr 0.1
    --lr 'orion~loguniform(1e-5, 1)' --lr 0.1
    --lr='orion~loguniform(1e-5, 1)' --lr=0.1
    lr=orion~'loguniform(1e-5, 1)'   lr=0.1
    x~'uniform(0, 1)'                0.5
    'orion~uniform(0, 1)'            0.5       (before all options; its name is _pos_INDEX)

A value with a shape becomes one word an item (`--lr 0.1 0.2`); behind `=` they share one word. No
shell is involved: a value may hold spaces, quotes and dollar signs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orion_k8s.errors import ConfigurationError, InvalidParams, UsageError
from orion_k8s.script.config_file import MARK, ConfigFile
from orion_k8s.script.lookup import check_program
from orion_k8s.script.values import words_of

_CALL = r"\+?[^\W\d]\w*\s*\("
"""How a prior begins; what does not begin so is no prior where other text may stand as well."""

_OPTION = re.compile(r"(?P<flag>--?[^\s~=-][^~=]*)~(?P<prior>[^/].*)", re.DOTALL)
_JOINED = re.compile(rf"(?P<flag>[^~=]+=)(?:orion~|~(?={_CALL}))(?P<prior>.*)", re.DOTALL)
_POSITION = re.compile(rf"(?P<name>[^~=\"'(){{}}\[\]<>\n]+)~(?P<prior>{_CALL}.*)", re.DOTALL)
_CONDITION = re.compile(r"\bwhen\s*=")
_LEFT_OVER = re.compile(rf"orion~{_CALL}")

TEMPLATES = (
    "trial.id",
    "trial.working_dir",
    "trial.hash_params",
    "exp.name",
    "exp.version",
    "exp.working_dir",
)
"""What may stand in braces in a command. Other braces are the program's own."""

_TEMPLATE = re.compile(r"\{(" + "|".join(map(re.escape, TEMPLATES)) + r")\}")


@dataclass(frozen=True)
class Part:
    """A piece of the command: a plain word, or a place that a value goes to.

    Attributes:
        text: the word, or what stands before the value ("-x", "--lr=", or nothing).
        name: of the parameter; None in a plain word and for the configuration file.
        prior: its text.
        is_config: the value is the path of the filled configuration file.
    """

    text: str
    name: str | None = None
    prior: str = ""
    is_config: bool = False

    def words(self, values: Sequence[str]) -> list[str]:
        """Return the words of a trial's command that this part becomes."""
        if self.name is None and not self.is_config:
            return [self.text]
        if self.text.endswith("="):
            return [self.text + " ".join(values)]
        return [self.text, *values] if self.text else [*values]


@dataclass(frozen=True)
class Command:
    """A command with priors.

    Attributes:
        argv: as it was typed.
        user_script_config: name of the argument that holds the program's configuration file.
        config: that file, if the command names one.
        parts: the command in pieces.
        priors: name → text of its prior, in the order of the command (those of the file where it
            is named).
    """

    argv: tuple[str, ...]
    user_script_config: str
    config: ConfigFile | None
    parts: tuple[Part, ...]
    priors: Mapping[str, str]

    @classmethod
    def parse(
        cls, argv: Sequence[str], user_script_config: str = "config", here: bool = True
    ) -> Command:
        """Find the priors in a command and in the configuration file that it names.

        Args:
            argv: as it was typed.
            user_script_config: name of the argument that holds the configuration file.
            here: whether the program runs on this machine; else it is not looked for.

        Raises:
            UsageError: there is no prior, two have one name, or the program cannot be started.
            ConfigurationError: the configuration file is missing or not valid.
        """
        if not argv:
            raise UsageError(
                "There is no command to run: write your program after the options, for example "
                "./train.py --lr~'loguniform(1e-5, 1)'."
            )
        for word in argv:
            try:
                word.encode()
            except UnicodeEncodeError:
                raise UsageError(f"The word {word!r} of the command is not UTF-8 text.") from None
        if here:
            check_program(argv)
        return cls._build(argv, user_script_config, None)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Command:
        """Return the command that `to_metadata` described, without its files at hand.

        Raises:
            ConfigurationError: the data do not describe a command.
        """
        try:
            argv = [str(word) for word in metadata["argv"]]
            name = str(metadata["user_script_config"])
            path, text = metadata["config_path"], metadata["config_text"]
        except (KeyError, TypeError):
            raise ConfigurationError(
                "The stored experiment holds no command: write the program's command again."
            ) from None
        config = None if path is None else ConfigFile.parse(str(path), str(text))
        return cls._build(argv, name, config)

    def to_metadata(self) -> dict[str, Any]:
        """Return plain data from which `from_metadata` makes this command anew, on any machine."""
        return {
            "argv": list(self.argv),
            "user_script_config": self.user_script_config,
            "config_path": self.config.path if self.config else None,
            "config_text": self.config.text if self.config else None,
        }

    def check_program(self, cwd: str = "") -> None:
        """Raise where this machine cannot start the program.

        Args:
            cwd: where it will run; "" for where this process is.

        Raises:
            UsageError: the program is missing or not executable.
        """
        check_program(self.argv, cwd)

    def render(
        self, params: Mapping[str, Any], trial_dir: str, variables: Mapping[str, Any]
    ) -> list[str]:
        """Return a trial's own command, and write its copy of the configuration file.

        Args:
            params: name → value, plain data. One whose prior has a condition may be missing: its
                argument is left out.
            trial_dir: folder that `config.EXTENSION` goes to; made where it is missing.
            variables: a value for each name in `TEMPLATES`.

        Raises:
            InvalidParams: a parameter is missing.
        """
        missing = [name for name in self.priors if name not in params]
        if missing := [name for name in missing if not _CONDITION.search(self.priors[name])]:
            raise InvalidParams(f"The command needs a value for {', '.join(missing)}.")
        copy = self.copy_path(trial_dir) or ""
        if self.config is not None:
            os.makedirs(trial_dir, exist_ok=True)
            filled = self.config.fill(params).encode("utf-8", "surrogatepass")
            with open(copy, "wb") as file:
                file.write(filled)
        argv: list[str] = []
        for part in self.parts:
            if part.name is not None and part.name not in params:
                if not part.text and argv and _is_flag(argv[-1], part.name):
                    argv.pop()  # its option was a word of its own
                continue
            values = [copy] if part.is_config else words_of(params[part.name]) if part.name else []
            # The values themselves are not searched for templates: they belong to the program.
            text = _TEMPLATE.sub(lambda found: str(variables[found[1]]), part.text)
            argv += Part(text, part.name, part.prior, part.is_config).words(values)
        return argv

    def copy_path(self, trial_dir: str) -> str | None:
        """Return the path of a trial's copy of the configuration file, if the command has one."""
        if self.config is None:
            return None
        return os.path.join(os.path.abspath(trial_dir), "config" + self.config.extension)

    @classmethod
    def _build(
        cls, argv: Sequence[str], user_script_config: str, config: ConfigFile | None
    ) -> Command:
        config_name = user_script_config.lstrip("-")
        parts: list[Part] = []
        priors: dict[str, str] = {}
        seen_config = False

        def add(part: Part, typed: str) -> None:
            if part.name is not None:
                _register(priors, part.name, part.prior, typed)
            parts.append(part)

        for index, word in enumerate(argv):
            path = _config_path(argv, index, config_name)
            if path is not None:
                if seen_config:
                    raise UsageError(
                        f"The command has --{config_name} twice: only one configuration file is "
                        "filled."
                    )
                seen_config = True
                config = config or ConfigFile.read(path)
                add(Part(word[: len(word) - len(path)], is_config=True), word)
                for slot in config.slots:
                    _register(priors, slot.name, slot.prior, f"{slot.name}~{slot.prior}")
            else:
                add(_part(argv, index), word)
        if not priors:
            raise UsageError(
                "The command has no prior: mark what to search, for example "
                "--lr~'loguniform(1e-5, 1)'."
            )
        return cls(tuple(argv), user_script_config, config, tuple(parts), priors)


def _is_option(word: str) -> bool:
    return re.match(r"--?[^\W\d]", word) is not None


def _config_path(argv: Sequence[str], index: int, name: str) -> str | None:
    """Return the path where the word at `index` holds it, alone or behind `--config=`."""
    word = argv[index]
    before = argv[index - 1] if index else ""
    if _is_flag(before, name) and not word.startswith(MARK):
        return word
    flag, equals, path = word.partition("=")
    if equals and _is_flag(flag, name) and not path.startswith(MARK):
        return path
    if _is_flag(word, name) and (index + 1 == len(argv) or argv[index + 1].startswith("-")):
        raise UsageError(
            f"{word} needs the path of the program's configuration file; where your program means "
            "something else by it, name another argument with worker.user_script_config."
        )
    return None


def _is_flag(word: str, name: str) -> bool:
    return word.startswith("-") and word.lstrip("-") == name


def _part(argv: Sequence[str], index: int) -> Part:
    """Return what the word at `index` is, the configuration file left aside."""
    word = argv[index]
    if match := _OPTION.fullmatch(word) or _JOINED.fullmatch(word):
        name = match["flag"].strip("=").lstrip("-")
        return Part(match["flag"], name, match["prior"].strip())
    if word.startswith(MARK):
        return Part("", _name_before(argv, index), word.removeprefix(MARK).strip())
    if match := _POSITION.fullmatch(word):
        return Part("", match["name"].lstrip("-"), match["prior"].strip())
    if _LEFT_OVER.search(word):
        raise UsageError(
            f"It is not clear which parameter {word!r} sets: write --NAME~PRIOR or NAME~PRIOR."
        )
    return Part(word)


def _name_before(argv: Sequence[str], index: int) -> str:
    """Return the name of the parameter that `orion~…` at `index` sets."""
    if index and _is_option(argv[index - 1]) and not re.search("[=~]", argv[index - 1]):
        return argv[index - 1].lstrip("-")
    if any(map(_is_option, argv[:index])):
        raise UsageError(
            f"It is not clear which argument {argv[index]!r} belongs to: name it as in "
            "NAME~PRIOR, or give one prior with shape= for an argument of several values."
        )
    return f"_pos_{index}"


def _register(priors: dict[str, str], name: str, prior: str, typed: str) -> None:
    if prior[:1] in ("+", "-", ">"):
        raise UsageError(
            f"The mark ~{prior[0]} in {typed!r} belongs to Oríon's branching, which orion-k8s "
            "does not have: write the command as it should be now, and run it as a new version "
            "(-v)."
        )
    if name in priors:
        raise UsageError(
            f"The parameter {name} has two priors: keep one of {priors[name]} and {prior}, or "
            "rename one."
        )
    priors[name] = prior
