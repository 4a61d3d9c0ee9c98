from __future__ import annotations

from pathlib import Path

import pytest
from visitors import Visitor


@pytest.fixture
def visitor(tmp_path: Path) -> Visitor:
    folder = tmp_path / "here"
    folder.mkdir()
    return Visitor(folder)
