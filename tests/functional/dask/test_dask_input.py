"""What a person may get wrong about Dask: one sentence each, in time, and no trial is lost."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from orion_k8s import build_experiment
from orion_k8s.client import ExperimentClient
from orion_k8s.errors import ConfigurationError, UsageError
from orion_k8s.executor.dask.call import VERSIONS
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor.probes import until
from orion_k8s.testing.executor.work import add
from tests.dask_processes import DaskProcesses, dask_processes, free_port
from tests.functional.dask.objectives import held, notes, square
from tests.functional.dask.refusals import hunt, lacking, lying, refused, statuses


@pytest.fixture
def experiment(tmp_path: Path) -> ExperimentClient:
    return build_experiment(
        "exp", space={"x": "uniform(0, 1)"}, max_trials=3, storage=str(tmp_path / "db.sqlite")
    )


def states(experiment: ExperimentClient) -> Counter[str]:
    return Counter(trial.status.value for trial in experiment.fetch_trials())


# --- a scheduler that is not there ---------------------------------------------------------------


def test_a_scheduler_that_refuses(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    said = refused(tmp_path, hunt(tmp_path, {"address": address, "timeout": 1}), 10)
    assert f"The Dask scheduler {address} cannot be reached (Connection refused)" in said
    assert "start it, or correct the address" in said


def test_a_name_that_nobody_has(tmp_path: Path) -> None:
    address = "tcp://scheduler.invalid:8786"
    said = refused(tmp_path, hunt(tmp_path, {"address": address, "timeout": 1}), 10)
    assert f"{address} cannot be reached (" in said


@pytest.fixture
def peer() -> Iterator[Callable[[bytes], str]]:
    """A peer that says something to whoever connects, or nothing at all."""
    server = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def answer(words: bytes) -> None:
        while True:
            try:
                connections.append(server.accept()[0])
                connections[-1].sendall(words)
            except OSError:
                return

    def start(words: bytes) -> str:
        threading.Thread(target=answer, args=(words,), daemon=True).start()
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"

    yield start
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for connection in connections:
        connection.close()


def test_a_peer_that_says_nothing(tmp_path: Path, peer: Callable[[bytes], str]) -> None:
    """A connection that is accepted is no scheduler yet: Dask itself waits for ever."""
    said = refused(tmp_path, hunt(tmp_path, {"address": peer(b""), "timeout": 1}), 10)
    assert "accepts connections and has not answered for 1 s" in said


def test_a_peer_that_is_no_scheduler(tmp_path: Path, peer: Callable[[bytes], str]) -> None:
    address = peer(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 100)
    said = refused(tmp_path, hunt(tmp_path, {"address": address, "timeout": 2}), 2)
    assert f"What answers at {address} is no Dask scheduler" in said


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (None, 10, "it does not exist"),
        ("{", 2, "it is not what a Dask scheduler writes"),
        ('{"workers": {}}', 2, "it is not what a Dask scheduler writes"),
        ('{"address": 3}', 2, "it holds no address"),
    ],
)
def test_a_scheduler_file(tmp_path: Path, text: str | None, code: int, told: str) -> None:
    path = tmp_path / "scheduler.json"
    if text is not None:
        path.write_text(text)
    said = refused(tmp_path, hunt(tmp_path, {"scheduler_file": str(path), "timeout": 0.5}), code)
    assert str(path) in said and told in said and "--scheduler-file" in said


def test_a_scheduler_file_that_comes_later(dask: DaskProcesses, tmp_path: Path) -> None:
    """A worker and its scheduler may be started together."""
    dask.worker()
    path = tmp_path / "scheduler.json"
    threading.Timer(0.5, path.write_text, [json.dumps({"address": dask.address})]).start()
    with create_executor("dask", scheduler_file=str(path), timeout="30 s") as executor:
        assert executor.submit(add, 1).get(60) == 2


# --- configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ({"address": "127.0.0.1"}, "missing port number"),
        ({"address": "tcp://127.0.0.1:87x"}, "is not valid"),
        ({"address": "tcp://127.0.0.1:99999"}, "there is no port 99999"),
        ({"address": "http://127.0.0.1:8786"}, "unknown address scheme 'http'"),
        ({"address": ""}, "address is empty"),
        ({"address": 8786}, "address must be a string"),
        ({"adress": "tcp://127.0.0.1:8786"}, "takes no argument 'adress': did you mean 'address'"),
        ({"address": "tcp://127.0.0.1:8786", "timeout": "soon"}, "timeout must be seconds"),
        ({"address": "tcp://127.0.0.1:8786", "timeout": 0}, "timeout must be seconds"),
        ({"resources": "GPU"}, "resources must be a mapping"),
        ({"resources": {"GPU": 0}}, "resources must be a mapping"),
        ({"priority": "high"}, "priority must be an integer"),
        ({"client": "mine"}, "client must be a distributed.Client"),
        ({"security": "yes"}, "security must be a mapping"),
        ({"address": "tls://127.0.0.1:8786", "security": True}, "only a cluster made here knows"),
        ({"memory_limit": "lots"}, "Dask could not start a cluster on this machine"),
        ({"threads_per_worker": "two"}, "threads_per_worker must be a positive integer"),
    ],
)
def test_arguments_that_dask_does_not_take(configuration: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as raised:
        create_executor("dask", **configuration)
    assert "\n" not in str(raised.value) and raised.value.exit_code == 2


@pytest.mark.parametrize("configuration", [{"adress": "x"}, {"address": "127.0.0.1"}])
def test_a_hunt_that_is_configured_wrongly(tmp_path: Path, configuration: dict[str, str]) -> None:
    refused(tmp_path, hunt(tmp_path, configuration), 2)


def test_an_executor_that_nobody_knows(tmp_path: Path) -> None:
    said = refused(tmp_path, hunt(tmp_path, {}, executor="dsk"), 2)
    assert "There is no executor 'dsk': did you mean 'dask'?" in said


def test_without_the_package(tmp_path: Path) -> None:
    environment = lacking(tmp_path / "start", "distributed")
    said = refused(tmp_path, hunt(tmp_path, {}, environment=environment), 2)
    assert "pip install 'orion-k8s[dask]'" in said


# --- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packages", "told"),
    [
        ({"distributed": "2019.1.0"}, "runs distributed 2019.1.0 on Python 3."),
        ({"python": "3.99.1.final.0"}, "on Python 3.99, this worker"),
    ],
)
def test_a_scheduler_of_another_version(
    tmp_path: Path, packages: dict[str, str], told: str
) -> None:
    environment = lying(tmp_path / "start", packages)
    with dask_processes(tmp_path, environment=environment) as dask:
        dask.scheduler()
        said = refused(tmp_path, hunt(tmp_path, {"address": dask.address}), 2)
    assert told in said and "install the same on both sides" in said


@pytest.mark.parametrize("what", ["Python", "orion-k8s"])
def test_a_dask_worker_of_another_version(
    dask: DaskProcesses, experiment: ExperimentClient, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Said from this side: functions of a version that the Dask worker does not have."""
    monkeypatch.setitem(VERSIONS, what, "3.99")
    dask.worker()
    with experiment.tmp_executor("dask", address=dask.address):
        with pytest.raises(ConfigurationError, match=rf"{what} .* functions are of 3\.99"):
            experiment.workon(square)
    assert set(states(experiment)) == {"interrupted"}


# --- what Dask workers lack ----------------------------------------------------------------------


def test_dask_workers_without_orion_k8s(tmp_path: Path) -> None:
    """They say so; sent something of orion-k8s they would die, one after the other."""
    environment = lacking(tmp_path / "start", "orion_k8s")
    with dask_processes(tmp_path, environment=environment) as dask:
        dask.scheduler()
        worker = dask.worker()
        said = refused(tmp_path, hunt(tmp_path, {"address": dask.address}), 2)
        assert "cannot run trials: it needs orion-k8s (No module named 'orion_k8s')" in said
        assert statuses(tmp_path)
        with Client(dask.address, set_as_default=False) as client:
            assert len(client.nthreads()) == 1
        assert worker.poll() is None


def test_dask_workers_without_the_function_s_module(
    dask: DaskProcesses,
    experiment: ExperimentClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "only_here.py").write_text("def objective(x):\n    return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    dask.worker()
    with experiment.tmp_executor("dask", address=dask.address):
        with pytest.raises(ConfigurationError, match="No module named 'only_here'") as raised:
            experiment.workon(only_here.objective)
        assert "cannot read the function" in str(raised.value)
    assert set(states(experiment)) == {"interrupted"}


def test_a_function_that_cannot_be_pickled(
    dask: DaskProcesses, experiment: ExperimentClient
) -> None:
    dask.worker()
    lock = threading.Lock()

    def objective(x: float) -> float:
        with lock:
            return x

    with experiment.tmp_executor("dask", address=dask.address):
        with pytest.raises(UsageError, match="cannot be sent to another process"):
            experiment.workon(objective)
        assert states(experiment) == {"interrupted": 1}
        assert experiment.workon(square) == 3
    assert states(experiment) == {"completed": 3}


# --- a client of the person's own ----------------------------------------------------------------


def test_clients_that_cannot_be_used(dask: DaskProcesses) -> None:
    with Client(dask.address, set_as_default=False) as client:
        with pytest.raises(ConfigurationError, match="has its arguments: leave out timeout"):
            create_executor("dask", client=client, timeout=3)
    with pytest.raises(ConfigurationError, match="that was given is not connected"):
        create_executor("dask", client=client)

    async def asynchronously() -> None:
        async with Client(dask.address, asynchronous=True, set_as_default=False) as client:
            with pytest.raises(ConfigurationError, match="that is not asynchronous"):
                create_executor("dask", client=client)

    asyncio.run(asynchronously())


def test_a_client_of_another_version(tmp_path: Path) -> None:
    environment = lying(tmp_path / "start", {"python": "3.99.1.final.0"})
    with dask_processes(tmp_path, environment=environment) as dask:
        dask.scheduler()
        with pytest.warns(Warning, match="Mismatched versions"):
            client = Client(dask.address, set_as_default=False)
        with client, pytest.raises(ConfigurationError, match=r"distributed .* Python 3\.99"):
            create_executor("dask", client=client)


def test_a_client_that_is_closed_in_mid_run(
    dask: DaskProcesses, experiment: ExperimentClient, folder: Path
) -> None:
    dask.worker()
    (folder / "hold").touch()
    client = Client(dask.address, set_as_default=False)

    def close() -> None:
        until(lambda: len(notes(folder)) == 1, "a trial runs")
        client.close()

    closing = threading.Thread(target=close)
    closing.start()
    with experiment.tmp_executor("dask", client=client):
        with pytest.raises(ConfigurationError, match="that was given is closed: give an open one"):
            experiment.workon(held, trial_arg="trial", folder=str(folder))
    closing.join()
    (folder / "hold").unlink()
    assert set(states(experiment)) == {"interrupted"}
