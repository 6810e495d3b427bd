"""Each rule of the kinds: what it refuses, the sentence it says, and what just passes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from labkeeper_api.kinds import LabAction, LabDevice, LabObject, LabPool, LabRun, LabWorkflow
from labkeeper_api.kinds.labaction import LabActionSpec
from labkeeper_api.kinds.labdevice import DriverConfig
from labkeeper_api.kinds.labpool import LabPoolSpec
from labkeeper_api.kinds.labworkflow import CanvasSource, FlowSource, LabWorkflowSpec, ProtocolSource
from labkeeper_api.meta import ApiModel
from tests.unit import builders as b

ONE_SOURCE = (
    "give exactly one flow source: flow.name for a flow of the catalog, flow.entrypoint for a function in job.image, "
    "flow.canvas for a canvas, or flow.protocol for an Opentrons protocol"
)
ONE_CANVAS = "give exactly one of canvas.inline, canvas.configMapRef and canvas.file"
ONE_PROTOCOL = "give exactly one of protocol.configMapRef and protocol.file"
DRY_RUN = "dryRun is for flow.canvas and flow.protocol; for other flows, simulate is a field of the LabDevice"
SAME_PRIORITY = "two queues have the same priority: give every queue of the pool a priority of its own"
SAME_SCHEDULE = "two schedules have the same name: every name may stand once"
NEGATIVE_RETRIES = "retries cannot be negative: 0 means that a failed run is not tried again"
NEEDS_OUTCOME = "acknowledging needs an outcome: Completed, or NotCompleted, as a person saw it on the hardware"
ONE_CONFIG = "give exactly one of config.inline and config.files"


def problems(kind: type[LabObject], **changes: Any) -> list[dict[str, Any]]:
    """What is said about an otherwise valid object of that kind with these changes to its spec."""
    data = b.manifest(kind.kind_name())
    data["spec"] = {key: value for key, value in {**data["spec"], **changes}.items() if value is not ...}
    try:
        kind.model_validate(data)
    except ValidationError as error:
        return [dict(item) for item in error.errors(include_url=False)]
    return []


@pytest.mark.parametrize(
    ("kind", "changes", "path", "sentence"),
    [
        (LabWorkflow, {"flow": {}}, "flow", ONE_SOURCE),
        (LabWorkflow, {"flow": {"name": "a.b", "entrypoint": "a:b"}}, "flow", ONE_SOURCE),
        (LabWorkflow, {"flow": {"name": "a.b", "canvas": {"inline": "{}"}}}, "flow", ONE_SOURCE),
        (LabWorkflow, {"flow": {"canvas": {"file": "a.json"}, "protocol": {"file": "b.py"}}}, "flow", ONE_SOURCE),
        (LabWorkflow, {"flow": {"canvas": {}}}, "flow.canvas", ONE_CANVAS),
        (LabWorkflow, {"flow": {"canvas": {"inline": "{}", "file": "a.json"}}}, "flow.canvas", ONE_CANVAS),
        (LabWorkflow, {"flow": {"protocol": {}}}, "flow.protocol", ONE_PROTOCOL),
        (
            LabWorkflow,
            {"flow": {"protocol": {"configMapRef": {"name": "a", "key": "b.py"}, "file": "b.py"}}},
            "flow.protocol",
            ONE_PROTOCOL,
        ),
        (LabWorkflow, {"dryRun": True}, "", DRY_RUN),
        (LabWorkflow, {"retries": -1}, "", NEGATIVE_RETRIES),
        (LabWorkflow, {"schedules": [{"name": "a", "cron": "0 9 * * *"}] * 2}, "", SAME_SCHEDULE),
        (
            LabPool,
            {"queues": [{"name": "a", "priority": 1}, {"name": "b", "priority": 1}]},
            "",
            SAME_PRIORITY,
        ),
        (
            LabPool,
            {"queues": [{"name": "a", "priority": 1}, {"name": "a", "priority": 2}]},
            "",
            "two queues have the same name: every name may stand once",
        ),
        (LabDevice, {"config": {}}, "config", ONE_CONFIG),
        (LabDevice, {"config": {"inline": "a: 1", "files": ["a.yaml"]}}, "config", ONE_CONFIG),
        (LabAction, {"action": "Acknowledge"}, "", NEEDS_OUTCOME),
        (LabAction, {"outcome": "Completed"}, "", "outcome only goes with action Acknowledge"),
        (
            LabRun,
            {"startAt": "2026-01-01T09:00:00"},
            "startAt",
            "startAt needs a time zone: write 2026-01-01T09:00:00Z",
        ),
    ],
)
def test_a_rule_says_what_to_write_instead(
    kind: type[LabObject], changes: dict[str, Any], path: str, sentence: str
) -> None:
    (problem,) = problems(kind, **changes)
    assert problem["msg"] == f"Value error, {sentence}"
    assert ".".join(map(str, problem["loc"])) == ("spec." + path).rstrip(".")


@pytest.mark.parametrize(
    ("kind", "changes", "path"),
    [
        (LabWorkflow, {"flow": {"name": ""}}, "flow.name"),
        (LabWorkflow, {"flow": {"name": "x" * 121}}, "flow.name"),
        (LabWorkflow, {"flow": {"entrypoint": "measure"}}, "flow.entrypoint"),
        (LabWorkflow, {"flow": {"entrypoint": "my_lab/flows.py:measure"}}, "flow.entrypoint"),
        (LabWorkflow, {"flow": {"entrypoint": "my_lab.flows:measure()"}}, "flow.entrypoint"),
        (LabWorkflow, {"flow": {"entrypoint": "my_lab:flows:measure"}}, "flow.entrypoint"),
        (LabWorkflow, {"flow": {"entrypoint": "3lab:measure"}}, "flow.entrypoint"),
        (LabWorkflow, {"flow": {"entrypoint": "labé:measure"}}, "flow.entrypoint"),  # \\w is ASCII in the API server
        (LabWorkflow, {"placement": {"pool": "Plates"}}, "placement.pool"),
        (LabWorkflow, {"placement": {"pool": "-plates"}}, "placement.pool"),
        (LabWorkflow, {"placement": {"pool": "p" * 64}}, "placement.pool"),
        (LabWorkflow, {"placement": {"pool": "plates\n"}}, "placement.pool"),
        (LabWorkflow, {"placement": {"pool": "plates", "queue": ""}}, "placement.queue"),
        (LabWorkflow, {"description": "x" * 4097}, "description"),
        (LabWorkflow, {"concurrency": {"limit": 0}}, "concurrency.limit"),
        (LabWorkflow, {"concurrency": {"limit": 1, "onConflict": "Drop"}}, "concurrency.onConflict"),
        (LabWorkflow, {"retries": 101}, "retries"),
        (LabWorkflow, {"retryDelaySeconds": -1}, "retryDelaySeconds"),
        (LabWorkflow, {"timeoutSeconds": 0}, "timeoutSeconds"),
        (LabWorkflow, {"tags": [""]}, "tags.0"),
        (LabWorkflow, {"tags": [f"t{n}" for n in range(33)]}, "tags"),
        (LabWorkflow, {"schedules": [{"name": f"s{n}", "cron": "0 9 * * *"} for n in range(33)]}, "schedules"),
        (LabWorkflow, {"prefect": {"deploymentName": "a/b"}}, "prefect.deploymentName"),
        (LabWorkflow, {"prefect": {"flowName": "100%"}}, "prefect.flowName"),
        (LabWorkflow, {"deletionPolicy": "Keep"}, "deletionPolicy"),
        (LabWorkflow, {"job": {"image": ""}}, "job.image"),
        (LabWorkflow, {"placement": ...}, "placement"),
        (LabPool, {"type": "process"}, "type"),
        (LabPool, {"type": ...}, "type"),
        (LabPool, {"queues": [{"name": "a", "priority": 0}]}, "queues.0.priority"),
        (LabPool, {"queues": [{"name": "a", "priority": 1001}]}, "queues.0.priority"),
        (LabPool, {"queues": [{"name": "a b", "priority": 1}]}, "queues.0.name"),
        (LabPool, {"queues": [{"name": "a"}]}, "queues.0.priority"),
        (LabPool, {"concurrencyLimit": 0}, "concurrencyLimit"),
        (LabPool, {"prefect": {"poolName": "a/b"}}, "prefect.poolName"),
        (LabDevice, {"driver": ""}, "driver"),
        (LabDevice, {"connection": {"id": 253}}, "connection.id"),
        (LabDevice, {"connection": {"baudrate": 300}}, "connection.baudrate"),
        (LabDevice, {"config": {"files": []}}, "config.files"),
        (LabDevice, {"config": {"inline": "x" * 65537}}, "config.inline"),
        (LabDevice, {"simulate": {"timeFactor": 0}}, "simulate.timeFactor"),
        (LabDevice, {"simulate": {"timeFactor": 1001}}, "simulate.timeFactor"),
        (LabRun, {"workflowRef": ...}, "workflowRef"),
        (LabRun, {"ttlSecondsAfterFinished": -1}, "ttlSecondsAfterFinished"),
        (LabRun, {"startAt": "tomorrow"}, "startAt"),
        (LabAction, {"requester": ""}, "requester"),
        (LabAction, {"action": "Approve"}, "action"),
    ],
)
def test_a_value_out_of_bounds_is_refused_where_it_stands(
    kind: type[LabObject], changes: dict[str, Any], path: str
) -> None:
    assert [".".join(map(str, problem["loc"])) for problem in problems(kind, **changes)] == [f"spec.{path}"]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (LabWorkflow, {"flow": {"entrypoint": "my_lab.flows:measure"}}),
        (LabWorkflow, {"flow": {"entrypoint": "my_lab.flows.measure"}}),
        (LabWorkflow, {"flow": {"entrypoint": "a:b"}}),
        (LabWorkflow, {"placement": {"pool": "p" * 63, "queue": "any queue"}}),
        (LabWorkflow, {"prefect": {"flowName": "My SDL1 Workflow", "deploymentName": "プレート"}}),
        (LabWorkflow, {"retries": 100, "retryDelaySeconds": 0, "timeoutSeconds": 1}),
        (LabPool, {"queues": [{"name": "default", "priority": 1000}]}),
        (LabPool, {"queues": [{"name": f"q{n}", "priority": n + 1} for n in range(64)]}),
        (LabDevice, {"connection": {"id": 0, "baudrate": 4500000}}),
        (LabDevice, {"simulate": {}}),
        (LabRun, {"startAt": "2026-01-01T09:00:00+09:00", "ttlSecondsAfterFinished": 0}),
        (LabAction, {"action": "Acknowledge", "outcome": "NotCompleted", "unit": "bench-1"}),
    ],
)
def test_a_value_just_within_bounds_passes(kind: type[LabObject], changes: dict[str, Any]) -> None:
    assert problems(kind, **changes) == []


@pytest.mark.parametrize(
    ("kind", "changes"),
    [(LabWorkflow, {"tags": ["a", "a"]}), (LabDevice, {"queues": ["urgent", "urgent"]})],
    ids=["tags", "queues"],
)
def test_what_the_crd_keeps_as_a_set_holds_everything_once(kind: type[LabObject], changes: dict[str, Any]) -> None:
    """The API server refuses duplicates in a list of type set, so `labkeeper validate` has to."""
    assert problems(kind, **changes)


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = problems(LabPool, type="process", concurrencyLimit=0, queues=[{"name": "a", "priority": 0}])
    assert len(found) == 3


@pytest.mark.parametrize(
    "sentence",
    [ONE_SOURCE, ONE_CANVAS, ONE_PROTOCOL, DRY_RUN, SAME_PRIORITY, NEGATIVE_RETRIES, NEEDS_OUTCOME, ONE_CONFIG],
)
def test_the_api_server_says_the_same_sentence(sentence: str) -> None:
    models: tuple[type[ApiModel], ...] = (
        FlowSource,
        CanvasSource,
        ProtocolSource,
        LabPoolSpec,
        LabWorkflowSpec,
        LabActionSpec,
        DriverConfig,
    )
    assert sentence in [rule.message for model in models for rule in model.cel_rules]
