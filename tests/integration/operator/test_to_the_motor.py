"""The whole path on a real API server: `kubectl apply` of the examples turns a hotel, and kubectl tells of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.simulators.servo import ServoControl, start_servo
from tests.integration.operator.conftest import EXAMPLES
from tests.integration.operator.lab import LabNamespace, run
from tests.support.processes import ManagedProcess

if TYPE_CHECKING:
    from tests.support.prefect_server import PrefectServer

UNIT = "lab.plate-resort.bench-1"
HOTEL_C_DEGREES = 199.0


@pytest.fixture
def servo(lab: LabNamespace, lab_server: PrefectServer, tmp_path: Path) -> Iterator[ServoControl]:
    """The servo of an agent that serves the LabDevice of the examples, in the namespace of `lab`."""
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    for path in EXAMPLES.glob("*.yaml"):
        documents = list(yaml.safe_load_all(path.read_text("utf-8")))
        for document in documents:
            document["metadata"]["namespace"] = lab.name
        (manifests / path.name).write_text(yaml.safe_dump_all(documents), "utf-8")
    lab.kubectl("apply", f"--filename={manifests / 'lab.yaml'}", f"--filename={manifests / 'workflows.yaml'}")
    unit = UnitDirectory.of(tmp_path / "home", UNIT)
    unit.prepare()
    simulator = start_servo(unit.simulator)
    environment = {
        **lab_server.client_environment(tmp_path / "prefect-home"),
        "LABKEEPER_HOME": str(tmp_path / "home"),
    }
    command = ["agent", "run", str(manifests / "lab.yaml"), "--node", "bench-1"]
    argv = [sys.executable, "-m", "labkeeper", *command]
    agent = ManagedProcess("the agent", argv, log=tmp_path / "agent.log", env=environment)
    agent.start()
    try:
        with ServoControl(unit.simulator) as control:
            yield control
    finally:
        agent.stop()
        simulator.stop()


def test_applying_the_examples_turns_the_hotel_and_kubectl_tells_of_it(lab: LabNamespace, servo: ServoControl) -> None:
    lab.kubectl("wait", "labpools,labworkflows", "--all", "--for=condition=Ready", "--timeout=60s")
    lab.wait("labdevice", "plate-resort", timeout=60.0)

    lab.apply(run("turn-to-c", "activate-hotel", parameters={"hotel": "C"}))
    lab.wait("labrun", "turn-to-c", condition="Complete", timeout=60.0)

    status = lab.status("labrun", "turn-to-c")
    assert status["result"]["hotel"] == "C"
    assert status["result"]["verified"] is True
    assert status["result"]["simulated"] is True
    assert abs(servo.state()["position_deg"] - HOTEL_C_DEGREES) < 0.5
    assert len(servo.motions()) >= 1

    said = lab.kubectl("get", "lab")
    lines = {line.split()[0]: line for line in said.splitlines() if "/" in line.split(" ")[0]}
    assert "Completed" in lines["labrun.labkeeper.dev/turn-to-c"]
    assert "plate-resort.activate-hotel" in lines["labworkflow.labkeeper.dev/activate-hotel"]
    assert "plate-resort-pool" in lines["labpool.labkeeper.dev/plate-resort"]
    assert "plate-resort" in lines["labdevice.labkeeper.dev/plate-resort"]
