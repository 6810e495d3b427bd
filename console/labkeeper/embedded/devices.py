"""Devices of a lab on this host: one agent per LabDevice, and below it, where the spec asks for one, a simulator.

Agents are processes of their own, as on a lab node, so that killing one leaves the hardware, here the simulator, alone.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labkeeper.embedded.children import Child
from labkeeper.embedded.simulators import Simulator
from labkeeper_api.kinds import LabDevice
from labkeeper_api.wire import unit_name
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_flows.canvas_run.tips import TipStore

TIPS = "tips.json"
"""In the home: the tip ledger of its robots."""
SHORT_LIFE_SECONDS = 30.0
MOST_FAILURES = 3
"""So many short lives of an agent in a row end the lab, with the agent's last words."""


@dataclass
class Unit:
    """One running unit and what it was started from."""

    device: LabDevice
    pool: str | None
    directory: UnitDirectory
    agent: Child
    simulator: Simulator | None
    started_at: float
    failures: int = 0


class Units:
    """The units of one lab."""

    def __init__(self, home: Path, api_url: str | None) -> None:
        """`api_url` is where their agents reach Prefect; None for agents that serve only this host."""
        self._home = home
        self._api_url = api_url
        self._units: dict[str, Unit] = {}

    def all(self) -> list[Unit]:
        """All units that were started."""
        return list(self._units.values())

    async def keep(self, wanted: Mapping[str, tuple[LabDevice, str | None, Path]]) -> list[str]:
        """Start, restart and stop units until they are as wanted: device key to device, pool and folder.

        A pool of None is that of an agent without Prefect. What happened, in words. Raises `ChildFailed`.
        """
        told = []
        for key in [key for key in self._units if key not in wanted]:
            await self._stop(self._units.pop(key))
            told.append(f"device {key} stopped")
        for key, (device, pool, folder) in wanted.items():
            unit = self._units.get(key)
            if unit is not None and (unit.device.spec, unit.pool) == (device.spec, pool):
                told += await self._keep_alive(unit)
                continue
            if unit is not None:
                await self._stop(unit)
            self._units[key] = await self._start(device, pool, folder)
            note = f", simulated at time factor {device.spec.simulate.time_factor:g}" if device.spec.simulate else ""
            told.append(f"device {key} started{note}")
        return told

    async def _keep_alive(self, unit: Unit) -> list[str]:
        """Restart an agent that ended by itself, as a node would; one that keeps ending at once is a failure."""
        if unit.simulator is not None:
            unit.simulator.check()
        if unit.agent.running:
            return []
        lived = time.monotonic() - unit.started_at
        unit.failures = unit.failures + 1 if lived < SHORT_LIFE_SECONDS else 1
        if unit.failures >= MOST_FAILURES:
            unit.agent.check()
        unit.started_at = time.monotonic()
        await unit.agent.start()
        return [f"{unit.agent.name} had ended by itself and was started again: {unit.agent.tail(1)}"]

    async def stop(self) -> None:
        """Stop all units: agents first, so that they can drain."""
        for unit in self._units.values():
            await self._stop(unit)
        self._units.clear()

    async def _start(self, device: LabDevice, pool: str | None, folder: Path) -> Unit:
        name = unit_name(device.metadata.namespace, device.metadata.name, platform.node())
        directory = UnitDirectory.of(self._home, name)
        directory.prepare()
        manifest = directory.path / "device.json"
        manifest.write_text(device.model_dump_json(by_alias=True, exclude={"status"}, exclude_none=True), "utf-8")
        simulator = await self._start_simulator(device, directory, folder) if device.spec.simulate else None
        agent = Child(
            f"the agent of {name}",
            [
                *(sys.executable, "-m", "labkeeper", "agent", "run", str(manifest)),
                *(("--pool", pool) if pool is not None else ("--no-prefect",)),
                *("--folder", str(folder), "--home", str(self._home)),
            ],
            log=self._home / "logs" / f"agent-{name}.log",
            env=self._environment(),
            cwd=directory.path,
        )
        await agent.start()
        return Unit(device, pool, directory, agent, simulator, time.monotonic())

    def _environment(self) -> dict[str, str]:
        if self._api_url is None:
            return {}
        return {"PREFECT_API_URL": self._api_url, "PREFECT_HOME": str(self._home / "prefect")}

    async def _start_simulator(self, device: LabDevice, directory: UnitDirectory, folder: Path) -> Simulator:
        simulator = Simulator(device, directory, folder, self._home / "logs" / f"simulator-{directory.unit}.log")
        await simulator.start()
        tips = self._home / TIPS
        if simulator.fresh and tips.exists():
            # A simulated robot begins with full racks.
            TipStore(tips).reset(directory.unit)
        return simulator

    async def _stop(self, unit: Unit) -> None:
        await unit.agent.stop(grace=90.0)
        if unit.simulator is not None:
            await unit.simulator.stop()


def described(unit: Unit) -> str:
    """What the unit's agent said last, for a person."""
    path = unit.directory.status
    if not path.exists():
        return f"{unit.directory.unit}: starting"
    status = json.loads(path.read_text(encoding="utf-8"))
    return f"{unit.directory.unit}: {status['state']}, {status['reason']}"
