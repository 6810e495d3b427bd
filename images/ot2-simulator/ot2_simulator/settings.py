"""What a simulator is started with.

Imports nothing of Opentrons, so that ``--help`` and bad arguments answer at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOUNTS = ("left", "right")
MAX_WELL = 1e6
"""µL that no well holds more of."""
LIQUIDS = "liquids.json"
"""File in the state directory that is read as ``--liquids`` where that is not given."""


class SettingsError(ValueError):
    """Something on the command line is wrong; the message says what would be right."""


@dataclass(frozen=True)
class Supply:
    """A liquid, and how many µL of it are in each well, by well name."""

    liquid: str
    volumes: Mapping[str, float]


@dataclass(frozen=True)
class Settings:
    """The settings of one simulator.

    Attributes:
        host: the address to listen on.
        port: the port; 0 takes a free one and writes it to ``address`` in the state directory.
        time_factor: how many times faster than a robot; 1 is real time.
        state_dir: for the robot's own files (uploaded protocols, its configuration) and ``address``.
        pipettes: what is mounted, by mount; empty: whatever a run asks for.
        small_tip_racks: whether tips can be taken from racks of fewer than 96, as until robot software 8.2
            (``compat``).
        liquids: what a person has filled into the labware of a slot beforehand (``read_liquids``).
        door_switch: whether an open door stops a run (the robot's setting ``enableDoorSafetySwitch``).
    """

    host: str
    port: int
    time_factor: float
    state_dir: Path
    pipettes: dict[str, str] = field(default_factory=dict)
    liquids: Mapping[str, Supply] = field(default_factory=dict)
    door_switch: bool = True
    small_tip_racks: bool = True


def parse_pipettes(items: list[str]) -> dict[str, str]:
    """Read ``["right=p1000_single_gen2"]``; whether there is such a pipette shows when the robot is built.

    Raises:
        SettingsError: not of that form.
    """
    pipettes: dict[str, str] = {}
    for item in items:
        mount, _, name = item.partition("=")
        if mount not in MOUNTS or not name:
            raise SettingsError(f"--pipette {item}: write left=NAME or right=NAME, such as right=p1000_single_gen2")
        if mount in pipettes:
            raise SettingsError(f"--pipette {item}: the {mount} mount already has {pipettes[mount]}")
        pipettes[mount] = name
    return pipettes


def read_liquids(path: Path) -> dict[str, Supply]:
    """Read ``{"2": {"liquid": "water", "volumes": {"A1": 5000}}}``: by slot, in µL.

    Which wells there are shows when labware is loaded.

    Raises:
        SettingsError: not of that form, or not to be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"--liquids {path}: {error}") from error
    form = 'write {"2": {"liquid": "water", "volumes": {"A1": 5000}}}: µL in the wells of the labware in a slot'
    if not isinstance(data, dict):
        raise SettingsError(f"--liquids {path}: {form}")
    return {str(slot): _supply(entry, f"--liquids {path}: slot {slot}: {form}") for slot, entry in data.items()}


def _supply(entry: Any, complaint: str) -> Supply:
    liquid, volumes = (
        (entry.get("liquid", "unnamed"), entry.get("volumes")) if isinstance(entry, dict) else (None, None)
    )
    if not isinstance(liquid, str) or not liquid or liquid == "air" or not isinstance(volumes, dict):
        raise SettingsError(complaint)
    for volume in volumes.values():
        if isinstance(volume, bool) or not isinstance(volume, int | float) or not 0 <= volume <= MAX_WELL:
            raise SettingsError(complaint)
    return Supply(liquid, {str(well): float(volume) for well, volume in volumes.items()})


def isolate(settings: Settings) -> None:
    """Point Opentrons' configuration at the state directory, before anything of Opentrons is imported.

    It would otherwise read and create ``~/.opentrons``: the calibration and the settings of a person's other work.
    """
    folder = settings.state_dir / "opentrons"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["OT_API_CONFIG_DIR"] = str(folder)
