"""The end of a sentence about a word that nobody knows: what may have been meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, words: Iterable[str]) -> str:
    """Return ": did you mean …?" where a word is like one of `words`, else a full stop."""
    close = get_close_matches(word, words, n=1)
    return f": did you mean {close[0]!r}?" if close else "."
