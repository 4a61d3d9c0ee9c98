"""Following a program's file of reports: what is read, what is passed over, what it may cost."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from orion_k8s.script import reports
from orion_k8s.script.reports import LINE_BYTES, READ_BYTES, Channel, ReportFile, last_report


def append(path: Path, *lines: object, end: str = "\n") -> None:
    with path.open("a") as file:
        for line in lines:
            file.write((line if isinstance(line, str) else json.dumps(line)) + end)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports.jsonl"


@pytest.fixture
def file(path: Path) -> ReportFile:
    return ReportFile(str(path), 7, 2)


def test_lines_are_read_as_they_come(path: Path, file: ReportFile) -> None:
    assert not file.look() and file.last is None
    append(path, {"step": 1, "value": 0.5}, {"step": 2, "value": 0.25, "metrics": {"a": 3}})
    assert file.look() and not file.look()
    append(path, {"step": 5, "value": 1})
    assert file.look()
    curve = file.curve()
    assert (curve.number, curve.attempt, curve.count) == (7, 2, 3)
    assert list(curve) == [(1, 0.5), (2, 0.25), (5, 1.0)]
    assert curve.metrics == {"a": (None, 3.0, None)}
    assert file.last == 1.0


def test_a_line_that_is_not_whole_is_waited_for(path: Path, file: ReportFile) -> None:
    append(path, '{"step": 1, "val', end="")
    assert not file.look()
    append(path, 'ue": 3}', end="")
    assert not file.look()
    append(path, "")
    assert file.look() and file.last == 3


def test_the_last_line_needs_no_end(path: Path, file: ReportFile) -> None:
    append(path, {"value": 1})
    append(path, {"value": 2}, end="")
    assert file.finish() and list(file.curve()) == [(1, 1), (2, 2)]
    append(path, '{"value": 3', end="")
    assert not file.finish() and file.last == 2


def test_without_a_step_it_is_the_next_one(path: Path, file: ReportFile) -> None:
    append(path, {"value": 3}, {"value": 2, "step": 10}, {"value": 1, "step": None})
    file.look()
    assert list(file.curve()) == [(1, 3), (10, 2), (11, 1)]


GARBAGE = [
    "hello",
    "{",
    "[1, 2]",
    '{"step": 1}',
    '{"value": "0.5"}',
    '{"value": true}',
    '{"value": NaN}',
    '{"value": Infinity}',
    '{"value": 1' + "0" * 400 + "}",
    '{"value": 1, "step": "two"}',
    '{"value": 1, "step": NaN}',
    "[" * 5000,
    "\x00\x01",
    json.dumps({"value": 1, "metrics": {"m": "x" * LINE_BYTES}}),
]


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: line[:20])
def test_garbage_is_passed_over_and_told_once(
    path: Path, file: ReportFile, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    append(path, {"step": 1, "value": 5}, line, line, {"step": 2, "value": 6})
    with caplog.at_level(logging.WARNING):
        assert file.look()
        append(path, line, {"step": 3, "value": 7})
        assert file.look()
    assert list(file.curve()) == [(1, 5), (2, 6), (3, 7)]
    assert len(caplog.records) == 1
    assert last_report(str(path)) == 7


def test_bytes_that_are_no_text(path: Path, file: ReportFile) -> None:
    path.write_bytes(b'\xff\xfe\n{"value": 1}\n{"value": "\xff"}\n')
    assert file.look() and file.last == 1


def test_metrics_that_are_no_numbers_are_left_out(path: Path, file: ReportFile) -> None:
    append(path, '{"value": 1, "metrics": {"a": NaN, "b": "x", "c": 2, "d": null}}')
    append(path, '{"value": 2, "metrics": [1]}')
    file.look()
    assert file.curve().metrics == {"c": (2.0, None)}


def test_steps_backwards_and_repeated(
    path: Path, file: ReportFile, caplog: pytest.LogCaptureFixture
) -> None:
    append(path, {"step": 3, "value": 1}, {"step": 3, "value": 2})
    append(path, {"step": 1, "value": 9}, {"step": 2, "value": 8})
    file.look()
    assert list(file.curve()) == [(3, 2)]
    assert file.last == 8  # its last word, whatever step it says
    assert len(caplog.records) == 1 and "comes after step 3" in caplog.text


def test_of_more_than_can_be_read_the_newest_counts(
    path: Path, file: ReportFile, caplog: pytest.LogCaptureFixture
) -> None:
    lines = READ_BYTES // 10
    path.write_text("".join(f'{{"step": {n}, "value": {n}}}\n' for n in range(lines)))
    assert path.stat().st_size > 2 * READ_BYTES
    assert file.look()
    curve = file.curve()
    assert curve.steps[-1] == curve.values[-1] == lines - 1 and len(curve) <= 1000
    assert "more than can be read" in caplog.text
    append(path, {"step": lines, "value": 0.5})
    assert file.look() and file.last == 0.5
    assert last_report(str(path)) == 0.5


def test_a_line_without_end_costs_no_memory(path: Path, file: ReportFile) -> None:
    for _ in range(20):
        append(path, "x" * LINE_BYTES, end="")
        file.look()
        assert len(file._rest) <= LINE_BYTES
    append(path, "", {"value": 1})
    assert file.look() and file.last == 1


def test_a_file_that_is_written_anew(path: Path, file: ReportFile) -> None:
    append(path, {"step": 1, "value": 5}, {"step": 2, "value": 6})
    file.look()
    path.write_text('{"step": 3, "value": 7}\n')
    assert file.look() and list(file.curve()) == [(1, 5), (2, 6), (3, 7)]


def test_what_is_no_regular_file(
    path: Path, file: ReportFile, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(path)  # opening it would wait for ever
    assert not file.look() and not file.finish()
    assert "no regular file" in caplog.text and last_report(str(path)) is None
    path.unlink()
    path.mkdir()
    assert not file.look() and last_report(str(path)) is None


def test_the_look_without_news_opens_nothing(
    path: Path, file: ReportFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(path, {"value": 1})
    file.look()

    def no_open(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(reports, "open", no_open, raising=False)
    assert not file.look()


def test_the_word_to_stop(tmp_path: Path) -> None:
    channel = Channel.of(str(tmp_path / "attempt-1"))
    channel.clear()
    channel.ask_to_stop()
    channel.ask_to_stop()
    assert (tmp_path / "attempt-1" / "stop").read_bytes() == b""
    channel.clear()
    assert not os.listdir(tmp_path / "attempt-1")
