"""Pumps, ultrasonic baths and heaters behind one serial line (facts 1.2, 1.5 and 1.7).

The line protocol stands in `labkeeper_devices.wire.board_lines`. Modules, each knowing only those before it: `settings`
(configuration), `checks` (parameters), `link` (port, replies, gate), `board` (motions that are confirmed), `driver`,
`factory`.
"""

from labkeeper_devices.drivers.arduino.driver import ArduinoDriver
from labkeeper_devices.drivers.arduino.factory import (
    build,
    parameter_problems,
    simulator_command,
    simulator_port,
    validate,
)
from labkeeper_devices.drivers.arduino.settings import BoardConfig

__all__ = [
    "ArduinoDriver",
    "BoardConfig",
    "build",
    "parameter_problems",
    "simulator_command",
    "simulator_port",
    "validate",
]
