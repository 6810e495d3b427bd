"""A steady state makes no writes, neither in Prefect nor in the API server; a restart is one, too.

Each PATCH of a deployment, even one that changes nothing, wipes the runs that Prefect has planned.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.integration.operator.conftest import EXAMPLES
from tests.integration.operator.lab import READ, LabNamespace, manifest, pool, queues, run, workflow
from tests.integration.operator.process import USER, OperatorProcess
from tests.integration.operator.test_schedules import wait_planned, wait_rounds
from tests.support.prefect_link import Link
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.cluster.controlplane import ControlPlane
    from tests.integration.operator.conftest import StartOperator
    from tests.integration.operator.prefect import Prefect

Data = dict[str, Any]

WRITES = {"create", "update", "patch", "delete", "deletecollection"}
STEADY_SECONDS = 20.0


def writes_to_kubernetes(plane: ControlPlane, namespace: str) -> list[str]:
    """All that operators ever wrote in the namespace, from the audit log."""
    assert plane.audit_log is not None
    entries = [json.loads(line) for line in plane.audit_log.read_text().splitlines()]
    return [
        f"{entry['requestReceivedTimestamp']} {entry['verb']} {entry['requestURI']}"
        for entry in entries
        if entry["user"]["username"] == USER
        and entry["verb"] in WRITES
        and entry.get("objectRef", {}).get("namespace") == namespace
    ]


def full_lab(lab: LabNamespace) -> list[str]:
    """One object of every sort that there is, as far as they can get without an agent; names of the workflows."""
    schedules = [
        {"name": "cron", "cron": "0 3 * * MON-FRI", "timezone": "Asia/Tokyo", "parameters": {"hotel": "B"}},
        {"name": "interval", "intervalSeconds": 5400},
        {"name": "anchored", "intervalSeconds": 7200, "anchor": "2026-01-01T09:00:00+09:00"},
        {"name": "rule", "rrule": "FREQ=MINUTELY;INTERVAL=7", "timezone": "Europe/Berlin"},
        {"name": "held", "rrule": "DTSTART:20260101T090000\nRRULE:FREQ=WEEKLY;BYDAY=MO,TH", "suspend": True},
    ]
    full = workflow(
        "full",
        placement={"pool": "pool", "queue": "slow"},
        parameters={"hotel": "A", "overrides": {"pwm_max": 500, "gain": 0.25, "none": None}},
        schedules=schedules,
        description="All that a workflow can say. ",
        concurrency={"limit": 1},
        timeoutSeconds=60,
        tags=["night", "a", "Z"],
    )
    lab.apply(
        pool(description="Of many queues.", queues=queues("fast", "slow", "last"), concurrencyLimit=2),
        pool("cluster", type="kubernetes"),
        full,
        workflow("held", flow={"name": READ}, retries=2, suspend=True),
        workflow("stalled", flow={"name": "plate-resort.no-such"}),
        workflow("waiting", placement={"pool": "nowhere"}),
        manifest(
            "LabWorkflow",
            "entrypoint",
            flow={"entrypoint": "my_lab.flows:measure"},
            placement={"pool": "cluster"},
            job={"image": "registry.example/my-lab:1"},
        ),
        manifest("LabDevice", "hotel", driver="plate-resort", pool="pool", simulate={}),
        manifest("LabAction", "release", device="hotel", action="Release", reason="all clear", requester="ada"),
        run("scheduled", "full", startAt="2036-01-01T09:00:00Z"),
        run("ended", "full"),
        run("invalid", "full", parameters={"hotle": "A"}),
        run("early", "nothing"),
    )
    ready = ["full", "held", "entrypoint"]
    lab.wait("lpool", "pool", "cluster")
    lab.wait("lwf", *ready)
    return ready


Settled = tuple[OperatorProcess, Link, LabNamespace]


@pytest.fixture
def settled(plane: ControlPlane, namespace: str, start_operator: StartOperator, prefect: Prefect) -> Settled:
    """A lab with one of everything, in which nothing happens any more."""
    operator, link = start_operator(namespace, poll=2.0, resync=2.0)
    lab = LabNamespace(plane, namespace)
    full_lab(lab)
    ended = str(eventually(lambda: lab.status("lrun", "ended").get("flowRunId"), 30, what="a flow run"))
    # Data of every sort, and null: what the API server or the model drops would be written again and again.
    prefect.carry_out(ended, data={"angle": 12.5, "nothing": None, "list": [1, None, {"deep": None}], "empty": {}})
    lab.wait("lrun", "ended", condition="Complete")
    lab.wait_stalled("lwf", "stalled", "UnknownFlow")
    lab.wait_stalled("lwf", "waiting", "UnknownPool")
    lab.wait_stalled("lact", "release", "NoChannel")
    lab.wait_stalled("lrun", "invalid", "InvalidParameters")
    lab.wait_reason("lrun", "early", "UnknownWorkflow")
    lab.wait_reason("ldev", "hotel", "UnitOffline")
    for name in ("full", "entrypoint"):
        lab.wait_current("lwf", name)
    wait_planned(prefect, lab.status("lwf", "full")["deploymentId"], lambda _: True)
    eventually(lambda: next_run_is_far(lab), 90, what="a next run that is not due before the test ends")
    eventually(lambda: lab.status("lwf", "full")["runs"]["completed"] == 1, 30, what="the run counted")
    return operator, link, lab


def next_run_is_far(lab: LabNamespace) -> bool:
    """Whether no run is due during the test: `nextRun` rightly moves on then. At first it may be that of a LabRun."""
    moment = lab.status("lwf", "full").get("nextRun")
    return moment is not None and datetime.fromisoformat(moment) - datetime.now(UTC) > timedelta(seconds=45)


def test_a_steady_state_and_a_restart_write_nothing(plane: ControlPlane, settled: Settled, prefect: Prefect) -> None:
    operator, link, lab = settled
    deployment = lab.status("lwf", "full")["deploymentId"]
    written = writes_to_kubernetes(plane, lab.name)
    before = everything(lab)
    planned = {each["id"] for each in prefect.scheduled(deployment)}
    link.forget()
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > STEADY_SECONDS, STEADY_SECONDS + 5, 1.0)
    assert sum("/deployments/filter" in request.path for request in link.requests()) >= 5, "the operator does not look"
    assert link.writes() == []
    assert writes_to_kubernetes(plane, lab.name) == written

    operator.kill()
    operator.start()
    link.forget()
    wait_rounds(link, 4)
    operator.stop()
    assert link.writes() == []
    assert writes_to_kubernetes(plane, lab.name) == written
    assert everything(lab) == before
    due = {each["id"] for each in prefect.scheduled(deployment)}
    assert len(planned - due) <= 2, "planned runs were wiped"  # all but those whose time came meanwhile


def everything(lab: LabNamespace) -> dict[str, Data]:
    """All objects of the lab; the next run moves on by itself."""
    found = {}
    for item in lab.plane.get("lab", f"--namespace={lab.name}")["items"]:
        item.get("status", {}).pop("nextRun", None)
        found[f"{item['kind']}/{item['metadata']['name']}"] = item
    return found


def test_the_guides_examples_applied_again_change_nothing(lab: LabNamespace) -> None:
    files = [f"--filename={EXAMPLES / name}" for name in ("lab.yaml", "workflows.yaml")]
    documents = yaml.safe_load_all((EXAMPLES / "workflows.yaml").read_text(encoding="utf-8"))
    workflows = [document["metadata"]["name"] for document in documents]
    lab.kubectl("apply", *files)
    lab.wait("lpool", "plate-resort")
    lab.wait("lwf", *workflows)
    lab.wait_reason("ldev", "plate-resort", "UnitOffline")
    before = everything(lab)
    lab.kubectl("apply", *files)
    assert everything(lab) == before
