from __future__ import annotations

from pathlib import Path

import pytest

from orion_k8s.cli.folder import default_folder, make_folder
from orion_k8s.errors import UsageError
from orion_k8s.trial import ExperimentRecord


def record(name: str) -> ExperimentRecord:
    return ExperimentRecord("0123456789abcdef01234567", name, 2, {}, {"random": {}}, 1)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("digits", "digits-v2-01234567"),
        ("a b/c", "a-b-c-v2-01234567"),
        ("../../etc", "etc-v2-01234567"),
        (".hidden", "hidden-v2-01234567"),
        ("試験", "v2-01234567"),
        ("$HOME", "HOME-v2-01234567"),
        ("e" * 300, "e" * 40 + "-v2-01234567"),
    ],
)
def test_the_default_folder_has_a_harmless_name_that_tells_the_experiment(
    name: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_folder(record(name)) == f"/data/orion.core/trials/{folder}"


def test_without_a_home_it_is_below_the_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "~nobody-at-all")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert default_folder(record("e")).startswith(str(tmp_path))


def test_a_folder_is_made_and_tried(tmp_path: Path) -> None:
    made = make_folder(str(tmp_path / "a" / "b"))
    assert made == str(tmp_path / "a" / "b") and list(Path(made).iterdir()) == []
    assert make_folder(made) == made


@pytest.mark.parametrize("folder", ["/proc/x", "/dev/null/x", "/dev/null", "a\0b"])
def test_a_folder_that_cannot_be_used(folder: str) -> None:
    with pytest.raises(UsageError, match="--working-dir"):
        make_folder(folder)
