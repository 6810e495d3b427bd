"""A board with pumps, ultrasonic baths and heated bases on a pty, in a process of its own.

It replaces the wire below the driver `arduino`: the real driver and the real pyserial talk to it, by the line protocol
of `labkeeper_devices.wire.board_lines`. Run it by hand with `python -m labkeeper_devices.simulators.arduino --state-dir
DIR --time-factor N`.

Modules, each knowing only those before it: `thermal` (temperatures), `board` (firmware and truth), `line`, `control`
(requests), `process`; on the other side `client` (looking, faults) and `launch`. Pty, loop and folder are `common`'s.
"""

from labkeeper_devices.simulators.arduino.client import BoardControl
from labkeeper_devices.simulators.arduino.launch import find_board, start_board

__all__ = ["BoardControl", "find_board", "start_board"]
