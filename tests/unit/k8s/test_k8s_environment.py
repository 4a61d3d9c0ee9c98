"""The copy of an environment into a pod's volume."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orion_k8s.errors import UsageError
from orion_k8s.k8s.environment import copy_environment


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that has its Python in itself, as far as its paths tell."""
    root = tmp_path / "own"
    (root / "python" / "bin").mkdir(parents=True)
    (root / "python" / "bin" / "python3").write_text("the Python")
    (root / "bin").mkdir()
    (root / "bin" / "python").symlink_to(root / "python" / "bin" / "python3")
    monkeypatch.setattr(sys, "prefix", str(root))
    monkeypatch.setattr(sys, "base_prefix", str(root / "python"))
    return root


def test_links_stay_links_and_what_a_first_try_left_goes(own: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "bin").mkdir(parents=True)
    (volume / "bin" / "old").touch()
    (volume / "half").touch()
    for _ in range(2):
        copy_environment(volume)
        assert sorted(path.name for path in volume.iterdir()) == ["bin", "python"]
        assert (volume / "bin" / "python").readlink() == own / "python" / "bin" / "python3"
        assert (volume / "python" / "bin" / "python3").read_text() == "the Python"
        assert not (volume / "bin" / "old").exists()


def test_an_environment_that_needs_a_python_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"uses the Python of .*: use the image of orion-k8s"):
        copy_environment(tmp_path)


def test_a_volume_that_cannot_take_it(own: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"can't be copied to .*: .*Not a directory"):
        (tmp_path / "file").touch()
        copy_environment(tmp_path / "file")
