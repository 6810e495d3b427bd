"""The worker type `lab-device`, so that `prefect worker start --pool POOL` starts an agent, as the guide has it.

The LabDevice is the one in the manifest that $LABKEEPER_DEVICE names. What Prefect's own worker would do, start a
process for each run, is exactly what a device must not have: the agent keeps the connection and runs in this process.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.abc
from prefect.client.schemas.objects import FlowRun
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

from labkeeper_api import wire
from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds import LabDevice
from labkeeper_api.manifests import load
from labkeeper_devices.agent.agent import AgentSettings
from labkeeper_devices.agent.host import UnitDirectory, home
from labkeeper_devices.agent.launch import serve_agent

DEVICE_VARIABLE = "LABKEEPER_DEVICE"


class LabDeviceResult(BaseWorkerResult):
    """Present because Prefect's worker type asks for one; runs are concluded by the agent."""


class LabDeviceWorker(BaseWorker[BaseJobConfiguration, BaseVariables, LabDeviceResult]):
    """Runs the agent of one unit as a Prefect worker."""

    type = wire.WORKER_TYPE
    _description = "Carries out runs on lab hardware, one at a time, over a connection that is kept."

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, Any]:
        """The template of pools of this type."""
        return wire.device_job_template()

    async def start(
        self,
        run_once: bool = False,
        with_healthcheck: bool = False,
        printer: Callable[..., None] = print,
    ) -> None:
        """Serve the unit until SIGTERM. Raises `InvalidInput` when $LABKEEPER_DEVICE names no LabDevice."""
        if run_once or with_healthcheck:
            printer("a lab-device worker is an agent: --run-once and --with-healthcheck do not apply to it")
        path, device = await anyio.to_thread.run_sync(_device)
        unit = wire.unit_name(device.metadata.namespace, device.metadata.name, platform.node())
        settings = AgentSettings(unit=unit, pool=self._work_pool_name, queues=tuple(self._work_queues))
        printer(f"agent of unit {unit} serves pool {self._work_pool_name}")
        await serve_agent(device, settings, UnitDirectory.of(home(), unit), path.absolute().parent)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> LabDeviceResult:
        """Never called: the agent claims runs itself."""
        raise NotImplementedError("a lab-device worker does not submit runs; its agent claims them")


def _device() -> tuple[Path, LabDevice]:
    given = os.environ.get(DEVICE_VARIABLE)
    if not given:
        hint = f"set {DEVICE_VARIABLE} to the manifest of the LabDevice, or use `labkeeper agent run FILE`"
        raise InvalidInput([Problem("", f"{DEVICE_VARIABLE} is not set", hint)])
    path = Path(given)
    devices = [m.object for m in load(path.read_bytes(), given) if isinstance(m.object, LabDevice)]
    if len(devices) != 1:
        raise InvalidInput([Problem("", f"must hold exactly one LabDevice, and holds {len(devices)}", source=given)])
    return path, devices[0]
