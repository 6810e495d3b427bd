"""What the tests do to a robot, and labware of their own: samples, none of it any laboratory's."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx

FOLDER = Path(__file__).parents[1]
HEADERS = {"Opentrons-Version": "*"}
START_SECONDS = 60.0
FINAL = ("succeeded", "failed")


def wait_until(condition: Any, seconds: float = 20.0, what: str = "the condition") -> Any:
    """The first true value of a condition."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true within {seconds} s")


class Simulator:
    """A simulator process, and a client for it."""

    def __init__(self, state_dir: Path, *arguments: str) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.log = state_dir / "log"
        self._address = state_dir / "address"
        command = [sys.executable, "-m", "ot2_simulator", "--port", "0", "--state-dir", str(state_dir), *arguments]
        began = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=FOLDER, stdout=log, stderr=subprocess.STDOUT)
        wait_until(self._is_up, START_SECONDS, f"the simulator ({self.log})")
        self.client = httpx.Client(base_url=f"http://{self._address.read_text().strip()}", headers=HEADERS, timeout=30)
        wait_until(self.answers, START_SECONDS, "health")
        self.start_seconds = time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(10)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return self._address.exists()

    def answers(self) -> bool:
        """Whether somebody answers at the robot's port."""
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **query: Any) -> Any:
        """The ``data`` of a GET that must succeed."""
        response = self.client.get(path, params=query)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def post(self, path: str, data: Any, status: int = 201, **query: Any) -> Any:
        """The ``data`` of a POST that must succeed."""
        response = self.client.post(path, json={"data": data}, params=query)
        assert response.status_code == status, response.text
        return response.json()["data"]

    def state(self) -> Any:
        """What is true."""
        return self.get("/simulator/state")

    def reset(self) -> None:
        """Make the robot as good as new."""
        self.client.delete("/simulator/faults")
        self.client.put("/simulator/door", json={"data": {"open": False}})
        current = self.state()["currentRun"]
        if current:
            self.client.post(f"/runs/{current}/actions", json={"data": {"actionType": "stop"}})
            wait_until(lambda: self.run_status(current) in ("stopped", "failed", "succeeded", "idle"), what="the stop")
            assert self.client.patch(f"/runs/{current}", json={"data": {"current": False}}).status_code == 200
        self.client.delete("/simulator/state")

    def fault(self, **fault: Any) -> Any:
        """Order a fault."""
        return self.post("/simulator/faults", fault)

    def run_status(self, run_id: str) -> str:
        """A run's status."""
        return str(self.get(f"/runs/{run_id}")["status"])

    def upload(self, path: Path) -> Any:
        """Upload a protocol and wait for its analysis; ``(protocol, analysis)``."""
        response = self.client.post("/protocols", files={"files": (path.name, path.read_bytes())})
        assert response.status_code in (200, 201), response.text
        protocol = response.json()["data"]
        url = f"/protocols/{protocol['id']}/analyses/{protocol['analysisSummaries'][-1]['id']}"
        analysis = wait_until(lambda: (found := self.get(url))["status"] == "completed" and found, 60, "the analysis")
        return protocol, analysis


class Run:
    """A run of a test, with a pipette, tips and labware as the test asks for them.

    Not played, its commands are setup commands: carried out at once, but nothing pauses them, and a stop waits for the
    one that is running. Played, they can be paused and stopped at once. A played run without a protocol is over as soon
    as it has nothing to do, so that a guard keeps it alive: a ``waitForResume`` behind every command.
    """

    def __init__(self, robot: Simulator, *, play: bool = False) -> None:
        self.robot = robot
        self.id = robot.post("/runs", {})["id"]
        self.played = play
        if play:
            self._queue("waitForResume", {})
            self.act("play")
            wait_until(lambda: self.status == "paused", what="the guard")

    @property
    def status(self) -> str:
        return self.robot.run_status(self.id)

    def act(self, action: str, status: int = 201) -> Any:
        """Play, pause or stop."""
        response = self.robot.client.post(f"/runs/{self.id}/actions", json={"data": {"actionType": action}})
        assert response.status_code == status, response.text
        return response.json()

    def find(self, command_id: str) -> Any:
        """A command as it is now."""
        return self.robot.get(f"/runs/{self.id}/commands/{command_id}")

    def over(self, command_id: str) -> Any:
        """A command when it is over."""
        return wait_until(lambda: (found := self.find(command_id))["status"] in FINAL and found, what="the command")

    def _queue(self, command_type: str, params: dict[str, Any], intent: str = "protocol", wait: bool = False) -> Any:
        data = {"commandType": command_type, "params": params, "intent": intent}
        return self.robot.post(f"/runs/{self.id}/commands", data, waitUntilComplete=wait)

    def command(self, command_type: str, *, wait: bool = True, **params: Any) -> Any:
        """Have a command carried out; the command as it is afterwards."""
        if not self.played:
            return self._queue(command_type, params, "setup", wait)
        command = self._queue(command_type, params)
        self._queue("waitForResume", {})
        self.act("play")
        if not wait:
            return command
        done = self.over(command["id"])
        if done["status"] == "succeeded":
            wait_until(lambda: self.status == "paused", what="the guard")
        return done

    def done(self, command_type: str, **params: Any) -> Any:
        """The result of a command that must succeed."""
        command = self.command(command_type, **params)
        assert command["status"] == "succeeded", command.get("error")
        return command["result"]

    def failed(self, command_type: str, **params: Any) -> Any:
        """The error of a command that must fail."""
        command = self.command(command_type, **params)
        assert command["status"] == "failed", command
        return command["error"]

    def define(self, definition: dict[str, Any]) -> str:
        """Tell the run of labware of one's own."""
        return str(self.robot.post(f"/runs/{self.id}/labware_definitions", definition)["definitionUri"])

    def labware(self, slot: int, name: str, namespace: str = "opentrons", version: int = 1) -> str:
        """Load labware into a slot; its id."""
        result = self.done(
            "loadLabware", location={"slotName": str(slot)}, loadName=name, namespace=namespace, version=version
        )
        return str(result["labwareId"])

    def pipette(self, name: str = "p1000_single_gen2", mount: str = "right") -> str:
        """Load a pipette; its id."""
        return str(self.done("loadPipette", pipetteName=name, mount=mount)["pipetteId"])


class Bench(Run):
    """A run that is set up: tips in slot 1, a custom rack of vials in 2, a p1000."""

    def __init__(self, robot: Simulator, *, play: bool = False) -> None:
        super().__init__(robot, play=play)
        self.define(vials())
        self.tips = self.labware(1, "opentrons_96_tiprack_1000ul")
        self.rack = self.labware(2, "sample_vials", "tests")
        self.p1000 = self.pipette()

    def at(self, labware: str, well: str, **more: Any) -> dict[str, Any]:
        """The parameters of anything at a well."""
        return {"pipetteId": self.p1000, "labwareId": labware, "wellName": well, **more}

    def pick_up(self, well: str = "A1") -> Any:
        """Put on a tip."""
        return self.done("pickUpTip", **self.at(self.tips, well))


def vials(name: str = "sample_vials", volume: float = 5000) -> dict[str, Any]:
    """Six vials, 2 by 3, in the custom labware format (schema 2)."""
    columns = [[f"{row}{column}" for row in "AB"] for column in (1, 2, 3)]
    wells = {
        f"{row}{column}": {
            "depth": 40.0,
            "totalLiquidVolume": volume,
            "shape": "circular",
            "diameter": 18.0,
            "x": 24.0 + 40.0 * (column - 1),
            "y": 62.0 if row == "A" else 24.0,
            "z": 5.0,
        }
        for column in (1, 2, 3)
        for row in "AB"
    }
    return {
        "ordering": columns,
        "brand": {"brand": "the tests' own"},
        "metadata": {"displayName": "Sample vials", "displayCategory": "tubeRack", "displayVolumeUnits": "µL"},
        "dimensions": {"xDimension": 127.0, "yDimension": 85.5, "zDimension": 50.0},
        "wells": wells,
        "groups": [{"metadata": {}, "wells": list(wells)}],
        "parameters": {
            "format": "irregular",
            "quirks": [],
            "isTiprack": False,
            "isMagneticModuleCompatible": False,
            "loadName": name,
        },
        "namespace": "tests",
        "version": 1,
        "schemaVersion": 2,
        "cornerOffsetFromSlot": {"x": 0, "y": 0, "z": 0},
    }


def tool_rack() -> dict[str, Any]:
    """Four tools that are handled as tips, 2 by 2."""
    wells = {
        f"{row}{column}": {
            "depth": 70.0,
            "totalLiquidVolume": 1000,
            "shape": "circular",
            "diameter": 6.0,
            "x": 40.0 * column,
            "y": 60.0 if row == "A" else 25.0,
            "z": 20.0,
        }
        for column in (1, 2)
        for row in "AB"
    }
    definition = vials("sample_tools")
    definition["ordering"] = [["A1", "B1"], ["A2", "B2"]]
    definition["wells"] = wells
    definition["groups"] = [{"metadata": {}, "wells": list(wells)}]
    definition["dimensions"]["zDimension"] = 90.0
    definition["metadata"] |= {"displayName": "Sample tools", "displayCategory": "tipRack"}
    definition["parameters"] |= {"isTiprack": True, "tipLength": 70.0, "tipOverlap": 7.0}
    return definition


def end(process: subprocess.Popen[bytes], seconds: float) -> float:
    """Ask a process to end, and say how long it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(seconds)
    return time.monotonic() - began
