"""`experiment.workon`: each executor, each backend, exactly as many trials as were asked for."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest
from joblib._parallel_backends import ThreadingBackend

from orion_k8s import (
    BrokenExperiment,
    ExperimentClient,
    LazyWorkers,
    Status,
    Trial,
    build_experiment,
    get_experiment,
)
from orion_k8s.errors import ConfigurationError, UsageError
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor.probes import leftovers

SPACE = {"x": "uniform(0, 1)"}
N = 12


def objective(x: float) -> float:
    return (x - 0.3) ** 2


def note(x: float, path: str) -> float:
    """Append a line: which process and thread ran which point."""
    with open(path, "a") as file:
        file.write(f"{os.getpid()} {threading.get_ident()} {x!r}\n")
    return x


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def counts(experiment: ExperimentClient) -> dict[str, int]:
    return {str(s): n for s, n in experiment.stats.counts.items() if n}


EXECUTORS: list[tuple[str, dict[str, Any], bool]] = [
    # name, configuration, whether another process runs the call
    ("joblib", {}, True),
    ("joblib", {"backend": "threading"}, False),
    ("joblib", {"backend": "multiprocessing"}, True),
    ("singleexecutor", {}, False),
    ("poolexecutor", {}, True),
]


@pytest.fixture(autouse=True)
def nothing_left(until: Callable[..., Any]) -> Any:
    before = leftovers()
    yield
    until(lambda: leftovers() <= before, "threads and processes of the executor are gone")


@pytest.mark.parametrize(("name", "configuration", "elsewhere"), EXECUTORS)
@pytest.mark.parametrize("n_workers", [None, 2])
def test_tmp_executor(
    sqlite_url: str,
    tmp_path: Path,
    name: str,
    configuration: dict[str, Any],
    elsewhere: bool,
    n_workers: int | None,
) -> None:
    log = tmp_path / "log"
    with build_experiment("e", space=SPACE, max_trials=N, storage=sqlite_url) as experiment:
        with experiment.tmp_executor(name, n_workers=n_workers, **configuration) as same:
            assert same is experiment
            assert experiment.workon(note, path=str(log)) == N
            assert experiment.is_done
        assert counts(experiment) == {"completed": N}
    ran = lines(log)
    assert len(ran) == len({x for _, _, x in ran}) == N
    processes = {int(pid) for pid, _, _ in ran}
    assert (os.getpid() not in processes) is elsewhere
    if elsewhere:
        assert len(processes) <= (n_workers or 1)  # warm ones are used again


def test_exactly_n_on_each_backend(url: str) -> None:
    with build_experiment("e", space=SPACE, max_trials=N, storage=url) as experiment:
        assert experiment.workon(objective, n_workers=3) == N
        assert counts(experiment) == {"completed": N}
        assert experiment.workon(objective) == 0


def crash(x: float, folder: str, how: str) -> float:
    """The second trial ends its process."""
    mark = Path(folder) / "crashed"
    started = len(list(Path(folder).iterdir()))
    (Path(folder) / f"{x!r}").touch()
    if started >= 1 and not mark.exists():
        mark.touch()
        if how == "exit":
            os._exit(7)
        if how == "segfault":
            ctypes.string_at(0)
        os.kill(os.getpid(), signal.SIGKILL)
    return x


@pytest.mark.parametrize("executor", ["joblib", "poolexecutor"])
@pytest.mark.parametrize(
    ("how", "told"),
    [("exit", "exit code 7"), ("segfault", "SIGSEGV"), ("kill", "want of memory")],
)
def test_a_crash_breaks_its_own_trial_alone(
    sqlite_url: str, tmp_path: Path, executor: str, how: str, told: str
) -> None:
    folder = tmp_path / "points"
    folder.mkdir()
    experiment = build_experiment("e", space=SPACE, max_trials=N, storage=sqlite_url)
    with experiment, experiment.tmp_executor(executor, n_workers=2):
        done = experiment.workon(crash, max_broken=10, folder=str(folder), how=how)
        assert done == N
        assert counts(experiment) == {"completed": N, "broken": 1}
        (broken,) = experiment.fetch_trials_by_status("broken")
        assert told in str(broken.reason)


def test_warm_processes_last_over_several_calls(sqlite_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    experiment = build_experiment("e", space=SPACE, max_trials=N, storage=sqlite_url)
    with experiment, experiment.tmp_executor("joblib", n_workers=1):
        assert experiment.workon(note, max_trials=4, path=str(log)) == 4
        assert experiment.workon(note, max_trials=4, path=str(log)) == 4
    assert len({pid for pid, _, _ in lines(log)}) == 1


# --- an outer context of joblib --------------------------------------------------------------


class Registered(ThreadingBackend):
    """A third party's backend."""

    used = 0

    def submit(self, func: Any, callback: Any = None) -> Any:
        type(self).used += 1
        return super().submit(func, callback)


def test_outer_parallel_backend(sqlite_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    experiment = build_experiment("e", space=SPACE, max_trials=N, storage=sqlite_url)
    with experiment, joblib.parallel_backend("threading", n_jobs=2):
        with experiment.executor_for() as executor:
            assert executor.slots() == 2
        assert experiment.workon(note, path=str(log)) == N
    assert {int(pid) for pid, _, _ in lines(log)} == {os.getpid()}


def test_outer_parallel_config_with_arguments(sqlite_url: str, tmp_path: Path) -> None:
    experiment = build_experiment("e", space=SPACE, max_trials=4, storage=sqlite_url)
    with (
        experiment,
        joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=3),
    ):
        assert experiment.workon(threads, path=str(tmp_path / "log")) == 4
    assert set((tmp_path / "log").read_text().split()) == {"3"}


def threads(x: float, path: str) -> float:
    with open(path, "a") as file:
        file.write(os.environ["OMP_NUM_THREADS"] + "\n")
    return x


def test_outer_multiprocessing(sqlite_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    experiment = build_experiment("e", space=SPACE, max_trials=6, storage=sqlite_url)
    with experiment, joblib.parallel_config("multiprocessing", n_jobs=2):
        assert experiment.workon(note, path=str(log)) == 6
    assert os.getpid() not in {int(pid) for pid, _, _ in lines(log)}


def test_outer_third_party_backend(sqlite_url: str) -> None:
    joblib.register_parallel_backend("registered", Registered)
    try:
        Registered.used = 0
        experiment = build_experiment("e", space=SPACE, max_trials=6, storage=sqlite_url)
        with experiment, joblib.parallel_config("registered", n_jobs=2):
            assert experiment.workon(objective) == 6
        assert Registered.used == 6
    finally:
        del joblib.parallel.BACKENDS["registered"]


# --- limits ----------------------------------------------------------------------------------


def test_max_trials_of_a_call(sqlite_url: str) -> None:
    with build_experiment("e", space=SPACE, max_trials=N, storage=sqlite_url) as experiment:
        with experiment.tmp_executor("joblib", n_workers=3, backend="threading"):
            assert experiment.workon(objective, max_trials=5) == 5
            assert experiment.workon(objective, max_trials=0) == 0
            assert experiment.workon(objective, max_trials_per_worker=1) == 3
            assert experiment.workon(objective, max_trials=100, max_trials_per_worker=100) == 4
        assert counts(experiment) == {"completed": N}


def failing(x: float) -> float:
    raise ValueError(f"no luck with {x}")


def test_max_broken_of_a_call_and_of_the_experiment(sqlite_url: str) -> None:
    experiment = build_experiment(
        "e", space=SPACE, max_trials=N, max_broken=5, storage=sqlite_url, executor="singleexecutor"
    )
    with experiment:
        with pytest.raises(BrokenExperiment, match="2 trials"):
            experiment.workon(failing, max_broken=2)
        assert not experiment.is_broken
        with pytest.raises(BrokenExperiment, match="5 of its trials"):
            experiment.workon(failing)
        assert experiment.is_broken and not experiment.is_done
        assert counts(experiment) == {"broken": 5}
        (reason,) = {str(t.reason).splitlines()[-1][:19] for t in experiment.fetch_trials()}
        assert reason == "ValueError: no luck"
        experiment.max_broken = 6
        assert experiment.workon(objective) == N
        assert experiment.is_done and not experiment.is_broken


def test_on_error_decides_what_counts(sqlite_url: str) -> None:
    told: list[tuple[str, str, int]] = []

    def on_error(
        client: ExperimentClient, trial: Trial, error: BaseException, broken: int
    ) -> bool:
        assert client is experiment
        told.append((trial.id, str(error), broken))
        return len(told) > 3

    experiment = build_experiment(
        "e",
        space=SPACE,
        max_trials=N,
        max_broken=100,
        storage=sqlite_url,
        executor="singleexecutor",
    )
    with experiment:
        with pytest.raises(BrokenExperiment):
            experiment.workon(failing, max_broken=2, on_error=on_error)
        broken = experiment.fetch_trials_by_status(Status.BROKEN)
    assert [counted for _, _, counted in told] == [0, 0, 0, 0, 1]
    assert {uid for uid, _, _ in told} == {trial.id for trial in broken}
    assert all(text.startswith("no luck with") for _, text, _ in told)


def test_on_error_that_raises_ends_the_call(sqlite_url: str) -> None:
    def on_error(*_: object) -> bool:
        raise KeyError("enough")

    experiment = build_experiment("e", space=SPACE, max_trials=N, storage=sqlite_url)
    with experiment, experiment.tmp_executor("joblib", n_workers=2):
        with pytest.raises(KeyError, match="enough"):
            experiment.workon(failing, on_error=on_error)
        assert "reserved" not in counts(experiment)


def test_idle_timeout(sqlite_url: str) -> None:
    with build_experiment("e", space=SPACE, max_trials=1, storage=sqlite_url) as experiment:
        with experiment.suggest() as held:
            with pytest.raises(LazyWorkers, match=r"Nothing to do for 0\.2 s"):
                experiment.workon(objective, idle_timeout=0.2)
            experiment.observe(held, 1.0)
        assert experiment.workon(objective, idle_timeout=0.2) == 0


def test_workon_waits_for_the_last_trials_of_others(
    sqlite_url: str, until: Callable[..., Any]
) -> None:
    """No idle timeout by default: an owner may die."""
    with build_experiment("e", space=SPACE, max_trials=2, storage=sqlite_url) as experiment:
        held = experiment.suggest()
        done: list[int] = []
        other = build_experiment("e", storage=sqlite_url, executor="singleexecutor")
        worker = threading.Thread(target=lambda: done.append(other.workon(objective)))
        worker.start()
        until(lambda: counts(experiment).get("completed") == 1)
        assert worker.is_alive()
        experiment.release(held)
        worker.join(60)
        assert done == [2]
        other.close()


def with_trial(x: float, who: Trial, factor: float, path: str) -> list[dict[str, Any]]:
    assert who.params == {"x": x} and who.status is Status.RESERVED
    assert os.path.basename(who.working_dir) == who.id
    with open(path, "a") as file:
        file.write(f"{who.id}\n")
    return [
        {"name": "loss", "type": "objective", "value": factor * x},
        {"name": "size", "type": "statistic", "value": 3},
    ]


@pytest.mark.parametrize("executor", ["joblib", "singleexecutor"])
def test_trial_arg_fixed_arguments_and_results(
    sqlite_url: str, tmp_path: Path, executor: str
) -> None:
    log = tmp_path / "log"
    experiment = build_experiment(
        "e", space=SPACE, max_trials=3, storage=sqlite_url, working_dir=str(tmp_path / "work")
    )
    with experiment, experiment.tmp_executor(executor):
        assert experiment.workon(with_trial, trial_arg="who", factor=2.0, path=str(log)) == 3
        trials = experiment.fetch_trials()
    assert set(log.read_text().split()) == {trial.id for trial in trials}
    for trial in trials:
        assert trial.objective == 2 * trial.params["x"]
        assert [r["name"] for r in trial.results] == ["loss", "size"]


def bad_result(x: float) -> Any:
    return "a word" if x >= 0 else x


def test_results_that_are_none_break_the_trial(sqlite_url: str) -> None:
    with build_experiment("e", space=SPACE, storage=sqlite_url) as experiment:
        with pytest.raises(BrokenExperiment):
            experiment.workon(bad_result)
        assert "neither a number nor a list" in str(experiment.fetch_trials()[0].reason)


def test_max_trials_raised_and_lowered_while_workers_run(
    url: str, until: Callable[..., Any]
) -> None:
    options = {"space": SPACE, "storage": url, "heartbeat": 0.2, "executor": "singleexecutor"}
    worker = build_experiment("e", max_trials=3, **options)  # type: ignore[arg-type]
    gate = threading.Semaphore(2)

    def gated(x: float) -> float:
        assert gate.acquire(timeout=60)
        return x

    done: list[int] = []
    with worker, build_experiment("e", **options) as person:  # type: ignore[arg-type]
        thread = threading.Thread(target=lambda: done.append(worker.workon(gated)))
        thread.start()
        until(lambda: counts(person).get("completed") == 2)
        person.max_trials = 6  # while the third runs
        assert person.max_trials == 6
        gate.release(3)
        until(lambda: counts(person).get("completed") == 5)
        person.max_trials = 4  # fewer than there are: nothing is removed
        gate.release(1)
        thread.join(60)
        assert done == [6] and counts(person) == {"completed": 6}
        assert person.is_done and get_experiment("e", storage=url).max_trials == 4


# --- mistakes --------------------------------------------------------------------------------


def test_unknown_executor_names_the_nearest(sqlite_url: str) -> None:
    with build_experiment("e", space=SPACE, storage=sqlite_url) as experiment:
        with pytest.raises(ConfigurationError, match="did you mean 'poolexecutor'"):
            with experiment.tmp_executor("poolexecuter"):
                pass
        with pytest.raises(ConfigurationError, match="takes no argument 'bakend'"):
            with experiment.tmp_executor("joblib", bakend="loky"):
                pass
    wrong = build_experiment("e", storage=sqlite_url, executor="jobblib")
    with wrong, pytest.raises(ConfigurationError, match="did you mean 'joblib'"):
        wrong.workon(objective)
    with pytest.raises(ConfigurationError, match="executor must be a name"):
        build_experiment("e", storage=sqlite_url, executor=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("executor", ["joblib", "poolexecutor"])
def test_a_function_that_cannot_be_pickled(sqlite_url: str, executor: str) -> None:
    lock = threading.Lock()

    def locked(x: float) -> float:
        with lock:
            return x

    experiment = build_experiment("e", space=SPACE, max_trials=2, storage=sqlite_url)
    with experiment, experiment.tmp_executor(executor):
        with pytest.raises(UsageError, match="must be made inside the function") as raised:
            experiment.workon(locked)
        assert "\n" not in str(raised.value)
        assert "reserved" not in counts(experiment)


def test_a_person_s_own_executor_is_left_open(sqlite_url: str) -> None:
    with create_executor("joblib", 3, backend="threading") as mine:
        experiment = build_experiment(
            "e", space=SPACE, max_trials=N, storage=sqlite_url, executor=mine
        )
        with experiment:
            assert experiment.workon(objective, max_trials=2) == 2
            with experiment.executor_for(2) as part:
                assert part.slots() == 2 and part is not mine
            with experiment.executor_for(5) as whole:
                assert whole is mine
            assert experiment.workon(objective, n_workers=2, max_trials=2) == 2
            with experiment.tmp_executor(mine):
                assert experiment.workon(objective) == N - 4
        assert mine.submit(time.time).get(10) > 0
