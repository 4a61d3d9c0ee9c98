from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orion_k8s.errors import ConfigurationError, UsageError
from orion_k8s.script.config_file import MAX_BYTES, ConfigFile
from orion_k8s.script.values import yaml_of

YAML = """\
# kept
lr: 'orion~loguniform(1e-5, 1)'   # kept too
model:
  layers:
    - units: orion~choices([16, 32])
      name: "a b"
    - &two orion~uniform(0, 1, shape=2)
  again: *two
flow: {drop: 'orion~uniform(0, 1)', on: yes}
block: |
  orion~uniform(0, 1)
tagged: !include other.yaml
size: 1e-3
"""


def priors(file: ConfigFile) -> dict[str, str]:
    return {slot.name: slot.prior for slot in file.slots}


def test_yaml_is_filled_in_place() -> None:
    file = ConfigFile.parse("c.yml", YAML)
    assert priors(file) == {
        "lr": "loguniform(1e-5, 1)",
        "model.layers.0.units": "choices([16, 32])",
        "model.layers.1": "uniform(0, 1, shape=2)",
        "flow.drop": "uniform(0, 1)",
        "block": "uniform(0, 1)",
    }
    filled = file.fill(
        {
            "lr": 1e-05,
            "model.layers.0.units": 32,
            "model.layers.1": [0.5, 1.0],
            "flow.drop": "a, b: c",
            "block": None,
        }
    )
    assert filled == (
        YAML.replace("'orion~loguniform(1e-5, 1)'", "1.0e-05")
        .replace("orion~choices([16, 32])", "32")
        .replace("orion~uniform(0, 1, shape=2)", "[0.5, 1.0]")
        .replace("'orion~uniform(0, 1)'", '"a, b: c"')
        .replace("|\n  orion~uniform(0, 1)", "null")
    )
    data = yaml.safe_load(filled.replace("!include ", ""))
    assert data["lr"] == 1e-05
    assert data["model"]["again"] == [0.5, 1.0]
    assert data["flow"] == {"drop": "a, b: c", True: True}
    assert data["block"] is None


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(plain)
def test_any_value_keeps_its_type_in_yaml(value: Any) -> None:
    file = ConfigFile.parse("c.yaml", "a: {b: [orion~f(1), 2]}\n")
    filled = file.fill({"a.b.0": value})
    assert yaml.safe_load(filled) == {"a": {"b": [value, 2]}}
    assert type(yaml.safe_load(filled)["a"]["b"][0]) is type(value)


def test_yaml_of_writes_mappings() -> None:
    assert yaml.safe_load(yaml_of({"a": {"b": "no"}})) == {"a": {"b": "no"}}


def test_several_yaml_documents_are_numbered() -> None:
    file = ConfigFile.parse("c.yaml", "a: orion~f(1)\n---\na: orion~f(2)\n")
    assert priors(file) == {"0.a": "f(1)", "1.a": "f(2)"}
    assert file.fill({"0.a": 1, "1.a": 2}) == "a: 1\n---\na: 2\n"


def test_line_ends_stay(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: orion~f(1)\r\nb: 2\r\n")
    assert ConfigFile.read(str(path)).fill({"a": 1}) == "a: 1\r\nb: 2\r\n"


def test_json_keeps_types_at_any_depth() -> None:
    text = json.dumps({"a.b": [{"c": "orion~f(1)"}, "orion~f(2)"], "d": 1.5, "e": "ü", "f": None})
    file = ConfigFile.parse("c.json", text)
    assert priors(file) == {"a.b.0.c": "f(1)", "a.b.1": "f(2)"}
    assert json.loads(file.fill({"a.b.0.c": "0.1", "a.b.1": 1})) == {
        "a.b": [{"c": "0.1"}, 1],
        "d": 1.5,
        "e": "ü",
        "f": None,
    }
    assert json.loads(ConfigFile.parse("c.json", '"orion~f(1)"').fill({"value": 2})) == 2


def test_any_other_text_is_filled_in_place() -> None:
    text = (
        "[train]\n"
        "lr = lr~loguniform(1e-5, 1)  ; (a) comment\n"
        'opt.name=/opt/name~choices([\'a)\', "b\\"("]), momentum~uniform(0, (1 + 1))\n'
        "size = 'orion~randint(1, 9)'\n"
        "home = ~/x  {braces} HEAD~1 a ~ b\n"
    )
    file = ConfigFile.parse("c.ini", text)
    assert priors(file) == {
        "lr": "loguniform(1e-5, 1)",
        "opt.name": 'choices([\'a)\', "b\\"("])',
        "momentum": "uniform(0, (1 + 1))",
        "size": "randint(1, 9)",
    }
    assert file.fill({"lr": 0.1, "opt.name": "a)", "momentum": 1, "size": 3}) == (
        "[train]\n"
        "lr = 0.1  ; (a) comment\n"
        "opt.name=a), 1\n"
        "size = '3'\n"
        "home = ~/x  {braces} HEAD~1 a ~ b\n"
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.yaml", "a: 1\nb: [1,\n", "not valid YAML, line 3"),
        ("c.yaml", "a: 1\nb: {x: orion~uniform(0, 1)}\n", "b.x.*line 2.*put quotes"),
        ("c.yaml", "a: \x00\n", "not valid YAML"),
        ("c.json", '{"a": 1,\n "b": }', "not valid JSON, line 2"),
        ("c.json", "[" * 100_000, "nested too deeply"),
        ("c.yaml", "[" * 5_000 + "]" * 5_000, "nested too deeply"),
    ],
)
def test_damaged_files_are_told(name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ConfigFile.parse(name, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nlr~uniform(0,\n1)\n", "line 2, is not closed"),
        ("a\norion~uniform(0, 1)\n", "line 2, has no name"),
    ],
)
def test_damaged_priors_in_text_are_told(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ConfigFile.parse("c.txt", text)


@pytest.mark.parametrize("prior", ["~+uniform(0, 1)", "~-", "~>other"])
def test_branching_marks_in_text_are_found(prior: str) -> None:
    assert priors(ConfigFile.parse("c.txt", f"lr{prior}\n")) == {"lr": prior[1:]}


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    binary = tmp_path / "c.bin"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        ConfigFile.read(str(binary))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ConfigFile.read(str(tmp_path))
    binary.write_bytes(b"a" * (MAX_BYTES + 1))
    with pytest.raises(ConfigurationError, match="larger than 4 MB"):
        ConfigFile.read(str(binary))
