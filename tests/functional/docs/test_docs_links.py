"""Every link of the documentation leads somewhere, and every file that it names is there."""

from __future__ import annotations

import re

import pytest
from docpages import NAMES, ROOT, Page, page

FOLDERS = ("orion_k8s/", "examples/", "tests/", "docs/", "charts/")


@pytest.mark.parametrize("name", NAMES)
def test_links(name: str) -> None:
    here = page(name)
    broken = []
    for target in here.links:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (here.path.parent / path).resolve() if path else here.path
        if not there.exists() or (anchor and anchor not in Page(there).anchors):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
def test_files(name: str) -> None:
    named = [span for span in page(name).spans if span.startswith(FOLDERS) and " " not in span]
    missing = [span for span in named if not any(ROOT.glob(span.rstrip("/")))]
    assert missing == []


def test_every_page_is_reached_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in page("README.md").links}
    assert set(NAMES) - {"README.md"} <= linked
