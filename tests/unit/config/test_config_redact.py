"""No password gets to the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion_k8s.config import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mongodb://ada:pw@h:1/x?w=majority", "mongodb://ada:***@h:1/x?w=majority"),
        ("mongodb+srv://ada:p%40w@h", "mongodb+srv://ada:***@h"),
        ("mongodb://ada:p@ss/w@h/x", "mongodb://ada:***@h/x"),
        ("mongodb://:pw@h", "mongodb://:***@h"),
        ("mongodb://h1:1,h2:2/x?replicaSet=r", "mongodb://h1:1,h2:2/x?replicaSet=r"),
        (
            "m://h/?tlsCertificateKeyFilePassword=pw&a=b",
            "m://h/?tlsCertificateKeyFilePassword=***&a=b",
        ),
        (
            "m://h/?authMechanismProperties=AWS_SESSION_TOKEN:pw",
            "m://h/?authMechanismProperties=***",
        ),
        ("/home/ada/orion.db", "/home/ada/orion.db"),
        ("tell ada@example.org", "tell ada@example.org"),
    ],
)
def test_texts(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_deep_in_data() -> None:
    assert redact({"a": [{"api_key": "pw"}, "m://u:pw@h"], "password": "", "n": 3}) == {
        "a": [{"api_key": "***"}, "m://u:***@h"],
        "password": "",
        "n": 3,
    }


@given(
    st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1), st.sampled_from("/@:?#&")
)
def test_any_password_goes(secret: str, odd: str) -> None:
    password = f"SECRET{secret}{odd}SECRET"
    assert "SECRET" not in redact(f"mongodb://ada:{password}@db.example:27017/x")
