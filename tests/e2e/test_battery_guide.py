"""The Python of the battery guide, with `src.` read as `labkeeper.`: each snippet runs as a script of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Command

SIMULATOR = ROOT / "images" / "ot2-simulator" / ".venv"

pytestmark = [
    pytest.mark.skipif(not SIMULATOR.exists(), reason="needs the OT-2 simulator: make setup"),
    pytest.mark.timeout(900),
]

WORKFLOW = {
    "name": "guide",
    "global_config": {"hardware": {"arduino": {"port": "COM3"}}},
    "nodes": [
        {"id": "pump", "type": "", "label": "Pump", "params": {"arduino_control": {"pump0_ml": 3}}},
        {"id": "sound", "type": "", "label": "Sonicate", "params": {"arduino_control": {"ultrasonic0_ms": 500}}},
    ],
    "edges": [{"source": "pump", "target": "sound"}],
}
LAB = """
apiVersion: labkeeper.dev/v1alpha1
kind: LabDevice
metadata: {name: pumps}
spec: {driver: arduino, pool: lab, connection: {aliases: [COM3]}, simulate: {timeFactor: 100}}
"""

BASIC_USAGE = """
from labkeeper.workflow_manager_factory import UnifiedWorkflowInterface, WorkflowManagerType
import json

with open('data/test_workflow.json', 'r') as f:
    workflow = json.load(f)

interface = UnifiedWorkflowInterface(manager_type=WorkflowManagerType.PREFECT)
result = interface.execute_workflow(workflow)

print(f"Status: {result['status']}")
print(f"Successful nodes: {result['successful_nodes']}")
"""

MANAGER_SELECTION = """
from labkeeper.workflow_manager_factory import WorkflowManagerFactory, WorkflowManagerType
from labkeeper.opentrons_functions import OpentronsController
import json

controller = OpentronsController(dry_run=True)

native_manager = WorkflowManagerFactory.create_manager(
    WorkflowManagerType.NATIVE, controller
)
prefect_manager = WorkflowManagerFactory.create_manager(
    WorkflowManagerType.PREFECT, controller
)

with open('data/test_workflow.json', 'r') as f:
    workflow = json.load(f)
for manager in (native_manager, prefect_manager):
    result = manager.execute_workflow(workflow)
    assert result["dry_run"] and result["simulated"], result
    print(f"Execution completed: {result['status']}")
"""

BY_NAME = """
import asyncio
from labkeeper.workflow_manager_factory import UnifiedWorkflowInterface
import json

with open('data/test_workflow.json', 'r') as f:
    workflow = json.load(f)


async def in_a_notebook():
    interface = UnifiedWorkflowInterface(manager_type="prefect")
    return interface.execute_workflow(workflow)

result = asyncio.run(in_a_notebook())
print(f"Execution completed: {result['status']}")
"""

DEPLOYING = """
import asyncio
from labkeeper.prefect_deployment_manager import PrefectDeploymentManager
from labkeeper.opentrons_functions import OpentronsController

controller = OpentronsController(dry_run=True)
deployment_manager = PrefectDeploymentManager(controller)


async def list_them():
    for deployment in await deployment_manager.list_deployments():
        print(deployment['name'])

try:
    asyncio.run(list_them())
except Exception as error:
    print(f"no server: {error}")
"""


@pytest.mark.parametrize(
    ("script", "printed"),
    [
        (BASIC_USAGE, ["Status: success", "Successful nodes: 2"]),
        (MANAGER_SELECTION, ["Execution completed: completed", "Execution completed: success"]),
        (BY_NAME, ["Execution completed: success"]),
        (DEPLOYING, ["no server: no Prefect server: PREFECT_API_URL is not set and no lab runs in"]),
    ],
    ids=["basic usage", "manager selection", "by name, in an event loop", "deployment manager"],
)
def test_a_snippet_of_the_guide(labkeeper: Command, tmp_path: Path, script: str, printed: list[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test_workflow.json").write_text(json.dumps(WORKFLOW), "utf-8")
    (tmp_path / "lab.yaml").write_text(LAB, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**labkeeper.environment, "LABKEEPER_LAB": str(tmp_path / "lab.yaml")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in printed if line not in done.stdout] == []
