"""Writes manifests/base, the chart as it is with its default values, and what Dask adds to it.

After a change of the chart:

python tests/chart/manifests.py
"""

from __future__ import annotations

from pathlib import Path

import yaml
from rendering import Helm, Object, name_of

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
NAME = "orion-k8s"
HEAD = "# Made by `python tests/chart/manifests.py` from the chart.\n"
# The Secret comes from kustomization.yaml, and nobody tests by Helm.
SETTINGS = (f"--set=mongodb.auth.existingSecret={NAME}-mongodb", "--set=tests.enabled=false")
FILES = {
    "ConfigMap": "experiment",
    "Deployment": "worker",
    "StatefulSet": "mongodb",
    "Service": "mongodb",
    "NetworkPolicy": "networkpolicy",
    "ServiceAccount": "worker",
}


def plain(objects: list[Object]) -> list[Object]:
    """Return objects of the chart without what belongs to Helm and to one namespace."""
    for found in objects:
        found["metadata"].pop("namespace")
        for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            found["metadata"]["labels"].pop(label)
        notes = found["metadata"].get("annotations", {})
        notes.pop("orion-k8s/replicas", None)
        if not notes:
            found["metadata"].pop("annotations", None)
    return objects


def base(helm: Helm, mode: str = "default", *settings: str) -> list[Object]:
    """Return the objects of a mode as manifests have them."""
    return plain(helm.render(mode, *SETTINGS, *settings, release=NAME))


def files(helm: Helm) -> dict[str, str]:
    """Return path, below manifests/, and text of the generated files."""
    parts: dict[str, list[Object]] = {}
    names = set()
    for found in base(helm):
        names.add(name_of(found))
        parts.setdefault(f"base/{FILES[found['kind']]}.yaml", []).append(found)
    with_dask = base(helm, "default", "--set=executor.type=dask")
    parts["overlays/dask/dask.yaml"] = [one for one in with_dask if name_of(one) not in names]
    return {
        name: HEAD + yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=1000)
        for name, objects in parts.items()
    }


class _Dumper(yaml.SafeDumper):
    """Lists are indented, and texts of several lines stay so."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def represent_str(self, text: str) -> yaml.Node:
        style = "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


if __name__ == "__main__":
    from helms import find

    for name, text in files(Helm(find("helm4"))).items():
        (MANIFESTS / name).write_text(text, encoding="utf-8")
