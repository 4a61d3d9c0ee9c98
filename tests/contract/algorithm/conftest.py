from __future__ import annotations

import pytest

pytest.register_assert_rewrite("orion_k8s.testing.algorithm")
