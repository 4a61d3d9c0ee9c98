"""The conformance suite of storages.

Subclass `StorageContract` in a test module of yours:

    class TestMine(StorageContract):
        @pytest.fixture
        def storage_factory(self, tmp_path):
            return functools.partial(open_storage, f"mine://{tmp_path}/history")

and call `pytest.register_assert_rewrite("orion_k8s.testing.storage")` in your conftest.py.
"""

from __future__ import annotations

from orion_k8s.testing.storage.curves import CurveContract
from orion_k8s.testing.storage.experiments import ExperimentContract
from orion_k8s.testing.storage.leases import LeaseContract
from orion_k8s.testing.storage.people import PeopleContract
from orion_k8s.testing.storage.races import RaceContract
from orion_k8s.testing.storage.trials import TrialContract
from orion_k8s.testing.storage.whole import WholeContract

__all__ = ["StorageContract"]


class StorageContract(
    ExperimentContract,
    TrialContract,
    LeaseContract,
    CurveContract,
    PeopleContract,
    WholeContract,
    RaceContract,
):
    """Every sentence of `orion_k8s.storage.base`, as tests."""
