"""The address of a history as it is from outside of the cluster."""

from __future__ import annotations

import pytest

from orion_k8s.k8s.history import Address, _local, _without_login

INSIDE = "mongodb://r-mongodb:27017/orion"


@pytest.mark.parametrize(
    ("url", "here"),
    [
        (f"{INSIDE}?directConnection=true", "mongodb://127.0.0.1:7/orion?directConnection=true"),
        (INSIDE, "mongodb://127.0.0.1:7/orion?directConnection=true"),
        # One member is behind the port: the driver must not look for the others.
        (
            "mongodb://a:1,b:2,c:3/orion?replicaSet=rs0&authSource=admin",
            "mongodb://127.0.0.1:7/orion?authSource=admin&directConnection=true",
        ),
        ("mongodb+srv://host/orion", "mongodb://127.0.0.1:7/orion?directConnection=true"),
        ("/a/history.db", "/a/history.db"),
    ],
)
def test_through_a_port(url: str, here: str) -> None:
    assert _local(url, 7, None) == here


def test_with_tls_the_certificate_is_checked_by_a_file_of_here() -> None:
    url = f"{INSIDE}?directConnection=true&tls=true&tlsCAFile=/etc/orion-k8s/ca/ca.crt"
    assert _local(url, 7, "/tmp/ca.crt") == (
        "mongodb://127.0.0.1:7/orion?tls=true&tlsCAFile=/tmp/ca.crt&directConnection=true"
        "&tlsAllowInvalidHostnames=true"
    )
    # By its own address the name is checked, too.
    assert _local(url, None, "/tmp/ca.crt") == (
        f"{INSIDE}?directConnection=true&tls=true&tlsCAFile=/tmp/ca.crt"
    )


def test_a_database_elsewhere_keeps_its_address() -> None:
    url = "mongodb+srv://cluster0.example/orion?retryWrites=true"
    assert _local(url, None, None) == url


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (INSIDE, (INSIDE, "u", "p")),
        ("mongodb://ada@h/o", ("mongodb://h/o", "ada", "p")),
        ("mongodb://ada:s%40x@h/o?a=b", ("mongodb://h/o?a=b", "ada", "s@x")),
        ("/a/b@c.db", ("/a/b@c.db", "u", "p")),
    ],
)
def test_user_and_password_leave_the_address(url: str, found: tuple[str, str, str]) -> None:
    assert _without_login(url, "u", "p") == found


def test_an_address_does_not_show_its_password() -> None:
    assert "s3cret" not in repr(Address("mongodb://h/o", "u", "s3cret"))
