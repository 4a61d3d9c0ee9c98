"""The condition of a dimension: `when="optimizer == 'sgd' and lr < 0.1"`, read and judged.

It compares other dimensions with literal values or with each other, and is put together with and,
or, not. Its text is parsed and its syntax tree read against a whitelist; nothing is evaluated.
A comparison with a dimension that is not active itself is false.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orion_k8s.space.literals import literal
from orion_k8s.space.plain import Problem, frozen, is_number, shown

MAX_TEXT = 1_000

_FORM = """write it like when="optimizer == 'sgd'\""""
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUAL: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: lambda one, other: frozen(one) == frozen(other),
    ast.NotEq: lambda one, other: frozen(one) != frozen(other),
    ast.In: lambda one, other: frozen(one) in set(map(frozen, other)),
    ast.NotIn: lambda one, other: frozen(one) not in set(map(frozen, other)),
}


@dataclass(frozen=True)
class Comparison:
    """Two sides: each the name of a dimension, or a literal value.

    Attributes:
        names: of the two sides; None where it is a literal.
        literals: of the two sides.
        kind: the operator, as its class in `ast`.
    """

    names: tuple[str | None, str | None]
    literals: tuple[Any, Any]
    kind: type[ast.cmpop]

    @property
    def ordered(self) -> bool:
        """Whether it asks which side is greater."""
        return self.kind in _ORDER

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of the values of the dimensions that are active."""
        if any(name is not None and name not in values for name in self.names):
            return False
        one, other = (
            given if name is None else values[name]
            for name, given in zip(self.names, self.literals, strict=True)
        )
        if self.ordered:
            return is_number(one) and is_number(other) and _ORDER[self.kind](one, other)
        return _EQUAL[self.kind](one, other)


@dataclass(frozen=True)
class Condition:
    """A tree of comparisons.

    Attributes:
        word: "and", "or", "not".
        parts: what it puts together.
    """

    word: str
    parts: tuple[Condition | Comparison, ...]

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of the values of the dimensions that are active."""
        if self.word == "not":
            return not self.parts[0].holds(values)
        judge = all if self.word == "and" else any
        return judge(part.holds(values) for part in self.parts)

    def comparisons(self) -> Iterator[Comparison]:
        """Yield all comparisons of the tree."""
        for part in self.parts:
            if isinstance(part, Comparison):
                yield part
            else:
                yield from part.comparisons()

    @property
    def names(self) -> list[str]:
        """The dimensions that it names, in order, each once."""
        found = [name for one in self.comparisons() for name in one.names if name is not None]
        return list(dict.fromkeys(found))


def read_condition(text: Any) -> tuple[str, Condition]:
    """Return the canonical text of a condition, and what it says.

    Raises:
        Problem: it is none.
    """
    if not isinstance(text, str):
        raise Problem(f"when must be a text, not {shown(text)}; {_FORM}")
    if len(text) > MAX_TEXT:
        raise Problem(f"the condition is {len(text)} characters long; {MAX_TEXT} are the most")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
        found = _tree(tree)
        return ast.unparse(tree), Condition("and", (found,))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, Problem):
            raise
        raise Problem(f"the condition {shown(text)} can't be read; {_FORM}") from None


def _tree(node: ast.expr) -> Condition | Comparison:
    match node:
        case ast.BoolOp(op=op, values=parts):
            word = "and" if isinstance(op, ast.And) else "or"
            return Condition(word, tuple(map(_tree, parts)))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Condition("not", (_tree(operand),))
        case ast.Compare(left=left, ops=ops, comparators=rights):
            sides = [left, *rights]
            return Condition(
                "and",
                tuple(
                    _comparison(one, op, other)
                    for one, op, other in zip(sides, ops, sides[1:], strict=False)
                ),
            )
        case _:
            raise Problem(
                f"the condition's part {ast.unparse(node)!r} is no comparison; use ==, !=, in, "
                "not in, <, <=, >, >=, put together with and, or, not"
            )


def _comparison(one: ast.expr, op: ast.cmpop, other: ast.expr) -> Comparison:
    if type(op) not in _ORDER and type(op) not in _EQUAL:
        raise Problem("a condition compares by ==, !=, in, not in, <, <=, >, >= alone")
    (name, given), (other_name, other_given) = _side(one), _side(other)
    if name is None and other_name is None:
        raise Problem(f"the condition compares {ast.unparse(one)} with no other parameter")
    if isinstance(op, (ast.In, ast.NotIn)) and not (
        other_name is None and isinstance(other_given, (list, tuple))
    ):
        raise Problem(f"a list must stand behind `in`, as in ['a', 'b'], not {ast.unparse(other)}")
    return Comparison((name, other_name), (given, other_given), type(op))


def _side(node: ast.expr) -> tuple[str | None, Any]:
    """Return the name of a dimension and None, or None and a literal."""
    name = _name(node)
    if name is not None:
        return name, None
    if isinstance(node, ast.Set):
        return None, [literal(item) for item in node.elts]
    return None, literal(node)


def _name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            above = _name(value)
            return None if above is None else f"{above}.{attr}"
        case ast.BinOp(left=left, op=ast.Sub(), right=right):  # batch-size
            one, other = _name(left), _name(right)
            return None if one is None or other is None else f"{one}-{other}"
        case _:
            return None
