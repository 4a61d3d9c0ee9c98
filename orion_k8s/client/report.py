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

__all__ = [
    "interrupt_trial",
    "report_bad_trial",
    "report_objective",
    "report_results",
    "should_stop",
]

_reported = False
_warned = False


def report_objective(
    objective: Any,
    name: str = "objective",
    step: Any = None,
    metrics: dict[str, Any] | None = None,
) -> None:
    """Report the value to be minimised: once, at the end; or by `step`, while the program runs.

    Args:
        objective: a finite number.
        name: for people.
        step: how far the program has come, such as the number of the epoch; as often as it likes.
            A program that ends without a result has that of its last step.
        metrics: beside it, name → number; only with a step.

    Raises:
        RuntimeWarning: a result was reported already.
    """
    if step is not None:
        report_step(objective, step, metrics)
        return
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


def report_step(value: Any, step: Any = None, metrics: dict[str, Any] | None = None) -> None:
    """Report a value while the program runs; what it is worth is told by `report_objective`.

    Args:
        value: of the objective, as it is now.
        step: how far the program has come; None for the next step.
        metrics: beside it, name → number.
    """
    data = {"value": value} if step is None else {"step": step, "value": value}
    if metrics:
        data["metrics"] = metrics
    path = os.environ.get("ORION_REPORTS_PATH")
    if not path:
        print(data)
        return
    try:
        _append(path, data)
    except OSError as error:  # a full disk is no reason to lose the trial
        global _warned
        if not _warned:
            _warned = True
            print(f"orion-k8s: reports cannot be written: {error}", file=sys.stderr)


def should_stop() -> bool:
    """Return whether the worker asks the program to stop: what it reported will do."""
    path = os.environ.get("ORION_STOP_PATH")
    return path is not None and os.path.exists(path)


def interrupt_trial() -> NoReturn:
    """Leave the program so that the trial is run again later; it is no failure."""
    sys.exit(int(os.environ.get("ORION_INTERRUPT_CODE") or 130))


def _append(path: str, data: dict[str, Any]) -> None:
    import json

    line = json.dumps(data, default=_plain) + "\n"
    # In one write, so that the lines of several processes don't mix.
    with open(path, "ab", buffering=0) as file:
        file.write(line.encode("utf-8"))


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
