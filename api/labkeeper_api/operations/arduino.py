"""The operations of pumps, ultrasonic baths and heaters behind one serial line (facts 1.2 and 1.7).

Names and parameters are those of a canvas's steps for the role `arduino`. Ranges here are the widest that the facts
give; what one device has (pumps, calibration, temperatures) is its configuration's.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from labkeeper_api.operations.spec import OperationSpec, Parameters

DRIVER = "arduino"

MAX_VOLUME_ML = 100.0
MAX_ULTRASOUND_MS = 600_000.0


class Pump(Parameters):
    """Parameters of `pump`."""

    pump: Annotated[int, Field(ge=0, le=15)]
    """Number of the pump. In the battery lab 1 fills and 2 drains; in catalyst canvases 0 is water, 1 acid, 2 out."""
    volume_ml: Annotated[float, Field(gt=0, le=MAX_VOLUME_ML)]
    """mL to move, above 0 to 100."""


class Ultrasonic(Parameters):
    """Parameters of `ultrasonic`."""

    channel: Annotated[int, Field(ge=0, le=15)]
    """Number of the ultrasonic bath."""
    duration_ms: Annotated[float, Field(gt=0, le=MAX_ULTRASOUND_MS)]
    """ms of ultrasound, above 0 to 600000 (ten minutes)."""


class SetTemperature(Parameters):
    """Parameters of `set_temperature`."""

    base: Annotated[int, Field(ge=0, le=15)]
    """Number of the heated base."""
    celsius: Annotated[float, Field(ge=0, le=100)]
    """Degrees Celsius, 0 to 100. The base is heated to it and held; it cools by itself only."""


class GetStatus(Parameters):
    """Parameters of `get_status`."""

    com_port: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """What the canvas calls the device; resolved to this unit by whoever asks, and repeated in the answer."""


PUMP = OperationSpec(DRIVER, "pump", "Move a volume with a pump and wait until it has stopped.", Pump)
ULTRASONIC = OperationSpec(DRIVER, "ultrasonic", "Run an ultrasonic bath for a time.", Ultrasonic)
SET_TEMPERATURE = OperationSpec(
    DRIVER, "set_temperature", "Bring a base to a temperature and hold it.", SetTemperature, idempotent=True
)
GET_STATUS = OperationSpec(
    DRIVER, "get_status", "Read what runs and the temperatures.", GetStatus, physical=False, idempotent=True
)
EMERGENCY_STOP = OperationSpec(
    DRIVER,
    "emergency_stop",
    "Turn pumps, ultrasound and heaters off at once and stay stopped until a person releases the stop.",
    emergency=True,
)

OPERATIONS = (PUMP, ULTRASONIC, SET_TEMPERATURE, GET_STATUS, EMERGENCY_STOP)
