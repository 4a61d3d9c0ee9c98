"""The conformance suite on the rules that come with orion-k8s, and on another's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orion_k8s.stopping import Rule, create
from orion_k8s.testing.stopping import RuleContract


def rule(name: str, **parameters: object) -> Rule:
    [made] = create({name: parameters}).rules
    return made


class TestMedian(RuleContract):
    def make(self) -> Rule:
        return rule("median")


class TestPercentile(RuleContract):
    def make(self) -> Rule:
        return rule("percentile")


class TestASHA(RuleContract):
    def make(self) -> Rule:
        return rule("asha")


class TestPatience(RuleContract):
    def make(self) -> Rule:
        return rule("patience", steps=5)


class TestThreshold(RuleContract):
    def make(self) -> Rule:
        return rule("threshold", upper=100)


THIRD_PARTY = '''
from orion_k8s.stopping import Rule


class Hopeless(Rule):
    """Stops a trial that is worse now than every other one was at the same step."""

    name = "hopeless"

    def __init__(self, others=3):
        self.others = others

    def stop(self, own, others, judged=float("-inf")):
        step, value = own.last_step, own.values[-1]
        theirs = [v for other in others if (v := other.value_at(step)) is not None]
        if len(theirs) >= self.others and value > max(theirs):
            return f"the worst of {len(theirs) + 1}"
        return None

    @property
    def configuration(self):
        return {"others": self.others}
'''


class TestThirdParty(RuleContract):
    """Written against the public base and found by its entry point."""

    @pytest.fixture(autouse=True)
    def installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        (tmp_path / "hopeless_package.py").write_text(THIRD_PARTY)
        info = tmp_path / "hopeless_package-2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: hopeless-package\nVersion: 2.0\n"
        )
        (info / "entry_points.txt").write_text(
            "[orion_k8s.stopping]\nhopeless = hopeless_package:Hopeless\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        yield
        sys.modules.pop("hopeless_package", None)

    def make(self) -> Rule:
        return rule("hopeless", others=2)
