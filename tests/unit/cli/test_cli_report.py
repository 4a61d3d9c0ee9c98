from __future__ import annotations

import json
from pathlib import Path

import pytest

from orion_k8s.cli import main


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORION_REPORTS_PATH", str(tmp_path / "reports"))
    monkeypatch.setenv("ORION_STOP_PATH", str(tmp_path / "stop"))
    return tmp_path


def lines(files: Path) -> list[object]:
    path = files / "reports"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_it_reports_and_says_whether_to_stop(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "0.5"]) == 0
    assert main(["report", "-1e-3", "--step", "3", "--metric", "a=2", "--metric", "b=.5"]) == 0
    assert main(["report"]) == 0
    (files / "stop").touch()
    assert main(["report", "--step", "4", "7"]) == 0
    assert main(["report"]) == 0
    assert capsys.readouterr().out.split() == ["continue"] * 3 + ["stop"] * 2
    assert lines(files) == [
        {"value": 0.5},
        {"step": 3, "value": -0.001, "metrics": {"a": 2.0, "b": 0.5}},
        {"step": 4, "value": 7},
    ]


@pytest.mark.parametrize("words", [["0.5", "--step=3"], ["-V", "0.5", "--step", "3"]])
def test_other_spellings_take_the_usual_way(files: Path, words: list[str]) -> None:
    assert main(["report", *words]) == 0
    assert lines(files) == [{"step": 3, "value": 0.5}]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["x"], "a number, not 'x'"),
        (["0.5", "--step"], "requires an argument"),
        (["0.5", "--step", "x"], "'--step'"),
        (["0.5", "--metric", "q"], "NAME=VALUE"),
        (["--step", "3"], "goes with a value"),
        (["0.5", "0.6"], "unexpected extra argument"),
    ],
)
def test_mistakes(
    files: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and sentence in err and len(err.splitlines()) == 1
    assert lines(files) == []


def test_what_cannot_be_written_is_said(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "reports").mkdir()
    assert main(["report", "0.5"]) == 0  # it is no reason to lose the trial
    out, err = capsys.readouterr()
    assert out == "continue\n" and "cannot be written" in err
