"""The plug-ins of docs/plugins.md are what the page shows, keep their contracts, and are found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from docpages import ROOT, page
from visitors import Visitor

from orion_k8s.algorithm import Algorithm
from orion_k8s.space import Space
from orion_k8s.stopping import Rule
from orion_k8s.storage import Storage
from orion_k8s.testing.algorithm import AlgorithmContract
from orion_k8s.testing.executor import ConcurrentContract, ExecutorContract, Make
from orion_k8s.testing.stopping import RuleContract
from orion_k8s.testing.storage import StorageContract

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLUGINS = ROOT / "examples" / "plugins"
PACKAGE = PLUGINS / "orion_k8s_examples"


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGINS))


class TestAroundTheBest(AlgorithmContract):
    same_set = False

    def make(self, space: Space, seed: int) -> Algorithm:
        from orion_k8s_examples.aroundbest import AroundTheBest

        made: Algorithm = AroundTheBest(space, seed)
        return made


class TestHopeless(RuleContract):
    def make(self) -> Rule:
        from orion_k8s_examples.hopeless import Hopeless

        made: Rule = Hopeless(others=2)
        return made


class TestFutures(ExecutorContract, ConcurrentContract):
    @pytest.fixture
    def make(self) -> Make:
        from orion_k8s_examples.futures import Futures

        return Futures


class TestProject(StorageContract):
    @pytest.fixture
    def storage_factory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[], Storage]:
        from orion_k8s_examples.project import Project

        (tmp_path / ".git").mkdir()
        monkeypatch.chdir(tmp_path)
        return partial(Project.from_url, "project://history")


def test_the_page_shows_the_files() -> None:
    shown = [block.text for block in page("docs/plugins.md").of("python")]
    for path in sorted(PACKAGE.glob("[a-z]*.py")):
        assert path.read_text(encoding="utf-8") in shown, path.name
    [table] = [block.text for block in page("docs/plugins.md").of("toml")]
    assert table in (PLUGINS / "pyproject.toml").read_text(encoding="utf-8")


@pytest.fixture
def installed(visitor: Visitor) -> Iterator[Visitor]:
    """Somebody who has installed the examples: the package and its metadata are on the path."""
    project = tomllib.loads((PLUGINS / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = visitor.folder / ".site" / "orion_k8s_examples-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n")
    with open(info / "entry_points.txt", "w") as file:
        for group, points in project["entry-points"].items():
            lines = [f"{name} = {target}\n" for name, target in points.items()]
            file.write(f"[{group}]\n{''.join(lines)}")
    visitor.env["PYTHONPATH"] += f":{PLUGINS}:{info.parent}"
    yield visitor


def test_they_are_found_by_their_names(installed: Visitor) -> None:
    (installed.folder / ".git").mkdir()
    (installed.folder / "orion.yaml").write_text(
        "experiment: {algorithm: {aroundbest: {width: 0.2}}, stopping: {hopeless: {others: 9}}}\n"
        "worker: {executor: futures, n_workers: 2}\n"
    )
    words = ["orion-k8s", "hunt", "-n", "e", "-c", "orion.yaml", "--db", "project://mine"]
    words += ["--max-trials", "6", "examples/train.sh", "-x~uniform(-2, 2)", "-y~uniform(-1, 3)"]
    assert "6 of 6 trials completed" in installed.run(*words).stdout
    assert (installed.folder / ".orion" / "mine.db").is_file()
    told = installed.run("orion-k8s", "info", "-n", "e", "--db", "project://mine").stdout
    assert "aroundbest(width=0.2)" in told and "hopeless(others=9)" in told
