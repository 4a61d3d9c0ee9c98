"""Python programs as people write them: loops, signals, threads, event loops, notebooks."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orion_k8s import build_experiment
from tests.functional.api.conftest import Scripts

SPACE = {"x": "uniform(0, 1)"}

LOOP = """
import os, sys
from orion_k8s import CompletedExperiment, WaitingForTrials, build_experiment

experiment = build_experiment(
    "e", space={"x": "uniform(0, 1)"}, max_trials=40, storage=sys.argv[1], heartbeat=5
)
while not experiment.is_done:
    try:
        trial = experiment.suggest(timeout=30)
    except CompletedExperiment:
        break
    with open(sys.argv[2], "a") as log:
        log.write(trial.id + "\\n")
    experiment.observe(trial, trial.params["x"] ** 2)
"""


LOOK = """
import sys
from orion_k8s import build_experiment

experiment = build_experiment("e", space={"x": "uniform(0, 1)"}, storage=sys.argv[1])
assert not experiment.is_done
"""


def test_a_program_that_only_looks_leaves_nothing_open(url: str, scripts: Scripts) -> None:
    looking = scripts.start(LOOK, url)
    assert looking.communicate(timeout=120) == ("", "") and looking.returncode == 0


def test_loops_in_several_processes_give_exactly_n(
    url: str, scripts: Scripts, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    loops = [scripts.start(LOOP, url, str(log)) for _ in range(4)]
    for loop in loops:
        assert loop.communicate(timeout=120) == ("", "") and loop.returncode == 0
    ran = log.read_text().split()
    assert len(ran) == len(set(ran)) == 40
    with build_experiment("e", storage=url) as experiment:
        assert experiment.stats.trials_completed == 40
        assert sorted(t.id for t in experiment.fetch_trials()) == sorted(ran)


def test_workon_in_several_processes_gives_exactly_n(
    url: str, scripts: Scripts, tmp_path: Path
) -> None:
    source = """
import os, sys
from orion_k8s import build_experiment

def note(x):
    with open(sys.argv[2], "a") as log:
        log.write(f"{x!r}\\n")
    return x

experiment = build_experiment("e", space={"x": "uniform(0, 1)"}, max_trials=40,
                              storage=sys.argv[1], executor="singleexecutor")
print(experiment.workon(note))
"""
    log = tmp_path / "log"
    workers = [scripts.start(source, url, str(log)) for _ in range(4)]
    done = 0
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert (err, worker.returncode) == ("", 0)
        done += int(out)
    ran = log.read_text().split()
    assert done == len(ran) == len(set(ran)) == 40


def test_a_script_without_a_guard_and_without_close(scripts: Scripts, sqlite_url: str) -> None:
    """Processes of joblib don't import the script; functions and classes of it go by value."""
    out = scripts.run(
        """
import sys
from orion_k8s import build_experiment

print("start")
class Model:
    def __init__(self, x):
        self.x = x
    def loss(self):
        return self.x ** 2

factor = 2
def objective(x):
    return factor * Model(x).loss()

experiment = build_experiment("e", space={"x": "uniform(0, 1)"}, max_trials=6,
                              storage=sys.argv[1])
print(experiment.workon(objective, n_workers=2), experiment.is_done)
with experiment.tmp_executor("joblib", n_workers=2):
    experiment.max_trials = 10
    print(experiment.workon(lambda x: factor * x))
""",
        sqlite_url,
    )
    assert out == "start\n6 True\n4\n"


def test_poolexecutor_in_a_script_with_a_guard(scripts: Scripts, sqlite_url: str) -> None:
    out = scripts.run(
        """
import sys
from orion_k8s import build_experiment

def objective(x):
    return x

if __name__ == "__main__":
    with build_experiment("e", space={"x": "uniform(0, 1)"}, max_trials=6,
                          storage=sys.argv[1], executor="poolexecutor") as experiment:
        print(experiment.workon(objective, n_workers=2))
""",
        sqlite_url,
    )
    assert out == "6\n"


# --- Ctrl-C and SIGTERM ----------------------------------------------------------------------

WORK = """
import sys, time
from pathlib import Path
from orion_k8s import build_experiment

def objective(x, folder):
    (Path(folder) / repr(x)).touch()
    time.sleep(1000)

experiment = build_experiment("e", space={"x": "uniform(0, 1)"}, max_trials=6,
                              storage=sys.argv[1])
with experiment.tmp_executor(sys.argv[3], n_workers=2):
    try:
        experiment.workon(objective, folder=sys.argv[2])
    except KeyboardInterrupt:
        print({str(s): n for s, n in experiment.stats.counts.items() if n})
        raise
"""


@pytest.mark.parametrize("executor", ["joblib", "singleexecutor"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_release_at_once(
    scripts: Scripts,
    sqlite_url: str,
    tmp_path: Path,
    until: Callable[..., Any],
    executor: str,
    number: signal.Signals,
) -> None:
    folder = tmp_path / "points"
    folder.mkdir()
    script = scripts.start(WORK, sqlite_url, str(folder), executor)
    running = 1 if executor == "singleexecutor" else 2
    until(lambda: len(list(folder.iterdir())) == running)
    os.killpg(script.pid, number)  # as a terminal does: to the whole foreground group
    out, _ = script.communicate(timeout=30)  # the lease would last longer
    with build_experiment("e", storage=sqlite_url) as experiment:
        assert experiment.stats.counts["interrupted"] == running
        assert experiment.stats.counts["reserved"] == 0
    if number is signal.SIGINT:
        assert script.returncode == -signal.SIGINT
        assert out == f"{{'interrupted': {running}}}\n"
    else:
        assert script.returncode == 128 + signal.SIGTERM


def test_ctrl_c_while_processes_start_breaks_nothing(
    scripts: Scripts, sqlite_url: str, until: Callable[..., Any]
) -> None:
    source = WORK.replace("import build_experiment", "import build_experiment\nslow = 0")
    script = scripts.start(source, sqlite_url, "/nowhere", "joblib")
    with build_experiment("e", space=SPACE, max_trials=6, storage=sqlite_url) as experiment:
        until(lambda: experiment.stats.counts["reserved"])  # its process is being started now
        os.killpg(script.pid, signal.SIGINT)
        script.communicate(timeout=30)
        counts = experiment.stats.counts
        assert (counts["broken"], counts["reserved"]) == (0, 0) and counts["interrupted"] >= 1


@pytest.mark.parametrize("end", ["raise KeyboardInterrupt", "sys.exit(3)", "pass", "1 / 0"])
def test_a_loop_that_ends_gives_its_trial_back(
    scripts: Scripts, sqlite_url: str, end: str
) -> None:
    script = scripts.start(
        f"""
import sys
from orion_k8s import build_experiment
experiment = build_experiment("e", space={{"x": "uniform(0, 1)"}}, storage=sys.argv[1])
trial = experiment.suggest()
{end}
""",
        sqlite_url,
    )
    script.communicate(timeout=60)
    with build_experiment("e", storage=sqlite_url) as experiment:
        counts = experiment.stats.counts
        assert (counts["interrupted"], counts["reserved"]) == (1, 0)


# --- threads, asyncio, notebooks -------------------------------------------------------------


@pytest.mark.parametrize("executor", ["joblib", "singleexecutor"])
def test_from_a_thread_that_is_not_the_main_one(sqlite_url: str, executor: str) -> None:
    done: list[int] = []
    with build_experiment(
        "e", space=SPACE, max_trials=5, storage=sqlite_url, executor=executor
    ) as experiment:
        thread = threading.Thread(target=lambda: done.append(experiment.workon(_identity)))
        thread.start()
        thread.join(60)
        assert done == [5] and experiment.is_done


def _identity(x: float) -> float:
    return x


def test_several_threads_share_a_client(sqlite_url: str) -> None:
    with build_experiment("e", space=SPACE, max_trials=60, storage=sqlite_url) as experiment:
        failures: list[BaseException] = []

        def loop() -> None:
            try:
                while not experiment.is_done:
                    with experiment.suggest(timeout=30) as trial:
                        experiment.observe(trial, trial.params["x"])
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=loop) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert {type(error).__name__ for error in failures} <= {"CompletedExperiment"}
        trials = experiment.fetch_trials()
    assert len(trials) == 60 and {str(t.status) for t in trials} == {"completed"}


def test_inside_a_running_event_loop(scripts: Scripts, sqlite_url: str) -> None:
    out = scripts.run(
        """
import asyncio, sys
from orion_k8s import build_experiment

async def main():
    experiment = build_experiment("e", space={"x": "uniform(0, 1)"}, max_trials=6,
                                  storage=sys.argv[1])
    def objective(x):
        return x
    ticks = []
    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.01)
    ticking = asyncio.create_task(tick())
    print(experiment.workon(objective, n_workers=2, max_trials=3))
    print(await asyncio.to_thread(experiment.workon, objective, n_workers=2))
    ticking.cancel()
    print(len(ticks) > 2)

asyncio.run(main())
""",
        sqlite_url,
    )
    assert out == "3\n3\nTrue\n"


CONSOLE = """
import code, sys, threading, _thread
import __main__

# Cells are compiled one by one and run in __main__, whose source is in no file.
shell = code.InteractiveConsole(vars(__main__))
cells = [
'''
import os, sys, time
from orion_k8s import build_experiment
from pathlib import Path
class Config:
    scale = 2
''',
'''
def objective(x, folder=None):
    if folder is not None:
        (Path(folder) / repr(x)).touch()
        time.sleep(1000)
    return Config.scale * x
''',
'''
experiment = build_experiment("e", space={"x": "uniform(0, 1)"}, max_trials=8, storage=sys.argv[1])
''',
'''
print(experiment.workon(objective, n_workers=2, max_trials=4), flush=True)
''',
'''
experiment.workon(objective, n_workers=2, folder=sys.argv[2])
''',
'''
print({str(s): n for s, n in experiment.stats.counts.items() if n}, flush=True)
print(experiment.workon(objective, n_workers=2), experiment.is_done, flush=True)
''',
]
for number, cell in enumerate(cells):
    try:
        exec(compile(cell, f"<cell {number}>", "exec"), vars(__main__))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_cells_of_a_notebook(
    scripts: Scripts, sqlite_url: str, tmp_path: Path, until: Callable[..., Any]
) -> None:
    folder = tmp_path / "points"
    folder.mkdir()
    kernel = scripts.start(CONSOLE, sqlite_url, str(folder))
    until(lambda: len(list(folder.iterdir())) == 2)
    kernel.send_signal(signal.SIGINT)  # what the button "interrupt" does
    out, err = kernel.communicate(timeout=60)
    assert err == ""
    assert out == "4\ninterrupted\n{'interrupted': 2, 'completed': 4}\n4 True\n"


def test_an_executor_by_entry_point(scripts: Scripts, sqlite_url: str) -> None:
    """A package that was installed: a module and its metadata, on the path."""
    package = scripts.folder / "site"
    info = package / "slow_executors-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-executors\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[orion_k8s.executor]\nSlow = slow_executors:Slow\nbroken = slow_executors:Nothing\n"
        "missing = slow_executors_missing:Slow\nwrong = slow_executors:number\n"
    )
    (package / "slow_executors.py").write_text(
        "from orion_k8s.executor.single import Single\n"
        "number = 3\n"
        "class Slow(Single):\n"
        "    name = 'slow'\n"
        "    made = []\n"
        "    def __init__(self, n_workers=1, speed=1):\n"
        "        super().__init__(n_workers)\n"
        "        self.made.append((n_workers, speed))\n"
    )
    out = scripts.run(
        f"""
import sys
sys.path.insert(0, {str(package)!r})
from orion_k8s import build_experiment, OrionError
experiment = build_experiment("e", space={{"x": "uniform(0, 1)"}}, max_trials=4,
                              storage=sys.argv[1], executor="slow")
print(experiment.workon(lambda x: x, max_trials=2))
with experiment.tmp_executor("SLOW", n_workers=1, speed=5):
    print(experiment.workon(lambda x: x))
    import slow_executors
    print(slow_executors.Slow.made)
for name in ("broken", "missing", "wrong", "slw"):
    try:
        with experiment.tmp_executor(name):
            pass
    except OrionError as error:
        print(type(error).__name__, error)
""",
        sqlite_url,
    )
    lines = out.splitlines()
    assert lines[:3] == ["2", "2", "[(1, 1), (1, 5)]"]
    assert lines[3].startswith("ConfigurationError The executor broken cannot be loaded from")
    assert lines[4].startswith("MissingExtra The executor missing needs a package")
    assert lines[5].startswith("ConfigurationError The entry point wrong = slow_executors:number")
    assert "did you mean 'slow'?" in lines[6]


THREAD = """
import sys, threading, time
from pathlib import Path
from orion_k8s import build_experiment

def objective(x, folder):
    (Path(folder) / repr(x)).touch()
    time.sleep(1000)

if __name__ == "__main__":
    experiment = build_experiment("e", space={"x": "uniform(0, 1)"}, max_trials=6,
                                  storage=sys.argv[1], executor=sys.argv[3])
    threading.Thread(target=experiment.workon, args=(objective,),
                     kwargs={"folder": sys.argv[2]}, daemon=sys.argv[4] == "daemon").start()
    time.sleep(1000)
"""


@pytest.mark.parametrize("kind", ["daemon", "joined"])
@pytest.mark.parametrize("executor", ["joblib", "poolexecutor", "singleexecutor"])
def test_ctrl_c_stops_a_worker_in_a_thread(
    scripts: Scripts,
    sqlite_url: str,
    tmp_path: Path,
    until: Callable[..., Any],
    executor: str,
    kind: str,
) -> None:
    folder = tmp_path / "points"
    folder.mkdir()
    script = scripts.start(THREAD, sqlite_url, str(folder), executor, kind)
    until(lambda: list(folder.iterdir()))
    script.send_signal(signal.SIGINT)
    if (executor, kind) == ("singleexecutor", "joined"):
        # Python itself waits for the thread; the second Ctrl-C ends that.
        assert script.stderr is not None
        until(lambda: script.stderr.readline() == "KeyboardInterrupt\n")  # type: ignore[union-attr]
        script.send_signal(signal.SIGINT)
    _, err = script.communicate(timeout=30)  # the lease would last longer
    assert "KeyboardInterrupt" in err or kind == "joined"
    with build_experiment("e", storage=sqlite_url) as experiment:
        counts = experiment.stats.counts
        assert (counts["interrupted"], counts["reserved"], counts["broken"]) == (1, 0, 0)
