"""A process that carries a canvas out with the Prefect manager on a lab in memory, and writes down what the lab saw.

`python -m tests.integration.flows.prefect_child CANVAS FOLDER [OPERATION:OUTCOME]`. As a flow of a deployment it is
what a Prefect worker starts: `canvas_flow`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from labkeeper_api.unit_calls import Performed
from labkeeper_flows.canvas_run.prefect_run import carry_out_in_prefect, flow_state
from labkeeper_flows.canvas_run.results import prefect_result
from tests.unit.flows.canvas_run.lab import Lab, planned, settings


def device_log(lab: Lab) -> str:
    """What each device was asked, in order, with the journal's keys."""
    by_role: dict[str, list[Any]] = {}
    for role, key, operation, parameters in lab.log:
        by_role.setdefault(role, []).append([key.node, key.cycle, key.ordinal, operation, parameters])
    return json.dumps(by_role, indent=1, sort_keys=True)


def carry_out(canvas: str, folder: str, fault: str = "") -> State[Any]:
    """Carry the canvas out; the state that its flow run should end in."""
    lab = Lab()
    if fault:
        operation, how = fault.split(":")
        lab.script = lambda role, key, name, parameters: (
            Performed.model_validate({"outcome": how, "message": "scripted"}) if name == operation else None
        )
    text = Path(canvas).read_text()
    outcome = carry_out_in_prefect(planned(text), lab, settings(Path(folder), text))
    (Path(folder) / "devices.json").write_text(device_log(lab))
    (Path(folder) / "result.json").write_text(json.dumps(prefect_result(outcome)))
    return flow_state(outcome)


@flow(name="canvas-of-a-worker", persist_result=False)
def canvas_flow(canvas: str, folder: str, fault: str = "") -> State[Any]:
    """The same within a flow run that somebody else began."""
    return carry_out(canvas, folder, fault)


if __name__ == "__main__":
    carry_out(*sys.argv[1:])
