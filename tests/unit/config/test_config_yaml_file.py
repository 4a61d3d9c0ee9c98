"""Reading a configuration file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orion_k8s.config.yaml_file import read_yaml
from orion_k8s.errors import ConfigurationError


def write(folder: Path, text: str) -> Path:
    path = folder / "my config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert read_yaml(write(tmp_path, "# only a comment\n")) == {}


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    path = write(tmp_path, "a: 1e-3\nb: -2E+4\nc: 1.5e3\nd: '1e-3'\ne: 1e\nf: e3\ng: 10\n")
    assert read_yaml(path) == {
        "a": 0.001,
        "b": -20000.0,
        "c": 1500.0,
        "d": "1e-3",
        "e": "1e",
        "f": "e3",
        "g": 10,
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("worker:\n  heartbeat: 1\n  bad", 4),
        ("a: [1\nb: 2", 2),
        ("a:\n\tb: 1", 2),
        ("a: 1\nb: 'never closed", 2),
        ("a: 1\n\nb: \x01", 3),
        ("worker: {}\nstorage: {}\nworker: {}", 3),
        ("a:\n  x: 1\n  y: 2\n  x: 3", 4),
        ("a: 1\nb: !!python/object/apply:os.getcwd []", 2),
        ("a: 1\nb: *nowhere", 2),
    ],
)
def test_what_is_not_yaml_is_refused_with_file_and_line(
    tmp_path: Path, text: str, line: int
) -> None:
    path = write(tmp_path, text)
    # The end of the file may count as the line where something is missing.
    with pytest.raises(ConfigurationError, match=rf"^{re.escape(str(path))}, line \d+") as caught:
        read_yaml(path)
    said = re.search(r"line (\d+)", str(caught.value))
    assert said is not None
    assert abs(int(said[1]) - line) <= 1
    assert "\n" not in str(caught.value)


def test_merge_keys_are_not_taken_for_doubles(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "base: &base {x: 1, y: 2}\nmore: &more {<<: *base, y: 3}\nmost: {<<: *more, y: 4}\n",
    )
    assert read_yaml(path)["most"] == {"x": 1, "y": 4}


@pytest.mark.parametrize("text", ["- a\n- b\n", "just a text", "42"])
def test_what_is_not_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="must hold a mapping"):
        read_yaml(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no configuration file .*gone\.yaml"):
        read_yaml(tmp_path / "gone.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: \xe9t\xe9\n")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["a: 2024-99-99", "[" * 5000, "a: " + "x" * (1 << 20)])
def test_odd_files_end_in_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        read_yaml(write(tmp_path, text))
