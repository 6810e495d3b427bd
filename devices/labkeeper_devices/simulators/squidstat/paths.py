"""What kind of simulator the potentiostat is. Not for its files' names: those are `common.paths`."""

from __future__ import annotations

from typing import Final

from labkeeper_devices.simulators.common.paths import Kind

KIND: Final = Kind("potentiostat", "labkeeper_devices.simulators.squidstat")
