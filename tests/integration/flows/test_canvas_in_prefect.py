"""The Prefect manager against a real server: the same commands as the native one, and true states in the UI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from labkeeper_flows.canvas_run.results import native_result
from tests.integration.flows.prefect_child import device_log
from tests.support.prefect_server import PrefectServer
from tests.unit.flows.canvas.canvases import REAL, edge, nested, node
from tests.unit.flows.canvas_run.lab import Lab, run

ROOT = Path(__file__).parents[3]
SECONDS = 240.0
pytestmark = pytest.mark.timeout(600)
TERMINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


class Server:
    """What a test asks of the server."""

    def __init__(self, prefect: PrefectServer, folder: Path) -> None:
        self.prefect = prefect
        self.folder = folder

    def python(self, *arguments: str) -> str:
        """Run Python as a user of the server would; what it said."""
        environment = {
            **os.environ,
            **self.prefect.client_environment(self.folder / "prefect"),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def carry_out(self, canvas: Path, *fault: str) -> dict[str, Any]:
        """Carry a canvas out directly; the result."""
        self.python("-m", "tests.integration.flows.prefect_child", str(canvas), str(self.folder), *fault)
        result: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return result

    def find(self, kind: str, **filters: Any) -> list[dict[str, Any]]:
        """All objects of a kind."""
        answer = httpx.post(f"{self.prefect.api_url}/{kind}/filter", json=filters, timeout=30, trust_env=False)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    def flow_run(self, name: str) -> dict[str, Any]:
        """The flow run of that name."""
        (found,) = self.find("flow_runs", flow_runs={"name": {"any_": [name]}})
        return found

    def tasks(self, flow_run: dict[str, Any], count: int) -> list[tuple[str, str, str]]:
        """(name, type of state, name of state) of the task runs, in order; Prefect hears of them a little later."""
        end = time.monotonic() + SECONDS
        while True:
            found = self.find(
                "task_runs", flow_runs={"id": {"any_": [flow_run["id"]]}}, sort="EXPECTED_START_TIME_ASC", limit=200
            )
            if len(found) >= count and all(it["state_type"] in TERMINAL for it in found):
                return [(it["name"], it["state_type"], it["state_name"]) for it in found]
            assert time.monotonic() < end, [(it["name"], it["state_type"]) for it in found]
            time.sleep(0.2)


@pytest.fixture
def server(prefect_server: PrefectServer, tmp_path: Path) -> Server:
    return Server(prefect_server, tmp_path)


def written(folder: Path, canvas: dict[str, Any]) -> Path:
    """The file of a canvas."""
    path = folder / "canvas.json"
    path.write_text(json.dumps(canvas))
    return path


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared")
def test_the_battery_canvas_sends_the_same_commands_under_both_managers(server: Server, tmp_path: Path) -> None:
    canvas = REAL / "battery_test_workflow-1753364156528.json"
    lab = Lab()
    native = run(canvas.read_bytes(), lab, tmp_path / "native")
    result = server.carry_out(canvas)
    assert (tmp_path / "devices.json").read_text() == device_log(lab)
    assert result["status"] == "success"
    assert native_result(native)["successful_nodes"] == result["successful_nodes"] == 8
    flow_run = server.flow_run("test r1")
    assert (flow_run["state_type"], flow_run["tags"]) == ("COMPLETED", ["simulated"])
    assert "simulated" in flow_run["state"]["message"]
    tasks = server.tasks(flow_run, 28)
    assert len(tasks) == 28
    assert {state for _, state, _ in tasks} == {"COMPLETED"}
    assert [name for name, _, _ in tasks if name.startswith("Wash/Cleaning")] == [
        f"Wash/Cleaning, cycle {cycle}" for cycle in range(1, 6)
    ]
    artifacts = server.find("artifacts", flow_runs={"id": {"any_": [flow_run["id"]]}})
    table = next(it["data"] for it in artifacts if it["key"] == "canvas-nodes")
    assert "simulated" in table
    assert table.count("| completed |") == 8
    assert len([it for it in artifacts if it["key"].startswith("canvas-file-")]) == len(result["files"])


def test_failed_and_skipped_nodes_are_seen_as_such(server: Server, tmp_path: Path) -> None:
    canvas = nested(
        node("one", "home_robot"),
        node("two", "sdl1ElectrochemicalMeasurement"),
        node("three", "home_robot"),
        name="bad",
    )
    result = server.carry_out(written(tmp_path, canvas), "start_experiment:failed")
    assert result["status"] == "partial_failure"
    assert result["failed_nodes"] == ["two"]
    flow_run = server.flow_run("bad r1")
    assert flow_run["state_type"] == "FAILED"
    assert server.tasks(flow_run, 3) == [
        ("One", "COMPLETED", "Completed"),
        ("Two", "FAILED", "Failed"),
        ("Three", "CANCELLED", "Skipped"),
    ]


def test_a_run_that_waits_for_a_person_is_failed_and_says_how_to_go_on(server: Server, tmp_path: Path) -> None:
    canvas = written(tmp_path, nested(node("one", "home_robot"), node("two", "set_lights"), name="unknown"))
    server.carry_out(canvas, "set_lights:unknown")
    flow_run = server.flow_run("unknown r1")
    assert flow_run["state_type"] == "FAILED"
    assert "labkeeper device acknowledge" in flow_run["state"]["message"]
    assert [state for _, _, state in server.tasks(flow_run, 2)] == ["Completed", "Suspended"]
    # Resumed, it is a flow run of its own, which shows what was done before.
    result = server.carry_out(canvas)
    assert result["status"] == "success"
    second = next(
        it for it in server.find("flow_runs") if it["name"] == "unknown r1" and it["state_type"] == "COMPLETED"
    )
    assert set(server.tasks(second, 2)) == {("Two", "COMPLETED", "Completed"), ("One", "COMPLETED", "DoneBefore")}


@pytest.mark.timeout(900)
def test_branches_run_beside_each_other_in_a_flow_of_a_worker(server: Server, tmp_path: Path) -> None:
    canvas = nested(
        node("start", "delay", seconds=0),
        node("pour", "sdl1SolutionPreparation", volume=500),
        node("measure", "sdl1ElectrochemicalMeasurement"),
        edges=[edge("start", "pour"), edge("start", "measure")],
        name="branches",
    )
    deploy = """
import sys
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.deployments import run_deployment
with get_client(sync_client=True) as client:
    client.create_work_pool(WorkPoolCreate(name="canvas-pool", type="process"))
source = flow.from_source(source=sys.argv[1], entrypoint="tests/integration/flows/prefect_child.py:canvas_flow")
given = {"canvas": sys.argv[2], "folder": sys.argv[3]}
identity = source.deploy("canvas", work_pool_name="canvas-pool", parameters=given)
run_deployment(identity, timeout=0)
"""
    server.python("-c", deploy, str(ROOT), str(written(tmp_path, canvas)), str(tmp_path))
    server.python("-m", "prefect", "worker", "start", "--pool", "canvas-pool", "--type", "process", "--run-once")
    (flow_run,) = server.find("flow_runs", flows={"name": {"any_": ["canvas-of-a-worker"]}})
    assert (flow_run["state_type"], flow_run["tags"]) == ("COMPLETED", ["simulated"])
    assert {name for name, _, _ in server.tasks(flow_run, 3)} == {"Start", "Pour", "Measure"}
    assert json.loads((tmp_path / "devices.json").read_text()).keys() == {"ot2", "squidstat"}
