"""What every result says about a simulation. Not for what an operation found."""

from __future__ import annotations

from typing import Any

from labkeeper_devices.drivers.base import Simulation


def marked(result: dict[str, Any], simulation: Simulation | None) -> dict[str, Any]:
    """The result, with `simulated` in it, and `time_factor` where a simulator was driven."""
    result["simulated"] = simulation is not None
    if simulation is not None:
        result["time_factor"] = simulation.time_factor
    return result
