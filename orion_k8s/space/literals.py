"""Reading the text of a prior: one call with literal arguments, and nothing that could run.

The text is scanned before Python's parser sees it, so that its size and nesting are bounded and no
text can keep the parser busy or exhaust its stack; then the syntax tree is read against a
whitelist. Nothing is ever evaluated.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from dataclasses import dataclass
from typing import Any

from orion_k8s.space.plain import Problem, frozen, shown

MAX_TEXT = 65_536
MAX_DEPTH = 12
MAX_PIECE = 100
"""At most this many characters stand between two commas or brackets, strings aside."""
MAX_BITS = 1_300

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_NAME = {"(": "parenthesis", "[": "bracket", "{": "brace"}
# These nest without brackets or commas, and no literal needs them.
_WORDS = re.compile(r"\b(lambda|if|else|for|not|and|or|in|is|await|async|yield)\b")
_CODE = "a prior is a name with literal arguments, not code"


class Pairs(tuple[tuple[Any, Any], ...]):
    """A dict directly among the arguments: its pairs as written (1 and True are two keys)."""


@dataclass(frozen=True)
class Call:
    """A prior as it was written: its name, its positional arguments, its keywords."""

    name: str
    args: tuple[Any, ...]
    keywords: dict[str, Any]


def read_call(text: str) -> Call:
    """Return the call that the text spells.

    Raises:
        Problem: it is not one call with literal arguments.
    """
    scan(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e.g. "\d" in a category
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise Problem(f"{_CODE}; write it like uniform(0, 1) or choices(['a', 'b'])") from None
    if isinstance(tree, ast.Name):
        raise Problem(f"its arguments are missing; write {tree.id}(…)")
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise Problem(f"{_CODE}; write it like uniform(0, 1)")
    keywords: dict[str, Any] = {}
    for keyword in tree.keywords:
        if keyword.arg is None:
            raise Problem(f"{_CODE}; write the keywords out instead of **")
        if keyword.arg in keywords:
            raise Problem(f"the keyword {keyword.arg} is given twice; keep one")
        keywords[keyword.arg] = literal(keyword.value)
    args = tuple(
        Pairs(_pairs(arg)) if isinstance(arg, ast.Dict) else literal(arg) for arg in tree.args
    )
    return Call(tree.func.id, args, keywords)


def scan(text: str) -> None:
    """Check the text's brackets, quotes, length and nesting before it is parsed.

    Raises:
        Problem: it is too long, too deep, not closed, or holds what no literal needs.
    """
    if len(text) > MAX_TEXT:
        raise Problem(f"it is {len(text)} characters long; {MAX_TEXT} are the most")
    opened: list[str] = []
    outside: list[str] = []
    before = ""
    piece = i = 0
    while i < len(text):
        char = text[i]
        if char in "'\"":
            if before.isalnum() or before in {"_", "'", '"'}:
                raise Problem(f"{_CODE}; write strings as plain 'text', with commas between")
            i = _end_of_string(text, i)
            piece += 1
        elif char in "#\\`;$?!\0":
            raise Problem(f"{_CODE}; take the {char!r} out")
        elif char in ",()[]{}":
            piece = 0
            if char in _CLOSING:
                opened.append(char)
                if len(opened) > MAX_DEPTH:
                    raise Problem(f"it is nested more than {MAX_DEPTH} deep; make it flatter")
            elif char in ")]}":
                if not opened or _CLOSING[opened.pop()] != char:
                    raise Problem(f"a {char!r} closes nothing; take it out, or open it before")
        elif not char.isspace():
            piece += 1
            if piece > MAX_PIECE:
                raise Problem(
                    f"an argument is longer than {MAX_PIECE} characters; write a shorter one"
                )
        outside.append(char)
        before = before if char.isspace() else char
        i += 1
    if opened:
        last = opened[-1]
        raise Problem(f"a {_NAME[last]} is not closed; add the {_CLOSING[last]!r}")
    if word := _WORDS.search("".join(outside)):
        raise Problem(f"{_CODE}; take the {word[0]!r} out, or put it in quotes")


def _end_of_string(text: str, start: int) -> int:
    quote = text[start]
    i = start + 1
    while i < len(text) and text[i] != quote:
        if text[i] == "\n":
            break
        i += 2 if text[i] == "\\" else 1
    if i >= len(text) or text[i] != quote:
        raise Problem(f"a quote is not closed; add the {quote}")
    return i


def literal(node: ast.expr) -> Any:
    """Return what a syntax tree spells, if it is a literal.

    Raises:
        Problem: it is not.
    """
    match node:
        case ast.Constant(value=value):
            return _constant(value)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            number = _number(operand)
            return -number if isinstance(node.op, ast.USub) else number
        case ast.BinOp():
            return _arithmetic(node)
        case ast.List(elts=items):
            return [literal(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(literal(item) for item in items)
        case ast.Dict():
            pairs = _pairs(node)
            if not all(isinstance(key, str) for key, _ in pairs):
                raise Problem("the keys of a dict category must be strings; put them in quotes")
            return dict(pairs)
        case ast.Name(id=name):
            if name.lower() in {"inf", "nan", "infinity"}:
                raise Problem(f"{name} is no bound; give a finite number")
            raise Problem(
                f"the name {name} means nothing here; put strings in quotes, as '{name}'"
            )
        case _:
            raise Problem(f"{_CODE}; use numbers, strings, lists, tuples and dicts only")


def _pairs(node: ast.Dict) -> list[tuple[Any, Any]]:
    pairs = []
    seen = set()
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        if key_node is None:
            raise Problem(f"{_CODE}; write the dict out instead of **")
        key = literal(key_node)
        if isinstance(key, (list, dict)):
            raise Problem(f"{shown(key)} can't be a key; write a tuple")
        if frozen(key) in seen:
            raise Problem(f"{shown(key)} stands twice in the dict; keep one")
        seen.add(frozen(key))
        pairs.append((key, literal(value_node)))
    return pairs


def _constant(value: object) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return _bounded(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Problem("a number is too large; stay below 1e300")
        return value
    raise Problem(f"{shown(value)} is not allowed; use numbers, strings, True, False or None")


def _number(node: ast.expr) -> int | float:
    value = literal(node)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Problem(f"{shown(value)} is no number to calculate with; write the value itself")
    return value


def _arithmetic(node: ast.BinOp) -> int | float:
    left, right = _number(node.left), _number(node.right)
    try:
        match node.op:
            case ast.Add():
                value = left + right
            case ast.Sub():
                value = left - right
            case ast.Mult():
                value = left * right
            case ast.Div():
                value = left / right
            case ast.Pow():
                value = _power(left, right)
            case _:
                raise Problem("only + - * / and ** are calculated; write the value itself")
    except ZeroDivisionError:
        raise Problem("it divides by zero; write the value itself") from None
    except OverflowError:
        raise Problem("a number is too large; stay below 1e300") from None
    if isinstance(value, int):
        return _bounded(value)
    if isinstance(value, complex) or not math.isfinite(value):
        raise Problem("a calculation has no finite real result; write the value itself")
    return value


def _power(base: int | float, exponent: int | float) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        # known before it is calculated: 9**9**9 would take for ever
        if base.bit_length() * exponent > MAX_BITS and abs(base) > 1:
            raise Problem("a power is too large; stay below 2**63 for integers, 1e300 for reals")
    return base**exponent


def _bounded(value: int) -> int:
    if value.bit_length() > MAX_BITS:
        raise Problem("a number is too large; stay below 2**63 for integers, 1e300 for reals")
    return value
