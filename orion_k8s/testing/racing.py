"""Starts contestants at the same moment, each in a process (or thread) of its own.

The processes are forked by a process that does nothing else, started for the race: so no thread
or connection of the tests is copied, and only one of them has to import anything.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from orion_k8s.errors import OrionError
from orion_k8s.storage import Storage

Call = tuple[str, tuple[Any, ...]]
"""A verb of the storage and its arguments."""

Factory = Callable[[], Storage]

TIMEOUT_S = 120.0


def race(
    factory: Factory, scripts: Sequence[Sequence[Call]], processes: bool = True
) -> list[list[Any]]:
    """Run each script on a storage of its own, all at once.

    Args:
        factory: picklable, returns a new storage.
        scripts: calls that a contestant makes one after the other.
        processes: whether a contestant is a process; else a thread.

    Returns:
        for each script what its calls returned; an `OrionError` where one was raised.
    """
    if not processes:
        return _race_threads(factory, scripts)
    ended = subprocess.run(
        [sys.executable, "-m", "orion_k8s.testing.racing"],
        input=pickle.dumps((sys.path, pickle.dumps((factory, [list(s) for s in scripts])))),
        stdout=subprocess.PIPE,
        timeout=TIMEOUT_S,
        check=False,
    )
    if ended.returncode != 0:
        raise RuntimeError("A contestant failed; its traceback is on stderr.")
    answers: list[list[Any]] = pickle.loads(ended.stdout)
    return answers


def _run(storage: Storage, script: Sequence[Call]) -> list[Any]:
    answers: list[Any] = []
    for verb, arguments in script:
        try:
            answers.append(getattr(storage, verb)(*arguments))
        except OrionError as error:
            answers.append(type(error)(str(error)))  # without what it came from
    return answers


def _race_threads(factory: Factory, scripts: Sequence[Sequence[Call]]) -> list[list[Any]]:
    start = threading.Barrier(len(scripts))
    answers: list[list[Any]] = [[] for _ in scripts]

    def contest(index: int) -> None:
        with factory() as storage:
            storage.schema_version()  # connected
            start.wait()
            answers[index] = _run(storage, scripts[index])

    threads = [threading.Thread(target=contest, args=(i,)) for i in range(len(scripts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _contest(factory: Factory, script: Sequence[Call], ready: int, go: int, out: int) -> None:
    with factory() as storage:
        storage.schema_version()  # connected
        os.write(ready, b"x")
        os.read(go, 1)  # returns when the other end is closed
        answers = _run(storage, script)
    with open(out, "wb") as pipe:
        pickle.dump(answers, pipe)


def main() -> None:
    """Read a race from stdin, run it, and write the answers to stdout."""
    path, raw = pickle.load(sys.stdin.buffer)
    sys.path[:] = path  # as the factory may be the test's own
    factory, scripts = pickle.loads(raw)
    (ready_out, ready_in), (go_out, go_in) = os.pipe(), os.pipe()
    children, pipes = [], []
    for script in scripts:
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(go_in)
                _contest(factory, script, ready_in, go_out, into)
                status = 0
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        os.close(into)
        children.append(child)
        pipes.append(out)
    os.close(ready_in)
    seen = 0
    while seen < len(scripts) and (got := os.read(ready_out, len(scripts))):
        seen += len(got)
    os.close(go_in)
    answers = []
    for out in pipes:
        with open(out, "rb") as pipe:
            answers.append(pipe.read())
    failed = [child for child in children if os.waitpid(child, 0)[1] != 0]
    if failed:
        sys.exit(1)
    sys.stdout.buffer.write(pickle.dumps([pickle.loads(answer) for answer in answers]))


if __name__ == "__main__":
    main()
