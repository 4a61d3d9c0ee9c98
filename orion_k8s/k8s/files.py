"""The text files that a command names, for the chart's ConfigMap of files."""

from __future__ import annotations

import os
import re
from pathlib import Path

from orion_k8s.errors import UsageError
from orion_k8s.k8s.values import FILES_LIMIT, FILES_PATH


class Files:
    """Files that go along with a command.

    Args:
        folder: where the command runs; files outside of it are not taken.

    Attributes:
        texts: name in the ConfigMap → text.
        lost: why something that the command names does not go along, a sentence each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts: dict[str, str] = {}
        self.lost: list[str] = []
        self._names: dict[Path, str] = {}

    def place(self, word: str) -> str:
        """Return a word of the command as it is in the pod.

        A path may stand alone, or behind the = of an option.

        Raises:
            UsageError: the files are too large for a ConfigMap.
        """
        if "\0" in word:
            return word
        flag, equals, behind = word.partition("=")
        for before, path in (("", word), (f"{flag}{equals}", behind if equals else "")):
            if path and (found := self._taken(path)) is not None:
                return before + found
        return word

    def add(self, path: str, text: str) -> str:
        """Take a text that was read already, under the name of a file; return its path."""
        name = self._name_for(self._whole(path))
        self._keep(name, text)
        return f"{FILES_PATH}/{name}"

    # --- inside ----------------------------------------------------------------------------------

    def _whole(self, path: str) -> Path:
        return Path(os.path.abspath(self.folder / path))

    def _taken(self, path: str) -> str | None:
        """Return the path in the pod of a file that goes along; None for any other word."""
        whole = self._whole(path)
        try:
            if whole.is_dir():
                # A word such as "train" may be no path at all, though there is such a folder.
                if os.sep in path:
                    self._lose(f"{path} is a folder: bring it in the image or on a volume.")
                return None
            if not whole.is_file():
                return None
        except OSError:  # too long for a name, or not to be looked at
            return None
        if not whole.is_relative_to(self.folder):
            self._lose(f"{path} is not below {self.folder}: it must be in the image.")
            return None
        if whole in self._names:
            return f"{FILES_PATH}/{self._names[whole]}"
        try:
            size = whole.stat().st_size
            if size > FILES_LIMIT:
                raise UsageError(
                    f"{path} is too large for a ConfigMap ({size:,} bytes of at most "
                    f"{FILES_LIMIT:,}): bring it in the image or on a volume, and name its place "
                    "there in the command."
                )
            text = whole.read_bytes().decode("utf-8")
        except OSError as error:
            self._lose(f"{path} cannot be read ({error.strerror}).")
            return None
        except UnicodeDecodeError:
            self._lose(f"{path} is no UTF-8 text: bring it in the image or on a volume.")
            return None
        if "\0" in text:
            self._lose(f"{path} is no text: bring it in the image or on a volume.")
            return None
        name = self._name_for(whole)
        self._keep(name, text)
        return f"{FILES_PATH}/{name}"

    def _name_for(self, whole: Path) -> str:
        """Return the name in the ConfigMap, which knows no folders."""
        if whole in self._names:
            return self._names[whole]
        name = re.sub(r"[^-._A-Za-z0-9]", "-", whole.name)
        stem, number = name, 1
        while name in self._names.values() or name in (".", ".."):
            number += 1
            name = f"{number}-{stem}"
        self._names[whole] = name
        return name

    def _keep(self, name: str, text: str) -> None:
        self.texts[name] = text
        total = sum(len(t.encode("utf-8", "surrogatepass")) for t in self.texts.values())
        if total > FILES_LIMIT:
            raise UsageError(
                f"The files {', '.join(self.texts)} are too large for a ConfigMap together "
                f"({total:,} bytes of at most {FILES_LIMIT:,}): bring them in the image, and name "
                "their places there in the command."
            )

    def _lose(self, sentence: str) -> None:
        if sentence not in self.lost:
            self.lost.append(sentence)
