from __future__ import annotations

import pytest

from orion_k8s.errors import InvalidTransition
from orion_k8s.trial import FINAL, RELEASED, WAITING, Status, TrialRecord, advance, set_by_hand
from orion_k8s.trial.states import BY_HAND, TRANSITIONS


def test_a_trial_lives_as_the_protocol_says() -> None:
    status = advance(Status.NEW, "reserve")
    status = advance(status, "requeue")
    assert status is Status.INTERRUPTED
    assert advance(advance(status, "reserve"), "complete") is Status.COMPLETED


def test_an_interrupted_trial_may_still_be_completed_by_its_owner() -> None:
    assert advance(Status.INTERRUPTED, "complete") is Status.COMPLETED


@pytest.mark.parametrize("verb", sorted(TRANSITIONS))
@pytest.mark.parametrize("status", sorted(FINAL))
def test_workers_never_leave_a_final_state(status: Status, verb: str) -> None:
    with pytest.raises(InvalidTransition):
        advance(status, verb)


def test_verbs_lead_where_their_words_say() -> None:
    assert {target for verb, (_, target) in TRANSITIONS.items() if verb == "reserve"} == {
        Status.RESERVED
    }
    assert {TRANSITIONS[v][1] for v in ("release", "suspend", "break")} == RELEASED
    assert TRANSITIONS["reserve"][0] == WAITING


def test_an_invalid_transition_tells_the_story() -> None:
    record = TrialRecord(
        id="t",
        experiment="e",
        number=3,
        values="[1]",
        status=Status.COMPLETED,
        worker="w2",
        attempt=2,
        story=({"attempt": 1, "worker": "w1", "status": "interrupted", "reason": "lost"},),
    )
    with pytest.raises(InvalidTransition) as error:
        advance(record.status, "release", record.tell())
    message = str(error.value)
    assert "reserved" in message
    assert "attempt 1 by w1 ended interrupted (lost)" in message
    assert "attempt 2 by w2" in message


def test_a_person_may_run_a_broken_trial_again_but_not_a_completed_one() -> None:
    assert set_by_hand(Status.BROKEN, Status.INTERRUPTED) is Status.INTERRUPTED
    with pytest.raises(InvalidTransition, match="only to: removed"):
        set_by_hand(Status.COMPLETED, Status.INTERRUPTED)


def test_nothing_comes_back_from_a_tombstone() -> None:
    for target in Status:
        with pytest.raises(InvalidTransition, match="only to: nothing"):
            set_by_hand(Status.REMOVED, target)
    assert set(BY_HAND) == set(Status)
