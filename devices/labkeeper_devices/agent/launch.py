"""Starts the agent of one unit in this process, from its LabDevice.

The unit's simulator, where the LabDevice asks for one, is another process that must be there already: whoever starts
the agent starts it, so that it outlives the agent.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

from labkeeper_api.errors import DeviceUnreachable
from labkeeper_api.kinds import LabDevice
from labkeeper_devices.agent.agent import Agent, AgentSettings
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.stopper import block_stop_signal
from labkeeper_devices.drivers.registry import kind_of

SIMULATOR_SECONDS = 120.0


def run_agent(device: LabDevice, settings: AgentSettings, directory: UnitDirectory, folder: Path) -> None:
    """Run the agent until it is told to end. `folder` is what paths in the LabDevice are relative to.

    Raises `AlreadyRunning`, `InvalidInput`, or `DeviceUnreachable` when a simulator is asked for and not there.
    """
    block_stop_signal()
    asyncio.run(serve_agent(device, settings, directory, folder))


async def serve_agent(device: LabDevice, settings: AgentSettings, directory: UnitDirectory, folder: Path) -> None:
    """The same inside a running event loop, of the main thread."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with directory.locked():
        address = await _simulator_address(device, directory) if device.spec.simulate is not None else None
        driver = kind_of(device.spec).build(device.spec, folder, address)
        await Agent(device, settings, driver, directory, lambda: datetime.now(UTC)).run()


async def _simulator_address(device: LabDevice, directory: UnitDirectory) -> str:
    """Where the simulator is reached, as soon as it is there."""
    find = kind_of(device.spec).simulator_address
    try:
        async with asyncio.timeout(SIMULATOR_SECONDS):
            while (address := find(directory.simulator)) is None:  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise DeviceUnreachable(
            f"the LabDevice asks for a simulator, but none came up in {directory.simulator} within "
            f"{SIMULATOR_SECONDS:.0f} s"
        ) from None
    return address
