"""The four real canvases of the seeds, read where they lie."""

from __future__ import annotations

import pytest

from labkeeper_api.errors import InvalidInput
from labkeeper_flows.canvas.plan import plan_text
from labkeeper_flows.canvas.planned import CanvasPlan
from tests.unit.flows.canvas.canvases import REAL, spots

pytestmark = pytest.mark.skipif(not REAL.exists(), reason="needs ../shared")


def real(name: str) -> CanvasPlan:
    """The plan of one of them."""
    return plan_text((REAL / name).read_bytes(), name)


def test_the_battery_canvas_loops_over_what_stands_between_setup_and_export() -> None:
    plan = real("battery_test_workflow-1753364156528.json")
    kinds = [it.type.removeprefix("sdl1") for it in plan.nodes]
    body = ["SolutionPreparation", "ElectrodeSetup", "ElectrochemicalMeasurement", "WashCleaning"]
    assert kinds == ["ExperimentSetup", "SequenceControl", *body, "CycleCounter", "DataExport"]
    assert [len(it.cycles) for it in plan.nodes] == [1, 1, 5, 5, 5, 5, 5, 1]
    assert plan.tips_used == {"tip_rack_1": ("A1", "A2", "A3", "A4", "A5")}
    measure, export = plan.nodes[4], plan.nodes[-1]
    assert [steps[-1].parameters["kept"] for steps in measure.cycles] == [False, False, True, True, True]
    assert export.steps()[0].parameters["cycles"]["kept"] == [3, 4, 5]
    poured = [step.parameters["volume"] for step in plan.nodes[2].steps() if step.operation == "dispense"]
    assert poured == [1000] * 5


def test_zinc_runs_nine_nodes_once_each_in_dependency_order() -> None:
    plan = real("battery_ZincDeposition_Complete_Workflow.json")
    assert [it.id for it in plan.nodes] == [
        "experiment_setup_1",
        "sample_preparation_1",
        "electrode_manipulation_pickup",
        "electrode_manipulation_insert",
        "electrochemical_measurement_1",
        "electrode_manipulation_remove",
        "hardware_washing_1",
        "electrode_manipulation_return",
        "data_export_1",
    ]
    assert [it.depends_on for it in plan.nodes] == [(), *((it.id,) for it in plan.nodes[:-1])]
    assert all(len(it.cycles) == 1 for it in plan.nodes)
    # Tip 17 is B5; the washing brings the electrode home before it takes the flush tool.
    assert plan.tips_used == {"tip_rack_1": ("B5",)}
    assert spots(plan.by_id["hardware_washing_1"].steps())[:2] == [
        "move_to_well electrode_rack A2",
        "drop_tip electrode_rack A2",
    ]
    assert plan.by_id["electrode_manipulation_return"].steps() == ()


def test_the_catalyst_canvas() -> None:
    plan = real("catalyst_electrochemical_workflow.json")
    assert [it.id for it in plan.nodes] == ["ocv1", "cva1", "peis1", "lsv1", "cleanup"]
    assert spots(plan.nodes[-1].steps())[-2:] == ["drop_tip electrode_tip_rack A1", "home_robot trash"]
    assert plan.tips_used == {}


def test_the_invalid_canvas_is_refused_clearly() -> None:
    with pytest.raises(InvalidInput) as error:
        real("catalyst_tests_invalid_workflow.json")
    said = str(error.value)
    assert "this is an experiment form, not a canvas" in said
    assert "catalyst_tests_invalid_workflow.json:6: experiments[0].uo_type: the experiment has no uo_type" in said
