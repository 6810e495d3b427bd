"""The form of one command to one device role. Not for carrying it out: that is a manager's and the agent's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Who carries a step out."""

    OT2 = "ot2"
    """Opentrons OT-2: the primitives of facts 1.6."""
    ARDUINO = "arduino"
    """Pumps, ultrasonic bath and heater behind one serial line."""
    SQUIDSTAT = "squidstat"
    """The potentiostat, whichever make."""
    XARM = "xarm"
    """A robot arm; only labs that have a driver for it."""
    DATA = "data"
    """Files and metadata of the run; no hardware."""
    CLOCK = "clock"
    """Waiting; no hardware."""


HARDWARE = frozenset({Role.OT2, Role.ARDUINO, Role.SQUIDSTAT, Role.XARM})
"""Roles of which only one node at a time can be served."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command.

    `parameters` are JSON data; lengths in mm, speeds in mm/s, volumes in µL, else in the unit that their name ends
    with. `physical`: it may move hardware or change what hardware will do, so it is journaled and never repeated.
    """

    role: Role
    operation: str
    parameters: Mapping[str, Any]
    physical: bool

    def as_json(self) -> dict[str, Any]:
        """For logs and for comparing the command logs of two managers."""
        return {
            "role": self.role.value,
            "operation": self.operation,
            "parameters": dict(self.parameters),
            "physical": self.physical,
        }
