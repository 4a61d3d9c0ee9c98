"""The way to a cluster: kubeconfigs, credentials, the package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orion_k8s.errors import ConfigurationError, MissingExtra
from orion_k8s.executor.kubernetes.api import Api
from orion_k8s.executor.registry import create_executor
from tests.functional.jobs.apiserver import ApiServer
from tests.functional.jobs.making import Jobs


@pytest.fixture(autouse=True)
def no_other_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def test_no_cluster_is_known() -> None:
    with pytest.raises(ConfigurationError, match=r"No Kubernetes cluster is known: there is no"):
        create_executor("kubernetes", image="i:1")


def test_the_usual_places(kubeconfig: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Path("~/.kube/config").expanduser()
    usual.parent.mkdir(parents=True)
    usual.write_text(
        Path(kubeconfig).read_text().replace('"user": "u"}', '"user": "u", "namespace": "n"}')
    )
    assert Api().namespace == "n"
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    assert Api().namespace == "default"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be used"),
        ("", "cannot be used"),
        ("[", "cannot be used"),
        ("apiVersion: v1\nkind: Config\n", "cannot be used"),
    ],
)
def test_kubeconfigs_that_cannot_be_used(text: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=words) as error:
        Api(str(path))
    assert str(path) in str(error.value)


def test_a_context_that_is_not_there(kubeconfig: str) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        Api(kubeconfig, "nowhere")


def test_credentials_that_are_refused(server: ApiServer, jobs: Jobs) -> None:
    server.token = "t"
    jobs.make()
    server.token = "another"
    with pytest.raises(ConfigurationError, match=r"does not serve this worker \(.*401\).*log in"):
        jobs.make()


def test_the_package_is_missing(kubeconfig: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(MissingExtra, match=r"pip install 'orion-k8s\[k8s\]'"):
        create_executor("kubernetes", image="i:1", kubeconfig=kubeconfig)


def test_an_argument_that_does_not_exist() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'image'"):
        create_executor("kubernetes", imgae="i:1")
