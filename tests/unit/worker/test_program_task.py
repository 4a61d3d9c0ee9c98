"""What the end of a program's call means for its trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orion_k8s.errors import UsageError
from orion_k8s.executor import Ending, Outcome
from orion_k8s.script import Command, ProgramRun
from orion_k8s.trial import ExperimentRecord, Status, Trial, TrialRecord
from orion_k8s.worker.program import ProgramTask
from orion_k8s.worker.task import Verdict

RESULT = (
    """printf '[{"name": "o", "type": "objective", "value": 0.5}]' > "$ORION_RESULTS_PATH"; """
)


def task_of(folder: Path, program: str) -> ProgramTask:
    command = Command.parse(["sh", "-c", program, "sh", "-x~uniform(0, 1)"])
    record = ExperimentRecord("e1", "e", 1, command.priors, {"random": {}}, 1)
    return ProgramTask(command, record, str(folder / "w"), cwd=str(folder), grace_s=0.1)


def trial() -> Trial:
    record = TrialRecord("t1", "e1", 0, "[0.25]", Status.RESERVED, attempt=1)
    return Trial(record, {"x": 0.25})


def run_of(task: ProgramTask) -> ProgramRun:
    run, args, kwargs = task.call(trial())
    assert isinstance(run, ProgramRun) and args == () and kwargs == {}
    return run


def judged(task: ProgramTask) -> Verdict:
    run = run_of(task)
    return task.judge(Outcome(Ending.RETURNED, run()), run)


def test_a_program_that_ends_well(tmp_path: Path) -> None:
    verdict = judged(task_of(tmp_path, f"pwd; echo $2; {RESULT}"))
    assert verdict.status is Status.COMPLETED and verdict.objective == 0.5
    assert [dict(result) for result in verdict.results] == [
        {"name": "o", "type": "objective", "value": 0.5}
    ]
    said = (tmp_path / "w/t1/attempt-1/stdout.txt").read_text().split()
    assert said == [str(tmp_path), "0.25"]


def test_a_program_that_fails(tmp_path: Path) -> None:
    verdict = judged(task_of(tmp_path, "echo why >&2; exit 3"))
    assert verdict.status is Status.BROKEN and "why" in verdict.reason and verdict.error is None


def test_a_program_that_asks_to_be_run_again_is_told_apart_from_one_that_was_ended(
    tmp_path: Path,
) -> None:
    asked = judged(task_of(tmp_path, "exit 130"))
    assert asked.status is Status.INTERRUPTED and asked.by_program
    task = task_of(tmp_path, RESULT)
    run = run_of(task)
    run.cancel()
    ended = task.judge(Outcome(Ending.RETURNED, run()), run)
    assert ended.status is Status.INTERRUPTED and not ended.by_program


@pytest.mark.parametrize("ending", [Ending.CANCELLED, Ending.CRASHED])
def test_a_result_that_is_there_counts_though_nobody_saw_the_end(
    tmp_path: Path, ending: Ending
) -> None:
    task = task_of(tmp_path, RESULT)
    run = run_of(task)
    nothing = task.judge(Outcome(ending, reason="the process died"), run)
    expected = Status.INTERRUPTED if ending is Ending.CANCELLED else Status.BROKEN
    assert nothing.status is expected and nothing.reason
    run()
    assert task.judge(Outcome(ending, reason="the process died"), run).status is Status.COMPLETED


def test_a_call_that_is_lost_may_still_run_so_its_result_does_not_count(tmp_path: Path) -> None:
    task = task_of(tmp_path, RESULT)
    run = run_of(task)
    run()
    assert task.judge(Outcome(Ending.LOST), run).status is Status.INTERRUPTED


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "w").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        task_of(tmp_path, RESULT).call(trial())


def test_the_interrupt_code_is_the_experiments(tmp_path: Path) -> None:
    task: Any = task_of(tmp_path, "exit $ORION_INTERRUPT_CODE")
    task.interrupt_code = 99
    assert judged(task).by_program
