"""`orion.client` for programs written for Oríon, where Oríon itself is not installed.

The folder above is appended to a program's PYTHONPATH. Oríon's `orion` is a namespace package, so
this file and an installed Oríon can meet in one: the installed one wins.
"""

from __future__ import annotations

import importlib.util
import os
import sys

TYPE_CHECKING = False  # the module typing is slow to import
if TYPE_CHECKING:
    from typing import Any

_HERE = os.path.dirname(os.path.realpath(__file__))


def _installed() -> Any:
    """Return the spec of another `orion.client`, or None."""
    paths = [path for path in sys.modules["orion"].__path__ if os.path.realpath(path) != _HERE]
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find("orion.client", paths) if find else None
        # Without a loader it is a folder without code.
        if spec is not None and spec.loader is not None and spec.origin is not None:
            if os.path.dirname(os.path.realpath(spec.origin)) != _HERE:
                return spec
    return None


_spec = _installed()
if _spec is not None:
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["orion.client"] = _module
    _spec.loader.exec_module(_module)
else:
    _loaded = sys.modules.get("orion_k8s.client.report")
    if _loaded is not None:
        _module = _loaded
    else:
        _root = os.path.dirname(os.path.dirname(os.path.dirname(_HERE)))
        _path = os.path.join(_root, "client", "report.py")
        _spec = importlib.util.spec_from_file_location("orion_k8s_report", _path)
        assert _spec is not None and _spec.loader is not None
        _module = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(_module)
    interrupt_trial = _module.interrupt_trial
    report_bad_trial = _module.report_bad_trial
    report_objective = _module.report_objective
    report_results = _module.report_results
    should_stop = _module.should_stop
    # Oríon's own place of these functions.
    cli = sys.modules["orion.client.cli"] = _module
