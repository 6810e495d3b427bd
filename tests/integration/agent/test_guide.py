"""The ways of the plate-resort guide, each as the guide writes it: see `docs/from-the-guides.md`.

The agent of this hotel is started by `prefect worker start`; that of all other tests by `labkeeper agent run`.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from labkeeper_api.operations.plate_resort import GUIDE_DEPLOYMENTS
from labkeeper_flows.plate_resort import orchestrator
from labkeeper_flows.plate_resort.orchestrator import activate_hotel, connect, get_health, wait
from tests.integration.agent.bench import ready
from tests.support.hotel import UNIT, Hotel
from tests.support.prefect_server import PrefectServer
from tests.support.processes import ManagedProcess

if TYPE_CHECKING:
    from tests.integration.conftest import OutlivesTest

POOL = "plate-resort-pool"
CONNECT = "connect/plate-resort-connect"
FULL_NAMES = {f"{operation.replace('_', '-')}/{name}" for operation, name in GUIDE_DEPLOYMENTS.items()}


@pytest.fixture(scope="module")
def resort(tmp_path_factory: pytest.TempPathFactory, outlives_test: OutlivesTest) -> Iterator[Hotel]:
    """On a server of its own, as the names of the guide belong to others on the shared one."""
    directory = tmp_path_factory.mktemp("guide")
    with PrefectServer(directory / "prefect") as server:
        outlives_test(lambda: [server.pid] if server.running else [])
        made = Hotel(directory, server, time_factor=20.0, pool=POOL, node=platform.node())
        made.agent = ManagedProcess(
            "prefect worker start",
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL],
            log=directory / "worker.log",
            env={**made.environment(), "LABKEEPER_DEVICE": str(directory / "device.yaml")},
        )
        outlives_test(lambda: [process.pid for process in (made.agent, made.servo) if process and is_running(process)])
        with made:
            yield made


def is_running(process: Any) -> bool:
    return bool(getattr(process, "running", True))


@pytest.fixture
def guide(resort: Hotel) -> Iterator[Hotel]:
    """Idle, and Prefect's client of this process speaks to its server."""
    ready(resort)
    with temporary_settings({PREFECT_API_URL: resort.prefect.api_url}):
        yield resort


def prefect_says(hotel: Hotel, *arguments: str) -> str:
    """What a command of Prefect prints."""
    return run(hotel, "prefect", *arguments)


def run(hotel: Hotel, module: str, *arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**hotel.environment(), "COLUMNS": "200", **variables},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def result_of(submitted: FlowRun) -> dict[str, Any]:
    """What a run of the orchestrator returned."""
    ended = wait(submitted, poll=0.05, timeout=30)
    assert ended.state is not None
    assert ended.state.name == "Completed", ended.state
    return dict(ended.state.result())


def test_the_functions_of_the_guide_submit_runs_whose_results_can_be_waited_for(guide: Hotel) -> None:
    connected = result_of(connect(device="/dev/ttyUSB0", baudrate=57600, motor_id=1))
    assert connected["simulated"] is True
    moved = result_of(activate_hotel("B"))
    assert (moved["hotel"], moved["verified"]) == ("B", True)
    assert result_of(get_health())["temperature_c"] == 32.0
    assert guide.wait_state("Idle")


def test_a_connection_that_is_not_the_units_fails(guide: Hotel) -> None:
    ended = wait(str(connect(device="/dev/ttyUSB7").id), poll=0.05)
    assert ended.state is not None
    assert ended.state.name == "Failed"
    assert "this unit drives device '/dev/ttyUSB0', not '/dev/ttyUSB7'" in str(ended.state.message)


EVERY: dict[str, tuple[Callable[[], FlowRun], dict[str, Any]]] = {
    "connect": (connect, {"connected": True}),
    "set_speed": (lambda: orchestrator.set_speed(60), {"speed": 60}),
    "activate_hotel": (lambda: activate_hotel("C", precise=False), {"hotel": "C", "precise": False}),
    "move_to_angle": (lambda: orchestrator.move_to_angle(45), {"target_angle_deg": 45.0}),
    "go_home": (orchestrator.go_home, {"target_angle_deg": 0.0}),
    "get_motor_health": (get_health, {"warnings": []}),
    "get_current_position": (orchestrator.get_position, {"hotel": None}),
    "reboot": (lambda: orchestrator.reboot(wait=0.1), {"status": "rebooted"}),
    "emergency_stop": (orchestrator.emergency_stop, {"stopped": True}),
}


def test_every_deployment_of_the_guide_is_there_and_runs(guide: Hotel) -> None:
    found = guide.prefect.ask("POST", "/deployments/filter", {"deployments": {}})
    assert {deployment["name"] for deployment in found} == set(GUIDE_DEPLOYMENTS.values())
    for operation, (submit, expected) in EVERY.items():
        result = result_of(submit())
        assert expected.items() <= result.items(), (operation, result)
        assert (result["simulated"], result["time_factor"]) == (True, 20.0)
    guide.wait_state("Stopped")
    guide.act("Release")
    guide.wait_state("Idle")
    assert result_of(orchestrator.disconnect())["torque"] is False
    assert result_of(connect())["connected"] is True
    assert set(EVERY) | {"disconnect"} == set(GUIDE_DEPLOYMENTS)


def test_prefects_own_command_starts_a_run(guide: Hotel) -> None:
    said = prefect_says(guide, "deployment", "run", CONNECT, "--param", "device=/dev/ttyUSB0")
    uuid = re.search(r"UUID: ([0-9a-f-]{36})", said)
    assert uuid is not None, said
    ended = guide.prefect.wait(uuid[1])
    assert ended["parameters"] == {"device": "/dev/ttyUSB0"}
    assert ended["state_name"] == "Completed"
    assert ended["state"]["data"]["connected"] is True


def test_deploying_makes_the_pool_and_takes_its_name_from_where_the_guide_has_it(guide: Hotel) -> None:
    module = "labkeeper_flows.plate_resort.deploy_flows"
    assert guide.prefect.ask("GET", f"/work_pools/{POOL}")["type"] == "lab-device", "made when this hotel was deployed"
    said = run(guide, module, PLATE_RESORT_POOL="another-pool")
    assert {line.split()[1] for line in said.splitlines() if line.startswith("deployed ")} == FULL_NAMES
    assert "labkeeper agent run LABDEVICE.yaml --pool another-pool" in said
    assert guide.prefect.ask("GET", "/work_pools/another-pool")["type"] == "lab-device"
    assert pools_of_deployments(guide) == {"another-pool"}
    run(guide, module)
    assert pools_of_deployments(guide) == {POOL}, "the guide's name is the default"


def pools_of_deployments(hotel: Hotel) -> set[str]:
    found = hotel.prefect.ask("POST", "/deployments/filter", {"deployments": {}})
    assert len(found) == len(GUIDE_DEPLOYMENTS)
    return {deployment["work_pool_name"] for deployment in found}


def test_prefects_own_commands_show_pool_and_deployment_and_its_api_the_unit(guide: Hotel) -> None:
    assert POOL in prefect_says(guide, "work-pool", "ls")
    assert CONNECT.split("/")[1] in prefect_says(guide, "deployment", "ls")
    assert "type='lab-device'" in prefect_says(guide, "work-pool", "inspect", POOL)
    assert "'operation': 'plate-resort.connect'" in prefect_says(guide, "deployment", "inspect", CONNECT)
    workers = guide.prefect.ask("POST", f"/work_pools/{POOL}/workers/filter", {})
    assert [(worker["name"], worker["status"]) for worker in workers] == [(guide.unit.unit, "ONLINE")]
    assert guide.unit.unit == UNIT.replace("bench-1", platform.node())


def test_a_worker_without_a_device_says_what_to_set(guide: Hotel) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL],
        check=False,
        capture_output=True,
        text=True,
        env=guide.environment(),
        timeout=60,
    )
    assert done.returncode == 1
    assert "set LABKEEPER_DEVICE to the manifest of the LabDevice" in " ".join((done.stdout + done.stderr).split())


def test_a_worker_ends_as_an_agent_does(guide: Hotel) -> None:
    assert guide.agent.stop() == 0
    assert not guide.unit.socket.exists()
