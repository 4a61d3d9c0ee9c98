from __future__ import annotations

import os
import random

import pytest


@pytest.fixture(scope="session")
def chaos_seed() -> int:
    """The seed of all faults: CHAOS_SEED repeats a run."""
    given = os.environ.get("CHAOS_SEED")
    return int(given) if given else random.SystemRandom().randrange(10**6)
