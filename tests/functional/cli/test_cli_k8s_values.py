"""`k8s values`: what it prints is what Helm takes, and what the workers then are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helm_template import arguments, configured, named, rendered
from hunting import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_an_experiment_of_the_history(shell: Shell) -> None:
    program = shell.program()
    (shell.folder / "mine.yaml").write_text(
        "experiment:\n  algorithm: {tpe: {n_initial_points: 3}}\n"
    )
    shell.ok(
        *("hunt", "-c", "mine.yaml", "-n", "Größe", "--max-trials", "2", "--max-broken", "5"),
        *(program, "-x~uniform(0, 1)"),
    )
    done = shell.ok("k8s", "values", "-n", "Größe")
    objects = rendered(done.stdout)
    assert arguments(objects) == ["/experiment/train.sh", "-x~uniform(0, 1)"]
    record = shell.experiment("Größe")
    told = configured(objects)
    assert told == {
        "name": "Größe",
        "algorithm": dict(record.algorithm),
        "max_trials": 2,
        "max_broken": 5,
        "seed": record.seed,
        "working_dir": "/trials",
    }
    files = named(objects, "ConfigMap/r-orion-k8s-files")["data"]
    assert files == {"train.sh": (shell.folder / "train.sh").read_text()}
    assert done.stderr.splitlines() == [
        "Not carried over: Its 2 trials: `orion-k8s db dump` and `db load` take them along."
    ]
    assert "#   - Its 2 trials: " in done.stdout


def test_a_command_typed_now_needs_no_history(shell: Shell) -> None:
    """Words that Go's YAML would read as numbers and truth values stay the words they are."""
    done = shell.ok(
        *("k8s", "values", "-n", "e", "--max-trials", "7", "--"),
        *("python", "-u", "a.py", "--lr~loguniform(1e-5, 1)", "1e-5", "0x10", "on", "~", "", "n"),
        *("12", "é: #", "$(HOME)"),
    )
    objects = rendered(done.stdout)
    assert arguments(objects) == [
        *("python", "-u", "a.py", "--lr~loguniform(1e-5, 1)", "1e-5", "0x10", "on", "~", "", "n"),
        *("12", "é: #", "$$(HOME)"),
    ]
    assert configured(objects) == {"name": "e", "max_trials": 7, "working_dir": "/trials"}
    assert "files" not in yaml.safe_load(done.stdout)["experiment"]
    assert not shell.database.exists()


def test_files_go_along_as_they_are(shell: Shell) -> None:
    (shell.folder / "sub").mkdir()
    (shell.folder / "sub" / "a.py").write_text("import sys\n\tx = '~ {{ . }}'  \n\n", newline="\n")
    (shell.folder / "a.py").write_bytes(b"# one\r\ntwo: \xc3\xa9\n")
    (shell.folder / "conf.yaml").write_text("lr: orion~uniform(0, 1)\n")
    (shell.folder / "big data").mkdir()
    (shell.folder / "binary").write_bytes(b"\xff\xfe\x00")
    (shell.folder / "python").write_text("not the program")
    outside = shell.folder.parent / f"{shell.folder.name}-outside.txt"
    outside.write_text("x")
    done = shell.ok(
        *("k8s", "values", "-n", "e", "--", "python", "sub/a.py", "a.py", "--again=a.py"),
        *("--config=conf.yaml", "big data/", "binary", str(outside), "no-such-file"),
    )
    objects = rendered(done.stdout)
    assert arguments(objects) == [
        *("python", "/experiment/a.py", "/experiment/2-a.py", "--again=/experiment/2-a.py"),
        *("--config=/experiment/conf.yaml", "big data/", "binary", str(outside), "no-such-file"),
    ]
    assert named(objects, "ConfigMap/r-orion-k8s-files")["data"] == {
        "a.py": "import sys\n\tx = '~ {{ . }}'  \n\n",
        "2-a.py": "# one\r\ntwo: é\n",
        "conf.yaml": "lr: orion~uniform(0, 1)\n",
    }
    lost = done.stderr.splitlines()
    assert [line.split(" is ")[0] for line in lost] == [
        "Not carried over: big data/",
        "Not carried over: binary",
        f"Not carried over: {outside}",
    ]


def test_settings_of_the_worker(shell: Shell) -> None:
    (shell.folder / "conf.yaml").write_text("lr: orion~uniform(0, 1)\n")
    (shell.folder / "mine.yaml").write_text(
        "worker: {n_workers: 3, grace: 90, heartbeat: 7.5, executor: dask, max_trials: 4,\n"
        "         user_script_config: conf, interrupt_signal_code: 99}\n"
        f"experiment: {{seed: {2**60}, space: {{momentum: 'uniform(0, 1)'}}}}\n"
    )
    done = shell.ok(
        *("k8s", "values", "-n", "e", "-v", "3", "-c", "mine.yaml"),
        *("python", "t.py", "--conf", "conf.yaml"),
    )
    objects = rendered(done.stdout)
    assert arguments(objects)[2:] == [
        *("--conf", "/experiment/conf.yaml", "--momentum~uniform(0, 1)")
    ]
    pod = named(objects, "Deployment/r-orion-k8s-worker")["spec"]["template"]["spec"]
    env = {e["name"]: e.get("value") for e in pod["containers"][0]["env"]}
    assert env["ORION_N_WORKERS"] == "3" and env["ORION_GRACE"] == "90"
    assert env["ORION_HEARTBEAT"] == "7.5" and env["ORION_WORKER_MAX_TRIALS"] == "4"
    assert env["ORION_USER_SCRIPT_CONFIG"] == "conf" and env["ORION_INTERRUPT_CODE"] == "99"
    assert pod["terminationGracePeriodSeconds"] == 111
    assert "seed" not in configured(objects) and "version" not in configured(objects)
    said = done.stderr
    assert "seed" in said and "Version 3" in said and "option executor" in said


def test_an_experiment_of_python_has_no_command(shell: Shell) -> None:
    script = (
        "from orion_k8s import build_experiment\n"
        f"build_experiment('p', space={{'x': 'uniform(0, 1)'}}, storage={str(shell.database)!r})\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=shell.env, cwd=shell.folder)
    said = shell.refused(2, "k8s", "values", "-n", "p")
    assert "has no command" in said and "k8s values -n p -- python" in said


def test_what_is_wrong_is_said(shell: Shell) -> None:
    assert "-n NAME" in shell.refused(2, "k8s", "values")
    assert "no history" in shell.refused(7, "k8s", "values", "-n", "e")
    assert "no prior" in shell.refused(2, "k8s", "values", "-n", "e", "--", "python", "a.py")
    assert shell.refused(2, "k8s", "values", "-n", "e", "--", "a", "-x~uniform(1, 0)")
    (shell.folder / "large.txt").write_text("x" * 1_000_001)
    said = shell.refused(2, "k8s", "values", "-n", "e", "cat", "large.txt", "-x~uniform(0, 1)")
    assert said.startswith("large.txt is too large for a ConfigMap (1,000,001 bytes of at most")
    for name in ("a.txt", "b.txt"):
        (shell.folder / name).write_text("x" * 600_000)
    words = ("k8s", "values", "-n", "e", "cat", "a.txt", "b.txt", "-x~uniform(0, 1)")
    assert "a.txt, b.txt are too large for a ConfigMap together" in shell.refused(2, *words)


def test_a_stored_command_without_its_folder(shell: Shell) -> None:
    """Another machine made the experiment: the configuration file is in the history."""
    there = shell.folder / "there"
    there.mkdir()
    (there / "conf.yaml").write_text("x: orion~uniform(0, 1)\n")
    words = ("hunt", "-n", "e", "--init-only", "sh", "p.sh", "--config", "conf.yaml")
    shell.ok(*words, cwd=there)
    (there / "conf.yaml").unlink()
    there.rmdir()
    done = shell.ok("k8s", "values", "-n", "e")
    objects = rendered(done.stdout)
    assert arguments(objects) == ["sh", "p.sh", "--config", "/experiment/conf.yaml"]
    assert named(objects, "ConfigMap/r-orion-k8s-files")["data"] == {
        "conf.yaml": "x: orion~uniform(0, 1)\n"
    }
    assert "is not on this machine" in done.stderr
