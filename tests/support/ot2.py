"""A simulated OT-2 for tests: the process, a look at what is true there, and labware of our own. Not for the driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import httpx

from labkeeper_devices.drivers.ot2 import simulator_address
from labkeeper_devices.drivers.ot2.factory import simulator_python
from tests.support.processes import ManagedProcess

HEADERS = {"Opentrons-Version": "*"}


class SimulatedRobot:
    """One simulator process, with its files in a folder."""

    def __init__(self, folder: Path, *, time_factor: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.time_factor = time_factor
        options = ["--port=0", f"--state-dir={folder}", f"--time-factor={time_factor}"]
        command = [str(simulator_python()), "-m", "ot2_simulator", *options]
        self.process = ManagedProcess("the OT-2 simulator", command, log=folder / "simulator.log")
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        self.process.start()
        self.process.wait_ready(lambda: "" if simulator_address(self.folder) else "its address", 120.0)
        self._client = httpx.Client(base_url=f"http://{self.address}", headers=HEADERS, timeout=30.0, trust_env=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
        self.process.stop()

    @property
    def address(self) -> str:
        """`host:port`."""
        return (self.folder / "address").read_text(encoding="utf-8").strip()

    @property
    def client(self) -> httpx.Client:
        """A connection of the test's own."""
        assert self._client is not None
        return self._client

    def get(self, path: str, **query: Any) -> Any:
        """The `data` of an answer."""
        answer = self.client.get(path, params=query)
        answer.raise_for_status()
        return answer.json()["data"]

    def post(self, path: str, data: Any) -> Any:
        """The `data` of an answer."""
        answer = self.client.post(path, json={"data": data})
        answer.raise_for_status()
        return answer.json()["data"]

    def state(self) -> Any:
        """What is true there."""
        return self.get("/simulator/state")

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """The commands that were begun, without those that only keep our run alive."""
        entries = self.get("/simulator/log", since=since)
        return [entry for entry in entries if entry["commandType"] not in ("waitForResume", "comment")]

    def last(self) -> int:
        """Number of the last command that was begun."""
        return max((entry["n"] for entry in self.get("/simulator/log")), default=0)

    def fault(self, **fault: Any) -> None:
        """Order a fault."""
        self.post("/simulator/faults", fault)

    def fill(self, slot: int, **volumes: float) -> None:
        """Fill wells with water, in µL."""
        self.post("/simulator/liquids", {"slot": str(slot), "liquid": "water", "volumes": volumes})

    def door(self, *, open_: bool) -> None:
        """Open or close the door."""
        self.client.put("/simulator/door", json={"data": {"open": open_}}).raise_for_status()

    def reset(self) -> None:
        """Make the robot as good as new: no faults, door closed, no run, a clean deck."""
        self.client.delete("/simulator/faults").raise_for_status()
        self.door(open_=False)
        current = self.state()["currentRun"]
        if current is not None:
            self.act(current, "stop")
            self._await_over(current)
            self.client.patch(f"/runs/{current}", json={"data": {"current": False}}).raise_for_status()
        self.client.delete("/simulator/state").raise_for_status()

    def act(self, run_id: str, action: str) -> None:
        """Play, pause or stop a run, as the robot's own app would."""
        self.client.post(f"/runs/{run_id}/actions", json={"data": {"actionType": action}})

    def _await_over(self, run_id: str) -> None:
        over = ("stopped", "failed", "succeeded", "idle")

        def missing() -> str:
            status = str(self.get(f"/runs/{run_id}")["status"])
            return "" if status in over else f"run {run_id} is {status}"

        self.process.wait_ready(missing, 120.0, 0.02)


def definition(name: str = "test_vials", *, tools: bool = False) -> dict[str, Any]:
    """Labware of our own (Opentrons labware schema 2): six vials of 5000 µL, or four tools that are handled as tips."""
    places = [(f"{row}{column}", 30.0 * column, 62.0 if row == "A" else 24.0) for column in (1, 2) for row in "AB"]
    if not tools:
        places += [("A3", 100.0, 62.0), ("B3", 100.0, 24.0)]
    depth, volume = (70.0, 1000.0) if tools else (40.0, 5000.0)
    shape = {"depth": depth, "totalLiquidVolume": volume, "shape": "circular", "diameter": 8.0, "z": 6.0}
    wells = {well: {**shape, "x": x, "y": y} for well, x, y in places}
    columns = sorted({well[1:] for well in wells})
    parameters: dict[str, Any] = {
        "format": "irregular",
        "quirks": [],
        "isTiprack": tools,
        "isMagneticModuleCompatible": False,
        "loadName": name,
    }
    if tools:
        parameters |= {"tipLength": 70.0, "tipOverlap": 7.0}
    return {
        "ordering": [[f"{row}{column}" for row in "AB"] for column in columns],
        "brand": {"brand": "the tests"},
        "metadata": {
            "displayName": name,
            "displayCategory": "tipRack" if tools else "tubeRack",
            "displayVolumeUnits": "µL",
        },
        "dimensions": {"xDimension": 127.0, "yDimension": 85.5, "zDimension": 90.0 if tools else 50.0},
        "wells": wells,
        "groups": [{"metadata": {}, "wells": list(wells)}],
        "parameters": parameters,
        "namespace": "labkeeper_tests",
        "version": 1,
        "schemaVersion": 2,
        "cornerOffsetFromSlot": {"x": 0, "y": 0, "z": 0},
    }
