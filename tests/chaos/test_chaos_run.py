"""Workers are killed, stopped, ended and misled, their database too; what must hold holds.

`make chaos` runs it large: CHAOS_SIZE=large. The seed is printed; CHAOS_SEED repeats the faults.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.backends import Backend, OnMongoDB, OnSQLite
from tests.chaos.chaos import HEARTBEAT_S, Run
from tests.chaos.crew import Crew
from tests.chaos.faults import plan


@dataclass(frozen=True)
class Size:
    trials: int
    faults: int
    workers: int
    mean_ms: int
    limit_s: float


SIZES = {"small": Size(100, 25, 6, 500, 100.0), "large": Size(520, 105, 12, 650, 200.0)}


@pytest.fixture
def size() -> Size:
    return SIZES[os.environ.get("CHAOS_SIZE", "small")]


@pytest.fixture(params=[OnSQLite, pytest.param(OnMongoDB, marks=pytest.mark.mongo)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    make: Callable[[Path], Backend] = request.param
    with closing(make(tmp_path)) as made:
        yield made


@pytest.mark.timeout(600)
def test_exactly_n_trials_survive_chaos(
    backend: Backend,
    size: Size,
    chaos_seed: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    faults = plan(chaos_seed, backend.weights, size.faults, size.trials, size.workers)
    options = ["--heartbeat", str(HEARTBEAT_S), "--grace", "2"]
    crew = Crew(tmp_path / "crew", backend.urls, size.trials, size.mean_ms, options, shifting=True)
    with closing(crew):
        run = Run(crew, backend, faults, size.workers)
        with capsys.disabled():
            print(f"\n{type(backend).__name__}: CHAOS_SEED={chaos_seed}", flush=True)
            run.run(size.limit_s)
            wrong = run.judged()
            print(f"{type(backend).__name__}: {run.summary}", flush=True)
    assert not wrong, "\n".join([f"CHAOS_SEED={chaos_seed}", *wrong])
