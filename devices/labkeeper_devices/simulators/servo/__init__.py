"""A Dynamixel X-series servo (protocol 2.0) on a pty, byte for byte, in a process of its own.

It replaces the wire below the plate hotel's driver: the real SDK and the real driver talk to it. Not for tests only:
`labkeeper up` drives it when a LabDevice says `simulate`. Run it by hand with
`python -m labkeeper_devices.simulators.servo --state-dir DIR`.

Modules, each knowing only those before it: `packets` (framing), `table` (registers), `physics` (motion as a function
of time), `shaft`, `motor` (what writing a register does), `instructions`, `line_faults`, `line`, `control`
(requests), `process`; on the other side `client` (looking, faults) and `launch`. Pty, loop and folder are `common`'s.
"""

from labkeeper_devices.simulators.servo.client import ServoControl, SimulatorError
from labkeeper_devices.simulators.servo.launch import ServoProcess, find_servo, start_servo

__all__ = ["ServoControl", "ServoProcess", "SimulatorError", "find_servo", "start_servo"]
