"""The guide's `OpentronsController`: through the agent that has the robot, and through one of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labkeeper.opentrons_functions import OpentronsController, OperationFailed
from labkeeper_api.errors import InvalidInput, LabkeeperError
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.unit_client import UnitClient
from tests.integration.ot2.conftest import Robots
from tests.support.ot2 import SimulatedRobot
from tests.support.processes import ManagedProcess
from tests.support.waiting import eventually

GUIDE_IP = "169.254.69.185"
P1000 = "p1000_single_gen2"
MANIFEST = """
apiVersion: labkeeper.dev/v1alpha1
kind: LabDevice
metadata: {{name: robot, namespace: lab}}
spec:
  driver: ot2
  pool: lab
  connection: {{address: "10.9.8.7", aliases: ["{alias}"]}}
  simulate: {{timeFactor: {factor:g}}}
"""


class Lab:
    """A home in which an agent has a simulated robot, which the test may look into."""

    def __init__(self, folder: Path, robot: SimulatedRobot) -> None:
        self.home = folder / "home"
        self.robot = robot
        self.unit = UnitDirectory.of(self.home, "lab.robot.bench-1")
        self.unit.prepare()
        self.unit.simulator.symlink_to(robot.folder)
        manifest = folder / "robot.yaml"
        manifest.write_text(MANIFEST.format(alias=GUIDE_IP, factor=robot.time_factor), encoding="utf-8")
        command = [sys.executable, "-m", "labkeeper", "agent", "run", str(manifest), "--no-prefect"]
        options = ["--node", "bench-1", "--home", str(self.home)]
        self.agent = ManagedProcess("the agent", [*command, *options], log=folder / "agent.log")
        self.agent.start()
        client = UnitClient(self.unit)
        eventually(lambda: client.status()["state"] == "Idle", 60.0, what="the robot's unit is Idle")

    def controller(self, **options: bool) -> OpentronsController:
        return OpentronsController(GUIDE_IP, home_path=self.home, **options)


@pytest.fixture
def lab(tmp_path: Path, robot: SimulatedRobot) -> Iterator[Lab]:
    made = Lab(tmp_path, robot)
    yield made
    made.agent.stop()


def set_up(controller: OpentronsController) -> None:
    controller.initialize_robot()
    controller.load_pipette(P1000, "right")
    controller.load_labware(1, "opentrons_96_tiprack_1000ul", "tips")
    controller.load_labware("2", "nest_12_reservoir_15ml", labware="reservoir")
    controller.load_labware(3, "corning_24_wellplate_3.4ml_flat", labware_name="plate")


def test_a_controller_goes_through_the_agent_that_has_the_robot(lab: Lab) -> None:
    with lab.controller() as controller:
        before = controller.connected
        set_up(controller)
        assert (before, controller.connected) == (False, True)
        lab.robot.fill(2, A1=10_000)
        picked = controller.pickup_tip("tips", controller.get_pipette_tip_location(1))
        assert (picked.success, picked.simulated, picked.time_factor) == (True, True, lab.robot.time_factor)
        filled = controller.fill_well("reservoir", "A1", "plate", "A1", 1500)
        assert filled.data["parts"] == [750.0, 750.0]
        assert filled.simulated
        controller.aspirate(100, labware="reservoir", well="A1", pipette=P1000, offset_z=1)
        controller.dispense(100, labware_name="plate", well_name="B1")
        controller.drop_tip()
        assert UnitClient(lab.unit).status()["reservation"]["name"] == f"OpentronsController({GUIDE_IP})"
        begun = [entry["commandType"] for entry in lab.robot.log()]
        assert begun.count("aspirate") == 3
        run = controller.run_id
    assert UnitClient(lab.unit).status()["state"] == "Idle", "let go, and still there"
    lab.agent.stop()
    journal = Journal(lab.unit.journal, lab.unit.unit, lambda: datetime.now(UTC))
    ordinals = [command.key.ordinal for command in journal.commands_of(run)]
    journal.close()
    assert ordinals == sorted(set(ordinals)), "ascending, none twice"
    assert len(ordinals) > 10


def test_a_robot_that_is_held_is_not_shared(lab: Lab) -> None:
    with lab.controller() as one:
        one.connect()
        other = lab.controller()
        with pytest.raises(LabkeeperError, match=r"cannot be reserved: it is held for OpentronsController"):
            other.home_robot()
        assert not other.connected
    other.home_robot()
    other.close()


def test_what_the_robot_does_not_do_is_an_error_with_its_result(lab: Lab) -> None:
    with lab.controller() as controller:
        set_up(controller)
        with pytest.raises(OperationFailed, match=r"aspirate failed: .*tip") as failed:
            controller.aspirate(100, "reservoir", "A1")
        assert failed.value.result.outcome == "failed"
        assert failed.value.result.simulated
        with pytest.raises(OperationFailed, match="Z99"):
            controller.move_to_well("plate", "Z99")


def test_what_moves_is_stopped_from_another_thread(tmp_path: Path, robots: Robots) -> None:
    lab = Lab(tmp_path, robots.take(1.0))
    try:
        with lab.controller() as controller:
            caught: list[OperationFailed] = []

            def home() -> None:
                try:
                    controller.home_robot()
                except OperationFailed as error:
                    caught.append(error)

            thread = threading.Thread(target=home)
            controller.initialize_robot()
            thread.start()
            eventually(lambda: UnitClient(lab.unit).status()["run"] == "ot2.home_robot", 20.0, 0.01, what="it moves")
            controller.interrupt()
            thread.join(60)
            assert [error.result.outcome for error in caught] == ["interrupted"]
    finally:
        lab.agent.stop()


def test_a_dry_run_drives_a_simulator_of_its_own_whatever_the_lab_has(lab: Lab) -> None:
    before = lab.robot.last()
    with lab.controller(dry_run=True) as controller:
        info = controller.connect()
        assert info.unit.startswith("standalone.ot2-169-254-69-185-dry-run.")
        done = controller.set_lights(on=True)
        assert (done.simulated, done.data["simulated"], done.time_factor) == (True, True, 100.0)
        assert "[simulated, time factor 100]" in done.message
        assert controller.delay(1).simulated
    assert lab.robot.last() == before
    assert UnitDirectory.of(lab.home, info.unit).owner() is None, "its agent was ended"


@pytest.mark.parametrize(("tip", "well"), [(1, "A1"), (12, "A12"), (13, "B1"), (96, "H12")])
def test_tips_are_counted_row_by_row(tip: int, well: str) -> None:
    assert OpentronsController.get_pipette_tip_location(tip) == well


def test_what_is_wrong_with_a_call_is_said_before_anything_is_connected(tmp_path: Path) -> None:
    controller = OpentronsController("not an address", home_path=tmp_path)
    for tip in (0, 97):
        with pytest.raises(InvalidInput, match="1 to 96"):
            controller.get_pipette_tip_location(tip)
    with pytest.raises(InvalidInput, match="say which pipette; loaded by this controller: none"):
        controller.aspirate(100, "plate", "A1")
    with pytest.raises(InvalidInput, match="'plate' differs from labware 'tips'"):
        controller.move_to_well("plate", "A1", labware="tips", pipette=P1000)
    with pytest.raises(InvalidInput, match="labware_name: says where, and is missing"):
        controller.pickup_tip(well="A1")
    with pytest.raises(InvalidInput, match="5 µL is less than p1000_single_gen2 can measure"):
        controller.fill_well("a", "A1", "b", "A1", 5, P1000)
    with pytest.raises(TypeError, match="unexpected argument 'lab'"):
        controller.blowout("a", "A1", lab="x")  # type: ignore[call-arg]
    with pytest.raises(InvalidInput, match="'not an address' is no address of a robot"):
        controller.home_robot()
    assert not controller.connected
    assert list(tmp_path.iterdir()) == [], "nothing was made for it"
