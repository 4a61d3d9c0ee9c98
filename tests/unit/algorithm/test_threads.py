"""Linear algebra takes one thread, and what was before comes back."""

from __future__ import annotations

import scipy.linalg  # noqa: F401  (loads a BLAS of its own)
from threadpoolctl import threadpool_info

from orion_k8s.algorithm.threads import one_thread


def _threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_one_thread_and_then_as_many_as_before() -> None:
    before = _threads()
    assert before
    with one_thread():
        assert set(_threads()) == {1}
    assert _threads() == before
