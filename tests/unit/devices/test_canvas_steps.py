"""Every step of a real canvas for these instruments is an operation of their driver, with exactly its parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkeeper_api.operations import OPERATIONS, arduino, squidstat
from labkeeper_devices.drivers.arduino import BoardConfig
from labkeeper_devices.drivers.arduino.checks import static_problems as board_problems
from labkeeper_devices.drivers.squidstat import PotentiostatConfig
from labkeeper_devices.drivers.squidstat.checks import static_problems as potentiostat_problems
from labkeeper_flows.canvas import techniques
from labkeeper_flows.canvas.plan import plan_text
from labkeeper_flows.canvas.steps import Role, Step

CANVASES = Path("/work/shared/data/canvas")
INSTRUMENTS = {Role.ARDUINO: arduino.DRIVER, Role.SQUIDSTAT: squidstat.DRIVER}


def steps(name: str) -> list[Step]:
    path = CANVASES / name
    nodes = plan_text(path.read_bytes(), str(path)).nodes
    return [step for node in nodes for step in node.steps() if step.role in INSTRUMENTS]


@pytest.mark.skipif(not CANVASES.exists(), reason="needs ../shared")
@pytest.mark.parametrize(
    "name",
    [
        "battery_ZincDeposition_Complete_Workflow.json",
        "battery_test_workflow-1753364156528.json",
        "catalyst_electrochemical_workflow.json",
    ],
)
def test_the_steps_of_real_canvases(name: str) -> None:
    found = steps(name)
    assert {step.role for step in found} == set(INSTRUMENTS)
    for step in found:
        spec = OPERATIONS[f"{INSTRUMENTS[step.role]}.{step.operation}"]
        parameters = spec.parameters.model_validate(dict(step.parameters))
        assert spec.physical == step.physical, spec.key
        if step.role is Role.ARDUINO:
            assert board_problems(BoardConfig(), parameters) == []
        else:
            assert potentiostat_problems(PotentiostatConfig(), parameters) == []


def test_the_columns_are_those_of_the_exports() -> None:
    assert squidstat.DC_COLUMNS == techniques.DC_COLUMNS
    assert squidstat.AC_COLUMNS == techniques.AC_COLUMNS
