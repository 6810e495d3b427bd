"""The OT-2 under the real agent with a real Prefect server: runs, and a crash in the middle of a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labkeeper_api import wire
from labkeeper_api.catalog import CatalogEntry
from labkeeper_api.operations import OPERATIONS
from labkeeper_devices.agent.host import UnitDirectory
from tests.integration.ot2.bench import P1000
from tests.support.hotel import Prefect
from tests.support.ot2 import SimulatedRobot
from tests.support.processes import ManagedProcess
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.prefect_server import PrefectServer

FACTOR = 10.0
POOL = "ot2-agent-test"
MANIFEST = f"""
apiVersion: labkeeper.dev/v1alpha1
kind: LabDevice
metadata: {{name: robot, namespace: lab}}
spec:
  driver: ot2
  pool: {POOL}
  connection: {{address: 169.254.69.185}}
  simulate: {{timeFactor: {FACTOR}}}
"""


class Cell:
    """One OT-2 with its agent."""

    def __init__(self, folder: Path, server: PrefectServer) -> None:
        self.prefect = Prefect(server.api_url)
        self.unit = UnitDirectory.of(folder / "home", "lab.robot.bench-1")
        self.unit.prepare()
        self.robot = SimulatedRobot(self.unit.simulator, time_factor=FACTOR)
        manifest = folder / "device.yaml"
        manifest.write_text(MANIFEST, encoding="utf-8")
        options = ["--pool", POOL, "--node", "bench-1", "--home", str(folder / "home")]
        self.agent = ManagedProcess(
            "the agent",
            [sys.executable, "-m", "labkeeper", "agent", "run", str(manifest), *options],
            log=folder / "agent.log",
            env=server.client_environment(folder / "prefect-home"),
        )
        self._deployments: dict[str, str] = {}

    def status(self) -> dict[str, Any]:
        """What the running agent said last."""
        self.agent.check_running()
        status: dict[str, Any] = json.loads(self.unit.status.read_text(encoding="utf-8"))
        return status if status["pid"] == self.agent.pid else {"state": "starting"}

    def wait_state(self, state: str) -> dict[str, Any]:
        """Wait until the agent says that the unit is in this state."""
        eventually(lambda: self.status()["state"] == state, 90.0, retry_on=(OSError, ValueError), what=state)
        return self.status()

    def submit(self, operation: str, **parameters: Any) -> str:
        """Create a run of an operation; its id."""
        if operation not in self._deployments:
            entry = CatalogEntry.of_operation(OPERATIONS[f"ot2.{operation}"])
            flow = self.prefect.ask("POST", "/flows/", {"name": f"ot2-{entry.flow_name}"})["id"]
            body = {
                "flow_id": flow,
                "name": "agent-test",
                "work_pool_name": POOL,
                "job_variables": {wire.OPERATION_VARIABLE: entry.operation},
                "enforce_parameter_schema": False,
            }
            self._deployments[operation] = str(self.prefect.ask("POST", "/deployments/", body)["id"])
        return str(self.prefect.create_run(self._deployments[operation], **parameters)["id"])

    def run(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Run an operation to its end."""
        return self.prefect.wait(self.submit(operation, **parameters), timeout=90.0)


@pytest.fixture
def cell(tmp_path: Path, prefect_server: PrefectServer) -> Iterator[Cell]:
    """A cell whose robot runs; its agent does not yet."""
    made = Cell(tmp_path, prefect_server)
    made.prefect.ensure_pool(POOL)
    with made.robot:
        yield made
        made.agent.stop()
    made.prefect.close()


def test_a_killed_agent_leaves_the_unit_held_with_the_command_named(cell: Cell) -> None:
    cell.agent.start()
    cell.wait_state("Idle")
    at = {"pipette": P1000, "labware": "tips", "well": "A1"}
    for operation, parameters in (
        ("initialize_robot", {}),
        ("load_labware", {"labware": "tips", "load_name": "opentrons_96_tiprack_1000ul", "slot": 1}),
        ("load_labware", {"labware": "pool", "load_name": "nest_1_reservoir_195ml", "slot": 2}),
        ("load_pipette", {"pipette": P1000, "mount": "right"}),
        ("pickup_tip", at),
    ):
        run = cell.run(operation, **parameters)
        assert run["state_type"] == "COMPLETED", run["state"]
        assert f"time factor {FACTOR:g}" in run["state"]["message"]
    failed = cell.run("aspirate", pipette=P1000, labware="vials", well="A1", volume=1)
    assert failed["state_type"] == "FAILED"
    assert "labware: 'vials' is not loaded (loaded: tips, pool)" in failed["state"]["message"]

    long = cell.submit("aspirate", pipette=P1000, labware="pool", well="A1", volume=900, flow_rate=3)
    eventually(lambda: _aspirating(cell), 60.0, 0.05)
    cell.agent.kill()
    cell.agent.start()
    held = cell.wait_state("Held")
    assert "ot2.aspirate" in held["reason"]
    crashed = cell.prefect.wait(long, timeout=60.0)
    assert crashed["state_type"] == "CRASHED"
    assert "ot2.aspirate" in crashed["state"]["message"]
    eventually(lambda: _aspirations(cell) == ["succeeded"], 90.0)
    assert cell.status()["state"] == "Held"


def _aspirating(cell: Cell) -> bool:
    return _aspirations(cell) == ["running"]


def _aspirations(cell: Cell) -> list[str]:
    return [entry["status"] for entry in cell.robot.log() if entry["commandType"] == "aspirate"]
