"""What kind of simulator the servo is. Not for its files' names: those are `common.paths`."""

from __future__ import annotations

from typing import Final

from labkeeper_devices.simulators.common.paths import Kind

KIND: Final = Kind("servo", "labkeeper_devices.simulators.servo")
