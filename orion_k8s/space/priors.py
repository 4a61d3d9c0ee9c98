"""The prior language: text → dimension."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from orion_k8s.errors import InvalidParams, InvalidPrior
from orion_k8s.space.categorical import Categorical
from orion_k8s.space.condition import read_condition
from orion_k8s.space.dimension import NO_DEFAULT, Dimension
from orion_k8s.space.fidelity import Fidelity
from orion_k8s.space.integer import Integer
from orion_k8s.space.integer_laws import Rounded, UniformInteger
from orion_k8s.space.laws import Law, LogUniform, Normal, Uniform, require_order
from orion_k8s.space.literals import Call, Pairs, read_call
from orion_k8s.space.plain import Problem, integer, is_number, real, shown
from orion_k8s.space.precision import MAX_PRECISION
from orion_k8s.space.real import DEFAULT_PRECISION, Real

MAX_SIZE = 10_000
"""The most values that one dimension with a shape may hold."""

_COMMON = ("shape", "default_value", "when")
_NUMERIC = ("discrete", "precision", "low", "high")
_STANDARD = (0.0, 1.0)
"""Mean and deviation of the normal distribution where none are given, as in scipy.stats."""


def parse_prior(text: str, name: str = "") -> Dimension:
    """Return the dimension that a prior describes.

    `uniform(low, high, discrete=True)` are the integers from low to high, both included, and so is
    `loguniform(…, discrete=True)`; `randint(low, high)` leaves high out.

    Args:
        text: for instance "loguniform(1e-5, 1)".
        name: of the dimension.

    Raises:
        InvalidPrior: the text is not valid; the message says why and what to do.
    """
    of = f" of {name}" if name else ""
    if not isinstance(text, str):
        raise InvalidPrior(
            f"The prior{of} is not valid: it is {shown(text)}, not a text; "
            "write it like 'uniform(0, 1)'."
        )
    try:
        call = read_call(text.strip())
        build = _BUILDERS.get(call.name, _scipy)
        return _finish(build, call, name)
    except (Problem, InvalidParams) as error:
        line = " ".join(text.split())
        quoted = line if len(line) <= 80 else line[:79] + "…"
        quoted = quoted if quoted.isprintable() else ascii(quoted)
        what = str(error)
        what = what if what.endswith((".", "?")) else f"{what}."
        raise InvalidPrior(f"The prior{of} is not valid, {quoted or 'empty'}: {what}") from None


_Build = Callable[[Call, str, dict[str, Any]], Dimension]


def _finish(build: _Build, call: Call, name: str) -> Dimension:
    """Build the dimension and check what all kinds share: shape, default, no keyword left."""
    keywords = dict(call.keywords)
    common = {key: keywords.pop(key) for key in _COMMON if key in keywords}
    shape = _shape(common.get("shape", ()))
    dimension = build(call, name, {**keywords, "shape": shape})
    if common.get("when") is not None:
        if isinstance(dimension, Fidelity):
            raise Problem("a fidelity is always there; take when= out")
        dimension = replace(dimension, when=read_condition(common["when"])[0])
    default = common.get("default_value", NO_DEFAULT)
    if default is None and not (
        isinstance(dimension, Categorical) and None in dimension.categories
    ):
        default = NO_DEFAULT
    if default is NO_DEFAULT:
        return dimension
    if isinstance(dimension, Fidelity):
        raise Problem("a fidelity has no default_value: its default is high; take it out")
    return replace(dimension, default=dimension.renamed("default_value").check(default))


def _shape(value: Any) -> tuple[int, ...]:
    if value is None:
        return ()
    extents = value if isinstance(value, (tuple, list)) else [value]
    shape = tuple(integer(extent, "shape") for extent in extents)
    if any(extent < 1 for extent in shape):
        raise Problem(f"shape {shown(value)} holds nothing; every extent must be 1 or more")
    if len(shape) > 8 or math.prod(shape) > MAX_SIZE:
        raise Problem(f"shape {shown(value)} is too large; {MAX_SIZE} values are the most")
    return shape


# --- keywords and arguments ----------------------------------------------------------------------


def _no_more(keywords: Iterable[str], prior: str, allowed: Iterable[str]) -> None:
    for key in keywords:
        known = [*allowed, *_COMMON]
        near = difflib.get_close_matches(key, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}"
        raise Problem(f"{prior} does not know the keyword {key}; {hint}")


def _bind(
    call: Call, names: tuple[str, ...], defaults: Sequence[Any], keywords: dict[str, Any]
) -> list[Any]:
    """Return the arguments in order, taking those given by name out of the keywords.

    Args:
        call: the prior.
        names: of the arguments.
        defaults: of the last ones.
        keywords: those of the prior; what is taken is removed.
    """
    form = f"{call.name}({', '.join(names)})"
    if len(call.args) > len(names):
        raise Problem(f"{len(call.args)} arguments are too many; write {form}")
    bound = dict(zip(names, call.args, strict=False))
    bound |= {key: keywords.pop(key) for key in names[len(bound) :] if key in keywords}
    optional = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    missing = [key for key in names if key not in bound and key not in optional]
    if missing:
        raise Problem(f"it needs {' and '.join(missing)} too; write {form}")
    return [bound[key] if key in bound else optional[key] for key in names]


def _truth(keywords: dict[str, Any], default: bool) -> bool:
    discrete = keywords.pop("discrete", default)
    if not isinstance(discrete, bool):
        raise Problem(f"discrete must be True or False, not {shown(discrete)}")
    return discrete


def _precision(keywords: dict[str, Any]) -> int | None:
    value = keywords.pop("precision", DEFAULT_PRECISION)
    if value is None:
        return None
    if not is_number(value) or not 1 <= value <= MAX_PRECISION or value != int(value):
        raise Problem(
            f"precision must be a whole number of significant digits from 1 to {MAX_PRECISION}, "
            f"not {shown(value)}; None turns it off"
        )
    return int(value)


def _truncation(keywords: dict[str, Any]) -> tuple[float, float]:
    low = real(keywords.pop("low"), "low") if "low" in keywords else -math.inf
    high = real(keywords.pop("high"), "high") if "high" in keywords else math.inf
    require_order(low, high)
    return low, high


def _no_precision(keywords: dict[str, Any]) -> None:
    if keywords.pop("precision", None) is not None:
        raise Problem("precision is for real numbers, and these are integers; take it out")


# --- priors --------------------------------------------------------------------------------------


def _numbers(
    law: Callable[[float, float], Law],
    names: tuple[str, str],
    defaults: tuple[float, ...] = (),
) -> Callable[[Call, str, dict[str, Any]], Dimension]:
    """Return the builder of a prior of two numbers."""

    def build(call: Call, name: str, keywords: dict[str, Any]) -> Dimension:
        first, second = (
            real(value, key)
            for key, value in zip(names, _bind(call, names, defaults, keywords), strict=True)
        )
        return _continuous(law(first, second), call.name, name, keywords)

    return build


def _uniform(call: Call, name: str, keywords: dict[str, Any]) -> Dimension:
    names = ("low", "high")
    bounds = _bind(call, names, (), keywords)
    low, high = (real(value, key) for key, value in zip(names, bounds, strict=True))
    if not _truth(keywords, False):
        return _continuous(Uniform(low, high), "uniform", name, keywords)
    # The bounds as they were written: a float does not hold every integer of 64 bits.
    require_order(*bounds)
    least, most = _truncation(keywords)
    first, last = math.ceil(max(least, bounds[0])), math.floor(min(most, bounds[1]))
    _no_precision(keywords)
    shape = keywords.pop("shape")
    _no_more(keywords, "uniform", _NUMERIC)
    if not first < last:
        raise Problem("fewer than two integers lie between low and high; move them apart")
    return Integer(name, shape, law=UniformInteger(first, last, "uniform"))


def _continuous(law: Law, prior: str, name: str, keywords: dict[str, Any]) -> Dimension:
    shape = keywords.pop("shape")
    discrete = _truth(keywords, False)
    low, high = _truncation(keywords)
    if isinstance(law, (Uniform, LogUniform)):
        low, high = max(low, law.low), min(high, law.high)
        if not low < high:
            raise Problem("low= and high= leave nothing of it; move them")
    if discrete:
        _no_precision(keywords)
        _no_more(keywords, prior, _NUMERIC)
        return Integer(name, shape, law=Rounded(law, low, high))
    precision = _precision(keywords)
    _no_more(keywords, prior, _NUMERIC)
    if math.isfinite(low) or math.isfinite(high):
        law = law.bounded(low, high)
    return Real(name, shape, law=law, precision=precision)


def _choices(call: Call, name: str, keywords: dict[str, Any]) -> Dimension:
    shape = keywords.pop("shape")
    _no_more(keywords, "choices", ())
    args = call.args
    if len(args) == 1 and isinstance(args[0], Pairs):
        return Categorical(
            name,
            shape,
            categories=tuple(category for category, _ in args[0]),
            probabilities=tuple(probability for _, probability in args[0]),
        )
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        return Categorical(name, shape, categories=tuple(args[0]))
    return Categorical(name, shape, categories=tuple(_category(value) for value in args))


def _category(value: Any) -> Any:
    if isinstance(value, Pairs):
        if not all(isinstance(key, str) for key, _ in value):
            raise Problem("the keys of a dict category must be strings; put them in quotes")
        return dict(value)
    return value


def _randint(call: Call, name: str, keywords: dict[str, Any]) -> Dimension:
    shape = keywords.pop("shape")
    low, high = (integer(v, "a bound") for v in _bind(call, ("low", "high"), (), keywords))
    if not _truth(keywords, True):
        raise Problem("randint is discrete; for real numbers use uniform")
    _no_precision(keywords)
    if keywords.keys() & {"low", "high"}:
        raise Problem("randint has its bounds already; change these instead of low= and high=")
    _no_more(keywords, "randint", ("discrete",))
    if not low < high:
        raise Problem(f"low ({low}) must be below high ({high}), which is excluded; change one")
    return Integer(name, shape, law=UniformInteger(low, high - 1, "randint"))


def _fidelity(call: Call, name: str, keywords: dict[str, Any]) -> Dimension:
    if keywords.pop("shape"):
        raise Problem("a fidelity is one number; take the shape out")
    names = ("low", "high", "base")
    bound = _bind(call, names, (2,), keywords)
    _no_more(keywords, "fidelity", names)
    low, high, base = (_whole(real(value, key)) for key, value in zip(names, bound, strict=True))
    return Fidelity(name, low=low, high=high, base=base)


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _scipy(call: Call, name: str, keywords: dict[str, Any]) -> Dimension:
    from orion_k8s.space import scipy_laws

    found = scipy_laws.distribution(call.name)
    if found is None:
        known = [*_BUILDERS, *scipy_laws.distribution_names()]
        near = difflib.get_close_matches(call.name.lower(), known, 1)
        hint = (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(_BUILDERS)}, and more"
        )
        raise Problem(f"{call.name} is unknown; {hint}")
    parameters = scipy_laws.bind(found, call.name, call.args, keywords)
    if not scipy_laws.is_discrete(found):
        return _continuous(scipy_laws.Scipy(call.name, parameters), call.name, name, keywords)
    shape = keywords.pop("shape")
    if not _truth(keywords, True):
        raise Problem(f"{call.name} is discrete by itself; take discrete=False out")
    _no_precision(keywords)
    low, high = _truncation(keywords)
    _no_more(keywords, call.name, ("discrete", "low", "high"))
    law = scipy_laws.ScipyInteger(call.name, parameters, low, high)
    return Integer(name, shape, law=law)


_BUILDERS: dict[str, _Build] = {
    "uniform": _uniform,
    "loguniform": _numbers(LogUniform, ("low", "high")),
    "reciprocal": _numbers(LogUniform, ("low", "high")),
    "normal": _numbers(Normal, ("loc", "scale"), _STANDARD),
    "gaussian": _numbers(Normal, ("loc", "scale"), _STANDARD),
    "norm": _numbers(Normal, ("loc", "scale"), _STANDARD),
    "choices": _choices,
    "randint": _randint,
    "fidelity": _fidelity,
}
