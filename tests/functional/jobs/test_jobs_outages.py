"""Watches that break."""

from __future__ import annotations

import pytest

from orion_k8s.executor import Ending
from tests.functional.jobs.apiserver import ApiServer
from tests.functional.jobs.making import RESULT, Jobs, outcome, pod, result


def test_a_watch_that_breaks_is_opened_again(server: ApiServer, jobs: Jobs) -> None:
    future = jobs.make().submit(jobs.run())
    name = pod(server)
    server.break_streams()
    server.end_pod(name, 0, RESULT)
    assert result(future).kind == "completed"


@pytest.mark.parametrize("how", ["ended", "gone"])
def test_a_watch_whose_place_is_forgotten_begins_anew(
    how: str, server: ApiServer, jobs: Jobs
) -> None:
    future = jobs.make().submit(jobs.run())
    name = pod(server)
    server.run_pod(name)
    with server._changed:  # so that the watches see nothing of it
        if how == "ended":
            server.end_pod(name, 0, RESULT)
        else:
            server.remove("pods", name)
        server.forget()
    expected = Ending.RETURNED if how == "ended" else Ending.LOST
    assert outcome(future).ending is expected
