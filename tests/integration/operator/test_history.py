"""What a LabWorkflow says of its runs: the last one, the next one and how many ended how, also over a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integration.operator.lab import LabNamespace, pool, workflow
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.cluster.controlplane import ControlPlane
    from tests.integration.operator.conftest import StartOperator
    from tests.integration.operator.prefect import Prefect

Data = dict[str, Any]


def ready(lab: LabNamespace, name: str = "moves") -> str:
    """Apply a workflow; the id of its deployment."""
    lab.apply(pool(), workflow(name, parameters={"hotel": "A"}))
    return str(lab.wait_current("lwf", name)["status"]["deploymentId"])


def counted(lab: LabNamespace, name: str = "moves", **wanted: int) -> Data:
    """Wait until the status counts so many runs; the last run."""
    full = {"completed": 0, "failed": 0, "crashed": 0, "cancelled": 0, **wanted}
    eventually(lambda: lab.status("lwf", name)["runs"] == full, 20, what=f"{full}; it counts {lab.status('lwf', name)}")
    return dict(lab.status("lwf", name)["lastRun"])


def test_the_last_run_and_the_counts_follow_every_run_whoever_started_it(
    quiet_lab: LabNamespace, prefect: Prefect
) -> None:
    lab = quiet_lab
    id_ = ready(lab)
    runs = [prefect.create_run(id_) for _ in range(5)]
    prefect.set_state(runs[0], "PENDING")
    prefect.set_state(runs[0], "RUNNING")
    eventually(lambda: lab.status("lwf", "moves").get("lastRun", {}).get("state") == "Running", 20)
    assert lab.status("lwf", "moves")["lastRun"]["id"] == runs[0]
    prefect.set_state(runs[0], "COMPLETED", data={"simulated": True})
    last = counted(lab, completed=1)
    assert (last["id"], last["state"], last["simulated"]) == (runs[0], "Completed", True)
    assert last["started"] <= last["ended"]
    for run_id, end in zip(runs[1:], ("FAILED", "CRASHED", "CANCELLED", "COMPLETED"), strict=True):
        prefect.carry_out(run_id, end, message=f"ended {end}")
    last = counted(lab, completed=2, failed=1, crashed=1, cancelled=1)
    assert (last["id"], last["message"]) == (runs[4], "ended COMPLETED")


def test_polling_alone_counts_what_the_event_stream_missed(lab: LabNamespace, prefect: Prefect) -> None:
    """Runs of a burst, more than one page, so that the stream's backlog cannot be what told of them all."""
    id_ = ready(lab)
    for _ in range(12):
        prefect.carry_out(prefect.create_run(id_))
    counted(lab, completed=12)


def test_counts_go_on_over_restarts_and_count_what_ended_meanwhile(
    plane: ControlPlane, namespace: str, start_operator: StartOperator, prefect: Prefect
) -> None:
    operator, _ = start_operator(namespace, poll=1.0, resync=1.0)
    lab = LabNamespace(plane, namespace)
    one, other = ready(lab), ready(lab, "other")
    for _ in range(2):
        prefect.carry_out(prefect.create_run(one))
    under_way = prefect.create_run(one)
    prefect.set_state(under_way, "PENDING")
    prefect.set_state(under_way, "RUNNING")
    eventually(lambda: lab.status("lwf", "moves")["lastRun"]["id"] == under_way, 20, what="the run under way")
    counted(lab, completed=2)

    operator.kill()
    prefect.carry_out(prefect.create_run(other), "FAILED")
    prefect.carry_out(prefect.create_run(one), "CRASHED")
    operator.start()
    counted(lab, "other", failed=1)
    counted(lab, completed=2, crashed=1)  # the two from before are not counted again

    prefect.set_state(under_way, "COMPLETED")
    counted(lab, completed=3, crashed=1)
    operator.kill()
    operator.start()
    prefect.carry_out(prefect.create_run(one))
    counted(lab, completed=4, crashed=1)
    operator.stop()


def test_a_run_that_changes_its_end_is_counted_as_what_it_is_now(lab: LabNamespace, prefect: Prefect) -> None:
    """Prefect lets an agent say Completed after somebody forced Crashed."""
    id_ = ready(lab)
    run_id = prefect.create_run(id_)
    prefect.carry_out(run_id, "CRASHED")
    counted(lab, crashed=1)
    body = {"state": {"type": "COMPLETED", "name": "Completed"}, "force": True}
    prefect.call("POST", f"/flow_runs/{run_id}/set_state", body)
    counted(lab, completed=1)
