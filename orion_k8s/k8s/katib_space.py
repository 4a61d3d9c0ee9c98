"""The search space of a Katib Experiment as priors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orion_k8s.errors import ConfigurationError

Object = Mapping[str, Any]

MOST_STEPS = 1000
"""More values than that are no longer listed one by one."""


def priors_of(spec: Object, origin: str, lost: list[str]) -> dict[str, str]:
    """Return name → prior.

    Args:
        spec: of the Experiment.
        origin: what it came from, for errors.
        lost: gets a sentence for each thing that a prior does not say.

    Raises:
        ConfigurationError: there are no parameters, or one is not valid.
    """
    listed = spec.get("parameters")
    if not isinstance(listed, list) or not listed:
        raise ConfigurationError(f"{origin} has no spec.parameters: nothing is searched.")
    return {str(parameter.get("name")): _prior(parameter, origin, lost) for parameter in listed}


def number_of(text: str, name: Any) -> int | float:
    """Return the number that a text of the parameter or setting `name` means.

    Raises:
        ConfigurationError: none.
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise ConfigurationError(f"{text!r} of {name} is no number.")


def _prior(parameter: Object, origin: str, lost: list[str]) -> str:
    name, kind = parameter.get("name"), parameter.get("parameterType")
    space = parameter.get("feasibleSpace") or {}
    if kind in ("categorical", "discrete"):
        texts = [str(item) for item in space.get("list") or []]
        if not texts:
            raise ConfigurationError(
                f"The parameter {name} of {origin} is {kind} and has no list."
            )
        items = [number_of(text, name) for text in texts] if kind == "discrete" else texts
        return f"choices([{', '.join(map(repr, items))}])"
    if kind not in ("double", "int"):
        raise ConfigurationError(
            f"The parameter {name} of {origin} has the type {kind!r}: Katib knows double, int, "
            "categorical and discrete."
        )
    low, high = (number_of(str(space.get(end)), name) for end in ("min", "max"))
    if space.get("step") is not None:
        stepped = _stepped(str(name), low, high, space, lost)
        if stepped is not None:
            return stepped
    distribution = str(space.get("distribution") or "uniform")
    law = "loguniform" if distribution == "logUniform" and low > 0 else "uniform"
    if law == "uniform" and distribution != "uniform":
        lost.append(f"The distribution {distribution} of {name}: it is uniform.")
    if kind == "int":
        return f"{law}({int(low)}, {int(high)}, discrete=True)"
    return f"{law}({low!r}, {high!r})"


def _stepped(name: str, low: float, high: float, space: Object, lost: list[str]) -> str | None:
    """Return the values with a step between them; None where the step changes nothing."""
    text = str(space["step"])
    step = number_of(text, name)
    if step == 1 and isinstance(low, int):
        return None
    count = int((high - low) / step + 1e-9) + 1 if step > 0 else 0
    if not 1 <= count <= MOST_STEPS:
        lost.append(f"The step {text} of {name}: values between its steps are taken, too.")
        return None
    if space.get("distribution") not in (None, "uniform"):
        lost.append(f"The distribution {space['distribution']} of {name}: it is uniform.")
    values = [low + step * n for n in range(count)]
    shown = [v if isinstance(v, int) else float(f"{v:.12g}") for v in values]
    return f"choices([{', '.join(map(repr, shown))}])"
