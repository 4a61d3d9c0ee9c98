"""Take each rule of the protocol out of a copy of the code, and see that the tests notice.

python tests/mutations/run.py [part of a rule's name]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.mutations.rules import RULES, Rule

HERE = Path(__file__).parents[2]
TIMEOUT_S = 300


def main() -> int:
    """Run the rules that were asked for; return how many survived or are out of date."""
    wanted = " ".join(sys.argv[1:])
    rules = [rule for rule in RULES if wanted in rule.name]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(
            HERE,
            copy,
            ignore=shutil.ignore_patterns(".*", "orion-demo", "__pycache__", "mutations"),
        )
        for rule in rules:
            verdict = judge(rule, copy)
            failures += verdict != "noticed"
            print(f"{verdict:12} {rule.name}", flush=True)
    print(f"{len(rules) - failures} of {len(rules)} rules are noticed when they are missing")
    return failures


def judge(rule: Rule, copy: Path) -> str:
    """Return "noticed", "SURVIVED" or "OUT OF DATE" for one rule."""
    file = copy / "orion_k8s" / rule.file
    before = file.read_text(encoding="utf-8")
    if before.count(rule.text) != 1:
        return "OUT OF DATE"
    file.write_text(before.replace(rule.text, rule.without), encoding="utf-8")
    tests = [test for test in rule.tests if (copy / test.partition("::")[0]).exists()]
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
        *("-o", "timeout=30", *tests),
    ]
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        code = done.returncode
    except subprocess.TimeoutExpired:
        code = 1
    finally:
        file.write_text(before, encoding="utf-8")
    if code not in (0, 1):
        raise SystemExit(f"pytest could not run ({code}):\n{done.stdout}\n{done.stderr}")
    return "noticed" if code == 1 else "SURVIVED"


if __name__ == "__main__":
    sys.exit(main())
