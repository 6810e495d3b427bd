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

from labkeeper_api import wire
from labkeeper_api.catalog import CatalogEntry
from labkeeper_api.operations import OPERATIONS
from labkeeper_api.operations.plate_resort import DRIVER, GUIDE_DEPLOYMENTS
from labkeeper_devices.agent import control
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.records import Command
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

    def ensure_pool(self, pool: str) -> None:
        """A work pool for device agents of that name."""
        template = wire.device_job_template()
        body = {"name": pool, "type": wire.WORKER_TYPE, "base_job_template": template}
        try:
            self.ask("POST", "/work_pools/", body)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.CONFLICT:
                raise

    def deploy(self, pool: str, operation: str, name: str, /, *, queue: str | None = None, **variables: Any) -> str:
        """Deploy an operation of the plate hotel under a name; `variables` are further job variables. Its id."""
        entry = CatalogEntry.of_operation(OPERATIONS[f"{DRIVER}.{operation}"])
        flow = self.ask("POST", "/flows/", {"name": entry.flow_name})["id"]
        body = {
            "flow_id": flow,
            "name": name,
            "work_pool_name": pool,
            "work_queue_name": queue,
            "parameter_openapi_schema": entry.parameter_schema,
            "enforce_parameter_schema": False,
            "job_variables": {wire.OPERATION_VARIABLE: entry.operation, **variables},
            "version": "1",
        }
        return str(self.ask("POST", "/deployments/", body)["id"])

    def set_state(self, run_id: str, type_: str, *, force: bool = False, **state: Any) -> str:
        """Propose a state, as people, the operator and other agents do; what Prefect answers to it."""
        body = {"state": {"type": type_, **state}, "force": force}
        return str(self.ask("POST", f"/flow_runs/{run_id}/set_state", body)["status"])

    def states(self, run_id: str) -> list[dict[str, Any]]:
        """All states that a run went through, oldest first."""
        return list(self.ask("GET", f"/flow_run_states/?flow_run_id={run_id}"))

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
        self,
        directory: Path,
        server: PrefectServer,
        *,
        time_factor: float = 1.0,
        pool: str = "hotel",
        node: str = "bench-1",
        prefix: str | None = None,
        api_url: str | None = None,
    ) -> None:
        """`prefix`: begins the names of the deployments, for several hotels on one server; else they are the guide's.

        `api_url`: where the agent reaches Prefect, when that is not where the server is.
        """
        self.directory = directory
        self.home = directory / "home"
        self.unit = UnitDirectory.of(self.home, UNIT.replace("bench-1", node))
        self.pool = pool
        self.prefect = Prefect(server.api_url)
        self._server = server
        self._factor = time_factor
        self._prefix = prefix
        self._api_url = api_url
        self._deployments: dict[str, str] = {}
        self._manifest = directory / "device.yaml"
        self.servo: ServoProcess | None = None
        self.agent = ManagedProcess(
            "the agent",
            [
                *(sys.executable, "-m", "labkeeper", "agent", "run", str(self._manifest), "--pool", pool),
                *("--node", node, "--home", str(self.home)),
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
        found = {**self._server.client_environment(self.directory / "prefect-home"), "LABKEEPER_HOME": str(self.home)}
        return found if self._api_url is None else {**found, "PREFECT_API_URL": self._api_url}

    def deploy(self) -> None:
        """Deploy the guide's ten flows to the pool."""
        if self._prefix is not None:
            self.prefect.ensure_pool(self.pool)
            for operation, name in GUIDE_DEPLOYMENTS.items():
                self._deployments[operation] = self.prefect.deploy(self.pool, operation, f"{self._prefix}-{name}")
            return
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

        # An agent that ended will not come to any state: that error is not waited about.
        not_yet = (AssertionError, OSError, ValueError)
        return eventually(look, timeout, 0.02, what=f"state {' or '.join(states)}", retry_on=not_yet)

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
        if operation not in self._deployments:
            name = f"{operation.replace('_', '-')}/{GUIDE_DEPLOYMENTS[operation]}"
            self._deployments[operation] = self.prefect.deployment_id(name)
        return str(self.prefect.create_run(self._deployments[operation], **parameters)["id"])

    def run(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Create a run and wait for its end."""
        return self.prefect.wait(self.submit(operation, **parameters))

    def ask_agent(self, do: str, **request: Any) -> dict[str, Any]:
        """Ask the running agent over its control socket, which is what commands do. Raises `LabkeeperError`."""
        return control.call(self.unit.socket, {"do": do, **request})

    def act(self, action: str, *, outcome: str | None = None, reason: str = "a test says so") -> dict[str, Any]:
        """What a person does, without starting a command for it: `Acknowledge` or `Release`."""
        spec = {"device": "hotel", "unit": self.unit.unit, "action": action, "reason": reason, "requester": "tester"}
        given = {**spec, "outcome": outcome} if outcome is not None else spec
        resource = {"apiVersion": "labkeeper.dev/v1alpha1", "kind": "LabAction"}
        wanted = {**resource, "metadata": {"name": "of-a-test", "namespace": "lab"}, "spec": given}
        return self.ask_agent("act", action=wanted)

    def control(self) -> ServoControl:
        """Look into the servo and set things wrong."""
        return ServoControl(self.unit.simulator)

    def open_commands(self) -> list[Command]:
        """Commands in the journal that were begun and not ended; only while no agent runs."""
        if not self.unit.journal.exists():
            return []
        journal = Journal(self.unit.journal, self.unit.unit, _no_clock)
        try:
            return journal.open_commands()
        finally:
            journal.close()


def _no_clock() -> Any:
    raise AssertionError("reading a journal needs no clock")
