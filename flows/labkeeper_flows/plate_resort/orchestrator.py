"""Submit runs of the plate hotel from any machine that reaches the Prefect server, under the names of the guide.

Every function but `wait` submits one run and returns at once with its Prefect `FlowRun`; the unit's agent carries the
run out. `wait(run)` waits for its end, and `run.state.result()` is then what the run returned. Nothing here speaks to
hardware.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment

from labkeeper_api.operations.plate_resort import GUIDE_DEPLOYMENTS

__all__ = [
    "activate_hotel",
    "connect",
    "disconnect",
    "emergency_stop",
    "get_health",
    "get_position",
    "go_home",
    "move_to_angle",
    "reboot",
    "set_speed",
    "wait",
]


def connect(device: str | None = None, baudrate: int | None = None, motor_id: int | None = None) -> FlowRun:
    """Open the connection if it is not open. What is given must be what the unit drives, else the run fails."""
    return _submit("connect", device=device, baudrate=baudrate, motor_id=motor_id)


def disconnect() -> FlowRun:
    """Turn the torque off and close the connection; only `connect` is carried out afterwards."""
    return _submit("disconnect")


def get_health() -> FlowRun:
    """Read temperature (degrees Celsius), current (mA), voltage (V), hardware errors and position (degrees)."""
    return _submit("get_motor_health")


def activate_hotel(hotel: str, precise: bool = True, overrides: dict[str, Any] | None = None) -> FlowRun:
    """Bring a hotel to the access position. `overrides` are settings of the precise move for this run only."""
    return _submit("activate_hotel", hotel=hotel, precise=precise, overrides=overrides)


def go_home() -> FlowRun:
    """Turn to 0 degrees."""
    return _submit("go_home")


def move_to_angle(angle: float, precise: bool = False, overrides: dict[str, Any] | None = None) -> FlowRun:
    """Turn to an angle in degrees, taken modulo 360."""
    return _submit("move_to_angle", angle=angle, precise=precise, overrides=overrides)


def set_speed(speed: int) -> FlowRun:
    """Set the profile velocity of the following moves, in units of 0.229 rpm."""
    return _submit("set_speed", speed=speed)


def emergency_stop() -> FlowRun:
    """Turn the torque off at once; this run passes every queue. The stop stays until a person releases it."""
    return _submit("emergency_stop")


def get_position() -> FlowRun:
    """Read the angle in degrees and the active hotel."""
    return _submit("get_current_position")


def reboot(wait: float = 0.8, reapply: bool = True) -> FlowRun:
    """Reboot the servo. `wait` is in seconds; `reapply` writes mode, limits, speed and torque again."""
    return _submit("reboot", wait=wait, reapply=reapply)


def wait(run: FlowRun | UUID | str, poll: float = 2, timeout: float = 600) -> FlowRun:
    """Wait until a run has ended, however it ended, and return it in its final state.

    `poll` and `timeout` are in seconds. Raises `TimeoutError` when the run has not ended by then.
    """
    run_id = run.id if isinstance(run, FlowRun) else UUID(str(run))
    deadline = time.monotonic() + timeout
    with get_client(sync_client=True) as client:
        while True:
            current = client.read_flow_run(run_id)
            if current.state is not None and current.state.is_final():
                return current
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"run {current.name!r} is still {current.state_name} after {timeout:g} s")
            time.sleep(min(poll, remaining))


def _submit(operation: str, **parameters: Any) -> FlowRun:
    name = f"{operation.replace('_', '-')}/{GUIDE_DEPLOYMENTS[operation]}"
    given = {key: value for key, value in parameters.items() if value is not None}
    run = run_deployment(name=name, parameters=given, timeout=0)
    if not isinstance(run, FlowRun):
        raise TypeError(
            "called from asynchronous code: run the functions of this module in a thread, such as with "
            "asyncio.to_thread(activate_hotel, 'A')"
        )
    return run
