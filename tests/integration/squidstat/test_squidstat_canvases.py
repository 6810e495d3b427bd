"""The measurements of real canvases, step by step as they are planned, on the real driver and the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labkeeper_devices.drivers.squidstat import SquidstatDriver
from labkeeper_flows.canvas.plan import plan_text
from labkeeper_flows.canvas.steps import Role
from tests.integration.squidstat.conftest import CellRig, do

CANVASES = Path("/work/shared/data/canvas")
pytestmark = pytest.mark.skipif(not CANVASES.exists(), reason="needs ../shared")


def carried_out(driver: SquidstatDriver, name: str) -> list[dict[str, Any]]:
    """All steps of the potentiostat in a canvas; what the waits returned."""
    path = CANVASES / name
    nodes = plan_text(path.read_bytes(), str(path)).nodes
    steps = [step for node in nodes for step in node.steps() if step.role is Role.SQUIDSTAT]
    results = [(step.operation, do(driver, step.operation, **dict(step.parameters))) for step in steps]
    assert all(result["simulated"] and result["time_factor"] == 100.0 for _, result in results)
    return [result for operation, result in results if operation == "wait_until_idle"]


def test_zinc(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    (result,) = carried_out(potentiostat, "battery_ZincDeposition_Complete_Workflow.json")
    assert [element["technique"] for element in result["elements"]] == ["CP", "OCV", "PEIS", "CP", "OCV", "PEIS"]
    deposit, _, impedance, dissolve, *_ = result["elements"]
    assert deposit["ended"] == "completed"
    assert deposit["dc"]["timestamp_s"] == pytest.approx([1.0, 2.0, 3.0])
    assert all(value < 0 for value in impedance["ac"]["imagImpedance"])
    assert dissolve["reason"] in ("", "the voltage reached -0.5 V")
    assert cells.control.channel()["started"] == [result["experiment_id"]]


def test_catalyst(potentiostat: SquidstatDriver, cells: CellRig) -> None:
    results = carried_out(potentiostat, "catalyst_electrochemical_workflow.json")
    elements = [element for result in results for element in result["elements"]]
    assert [element["technique"] for element in elements] == ["OCV", "CVA", "PEIS", "LSV", "OCV"]
    assert [element["points"] for element in elements] == [300, 144, 31, 240, 10]
    assert all(element["ended"] == "completed" for element in elements)
    assert elements[1]["variant"] == "CVA"
    assert min(elements[3]["dc"]["we_voltage_V"]) == pytest.approx(-0.2, abs=0.01)
    assert max(elements[3]["dc"]["we_voltage_V"]) == pytest.approx(1.0, abs=0.01)
    assert len(cells.control.channel()["started"]) == 5
