"""A trial's results: what is valid, and what to say where it is not."""

from __future__ import annotations

import difflib
import json
import math
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from orion_k8s.errors import InvalidResult
from orion_k8s.trial.goal import violation

MAX_BYTES = 16 << 20

TYPES = ("objective", "constraint", "gradient", "statistic")

_FORM = '[{"name": "loss", "type": "objective", "value": 0.1}]'


class MissingResult(InvalidResult):
    """The program left no result."""


def read_results(path: str) -> tuple[float, list[dict[str, Any]]]:
    """Read and check the result file of a program.

    Returns:
        the objective, the first of several, and all results as plain data.

    Raises:
        MissingResult: there is no result.
        InvalidResult: it is not valid; one sentence says why.
    """
    # Not to wait for ever where a program has put a named pipe there.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise MissingResult(_no_result()) from None
    except OSError as error:
        raise InvalidResult(f"The result file cannot be read: {error.strerror}.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidResult("The result file is not a regular file.")
    with open(descriptor, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InvalidResult(
            f"The result file is larger than {MAX_BYTES >> 20} MB: keep large data in the trial's "
            "folder."
        )
    try:
        text = data.decode("utf-8-sig")
        if not text.strip():
            raise MissingResult(_no_result())
        results = json.loads(text)
    except UnicodeDecodeError:
        raise InvalidResult(f"The result file is not JSON text: it should hold {_FORM}.") from None
    except (ValueError, RecursionError) as error:
        raise InvalidResult(
            f"The result file is not JSON ({error}): it should hold {_FORM}."
        ) from None
    if not isinstance(results, list):
        raise InvalidResult(
            f"The result file holds a {_kind(results)}, not a list: it should hold {_FORM}."
        )
    return check_results(results)


def check_results(results: Any) -> tuple[float, list[dict[str, Any]]]:
    """Check results given as Python data.

    Args:
        results: a list of `{"name", "type", "value"}`; or a number (NumPy's too), the objective.

    Returns:
        the objective, the first of several, and all results as plain data. Whether the experiment
        has as many objectives is for its `Goal` to say.

    Raises:
        InvalidResult: they are not valid; one sentence says why.
    """
    results = _plain(results)
    if isinstance(results, (int, float)) and not isinstance(results, bool):
        results = [{"name": "objective", "type": "objective", "value": results}]
    if not isinstance(results, list):
        raise InvalidResult(
            f"The results are a {_kind(results)}, neither a number nor a list like {_FORM}."
        )
    checked = [_check_one(number, result) for number, result in enumerate(results, 1)]
    objectives = [result for result in checked if result["type"] == "objective"]
    if not objectives:
        raise InvalidResult(
            'The results hold no objective: one of them needs the type "objective".'
        )
    for objective in objectives:
        objective["value"] = _objective(objective)
    violation(checked)  # refuses constraints that are no numbers
    return objectives[0]["value"], checked


def _check_one(number: int, result: Any) -> dict[str, Any]:
    if not isinstance(result, dict):
        raise InvalidResult(
            f"Result {number} is a {_kind(result)}: it should look like {_FORM[1:-1]}."
        )
    if missing := [key for key in ("name", "type", "value") if key not in result]:
        raise InvalidResult(
            f"Result {number} lacks {' and '.join(map(repr, missing))}: it should look like "
            f"{_FORM[1:-1]}."
        )
    name, kind = result["name"], result["type"]
    if not isinstance(name, str):
        raise InvalidResult(f"The name of result {number} is a {_kind(name)}, not a text.")
    if kind not in TYPES:
        near = difflib.get_close_matches(str(kind).lower(), TYPES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(TYPES)}."
        raise InvalidResult(f"The result {name!r} has the unknown type {kind!r}: {hint}")
    return {"name": name, "type": kind, "value": result["value"]}


def _objective(result: Mapping[str, Any]) -> float:
    name, value = result["name"], result["value"]
    if isinstance(value, list) and len(value) == 1:
        hint = " (take its only item)"
    else:
        hint = ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidResult(f"The objective {name!r} is a {_kind(value)}, not a number{hint}.")
    try:
        objective = float(value)
    except OverflowError:
        objective = math.inf
    if not math.isfinite(objective):
        raise InvalidResult(
            f"The objective {name!r} is {objective}: report a large finite number for a bad trial "
            "(report_bad_trial does)."
        )
    return objective


def _plain(value: Any) -> Any:
    """Return plain data: mappings, lists, numbers and texts, also out of NumPy's."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_plain(item) for item in value]
    for method in ("tolist", "item"):  # NumPy's scalars and arrays, tensors
        if callable(convert := getattr(value, method, None)):
            converted = convert()
            if type(converted) is type(value):
                break
            return _plain(converted)
    if hasattr(value, "__float__"):  # Decimal, Fraction
        return float(value)
    raise InvalidResult(
        f"A result of the type {type(value).__name__} cannot be stored: use numbers, texts, lists "
        "and dicts."
    )


def _no_result() -> str:
    return (
        "The program exited 0 without a result: call report_objective, or write the file that "
        "ORION_RESULTS_PATH names."
    )


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    words: dict[type, str] = {
        bool: "truth value",
        str: "text",
        int: "number",
        float: "number",
        list: "list",
        dict: "mapping",
    }
    return words.get(type(value), type(value).__name__)
