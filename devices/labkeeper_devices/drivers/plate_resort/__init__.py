"""The plate hotel: a turntable of plate stacks on one Dynamixel X-series servo (seeds/facts.md, section 3).

`PlateResort` is the hotel for a program that stands alone, `PlateResortDriver` the same for the agent. Modules, each
knowing only those before it: `sdk` (types for foreign libraries), `registers`, `geometry`, `settings`, `config`
(layers), `trouble` (sentences), `port` (lock, gate), `bus` (transactions), `pace` (time), `axis`
(modes without jumps), `pulses` (decisions), `motion` (moves), `health`, `session` (torque and stop), `resort`,
`checks` (parameters), `driver`, `factory`.
"""

from labkeeper_devices.drivers.plate_resort.driver import PlateResortDriver
from labkeeper_devices.drivers.plate_resort.factory import (
    build,
    parameter_problems,
    simulator_command,
    simulator_port,
    validate,
)
from labkeeper_devices.drivers.plate_resort.resort import PlateResort
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig

__all__ = [
    "PlateResort",
    "PlateResortDriver",
    "ResortConfig",
    "build",
    "parameter_problems",
    "simulator_command",
    "simulator_port",
    "validate",
]
