"""A trial that continues another begins with what that one left, whole or not at all."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from orion_k8s.errors import UsageError
from orion_k8s.script.inherit import inherit_folder
from orion_k8s.testing.executor.probes import until


def parent_of(root: Path) -> Path:
    folder = root / "p1"
    (folder / "attempt-1").mkdir(parents=True)
    (folder / "attempt-1" / "stdout.txt").write_text("of the parent")
    (folder / "model" / "layers").mkdir(parents=True)
    (folder / "model" / "layers" / "0").write_text("weights")
    (folder / "latest").symlink_to("model")
    (folder / "attempt-notes").write_text("a person's")
    return folder


def inherit(root: Path, attempt: int = 1) -> None:
    inherit_folder(str(root), "t1", "p1", attempt)


def test_all_but_the_attempts_is_copied(tmp_path: Path) -> None:
    parent = parent_of(tmp_path)
    os.mkfifo(parent / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(parent / "socket"))
        inherit(tmp_path)
    folder = tmp_path / "t1"
    assert sorted(os.listdir(folder)) == ["attempt-notes", "latest", "model"]
    assert (folder / "latest").is_symlink()
    assert (folder / "latest" / "layers" / "0").read_text() == "weights"
    (folder / "model" / "layers" / "0").write_text("better")
    assert (parent / "model" / "layers" / "0").read_text() == "weights"
    assert sorted(os.listdir(tmp_path)) == ["p1", "t1"]


def test_what_an_earlier_attempt_saved_stays(tmp_path: Path) -> None:
    parent_of(tmp_path)
    inherit(tmp_path)
    saved = tmp_path / "t1" / "model" / "layers" / "0"
    saved.write_text("newer")
    inherit(tmp_path, 2)
    assert saved.read_text() == "newer"


def test_without_the_parents_folder_it_begins_anew(tmp_path: Path) -> None:
    inherit(tmp_path)
    assert os.listdir(tmp_path) == []


KILLED = """
import sys, time
from orion_k8s.script import inherit
plain = inherit._copy
def slow(source, target):
    if not source.endswith("first"):
        print("half-way", flush=True)
        time.sleep(600)
    plain(source, target)
inherit._copy = slow
inherit.inherit_folder(sys.argv[1], "t1", "p1", 1)
"""


def test_a_copy_that_was_killed_half_way_is_made_again(tmp_path: Path) -> None:
    parent = parent_of(tmp_path)
    (parent / "first").write_text("1")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "half-way\n"
        child.send_signal(signal.SIGKILL)
    assert not (tmp_path / "t1").exists()
    [half] = [name for name in os.listdir(tmp_path) if name != "p1"]
    assert half == ".t1.attempt-1"
    inherit(tmp_path, 2)
    assert (tmp_path / "t1" / "model" / "layers" / "0").read_text() == "weights"
    assert sorted(os.listdir(tmp_path)) == ["p1", "t1"]


FROZEN = KILLED.replace("time.sleep(600)", "sys.stdin.readline()")


def test_an_attempt_that_was_frozen_in_its_copy_changes_nothing_later(tmp_path: Path) -> None:
    parent_of(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", FROZEN, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == "half-way\n"
        inherit(tmp_path, 2)
        (tmp_path / "t1" / "model" / "layers" / "0").write_text("newer")
        child.stdin.write("\n" * 9)
        child.stdin.close()
        until(lambda: child.poll() is not None)
        assert child.returncode == 0
    assert (tmp_path / "t1" / "model" / "layers" / "0").read_text() == "newer"
    assert sorted(os.listdir(tmp_path)) == ["p1", "t1"]


def test_a_copy_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent_of(tmp_path)

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orion_k8s.script.inherit._copy", full)
    with pytest.raises(UsageError, match=r"checkpoints of trial p1 .*No space left.* make room"):
        inherit(tmp_path)
    assert os.listdir(tmp_path) == ["p1"]
