"""Dask with TLS: end to end, and every way in which two sides do not trust each other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed import Security

from orion_k8s.errors import ConfigurationError, ExecutorUnavailable
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor.probes import until
from orion_k8s.testing.executor.work import add
from tests.dask_processes import DaskProcesses, dask_processes
from tests.functional.dask.certificates import Authority
from tests.functional.dask.refusals import PROGRAM, hunt, refused, statuses

DEADLINE_S = 60.0
Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def ca(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def good(ca: Authority) -> Pair:
    return ca.sign("good")


@pytest.fixture(scope="module")
def cluster(
    ca: Authority, good: Pair, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DaskProcesses]:
    """A scheduler and a Dask worker that trust the CA."""
    with dask_processes(tmp_path_factory.mktemp("dask"), tls=options(ca, good)) as dask:
        dask.scheduler()
        dask.worker()
        yield dask


def options(ca: Authority, pair: Pair) -> list[str]:
    """What `dask scheduler` and `dask worker` are told."""
    files = {"--tls-ca-file": ca.file, "--tls-cert": pair[0], "--tls-key": pair[1]}
    return [f"{option}={path}" for option, path in files.items()]


def security(ca: Authority, pair: Pair, **more: Any) -> dict[str, Any]:
    """What a person writes into the configuration."""
    return {
        "tls_ca_file": str(ca.file),
        "tls_client_cert": str(pair[0]),
        "tls_client_key": str(pair[1]),
        "require_encryption": True,
        **more,
    }


def plain(address: str) -> str:
    return address.replace("tls://", "tcp://")


def test_a_hunt_from_a_yaml_file(
    cluster: DaskProcesses, ca: Authority, good: Pair, tmp_path: Path
) -> None:
    script, file = tmp_path / "program.py", tmp_path / "orion.yaml"
    script.write_text(PROGRAM)
    configuration = {"address": cluster.address, "security": security(ca, good)}
    worker = {"executor": "dask", "executor_configuration": configuration}
    database = {"type": "sqlite", "host": str(tmp_path / "db.sqlite")}
    file.write_text(yaml.safe_dump({"worker": worker, "storage": {"database": database}}))
    command = [
        *(sys.executable, "-m", "orion_k8s", "hunt", "-n", "exp", "-c", str(file)),
        *("--max-trials", "3", "--working-dir", str(tmp_path / "trials")),
        *(sys.executable, str(script), "--x~uniform(0, 1)"),
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORION")}
    done = subprocess.run(
        command, env=kept, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert statuses(tmp_path) == {"completed": 3}


def test_what_may_be_given(cluster: DaskProcesses, ca: Authority, good: Pair) -> None:
    """A mapping, one with the certificates themselves, or Dask's own object."""
    texts = {
        name: Path(value).read_text() if isinstance(value, str) else value
        for name, value in security(ca, good).items()
    }
    given = [
        security(ca, good, tls_min_version=1.3),
        texts,
        Security(**security(ca, good)),
    ]
    for one in given:
        with create_executor("dask", address=cluster.address, security=one) as executor:
            assert executor.submit(add, 1).get(DEADLINE_S) == 2


def test_a_cluster_of_its_own_with_tls(ca: Authority, good: Pair) -> None:
    everybody = {
        f"tls_{role}_{kind}": str(path)
        for role in ("client", "scheduler", "worker")
        for kind, path in zip(("cert", "key"), good, strict=True)
    }
    with create_executor(
        "dask", 1, security={"tls_ca_file": str(ca.file), **everybody}, protocol="tls"
    ) as executor:
        assert executor.submit(add, 1).get(DEADLINE_S) == 2


# --- certificates that are not trusted -----------------------------------------------------------


@pytest.mark.parametrize("what", ["expired", "of another CA"])
def test_a_certificate_of_ours_that_the_scheduler_refuses(
    cluster: DaskProcesses, ca: Authority, folder: Path, tmp_path: Path, what: str
) -> None:
    if what == "expired":
        pair = ca.sign("ours-expired", expired=True)
    else:
        pair = Authority(folder, "stranger").sign("ours-strange")
    done = hunt(tmp_path, {"address": cluster.address, "security": security(ca, pair)})
    said = refused(tmp_path, done, 2)
    assert f"{cluster.address} does not trust the certificate of this worker" in said


@pytest.mark.parametrize("what", ["expired", "of another CA"])
def test_a_certificate_of_the_scheduler_that_we_refuse(
    ca: Authority, good: Pair, folder: Path, tmp_path: Path, what: str
) -> None:
    if what == "expired":
        pair, told = ca.sign("theirs-expired", expired=True), "certificate has expired"
    else:
        pair = Authority(folder, "other").sign("theirs-strange")
        told = "unable to get local issuer certificate"
    with dask_processes(tmp_path, tls=options(ca, pair)) as dask:
        dask.scheduler()
        done = hunt(tmp_path, {"address": dask.address, "security": security(ca, good)})
    said = refused(tmp_path, done, 2)
    assert f"The certificate of the Dask scheduler {dask.address} is not trusted here" in said
    assert told in said and "tls_ca_file" in said


def test_a_certificate_of_another_name(ca: Authority, good: Pair, tmp_path: Path) -> None:
    """Dask looks at no names: the name is checked where the configuration says which."""
    with dask_processes(tmp_path, tls=options(ca, ca.sign("named", "dask.example"))) as dask:
        dask.scheduler()
        dask.worker()
        for named in [{}, {"server_hostname": "dask.example"}]:
            told = security(ca, good, **named)
            with create_executor("dask", address=dask.address, security=told) as executor:
                assert executor.submit(add, 1).get(DEADLINE_S) == 2
        told = security(ca, good, server_hostname="127.0.0.1")
        said = refused(tmp_path, hunt(tmp_path, {"address": dask.address, "security": told}), 2)
        assert "IP address mismatch" in said and "is not trusted here" in said


# --- TLS on one side alone -----------------------------------------------------------------------


def test_without_tls_to_a_scheduler_with_it(cluster: DaskProcesses, tmp_path: Path) -> None:
    said = refused(tmp_path, hunt(tmp_path, {"address": plain(cluster.address)}), 10)
    assert "closed the connection at once: if it uses TLS, write tls://" in said


def test_with_tls_to_a_scheduler_without_it(
    ca: Authority, good: Pair, dask: DaskProcesses, tmp_path: Path
) -> None:
    address = dask.address.replace("tcp://", "tls://")
    done = hunt(tmp_path, {"address": address, "security": security(ca, good)})
    said = refused(tmp_path, done, 2)
    assert f"{address} does not use TLS: write tcp://" in said


def test_a_scheduler_with_tls_that_is_not_there(
    ca: Authority, good: Pair, cluster: DaskProcesses
) -> None:
    with pytest.raises(ExecutorUnavailable, match="cannot be reached"):
        create_executor(
            "dask", address="tls://127.0.0.1:1", security=security(ca, good), timeout=1
        )


# --- the mapping itself --------------------------------------------------------------------------


def test_fields_that_are_wrong(ca: Authority, good: Pair, folder: Path, tmp_path: Path) -> None:
    other = ca.sign("without-its-key")
    good_one = security(ca, good)
    for change, told in [
        ({"tls_ca": "x"}, r"no field 'tls_ca': did you mean 'tls_ca_file'"),
        ({"tls_client_cert": "/no/such"}, r"tls_client_cert names /no/such, which cannot be read"),
        ({"tls_client_cert": 3}, r"tls_client_cert must be the path of a file"),
        ({"tls_client_key": str(other[1])}, r"the key does not belong to the certificate"),
        ({"tls_client_cert": str(good[1])}, r"must be files in PEM format"),
        ({"tls_client_cert": None}, r"require_encryption needs tls_ca_file and tls_client_cert"),
        ({"tls_min_version": "1.1"}, r"tls_min_version must be 1\.2 or 1\.3, not '1\.1'"),
        ({"require_encryption": "no"}, r"require_encryption must be true or false"),
        ({"server_hostname": ""}, r"server_hostname must be a name or an address"),
    ]:
        with pytest.raises(ConfigurationError, match=told) as raised:
            create_executor(
                "dask", address="tls://127.0.0.1:1", security={**good_one, **change}, timeout=1
            )
        assert "\n" not in str(raised.value)


def test_tls_asked_for_on_one_side_of_the_configuration(ca: Authority, good: Pair) -> None:
    with pytest.raises(ConfigurationError, match="uses TLS, which needs `security`"):
        create_executor("dask", address="tls://127.0.0.1:1")
    for address in ("tcp://127.0.0.1:1", "127.0.0.1:1"):
        with pytest.raises(ConfigurationError, match="write tls://HOST:PORT"):
            create_executor("dask", address=address, security=security(ca, good))


# --- in mid-run ----------------------------------------------------------------------------------


def test_a_scheduler_that_comes_back_with_an_expired_certificate(
    ca: Authority, good: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker says why it waits, and goes on with a good one."""
    expired = ca.sign("renewed-too-late", expired=True)
    with dask_processes(tmp_path, tls=options(ca, good)) as dask:
        first = dask.scheduler()
        told = {"address": dask.address, "security": security(ca, good), "timeout": 1}
        with create_executor("dask", **told) as executor:
            dask.kill(first)
            dask._tls = options(ca, expired)
            second = dask.scheduler()
            until(lambda: "certificate has expired" in caplog.text, "it says why", DEADLINE_S)
            dask.kill(second)
            dask._tls = options(ca, good)
            dask.scheduler()
            dask.worker()
            until(lambda: executor.slots() == 1, "it is back", DEADLINE_S)
            assert executor.submit(add, 1).get(DEADLINE_S) == 2
