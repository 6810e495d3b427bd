"""What a simulator is started with.

Imports nothing of Opentrons, so that ``--help`` and bad arguments answer at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

MOUNTS = ("left", "right")


class SettingsError(ValueError):
    """Something on the command line is wrong; the message says what would be right."""


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
        door_switch: whether an open door stops a run (the robot's setting ``enableDoorSafetySwitch``).
    """

    host: str
    port: int
    time_factor: float
    state_dir: Path
    pipettes: dict[str, str] = field(default_factory=dict)
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


def isolate(settings: Settings) -> None:
    """Point Opentrons' configuration at the state directory, before anything of Opentrons is imported.

    It would otherwise read and create ``~/.opentrons``: the calibration and the settings of a person's other work.
    """
    folder = settings.state_dir / "opentrons"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["OT_API_CONFIG_DIR"] = str(folder)
