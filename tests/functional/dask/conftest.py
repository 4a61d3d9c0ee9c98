"""A Dask scheduler and its workers, each a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dask_processes import DaskProcesses, dask_processes


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[DaskProcesses]:
    folder = tmp_path / "dask"
    folder.mkdir()
    with dask_processes(folder) as dask:
        dask.scheduler()
        yield dask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where trials write what they do."""
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder
