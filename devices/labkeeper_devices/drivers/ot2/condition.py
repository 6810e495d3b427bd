"""What an OT-2 says about itself: who it is, how it is, and what of that forbids moving. The readings are pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labkeeper_api.errors import DeviceError
from labkeeper_devices.drivers.base import Health, Identity, Simulation
from labkeeper_devices.drivers.ot2.answers import Json
from labkeeper_devices.drivers.ot2.deciding import Finding, Verdict
from labkeeper_devices.drivers.ot2.equipment import Equipment
from labkeeper_devices.drivers.ot2.http import RobotHttp

LOW_DISK_MB = 100


@dataclass(frozen=True)
class Vitals:
    """One reading."""

    name: str
    model: str
    serial: str
    software: str
    firmware: str
    simulated: bool
    door_open: bool
    free_disk_mb: int | None


def read_vitals(robot: RobotHttp) -> Vitals:
    """Ask the robot. Raises `DeviceUnreachable`, `DeviceError`."""
    return vitals_of(robot.get("/health"), robot.get("/robot/door/status")["data"])


def vitals_of(health: Json, door: Json) -> Vitals:
    """From the robot's answers."""
    if "robot_model" not in health and "api_version" not in health:
        raise DeviceError(f"what answers there is no Opentrons robot: {dict(health)!r:.200}")
    disk = (health.get("disk_details") or {}).get("systemAvailableMb")
    return Vitals(
        name=str(health.get("name", "")),
        model=str(health.get("robot_model", "")),
        serial=str(health.get("robot_serial") or ""),
        software=str(health.get("api_version", "")),
        firmware=str(health.get("fw_version", "")),
        simulated=bool(health.get("simulated", False)),
        door_open=door.get("status") == "open",
        free_disk_mb=int(disk) if isinstance(disk, int | float) else None,
    )


def identity_of(vitals: Vitals, address: str, simulation: Simulation | None) -> Identity:
    """Who the robot is. Raises `DeviceError` where a simulator would pass for a robot, or the other way round."""
    if vitals.simulated and simulation is None:
        raise DeviceError(
            f"a simulator answers at {address}, and the LabDevice does not ask for one (spec.simulate): its results "
            "would pass for real ones"
        )
    if simulation is not None and not vitals.simulated:
        raise DeviceError(f"the LabDevice asks for a simulator, but a real robot answers at {address}")
    if not vitals.model.startswith("OT-2"):
        raise DeviceError(f"the robot at {address} is a {vitals.model or 'robot of unknown model'}, and no OT-2")
    return Identity(
        port=address,
        model=f"{vitals.model} ({vitals.name})",
        firmware=f"{vitals.software}, motor board {vitals.firmware}",
        serial=vitals.serial,
        simulated=simulation is not None,
        time_factor=simulation.time_factor if simulation is not None else None,
    )


def health_of(vitals: Vitals, finding: Finding, *, stopped: bool, stranded: str | None) -> Health:
    """The robot's condition. Its interlocks are asked again before each command; here they are warnings."""
    found = (
        (stopped, "the emergency stop is latched"),
        (vitals.door_open, "the door is open: nothing may move until it is closed"),
        (stranded is not None, stranded or ""),
        (finding.verdict in (Verdict.FOREIGN, Verdict.PREPARED, Verdict.UNSETTLED), str(finding)),
        (
            vitals.free_disk_mb is not None and vitals.free_disk_mb < LOW_DISK_MB,
            f"the robot's disk has {vitals.free_disk_mb} MB left",
        ),
    )
    readings: dict[str, float | int | None] = {"door_open": int(vitals.door_open), "free_disk_mb": vitals.free_disk_mb}
    return Health(readings, tuple(text for holds, text in found if holds))


def status_of(vitals: Vitals, finding: Finding, equipment: Equipment, *, lights: bool, found: str) -> dict[str, Any]:
    """The answer of `get_status`. `found` is what the robot was doing when the connection was opened."""
    return {
        "connected": True,
        "robot": vitals.name,
        "model": vitals.model,
        "serial": vitals.serial,
        "software": vitals.software,
        "door": "open" if vitals.door_open else "closed",
        "lights": lights,
        "run": finding.run.status if finding.run is not None else None,
        "run_state": str(finding),
        "found_when_connected": found,
        "pipettes": {name: pipette.mount for name, pipette in equipment.pipettes.items()},
        "holding": {name: str(held) for name, held in equipment.held.items()},
        "labware_count": len(equipment.labware),
    }


def registry_of(equipment: Equipment) -> dict[str, Any]:
    """The answer of `get_labware_registry`."""
    registry = {
        name: {"load_name": labware.load_name, "slot": labware.slot, "definition": labware.uri}
        for name, labware in equipment.labware.items()
    }
    return {"labware": registry, "count": len(registry)}
