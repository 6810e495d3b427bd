"""A battery lab for tests and torture runs: OT-2, pumps and potentiostat as simulators, an agent for each.

The simulators are processes of the test's own, as instruments are: they outlive agents, managers and servers, and keep
their logs. Agents are started as services start them; `labkeeper run` finds and uses them. Not for a lab that
`labkeeper` itself starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import httpx

from labkeeper.files import load
from labkeeper_api.kinds import LabDevice
from labkeeper_api.wire import unit_name
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.drivers.registry import kind_of, simulator_command
from labkeeper_devices.simulators.arduino import BoardControl
from labkeeper_devices.simulators.squidstat import PotentiostatControl
from tests.support.processes import ManagedProcess
from tests.support.waiting import eventually

DEVICES = {"ot2": "ot2", "pumps": "arduino", "potentiostat": "squidstat"}
"""LabDevice -> driver."""
VIAL = 25000.0
"""µL in each vial of slot 2 at the beginning."""
MANIFEST = """
apiVersion: labkeeper.dev/v1alpha1
kind: LabPool
metadata: {{name: battery}}
spec: {{type: device}}
---
apiVersion: labkeeper.dev/v1alpha1
kind: LabDevice
metadata: {{name: ot2}}
spec:
  driver: ot2
  pool: battery
  connection: {{address: 169.254.69.185}}
  simulate: {{timeFactor: {factor}}}
---
apiVersion: labkeeper.dev/v1alpha1
kind: LabDevice
metadata: {{name: pumps}}
spec:
  driver: arduino
  pool: battery
  connection: {{port: /dev/ttyUSB1, aliases: [COM3]}}
  simulate: {{timeFactor: {factor}}}
---
apiVersion: labkeeper.dev/v1alpha1
kind: LabDevice
metadata: {{name: potentiostat}}
spec:
  driver: squidstat
  pool: battery
  connection: {{port: /dev/ttyUSB2, aliases: [COM4]}}
  simulate: {{timeFactor: {factor}}}
"""
ASKING = {"STATUS", "HELLO"}
"""Requests to the board that only ask: how many there are is a matter of timing."""
KEEPING = {"waitForResume", "comment"}
"""Commands to the robot by which the driver keeps its run alive."""
RANDOM = ("labwareId", "pipetteId")
NOT_THE_DEVICES = {"n", "bootId", "runId", "commandId", "startedAt", "completedAt", "at", "id", "experiment"}
"""Fields of a log that are numbers and moments of this run."""


class BatteryLab:
    """One lab in a folder of its own."""

    def __init__(self, directory: Path, *, time_factor: float) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.work = directory / "work"
        self.manifest = directory / "lab.yaml"
        self._factor = time_factor
        self.units: dict[str, UnitDirectory] = {}
        self.simulators: dict[str, ManagedProcess] = {}
        self.agents: dict[str, ManagedProcess] = {}
        self._robot: httpx.Client | None = None

    def __enter__(self) -> Self:
        self.work.mkdir(parents=True)
        self.manifest.write_text(MANIFEST.format(factor=self._factor), encoding="utf-8")
        devices = [m.object for m in load([self.manifest], with_siblings=False).manifests]
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            for device in devices:
                if isinstance(device, LabDevice):
                    self._place(device)
            for device in devices:
                if isinstance(device, LabDevice):
                    self._await_simulator(device)
            self.start_agents()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything."""
        for process in [*self.agents.values(), *self.simulators.values()]:
            process.stop()
        if self._robot is not None:
            self._robot.close()

    def _place(self, device: LabDevice) -> None:
        name = device.metadata.name
        unit = UnitDirectory.of(self.home, unit_name(device.metadata.namespace, name, platform.node()))
        unit.prepare()
        unit.simulator.mkdir()
        if device.spec.driver == "ot2":
            full = {f"A{number}": VIAL for number in range(1, 9)}
            supplies = {"2": {"liquid": "ZnSO4", "volumes": full}}
            (unit.simulator / "liquids.json").write_text(json.dumps(supplies), encoding="utf-8")
        self.units[name] = unit
        argv = simulator_command(device.spec, self.directory, unit.simulator)
        process = ManagedProcess(f"the simulator of {name}", argv, log=self.directory / f"simulator-{name}.log")
        self.simulators[name] = process
        process.start()
        agent = [sys.executable, "-m", "labkeeper", "agent", "run", str(self.manifest), "--device", name]
        self.agents[name] = ManagedProcess(
            f"the agent of {name}",
            [*agent, "--no-prefect", "--home", str(self.home)],
            log=self.directory / f"agent-{name}.log",
            env=self.environment(),
        )

    def _await_simulator(self, device: LabDevice) -> None:
        find, unit = kind_of(device.spec).simulator_address, self.units[device.metadata.name]
        process = self.simulators[device.metadata.name]
        process.wait_ready(lambda: "" if find(unit.simulator) is not None else "its address", 120.0)

    def environment(self) -> dict[str, str]:
        """The environment of a command that works with this lab."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LABKEEPER_"))}
        return {**kept, "LABKEEPER_HOME": str(self.home), "COLUMNS": "160"}

    # Agents and runs.

    def start_agents(self) -> dict[str, str]:
        """Start the agents that do not run, and wait until all have looked at hardware and past; their states."""
        for agent in self.agents.values():
            if not agent.running:
                agent.start()
        return {name: self.wait_state(name, "Idle", "Busy", "Held", "Stopped") for name in self.agents}

    def wait_state(self, name: str, *states: str, timeout: float = 120.0) -> str:
        """Wait until a running agent says that its unit is in one of these states; which."""

        def look() -> str:
            self.agents[name].check_running()
            status = json.loads(self.units[name].status.read_text(encoding="utf-8"))
            assert status["pid"] == self.agents[name].pid, "the status is of an earlier agent"
            assert status["state"] in states, status
            return str(status["state"])

        not_yet = (AssertionError, OSError, ValueError)
        return eventually(look, timeout, 0.02, what=f"{name} {' or '.join(states)}", retry_on=not_yet)

    def command(self, *arguments: str | Path) -> list[str]:
        """The `labkeeper` command with these arguments."""
        return [sys.executable, "-m", "labkeeper", *map(str, arguments)]

    def labkeeper(self, *arguments: str | Path, timeout: float = 600.0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as a person in the work folder would."""
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            env=self.environment(),
            cwd=self.work,
            timeout=timeout,
            check=False,
        )

    # The truth.

    @property
    def robot(self) -> httpx.Client:
        """The robot itself."""
        if self._robot is None:
            address = (self.units["ot2"].simulator / "address").read_text(encoding="utf-8").strip()
            self._robot = httpx.Client(
                base_url=f"http://{address}", headers={"Opentrons-Version": "*"}, timeout=30.0, trust_env=False
            )
        return self._robot

    def deck(self) -> dict[str, Any]:
        """What is true on the robot: `/simulator/state`."""
        found: dict[str, Any] = self.robot.get("/simulator/state").raise_for_status().json()["data"]
        return found

    def board(self) -> BoardControl:
        """A look at the pumps."""
        return BoardControl(self.units["pumps"].simulator)

    def instrument(self) -> PotentiostatControl:
        """A look at the potentiostat."""
        return PotentiostatControl(self.units["potentiostat"].simulator)

    def logs(self) -> dict[str, list[dict[str, Any]]]:
        """What each device was told, as it heard it, oldest first; without requests that only ask."""
        robot = self.robot.get("/simulator/log").raise_for_status().json()["data"]
        with self.board() as board, self.instrument() as instrument:
            return {
                "ot2": [entry for entry in robot if entry["commandType"] not in KEEPING],
                "pumps": [entry for entry in board.log() if entry["verb"] not in ASKING],
                "potentiostat": instrument.log(),
            }

    def journal(self, name: str) -> list[tuple[str, str, str, int, int, str]]:
        """The commands of a unit: operation, arguments, node, iteration, ordinal and outcome, oldest first."""
        query = "SELECT operation, arguments, node, iteration, ordinal, outcome FROM commands ORDER BY seq"
        with contextlib.closing(sqlite3.connect(self.units[name].journal, timeout=30.0)) as db:
            return [tuple(row) for row in db.execute(query)]

    def fresh(self) -> None:
        """New liquids and tips, and an empty work folder, as in a lab that has just been set up; the journals stay."""
        self.robot.delete("/simulator/state").raise_for_status()
        if "2" in self.deck()["deck"]:
            volumes = {f"A{number}": VIAL for number in range(1, 9)}
            body = {"data": {"slot": "2", "liquid": "ZnSO4", "volumes": volumes}}
            self.robot.post("/simulator/liquids", json=body).raise_for_status()
        (self.home / "tips.json").unlink(missing_ok=True)
        shutil.rmtree(self.work)
        self.work.mkdir()


def as_heard(log: list[dict[str, Any]]) -> bytes:
    """A device's log as bytes, a line for each command: without moments and numbers, ids in the order they came up."""
    names: dict[str, str] = {}

    def plain(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: plain(v, k) for k, v in value.items() if k not in NOT_THE_DEVICES}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return names.setdefault(value, f"{key}-{len(names)}") if key in RANDOM else value

    return b"".join(json.dumps(plain(entry), sort_keys=True).encode() + b"\n" for entry in log)
