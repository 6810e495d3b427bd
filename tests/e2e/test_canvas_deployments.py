"""`labkeeper canvas` and `PrefectDeploymentManager` against a real server, with its worker carrying the runs out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from labkeeper.prefect_deployment_manager import PrefectDeploymentManager
from labkeeper_api.errors import InvalidInput, LabkeeperError
from tests.e2e.conftest import Command
from tests.support.ports import free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(600)

CANVAS = {
    "name": "pumping",
    "global_config": {"hardware": {"arduino": {"port": "COM3"}}},
    "nodes": [{"id": "pump", "type": "", "label": "Pump", "params": {"arduino_control": {"pump0_ml": 3}}}],
    "edges": [],
}


class Controller:
    """Stands for `OpentronsController(dry_run=True)`, of which only this is asked."""

    dry_run = True


@pytest.fixture
def server(labkeeper: Command, tmp_path: Path) -> Iterator[str]:
    """API of a `labkeeper canvas server`."""
    (port,) = free_ports(1)
    process = labkeeper.start("canvas", "server", "--port", str(port), cwd=tmp_path)
    eventually(lambda: "Prefect server and UI at" in labkeeper.said(), 180, what="the server answers")
    yield f"http://127.0.0.1:{port}/api"
    assert labkeeper.end(process) == 0


def test_a_deployed_canvas_is_carried_out(labkeeper: Command, server: str, tmp_path: Path) -> None:
    canvas = tmp_path / "canvas.json"
    canvas.write_text(json.dumps(CANVAS), "utf-8")
    made = labkeeper.json("canvas", "deploy", canvas, "My SDL1 Workflow", "--dry-run", "--output", "json")
    labkeeper.json(
        *("canvas", "deploy", canvas, "Daily Workflow", "--schedule", "cron:0 9 * * *"), *("--output", "json")
    )
    listed = labkeeper.json("canvas", "list-deployments", "--output", "json")
    assert [(it["name"], it["schedule"], it["is_schedule_active"]) for it in listed] == [
        ("Daily Workflow", {"type": "cron", "cron": "0 9 * * *"}, True),
        ("My SDL1 Workflow", None, False),
    ]
    assert made["id"] == listed[1]["id"]
    run = labkeeper.json("canvas", "run", "My SDL1 Workflow", "--output", "json")["id"]

    def status() -> Any:
        return labkeeper.json("canvas", "status", run, "--output", "json")

    eventually(lambda: status()["state"] in ("Completed", "Failed", "Crashed"), 300, what="the run has ended")
    found = status()
    assert found["state"] == "Completed", (found, (labkeeper.home / "logs" / "worker-sdl1-pool.log").read_text())
    assert found["state_message"].startswith("simulated: completed, 1 of 1 nodes completed")
    assert found["parameters"] == {"name": "My SDL1 Workflow", "dry_run": True}
    assert found["total_run_time"] > 0
    recent = labkeeper.json("canvas", "list-runs", "--limit", "5", "--output", "json")
    assert (run, "sdl1-canvas", "Completed") in [(it["id"], it["flow_name"], it["state"]) for it in recent]
    (kept,) = labkeeper.json("canvas", "runs", "--output", "json")
    assert (kept["id"], kept["state"], kept["simulated"], kept["dryRun"]) == (run, "completed", True, True)
    assert list((labkeeper.home / "runs" / run / "execution_results").glob("canvas_pumping_*.json"))


async def test_the_deployment_manager_of_the_guide(labkeeper: Command, server: str) -> None:
    manager = PrefectDeploymentManager(Controller(), api_url=server)
    hourly = {"type": "interval", "interval_seconds": 3600}
    first = await manager.create_workflow_deployment(
        workflow_name="SDL1 Battery Research", workflow_json=CANVAS, schedule=hourly
    )
    (listed,) = await manager.list_deployments()
    assert set(listed) == {"id", "name", "flow_name", "schedule", "is_schedule_active", "created", "updated"}
    assert (listed["id"], listed["name"], listed["is_schedule_active"]) == (first, "SDL1 Battery Research", True)
    assert listed["schedule"] == hourly

    later = datetime.now(UTC) + timedelta(hours=1)
    run = await manager.schedule_workflow_execution(
        deployment_name="SDL1 Battery Research", scheduled_time=later, parameters={"dry_run": True}
    )
    status = await manager.get_workflow_status(run)
    assert (status["id"], status["state"], status["start_time"]) == (run, "Scheduled", None)
    assert await manager.cancel_workflow_execution(run) is True
    assert (await manager.get_workflow_status(run))["state"] in ("Cancelled", "Cancelling")
    assert run in [it["id"] for it in await manager.get_recent_flow_runs(limit=10)]

    config = await manager.create_deployment_config("Nightly SDL1", CANVAS, {"type": "cron", "cron": "0 2 * * *"})
    assert config["tags"] == ["sdl1", "battery-research", "automation"]
    assert await manager.deploy_from_config(config)
    assert [it["name"] for it in await manager.list_deployments()] == ["Nightly SDL1", "SDL1 Battery Research"]
    again = await manager.create_workflow_deployment("SDL1 Battery Research", CANVAS)
    assert again == first
    replaced = next(it for it in await manager.list_deployments() if it["id"] == first)
    assert (replaced["schedule"], replaced["is_schedule_active"]) == (None, False)

    with pytest.raises(LabkeeperError, match="no deployment 'SDL1 Batery Research': did you mean"):
        await manager.schedule_workflow_execution("SDL1 Batery Research")
    with pytest.raises(LabkeeperError, match="no flow run"):
        await manager.get_workflow_status("00000000-0000-0000-0000-000000000000")
    with pytest.raises(LabkeeperError, match="no id of a flow run"):
        await manager.cancel_workflow_execution("nonsense")
    with pytest.raises(InvalidInput, match="queue"):
        await manager.deploy_from_config({**config, "work_queue_name": "mine"})


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["deploy", "no.json", "A"], 2, "no.json: cannot be read"),
        (["deploy", "list.json", "A"], 2, "list.json:1: is a list"),
        (["deploy", "canvas.json", "A", "--schedule", "daily"], 2, "'daily' is no schedule (such as interval:3600"),
        (["deploy", "canvas.json", "A/B"], 2, "'A/B' is no name"),
        (["run", "A"], 1, "no lab runs in"),
        (["run", "A", "--scheduled-time", "soon"], 2, "is no moment"),
        (["run", "A", "--parameters", "[1]"], 2, "must be a JSON object"),
        (["list-deployments"], 1, "`labkeeper canvas server` starts one"),
        (["tips", "--reset", "nobody"], 1, "there is no unit 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_refused(
    labkeeper: Command, tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    (tmp_path / "canvas.json").write_text(json.dumps(CANVAS), "utf-8")
    (tmp_path / "list.json").write_text("[1, 2]", "utf-8")
    done = labkeeper("canvas", *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert sentence in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
