"""The potentiostat (facts 1.2). Only its simulator can be driven, since its maker publishes no SDK package.

The framed protocol stands in `labkeeper_devices.wire.frames`. Modules, each knowing only those before it: `settings`
(configuration), `checks` (parameters), `link` (answers, gate), `potentiostat` (requests), `watching` (waits, limits,
data), `driver`, `factory`.
"""

from labkeeper_devices.drivers.squidstat.driver import SquidstatDriver
from labkeeper_devices.drivers.squidstat.factory import (
    build,
    parameter_problems,
    simulator_address,
    simulator_command,
    validate,
)
from labkeeper_devices.drivers.squidstat.settings import PotentiostatConfig

__all__ = [
    "PotentiostatConfig",
    "SquidstatDriver",
    "build",
    "parameter_problems",
    "simulator_address",
    "simulator_command",
    "validate",
]
