"""A plate hotel for tests: simulated servo, agent as a process, deployments in a real Prefect server, runs over REST.

The agent is started as its user starts it, with `labkeeper agent run`; the simulator is a process of its own, as the
servo is, and outlives it. Not for tests of the driver alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx

from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.journal import Command, Journal
from labkeeper_devices.simulators.servo import ServoControl, ServoProcess, start_servo
from tests.support.prefect_server import PrefectServer
from tests.support.processes import ManagedProcess
from tests.support.waiting import eventually

TERMINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
UNIT = "lab.hotel.bench-1"

MANIFEST = """
apiVersion: labkeeper.dev/v1alpha1
kind: LabDevice
metadata: {{name: hotel, namespace: lab}}
spec:
  driver: plate-resort
  pool: hotel
  connection: {{port: /dev/ttyUSB0}}
  simulate: {{timeFactor: {factor}}}
"""


class Prefect:
    """The few requests that tests make, sent again while SQLite is locked."""

    def __init__(self, api_url: str) -> None:
        self.api_url = api_url
        self._client = httpx.Client(base_url=api_url, timeout=30.0, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request; its JSON answer. Raises `httpx.HTTPStatusError`."""
        for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, None):
            response = self._client.request(method, path, json=body)
            if response.status_code != 503 or pause is None:
                break
            time.sleep(pause)
        response.raise_for_status()
        return response.json() if response.content else None

    def deployment_id(self, full_name: str) -> str:
        """Id of a deployment by `flow/deployment`."""
        return str(self.ask("GET", f"/deployments/name/{full_name}")["id"])

    def create_run(self, deployment_id: str, **parameters: Any) -> dict[str, Any]:
        """Create a flow run."""
        path = f"/deployments/{deployment_id}/create_flow_run"
        return dict(self.ask("POST", path, {"parameters": parameters, "state": {"type": "SCHEDULED"}}))

    def run(self, run_id: str) -> dict[str, Any]:
        """A flow run as it is now."""
        return dict(self.ask("GET", f"/flow_runs/{run_id}"))

    def wait(self, run_id: str, timeout: float = 30.0, interval: float = 0.05) -> dict[str, Any]:
        """A flow run once it has ended, looked at every `interval` seconds."""
        return eventually(lambda: self._ended(run_id), timeout, interval, what=f"the end of run {run_id}")

    def _ended(self, run_id: str) -> dict[str, Any]:
        run = self.run(run_id)
        assert run["state_type"] in TERMINAL, run["state_name"]
        return run


class Hotel:
    """One unit of the plate hotel with everything around it."""

    def __init__(
        self, directory: Path, server: PrefectServer, *, time_factor: float = 1.0, pool: str = "hotel"
    ) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.unit = UnitDirectory.of(self.home, UNIT)
        self.pool = pool
        self.prefect = Prefect(server.api_url)
        self._server = server
        self._factor = time_factor
        self._manifest = directory / "device.yaml"
        self.servo: ServoProcess | None = None
        self.agent = ManagedProcess(
            "the agent",
            [
                *(sys.executable, "-m", "labkeeper", "agent", "run", str(self._manifest), "--pool", pool),
                *("--node", "bench-1", "--home", str(self.home)),
            ],
            log=directory / "agent.log",
            env=self.environment(),
        )

    def __enter__(self) -> Self:
        self._manifest.write_text(MANIFEST.format(factor=self._factor), encoding="utf-8")
        self.unit.prepare()
        self.servo = start_servo(self.unit.simulator, time_factor=self._factor)
        self.deploy()
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.stop()
        if self.servo is not None:
            self.servo.stop()
        self.prefect.close()

    def environment(self) -> dict[str, str]:
        """The environment of a command that works with this hotel."""
        return {**self._server.client_environment(self.directory / "prefect-home"), "LABKEEPER_HOME": str(self.home)}

    def deploy(self) -> None:
        """Deploy the guide's ten flows to the pool."""
        command = [sys.executable, "-m", "labkeeper_flows.plate_resort.deploy_flows", self.pool]
        subprocess.run(command, check=True, capture_output=True, env=self.environment(), timeout=60)

    def start_agent(self, timeout: float = 60.0) -> dict[str, Any]:
        """Start the agent and wait until it has looked at its hardware and its past; its status."""
        self.agent.start()
        return self.wait_state("Idle", "Busy", "Held", "Stopped", timeout=timeout)

    def wait_state(self, *states: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait until the running agent says that the unit is in one of these states."""

        def look() -> dict[str, Any]:
            self.agent.check_running()
            status = json.loads(self.unit.status.read_text(encoding="utf-8"))
            assert status["pid"] == self.agent.pid, "the status is of an earlier agent"
            assert status["state"] in states, status
            return dict(status)

        return eventually(look, timeout, 0.02, what=f"state {' or '.join(states)}")

    def labkeeper(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the `labkeeper` command as a person on this host would."""
        return subprocess.run(
            [sys.executable, "-m", "labkeeper", *arguments],
            check=check,
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=120,
        )

    def submit(self, operation: str, **parameters: Any) -> str:
        """Create a run of one of the guide's deployments; its id."""
        flow, deployment = operation.replace("_", "-"), _deployment_of(operation)
        return str(self.prefect.create_run(self.prefect.deployment_id(f"{flow}/{deployment}"), **parameters)["id"])

    def control(self) -> ServoControl:
        """Look into the servo and set things wrong."""
        return ServoControl(self.unit.simulator)

    def open_commands(self) -> list[Command]:
        """Commands in the journal that were begun and not ended; only while no agent runs."""
        if not self.unit.journal.exists():
            return []
        journal = Journal(self.unit.journal, UNIT, _no_clock)
        try:
            return journal.open_commands()
        finally:
            journal.close()


def _deployment_of(operation: str) -> str:
    from labkeeper_api.operations.plate_resort import GUIDE_DEPLOYMENTS

    return GUIDE_DEPLOYMENTS[operation]


def _no_clock() -> Any:
    raise AssertionError("reading a journal needs no clock")
