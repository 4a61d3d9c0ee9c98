"""Early stopping of Jobs that share the trials' folder with the worker, on a stand-in."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from orion_k8s import ExperimentClient, build_experiment
from orion_k8s.errors import ConfigurationError
from orion_k8s.executor import Executor
from orion_k8s.script import Command
from orion_k8s.testing.executor.probes import until
from orion_k8s.worker import Limits
from orion_k8s.worker.program import ProgramTask
from tests.functional.jobs.apiserver import ApiServer
from tests.functional.jobs.making import Jobs, begin, pod


def experiment(folder: Path) -> ExperimentClient:
    return build_experiment(
        "e",
        space={"x": "uniform(0, 1)"},
        max_trials=1,
        storage=str(folder / "history.db"),
        working_dir=str(folder / "work"),
        stopping={"threshold": {"upper": 1}},
    )


def template(folder: Path) -> dict[str, Any]:
    mount = {"name": "trials", "mountPath": str(folder / "work")}
    container = {"name": "trial", "image": "i:1", "volumeMounts": [mount]}
    volumes = [{"name": "trials", "persistentVolumeClaim": {"claimName": "trials"}}]
    pod = {"containers": [container], "volumes": volumes}
    return {"kind": "Job", "spec": {"template": {"spec": pod}}}


def work(client: ExperimentClient, executor: Executor) -> None:
    command = Command.parse(["train", "-x~uniform(0, 1)"], here=False)
    task = ProgramTask(command, client.record, client.working_dir)
    client.run_worker(task, executor, Limits(max_trials=1))


def test_a_job_is_asked_to_stop_by_its_folder(
    server: ApiServer, jobs: Jobs, tmp_path: Path
) -> None:
    executor = jobs.make(template=template(tmp_path), shared_files=True)
    with experiment(tmp_path) as client:
        thread = threading.Thread(target=work, args=(client, executor), daemon=True)
        thread.start()
        name = pod(server)
        begin(server, executor, name)
        [job] = server.all("jobs")
        env = job["spec"]["template"]["spec"]["containers"][0]["env"]
        told = {one["name"]: one.get("value", "") for one in env}
        with open(told["ORION_REPORTS_PATH"], "a") as file:
            for step in (1, 2, 3):
                file.write(json.dumps({"step": step, "value": step}) + "\n")
        until(lambda: Path(told["ORION_STOP_PATH"]).exists(), "it is asked to stop")
        server.end_pod(name, 0)  # without a result
        thread.join(30)
        assert not thread.is_alive()
        [trial] = client.fetch_trials()
        assert (str(trial.status), trial.objective) == ("completed", 3.0)
        assert trial.stopped is not None and trial.stopped.rule == "threshold"
        assert client.curve(trial).values == (1, 2, 3)


def test_without_a_shared_folder_it_is_refused(
    server: ApiServer, jobs: Jobs, tmp_path: Path
) -> None:
    with experiment(tmp_path) as client:
        with pytest.raises(ConfigurationError, match="shared_files: true"):
            work(client, jobs.make())
        assert client.fetch_trials() == [] and server.all("jobs") == []
