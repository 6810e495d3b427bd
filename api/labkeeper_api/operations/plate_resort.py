"""The operations of the plate hotel, named as in its guide (facts 3.2 and 3.4)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from labkeeper_api.operations.spec import OperationSpec, Parameters

DRIVER = "plate-resort"

Degrees = Annotated[float, Field(ge=-36000, le=36000)]


class Connect(Parameters):
    """Parameters of `connect`. The agent owns the connection: what is given here must be what it drives."""

    device: str | None = None
    """Serial port, such as /dev/ttyUSB0."""
    baudrate: Annotated[int, Field(gt=0)] | None = None
    """Speed of the serial line in bits per second."""
    motor_id: Annotated[int, Field(ge=0, le=252)] | None = None
    """Id of the servo on its bus."""


class ActivateHotel(Parameters):
    """Parameters of `activate_hotel`."""

    hotel: Annotated[str, Field(min_length=1, max_length=32)]
    """Name of the hotel to bring to the access position, as the configuration lists it."""
    precise: bool = True
    """Use the two-stage move where the configuration allows it."""
    overrides: dict[str, Any] | None = None
    """Settings of the precise move for this move only, such as {"pwm_max": 500}."""


class MoveToAngle(Parameters):
    """Parameters of `move_to_angle`."""

    angle: Degrees
    """Target in degrees; taken modulo 360."""
    precise: bool = False
    """Use the two-stage move where the configuration allows it."""
    overrides: dict[str, Any] | None = None
    """Settings of the precise move for this move only."""


class SetSpeed(Parameters):
    """Parameters of `set_speed`."""

    speed: Annotated[int, Field(ge=1, le=32767)]
    """Profile velocity in units of 0.229 rpm; 50 is about 11.5 rpm."""


class Reboot(Parameters):
    """Parameters of `reboot`."""

    wait: Annotated[float, Field(ge=0, le=30)] = 0.8
    """Seconds until the servo is spoken to again."""
    reapply: bool = True
    """Write operating mode, limits, speed and torque again afterwards."""


class Tour(Parameters):
    """Parameters of `tour`."""

    hotels: Annotated[list[str], Field(max_length=64)] | None = None
    """Hotels to visit in this order; all of the configuration when not given."""
    precise: bool = True
    """Use the two-stage move where the configuration allows it."""


CONNECT = OperationSpec(DRIVER, "connect", "Open the connection if it is not open and report it.", Connect)
DISCONNECT = OperationSpec(DRIVER, "disconnect", "Turn the torque off and close the connection.")
GET_MOTOR_HEALTH = OperationSpec(
    DRIVER,
    "get_motor_health",
    "Read temperature, current, voltage, hardware errors and position.",
    physical=False,
    idempotent=True,
)
ACTIVATE_HOTEL = OperationSpec(
    DRIVER, "activate_hotel", "Bring a hotel to the access position and verify the angle.", ActivateHotel
)
GO_HOME = OperationSpec(DRIVER, "go_home", "Turn to 0 degrees and verify the angle.")
MOVE_TO_ANGLE = OperationSpec(DRIVER, "move_to_angle", "Turn to an angle and verify it.", MoveToAngle)
SET_SPEED = OperationSpec(DRIVER, "set_speed", "Set the speed of the following moves.", SetSpeed)
EMERGENCY_STOP = OperationSpec(
    DRIVER,
    "emergency_stop",
    "Turn the torque off at once and stay stopped until a person releases the stop.",
    emergency=True,
)
GET_CURRENT_POSITION = OperationSpec(
    DRIVER, "get_current_position", "Read the angle and the active hotel.", physical=False, idempotent=True
)
REBOOT = OperationSpec(DRIVER, "reboot", "Reboot the servo, which clears hardware errors.", Reboot)
TOUR = OperationSpec(DRIVER, "tour", "Visit hotels one after another, each verified.", Tour, program=True)

OPERATIONS = (
    CONNECT,
    DISCONNECT,
    GET_MOTOR_HEALTH,
    ACTIVATE_HOTEL,
    GO_HOME,
    MOVE_TO_ANGLE,
    SET_SPEED,
    EMERGENCY_STOP,
    GET_CURRENT_POSITION,
    REBOOT,
    TOUR,
)

GUIDE_DEPLOYMENTS: dict[str, str] = {
    "connect": "plate-resort-connect",
    "disconnect": "plate-resort-disconnect",
    "get_motor_health": "plate-resort-health",
    "activate_hotel": "plate-resort-activate-hotel",
    "go_home": "plate-resort-go-home",
    "move_to_angle": "plate-resort-move-to-angle",
    "set_speed": "plate-resort-set-speed",
    "emergency_stop": "plate-resort-emergency-stop",
    "get_current_position": "plate-resort-get-position",
    "reboot": "plate-resort-reboot",
}
"""The ten deployments of the guide: operation name to deployment name. The flow is the operation with hyphens."""

DEFAULT_POOL = "plate-resort-pool"
POOL_VARIABLE = "PLATE_RESORT_POOL"
"""Environment variable of the guide that names another work pool."""
