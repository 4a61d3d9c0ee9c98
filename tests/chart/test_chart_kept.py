"""What is made from the chart has been made anew: its README, its schema, the manifests."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
import readme
import yaml
from rendering import CHART, ROOT, Helm, Object, flat, name_of

import manifests

VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
# Filled in by the person: their keys are not the chart's.
OPEN = ("commonLabels", "commonAnnotations", "workerGroups", "extraObjects")


def leaves(values: Any, path: str = "") -> list[str]:
    """Return the paths of the values that are not mappings of the chart's own."""
    if isinstance(values, dict) and values and not path.endswith(("ontext", "strategy", "labels")):
        return [leaf for key, value in values.items() for leaf in leaves(value, f"{path}.{key}")]
    return [path.removeprefix(".").removesuffix(".requests")]


def test_the_readme_s_table_is_up_to_date() -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert text == readme.filled(text), "run python tests/chart/readme.py"


def test_every_value_is_described() -> None:
    told = {path for path, _ in readme.described()}
    for leaf in leaves(VALUES):
        above = {leaf.rsplit(".", n)[0] for n in range(4)}
        assert above & told, f"{leaf} has no comment that begins with # --"


def test_the_schema_knows_every_value_and_no_other() -> None:
    def compare(values: Any, schema: Any, path: str) -> None:
        if "$ref" in schema:
            schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
        if "properties" not in schema or path.endswith("resources"):
            return
        assert set(values) == set(schema["properties"]), path
        if path != "global":
            assert schema["additionalProperties"] is False, path
        for key, value in values.items():
            if isinstance(value, dict) and value:
                compare(value, schema["properties"][key], f"{path}.{key}".lstrip("."))

    compare(VALUES, SCHEMA, "")


def test_the_chart_is_of_the_package_s_version() -> None:
    import orion_k8s

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == orion_k8s.__version__
    assert f":{orion_k8s.__version__}" in chart["annotations"]["artifacthub.io/images"]


def test_the_image_has_the_versions_that_are_tested() -> None:
    tested = (ROOT / "requirements" / "ci.txt").read_text(encoding="utf-8").splitlines()
    pinned = (ROOT / "requirements" / "image.txt").read_text(encoding="utf-8").splitlines()
    known = {line.partition(" ")[0] for line in tested if "==" in line}
    for line in pinned:
        if "==" in line:
            assert line.partition(" ")[0] in known, "run make lock"


def test_no_template_asks_for_a_value_that_there_is_not() -> None:
    known = SCHEMA["properties"]
    for path in (CHART / "templates").rglob("*"):
        if path.is_file():
            for found in re.findall(r"\.Values((?:\.\w+)+)", path.read_text(encoding="utf-8")):
                keys = found.lstrip(".").split(".")
                assert keys[0] in known, (path.name, found)
                value: Any = VALUES
                for key in keys:
                    if not isinstance(value, dict) or not value:
                        break
                    assert key in value, (path.name, found)
                    value = value[key]


# --- manifests -----------------------------------------------------------------------------------


def built(kubectl: str, folder: str) -> list[Object]:
    """Return what `kubectl apply -k` would apply."""
    done = subprocess.run(
        [kubectl, "kustomize", str(ROOT / "manifests" / folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return list(yaml.safe_load_all(done.stdout))


def told(objects: list[Object]) -> dict[str, list[str]]:
    """Return the leaves of all objects but the Secret, which the chart generates elsewise."""
    return {
        name_of(found): sorted(leaf for leaf in flat(found) if "checksum/config" not in leaf)
        for found in objects
        if found["kind"] != "Secret"
    }


def test_the_manifests_are_up_to_date(helm: Helm) -> None:
    for name, text in manifests.files(helm).items():
        path = manifests.MANIFESTS / name
        assert path.read_text(encoding="utf-8") == text, "run python tests/chart/manifests.py"


def test_the_base_is_the_chart_and_a_secret(helm4: Helm, kubectl: str) -> None:
    objects = built(kubectl, "base")
    assert told(objects) == told(manifests.base(helm4))
    secret = next(found for found in objects if found["kind"] == "Secret")
    assert secret["metadata"]["name"] == "orion-k8s-mongodb"
    assert set(secret["data"]) == {
        *("mongodb-root-password", "mongodb-password", "mongodb-replica-set-key"),
    }


OVERLAYS = {
    "scale": (
        *("--set=worker.replicas=20", "--set=worker.slots=4"),
        *(
            "--set-string=worker.resources.requests.cpu=4",
            "--set=worker.resources.requests.memory=2Gi",
        ),
    ),
    "external-mongodb": (
        *("--set=mongodb.enabled=false", "--set=externalMongodb.username=orion"),
        "--set=externalMongodb.uri=mongodb://db.example.org/orion?replicaSet=rs0",
        "--set=externalMongodb.existingSecret=orion-db",
    ),
    "dask": ("--set=executor.type=dask",),
    "restricted": (),
}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_what_the_chart_would_make(helm4: Helm, kubectl: str, overlay: str) -> None:
    objects = built(kubectl, f"overlays/{overlay}")
    expected = manifests.base(helm4, "default", *OVERLAYS[overlay])
    if overlay == "restricted":
        space = objects.pop(next(i for i, o in enumerate(objects) if o["kind"] == "Namespace"))
        labels = space["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        for found in objects:
            assert found["metadata"].pop("namespace") == space["metadata"]["name"]
    assert told(objects) == told(expected)


def test_every_overlay_is_judged() -> None:
    folders = {path.name for path in (ROOT / "manifests" / "overlays").iterdir()}
    assert folders == OVERLAYS.keys()
