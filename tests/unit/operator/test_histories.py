"""Histories of runs: each counted once, whatever is seen twice, out of order, or across a restart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_api.kinds import LabWorkflow
from labkeeper_api.kinds.labworkflow import LabWorkflowStatus
from labkeeper_operator.reconcile import histories as module
from labkeeper_operator.reconcile import workflows
from labkeeper_operator.reconcile.histories import Histories
from labkeeper_operator.reconcile.observed import ObservedRun
from tests.unit import builders as b

NOTHING = {"COMPLETED": 0, "FAILED": 0, "CRASHED": 0, "CANCELLED": 0}


def begun(status: dict[str, Any] | None = None) -> Histories:
    """Histories that follow deployment `dep-1` from that status on."""
    histories = Histories()
    histories.begin("dep-1", LabWorkflowStatus.model_validate(status) if status is not None else None)
    return histories


def counts(histories: Histories) -> dict[str, int]:
    """How the runs of `dep-1` ended, without the zeros."""
    return {state: n for state, n in (histories.get("dep-1").counts or {}).items() if n}


def ended(state: str, id_: str, seconds: float) -> ObservedRun:
    """A run of `dep-1` that ended that many seconds after NOW."""
    return b.a_flow_run(state, id_=id_, ended=b.after(seconds), changed=b.after(seconds))


def restarted(histories: Histories) -> Histories:
    """What another operator knows that starts from the status which this one wrote."""
    workflow: LabWorkflow = b.a_workflow(status={"deploymentId": "dep-1"})
    return begun(workflows.history_status(workflow, histories.get("dep-1")))


def test_a_new_deployment_has_no_runs() -> None:
    assert begun().get("dep-1").counts == NOTHING


def test_a_deployment_that_is_not_followed_has_no_history() -> None:
    histories = Histories()
    assert not histories.knows("dep-1")
    assert histories.get("dep-1").counts is None
    assert not histories.absorb(b.a_flow_run("COMPLETED"))


def test_a_run_that_belongs_to_no_deployment_is_passed_over() -> None:
    assert not begun().absorb(b.a_flow_run("COMPLETED", deployment_id=None))


def test_an_ended_run_is_counted() -> None:
    histories = begun()
    assert histories.absorb(b.a_flow_run("FAILED"))
    assert counts(histories) == {"FAILED": 1}


def test_a_run_seen_again_is_no_news_and_not_counted_again() -> None:
    histories, run = begun(), b.a_flow_run("COMPLETED", id_="run-1")
    histories.absorb(run)
    assert not histories.absorb(run)
    assert counts(histories) == {"COMPLETED": 1}


@pytest.mark.parametrize("state", ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED"])
def test_a_run_that_has_not_ended_is_not_counted(state: str) -> None:
    histories = begun()
    histories.absorb(b.a_flow_run(state))
    assert counts(histories) == {}


def test_a_run_that_is_only_scheduled_is_not_the_last_run() -> None:
    histories = begun()
    assert not histories.absorb(b.a_flow_run("SCHEDULED"))
    assert histories.get("dep-1").last is None


def test_a_crash_that_turned_out_well_moves_the_count() -> None:
    histories = begun()
    histories.absorb(ended("CRASHED", "run-1", 10))
    histories.absorb(ended("COMPLETED", "run-1", 20))
    assert counts(histories) == {"COMPLETED": 1}


def test_the_run_that_changed_last_is_the_last_run() -> None:
    histories = begun()
    histories.absorb(ended("COMPLETED", "run-2", 20))
    histories.absorb(ended("COMPLETED", "run-1", 10))
    last = histories.get("dep-1").last
    assert last is not None
    assert last.id == "run-2"
    assert counts(histories) == {"COMPLETED": 2}


def test_a_change_of_the_last_run_itself_is_always_taken() -> None:
    histories = begun()
    histories.absorb(b.a_flow_run("RUNNING", id_="run-1", changed=b.after(5)))
    histories.absorb(b.a_flow_run("COMPLETED", id_="run-1", changed=b.after(5)))
    last = histories.get("dep-1").last
    assert last is not None
    assert last.state_type == "COMPLETED"


def test_a_last_run_that_was_deleted_is_lost_and_another_one_is_not() -> None:
    histories = begun()
    histories.absorb(b.a_flow_run("RUNNING", id_="run-1"))
    histories.lose("dep-1", "run-0")
    assert histories.get("dep-1").last is not None
    histories.lose("dep-1", "run-1")
    assert histories.get("dep-1").last is None
    assert histories.get("dep-1").counts == NOTHING


def test_deployments_are_counted_apart() -> None:
    histories = begun()
    histories.begin("dep-2", None)
    histories.absorb(b.a_flow_run("FAILED", deployment_id="dep-2"))
    assert counts(histories) == {}
    assert (histories.get("dep-2").counts or {})["FAILED"] == 1


def test_a_known_deployment_is_not_begun_anew() -> None:
    histories = begun()
    histories.absorb(b.a_flow_run("COMPLETED"))
    histories.begin("dep-1", LabWorkflowStatus())
    assert counts(histories) == {"COMPLETED": 1}


def test_a_deployment_that_is_gone_is_forgotten() -> None:
    histories = begun()
    histories.forget("dep-1")
    histories.forget("dep-1")
    assert not histories.knows("dep-1")


def test_the_next_run_is_news_once() -> None:
    histories = begun()
    assert histories.due("dep-1", b.after(60))
    assert not histories.due("dep-1", b.after(60))
    assert histories.due("dep-1", None)
    assert not Histories().due("dep-1", b.after(60))


def test_a_restarted_operator_goes_on_from_the_status() -> None:
    histories = begun({"runs": {"completed": 7, "crashed": 1}, "nextRun": b.after(60).isoformat()})
    assert counts(histories) == {"COMPLETED": 7, "CRASHED": 1}
    assert histories.get("dep-1").next_due == b.after(60)


def test_a_restarted_operator_does_not_count_again_what_the_status_tells_of() -> None:
    before = begun()
    runs = [ended("COMPLETED", "run-1", 10), ended("FAILED", "run-2", 20.123456)]
    for run in runs:
        before.absorb(run)
    after = restarted(before)
    for run in runs:
        after.absorb(run)
    assert counts(after) == {"COMPLETED": 1, "FAILED": 1}


def test_a_restarted_operator_counts_what_ended_meanwhile() -> None:
    before = begun()
    before.absorb(ended("COMPLETED", "run-1", 10))
    after = restarted(before)
    after.absorb(ended("COMPLETED", "run-2", 20))
    assert counts(after) == {"COMPLETED": 2}


def test_an_operator_restarted_during_a_run_does_not_count_the_earlier_ones_again() -> None:
    """It looks at all ended runs anew, and the last run in the status has no end yet."""
    before = begun()
    earlier = ended("COMPLETED", "run-1", 10)
    before.absorb(earlier)
    before.absorb(b.a_flow_run("RUNNING", id_="run-2", changed=b.after(20)))
    after = restarted(before)
    after.absorb(earlier)
    assert counts(after) == {"COMPLETED": 1}


RUNNING = {"id": "run-9", "state": "Running"}


def test_a_status_written_in_the_middle_of_a_run_asks_for_a_recount() -> None:
    """It does not say up to when runs were counted."""
    assert begun({"lastRun": RUNNING, "runs": {"completed": 7}}).unsure("dep-1")


@pytest.mark.parametrize(
    "status",
    [None, {}, {"lastRun": {"id": "run-9", "state": "Completed", "ended": b.NOW.isoformat()}}],
    ids=["none", "no runs", "ended"],
)
def test_other_statuses_need_no_recount(status: dict[str, Any] | None) -> None:
    assert not begun(status).unsure("dep-1")


def test_counts_go_on_in_a_deployment_made_anew_also_in_the_middle_of_a_run() -> None:
    """No run of the new one is counted yet, and those of the old one are no longer in Prefect to be counted anew."""
    histories = begun({"deploymentId": "dep-0", "lastRun": RUNNING, "runs": {"completed": 7}})
    assert not histories.unsure("dep-1")
    histories.absorb(ended("COMPLETED", "run-10", 10))
    assert counts(histories) == {"COMPLETED": 8}


def test_a_recount_replaces_the_counts_and_says_up_to_when_they_go() -> None:
    histories = begun({"lastRun": RUNNING, "runs": {"completed": 7}})
    histories.recount("dep-1", {"COMPLETED": 8}, b.after(10))
    histories.absorb(ended("COMPLETED", "run-8", 10))
    histories.absorb(ended("FAILED", "run-9", 11))
    assert not histories.unsure("dep-1")
    assert counts(histories) == {"COMPLETED": 8, "FAILED": 1}


def test_a_recount_of_a_deployment_whose_runs_never_ended_counts_all_that_come() -> None:
    histories = begun({"lastRun": RUNNING})
    histories.recount("dep-1", {}, None)
    histories.absorb(ended("COMPLETED", "run-9", -3600))
    assert counts(histories) == {"COMPLETED": 1}


def test_the_last_run_is_followed_while_counts_are_unsure() -> None:
    histories = begun({"lastRun": RUNNING, "runs": {"completed": 7}})
    assert histories.absorb(ended("COMPLETED", "run-9", 10))
    last = histories.get("dep-1").last
    assert last is not None
    assert last.state_type == "COMPLETED"
    assert counts(histories) == {"COMPLETED": 7}


def test_a_crash_that_turns_out_well_after_a_restart_moves_the_count() -> None:
    before = begun()
    before.absorb(ended("CRASHED", "run-1", 10))
    after = restarted(before)
    after.absorb(ended("COMPLETED", "run-1", 20))
    assert counts(after) == {"COMPLETED": 1}


def test_memory_is_bounded_and_the_newest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    histories = begun()
    runs = [ended("COMPLETED", f"run-{n}", n) for n in range(10)]
    for run in runs:
        histories.absorb(run)
    for run in runs[-3:]:
        histories.absorb(run)
    assert counts(histories) == {"COMPLETED": 10}
    assert len(histories._counted) == 3


_sightings = st.lists(
    st.tuples(st.sampled_from(["run-1", "run-2", "run-3"]), st.sampled_from(["RUNNING", *NOTHING])), max_size=15
)


@given(_sightings)
def test_counts_are_those_of_each_runs_last_end(sightings: list[tuple[str, str]]) -> None:
    histories = begun()
    last: dict[str, str] = {}
    for second, (run, state) in enumerate(sightings):
        histories.absorb(ended(state, run, second))
        if state in NOTHING:
            last[run] = state
    assert counts(histories) == {state: list(last.values()).count(state) for state in set(last.values())}
