"""What each mode's values change in the objects of the default values, kept in golden/MODE.txt.

The default ones themselves are manifests/base. After a change of the chart that is meant:

    python tests/chart/golden.py
"""

from __future__ import annotations

import re
from pathlib import Path

from rendering import MODES, Helm, Object, flat, masked, name_of

GOLDEN = Path(__file__).parent / "golden"
WORKER = "Deployment/demo-orion-k8s-worker"
# A Job is named by its template.
JOB = re.compile(r"(-worker-)[0-9a-f]{8}\b")
# Told by other tests, or twice.
LEFT_OUT = re.compile(r"labels\.(app\.kubernetes\.io|helm\.sh)/|\]\.name = |checksum/config")


def difference(helm: Helm, mode: str) -> str:
    """Return the lines that a mode takes away (-) and adds (+).

    A group of workers that the default values have not is compared with their worker.
    """
    before, after = _leaves(helm.render("default")), _leaves(helm.render(mode))
    said = [f"- {name}" for name in sorted(before.keys() - after.keys())]
    for name, leaves in sorted(after.items()):
        like = before.get(name)
        if like is None and "-orion-k8s-worker" in name and "spec.template" in "".join(leaves):
            said.append(f"+ {name} as {WORKER}")
            like = before[WORKER]
        like = like or set()
        said += [f"- {name} {leaf}" for leaf in sorted(like - leaves)]
        said += [f"+ {name} {leaf}" for leaf in sorted(leaves - like)]
    return "\n".join(said) + "\n"


def _leaves(objects: list[Object]) -> dict[str, set[str]]:
    return {
        JOB.sub(r"\1HASH", name_of(found)): {
            JOB.sub(r"\1HASH", leaf) for leaf in flat(found) if not LEFT_OUT.search(leaf)
        }
        for found in masked(objects)
    }


if __name__ == "__main__":
    from helms import find

    GOLDEN.mkdir(exist_ok=True)
    for name in MODES:
        if name != "default":
            path = GOLDEN / f"{name}.txt"
            path.write_text(difference(Helm(find("helm4")), name), encoding="utf-8")
