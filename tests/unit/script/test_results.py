from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orion_k8s.errors import InvalidResult
from orion_k8s.script.results import MAX_BYTES, check_results, read_results


def result(value: Any, name: str = "loss", type: str = "objective") -> dict[str, Any]:
    return {"name": name, "type": type, "value": value}


def test_a_valid_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    data = [
        result(1),
        result([1, 2], "g", "gradient"),
        result({"a": None}, "s", "statistic"),
        result(0.5, "größe $.x", "constraint"),
    ]
    path.write_text("\ufeff" + json.dumps(data), encoding="utf-8")
    objective, results = read_results(str(path))
    assert (objective, type(objective)) == (1.0, float)
    assert results == data


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "without a result: call report_objective"),
        (" \n", "without a result"),
        ("0.5", "holds a number, not a list"),
        ('{"name": "a", "type": "objective", "value": 1}', "holds a mapping, not a list"),
        ("loss=1", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[" + "9" * 5000 + "]", "not JSON"),
        ("[]", "no objective"),
        ("[1]", "Result 1 is a number"),
        ('[{"name": "a", "value": 1}]', "Result 1 lacks 'type'"),
        (json.dumps([result(1, type="statistic")]), "no objective"),
        (json.dumps([result(1, type="objectiv")]), "did you mean 'objective'"),
        (json.dumps([result(1, type="zzz")]), "use one of objective, constraint"),
        (json.dumps([result("1")]), "is a text, not a number"),
        (json.dumps([result(True)]), "is a truth value, not a number"),
        (json.dumps([result(None)]), "is a null, not a number"),
        (json.dumps([result([1.0])]), "take its only item"),
        ('[{"name": "a", "type": "objective", "value": NaN}]', "is nan"),
        ('[{"name": "a", "type": "objective", "value": -Infinity}]', "is -inf"),
        ('[{"name": "a", "type": "objective", "value": 1e999}]', "is inf"),
        ('[{"name": "a", "type": "objective", "value": 1' + "0" * 400 + "}]", "is inf"),
        ('[{"name": 1, "type": "objective", "value": 1}]', "name of result 1"),
        ('[{"name": "a", "type": ["objective"], "value": 1}]', "unknown type"),
    ],
)
def test_invalid_files_are_told_in_a_sentence(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(InvalidResult, match=message) as caught:
        read_results(str(path))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_text_files(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(InvalidResult, match="without a result"):
        read_results(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidResult, match="not JSON text"):
        read_results(str(path))
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidResult, match="larger than 16 MB"):
        read_results(str(path))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InvalidResult, match="regular file"):
        read_results(str(path))
    path.unlink()
    path.mkdir()
    with pytest.raises(InvalidResult, match="regular file"):
        read_results(str(path))


@pytest.mark.parametrize(
    "value", [1, 1.0, np.float32(1), np.int64(1), np.array(1.0), Decimal(1), np.longdouble(1)]
)
def test_a_number_is_the_objective(value: Any) -> None:
    assert check_results(value) == (1.0, [result(1.0, "objective")])


def test_python_data_become_plain() -> None:
    objective, results = check_results(
        [
            result(np.float64(0.5)),
            result(np.arange(2), "g", "gradient"),
            result((1,), "s", "statistic"),
        ]
    )
    assert objective == 0.5
    assert json.loads(json.dumps(results)) == [
        result(0.5),
        result([0, 1], "g", "gradient"),
        result([1], "s", "statistic"),
    ]
    assert type(results[0]["value"]) is float


@pytest.mark.parametrize("value", [None, "1", True, np.bool_(True), {"a": 1}, object(), b"1"])
def test_other_things_are_no_results(value: Any) -> None:
    with pytest.raises(InvalidResult):
        check_results(value)
    with pytest.raises(InvalidResult):
        check_results([result(value)])
