"""An Opentrons OT-2, driven over its HTTP API (seeds/facts.md, 1.6).

Modules, each knowing only those before it: `answers` (what the robot says), `equipment` (what is loaded and held),
`orders` (operations as commands), `http` (requests), `deciding` (how a run of ours is built, and what its state means),
`stopping`, `session` (our run), `carrying` (commands), `protocols`, `loading`, `controls` (other threads), `condition`
(identity, health), `lock`, `driver`, `factory`.
"""

from labkeeper_devices.drivers.ot2.driver import OT2Driver
from labkeeper_devices.drivers.ot2.factory import (
    build,
    parameter_problems,
    simulator_address,
    simulator_command,
    validate,
)
from labkeeper_devices.drivers.ot2.http import Patience

__all__ = [
    "OT2Driver",
    "Patience",
    "build",
    "parameter_problems",
    "simulator_address",
    "simulator_command",
    "validate",
]
