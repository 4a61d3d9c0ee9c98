"""What a program calls to report its result: `report_objective` and its kin.

This file stands alone: the standard library only, Python 3.7 or newer, so that a program in
another environment can load it by its path. Outside a hunt, results are printed.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # the module typing costs more than all the rest
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["interrupt_trial", "report_bad_trial", "report_objective", "report_results"]

_reported = False


def report_objective(objective: Any, name: str = "objective") -> None:
    """Report the value to be minimised, once, at the end of the program.

    Args:
        objective: a finite number.
        name: for people.

    Raises:
        RuntimeWarning: a result was reported already.
    """
    report_results([{"name": name, "type": "objective", "value": objective}])


def report_bad_trial(
    objective: Any = None, name: str = "objective", data: list[dict[str, Any]] | None = None
) -> None:
    """Report a bad objective for parameters that do not work, so that they are avoided.

    Args:
        objective: worse than any good trial's; None for 1e10, or -1e10 where it is maximised. It
            counts for a single objective: where there are several, each has its own of these.
        name: for people.
        data: further results.

    Raises:
        RuntimeWarning: a result was reported already.
    """
    import json

    directions = json.loads(os.environ.get("ORION_OBJECTIVES") or '{"": "minimize"}')
    bad = {goal: -1e10 if word == "maximize" else 1e10 for goal, word in directions.items()}
    if len(bad) == 1:
        [usual] = bad.values()
        bad = {name: usual if objective is None else objective}
    results = [{"name": n, "type": "objective", "value": value} for n, value in bad.items()]
    report_results([*results, *(data or [])])


def report_results(data: list[dict[str, Any]]) -> None:
    """Report results, once, at the end of the program.

    Args:
        data: list of `{"name", "type", "value"}`; the types are objective (exactly one,
            unless the experiment has several), constraint, gradient and statistic.

    Raises:
        RuntimeWarning: a result was reported already.
    """
    global _reported
    if _reported:
        raise RuntimeWarning("Has already reported evaluation results once.")
    path = os.environ.get("ORION_RESULTS_PATH")
    if path:
        _write(path, data)
    else:
        print(data)
    _reported = True


def interrupt_trial() -> NoReturn:
    """Leave the program so that the trial is run again later; it is no failure."""
    sys.exit(int(os.environ.get("ORION_INTERRUPT_CODE") or 130))


def _write(path: str, data: list[dict[str, Any]]) -> None:
    import errno
    import json

    text = json.dumps(data, default=_plain)
    # A reader sees the whole result or none, whenever the program is killed.
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        _write_file(temporary, text)
        os.replace(temporary, path)
    except BaseException as error:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        # In a pod of Kubernetes the file is a mount, which nobody can replace, and its folder may
        # be closed to this user.
        fixed = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)
        if not isinstance(error, OSError) or error.errno not in fixed:
            raise
        _write_file(path, text)


def _write_file(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _plain(value: Any) -> Any:
    """Turn NumPy's scalars and arrays, and tensors, into plain data."""
    for method in ("tolist", "item"):
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    raise TypeError(f"A result of the type {type(value).__name__} cannot be stored.")
