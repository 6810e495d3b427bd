"""The deck and the movements of canvases on the real OT-2 simulator: it accepts the definitions and refuses no move."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas.steps import Role, Step
from labkeeper_flows.canvas_run.deck_steps import deck_steps
from tests.support.processes import ManagedProcess
from tests.unit.flows.canvas.canvases import catalyst, nested, node, planned

SIMULATOR = Path(__file__).parents[3] / "images" / "ot2-simulator"
PYTHON = SIMULATOR / ".venv" / "bin" / "python"
NAMES = {
    "move_to_well": "moveToWell",
    "pickup_tip": "pickUpTip",
    "aspirate": "aspirate",
    "dispense": "dispense",
    "drop_tip": "dropTip",
}


class Robot:
    """A run on the simulator, told step by step what a canvas asks."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"Opentrons-Version": "*"}, timeout=60, trust_env=False)
        self.run = self.post("/runs", {})["id"]
        self.ids: dict[str, str] = {}

    def post(self, path: str, data: Any, **query: Any) -> Any:
        """The data of an answer."""
        answer = self.http.post(path, json={"data": data}, params=query)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()["data"]

    def command(self, kind: str, **params: Any) -> Any:
        """Carry a command out; its result."""
        asked = {"commandType": kind, "params": params, "intent": "setup"}
        done = self.post(f"/runs/{self.run}/commands", asked, waitUntilComplete=True)
        assert done["status"] == "succeeded", (kind, params, done.get("error"))
        return done["result"]

    def do(self, step: Step) -> None:
        """Do one step of a canvas."""
        given = step.parameters
        if step.operation in ("load_labware", "load_custom_labware"):
            self._load(given)
        elif step.operation == "load_pipette":
            loaded = self.command("loadPipette", pipetteName=given["pipette"], mount=given["mount"])
            self.ids[given["pipette"]] = loaded["pipetteId"]
        elif given.get("trash"):
            pipette = self.ids[given["pipette"]]
            self.command("moveToAddressableAreaForDropTip", pipetteId=pipette, addressableAreaName="fixedTrash")
            self.command("dropTipInPlace", pipetteId=pipette)
        elif step.operation in NAMES:
            self._at_well(step)

    def _load(self, given: Any) -> None:
        definition = given.get("definition")
        if definition is not None:
            self.post(f"/runs/{self.run}/labware_definitions", definition)
        known = definition or given
        loaded = self.command(
            "loadLabware",
            location={"slotName": str(given["slot"])},
            loadName=given["load_name"],
            namespace=known["namespace"],
            version=known["version"],
        )
        self.ids[given["labware"]] = loaded["labwareId"]

    def _at_well(self, step: Step) -> None:
        given = step.parameters
        more = {"volume": given["volume"], "flowRate": 274.7} if "volume" in given else {}
        self.command(
            NAMES[step.operation],
            pipetteId=self.ids[given["pipette"]],
            labwareId=self.ids[given["labware"]],
            wellName=given["well"],
            wellLocation={"origin": given.get("origin", "top"), "offset": given["offset"]},
            **more,
        )


@pytest.fixture(scope="module")
def robot_url(tmp_path_factory: pytest.TempPathFactory, outlives_test: Any) -> Iterator[str]:
    """A simulator of this file's own."""
    if not PYTHON.exists():
        pytest.skip("`make test-ot2-simulator` makes the simulator's environment")
    folder = tmp_path_factory.mktemp("ot2")
    command = [str(PYTHON), "-m", "ot2_simulator", "--port=0", f"--state-dir={folder}", "--time-factor=100000"]
    process = ManagedProcess("the OT-2 simulator", command, log=folder / "log", cwd=SIMULATOR)
    outlives_test(lambda: [process.pid] if process.running else [])
    process.start()
    address = folder / "address"
    try:
        process.wait_ready(lambda: "" if address.exists() else "its address", 120)
        yield f"http://{address.read_text().strip()}"
    finally:
        process.stop()


BATTERY = nested(
    node("pour", "sdl1SolutionPreparation", volume=5000),
    node("mix", "sdl1SamplePreparation", additive_A=1, additive_G=1, target_cell="C5"),
    node("dip", "sdl1ElectrodeSetup", insertion_depth=26),
    node("wash", "sdl1WashCleaning", insertion_depth=57),
    node("pick", "sdl1ElectrodeManipulation", operation_type="pickup"),
    node("insert", "sdl1ElectrodeManipulation", operation_type="insert", target_cell="C1"),
    node("remove", "sdl1ElectrodeManipulation", operation_type="remove", target_cell="C1"),
    node("flush", "sdl1HardwareWashing", target_cell="C1", flush_final_z=-60),
)
CATALYST = catalyst(
    node(
        "a",
        "",
        ot2_actions=[
            {"action": "pick_up_tip", "labware": "electrodes", "well": "B2"},
            {"action": "move_to", "labware": "plate", "well": "A5", "offset": {"x": 0, "y": 0, "z": -57}},
            {"action": "move_to", "labware": "wash", "well": "B1", "offset": {"x": 0, "y": 0, "z": -50}},
            {"action": "drop_tip", "labware": "electrodes", "well": "B2"},
        ],
    )
)


@pytest.mark.parametrize("plan", [planned(BATTERY), planned(CATALYST)], ids=["battery", "catalyst"])
def test_the_robot_accepts_the_deck_and_every_movement(robot_url: str, plan: CanvasPlan) -> None:
    robot = Robot(robot_url)
    with contextlib.closing(robot.http):
        for step in deck_steps(plan):
            robot.do(step)
        moved = 0
        for planned_node in plan.nodes:
            for step in planned_node.steps():
                if step.role is Role.OT2:
                    robot.do(step)
                    moved += 1
        assert moved >= 6
        robot.post(f"/runs/{robot.run}/actions", {"actionType": "stop"})
