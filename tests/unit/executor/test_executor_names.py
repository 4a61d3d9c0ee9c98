"""Executors by name, their arguments, and numbers of workers."""

from __future__ import annotations

import joblib
import pytest

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.joblib import Joblib
from orion_k8s.executor.pool import Pool
from orion_k8s.executor.registry import create_executor, executor_class
from orion_k8s.executor.share import Share
from orion_k8s.executor.single import Single
from orion_k8s.executor.threads import Threads
from orion_k8s.testing.executor.work import add


@pytest.mark.parametrize(
    ("name", "kind"),
    [("joblib", Joblib), ("JobLib ", Joblib), ("singleexecutor", Single), ("PoolExecutor", Pool)],
)
def test_known_names(name: str, kind: type) -> None:
    assert executor_class(name) is kind


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("jobli", "did you mean 'joblib'"),
        ("pool", "There are: "),
        ("singlexecutor", "did you mean 'singleexecutor'"),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint) as raised:
        executor_class(name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("n_workers", [0, -2, 1.5, True, "two"])
def test_numbers_of_workers_that_are_none(n_workers: object) -> None:
    with pytest.raises(ConfigurationError, match="n_workers must be a positive integer"):
        create_executor("joblib", n_workers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ({"backend": "lokky"}, "joblib knows no backend 'lokky'"),
        ({"backend": 3}, "backend must be the name"),
        ({"backend": "threading", "timeout": 3}, "takes no argument 'timeout' for threading"),
        ({"bakend": "loky"}, "takes no argument 'bakend'"),
        ({"max_trials_per_process": 0}, "max_trials_per_process must be a positive integer"),
        ({"inner_max_num_threads": "many"}, "inner_max_num_threads must be a positive integer"),
    ],
)
def test_arguments_that_joblib_does_not_take(configuration: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        create_executor("joblib", 1, **configuration)


def test_slots_without_a_number() -> None:
    for name in ("joblib", "singleexecutor", "poolexecutor"):
        with create_executor(name) as executor:
            assert executor.slots() == 1


def test_all_cores() -> None:
    with create_executor("joblib", -1, backend="threading") as executor:
        assert executor.slots() == joblib.cpu_count()


@pytest.mark.parametrize("context", [joblib.parallel_config, joblib.parallel_backend])
def test_an_outer_context_wins(context: type) -> None:
    with context("threading", n_jobs=3), create_executor("joblib", 1, backend="loky") as executor:
        assert executor.slots() == 3
        assert executor.submit(threads_name).get(10) == "orion-slot"


def threads_name() -> str:
    import threading

    return threading.current_thread().name


def test_an_outer_context_that_says_a_number_alone() -> None:
    with joblib.parallel_config(n_jobs=3), create_executor("joblib") as executor:
        assert executor.slots() == 3


def test_a_share_of_an_executor_is_not_its_own() -> None:
    with Threads(3) as whole:
        share = Share(whole, 2)
        assert share.slots() == 2
        future = share.submit(add, 1)
        assert share.wait([future]) == [2] and share.async_get([future]) == [future]
        share.wake()
        assert share.async_get([], timeout=60) == []
        share.close(cancel=True)
        assert whole.submit(add, 2).get(10) == 3
        assert Share(whole, 5).slots() == 3
