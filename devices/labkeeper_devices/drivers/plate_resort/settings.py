"""The configuration of a plate hotel as a type: every key of the guide with its range and unit.

Not for reading files: that is `config`. The names, the defaults and the meaning are the guide's (facts 3.1).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from labkeeper_devices.drivers.common.loading import CrossFieldError, Settings
from labkeeper_devices.drivers.plate_resort import geometry
from labkeeper_devices.drivers.plate_resort.registers import PWM_MAX, TORQUE_SCALE_MAX, VELOCITY_MAX, pwm_of_torque
from labkeeper_devices.drivers.plate_resort.sdk import BAUDRATES

Pwm = Annotated[int, Field(ge=0, le=PWM_MAX)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Torque = Annotated[int, Field(ge=0, le=TORQUE_SCALE_MAX)]
Volts = Annotated[float, Field(gt=0, le=30)]

HotelName = Annotated[str, Field(min_length=1, max_length=32)]


class ResortConfig(Settings):
    """Everything that can be set about a plate hotel. Immutable; unknown keys, NaN and wrong types are refused.

    `temperature_limit`, `current_limit` and `voltage_min`/`voltage_max` are thresholds of the driver, as the guide says
    ("warning threshold"). They are not written into the servo's EEPROM limit registers: those make the servo drop its
    torque, and with it the plates, at a value that belongs to the motor and not to a configuration file.
    """

    device: Annotated[str, Field(min_length=1, max_length=256)] = "/dev/ttyUSB0"
    """Serial port."""
    baudrate: int = 57600
    """Speed of the serial line in bits per second."""
    motor_id: Annotated[int, Field(ge=0, le=252)] = 1
    """Id of the servo on its bus, 0 to 252."""

    hotels: Annotated[tuple[HotelName, ...], Field(min_length=1, max_length=64)] = ("A", "B", "C", "D")
    """Names of the hotels in the order in which they stand, each once."""
    rooms_per_hotel: Annotated[int, Field(ge=1, le=1000)] = 20
    """Plates that fit into one hotel."""
    offset_angle: Annotated[float, Field(ge=-360, le=360)] = 19.0
    """Angle of the first hotel in degrees."""
    rotation_direction: Literal[1, -1] = 1
    """1 or -1: whether the angles of the following hotels grow or shrink."""

    default_speed: Annotated[int, Field(ge=1, le=VELOCITY_MAX)] = 50
    """Profile velocity in units of 0.229 rpm, 1 to 32767; 50 is about 11.5 rpm. 0 would be as fast as it goes."""
    position_tolerance: Annotated[float, Field(ge=0.05, le=45)] = 0.5
    """Largest accepted error after a move in degrees, 0.05 to 45; the servo itself resolves 0.088 degrees."""
    movement_timeout: Seconds = 20.0
    """Seconds that a move may take, above 0."""

    enable_precise_move: bool = True
    """Whether precise moves use the second stage at all."""
    switch_error: Annotated[float, Field(gt=0, le=180)] = 3.0
    """Remaining error in degrees from which the second stage takes over."""
    stage1_timeout: Seconds | None = 8.0
    """Seconds until the second stage takes over in any case; null: only `movement_timeout` counts."""
    poll_interval: Annotated[float, Field(ge=0.01, le=10)] = 0.3
    """Seconds between looks at the position in the first stage, 0.01 to 10."""
    pulse_pwm_start: Pwm = 180
    """PWM of the first pulse, 0 to 885 (100 %)."""
    pwm_step: Pwm = 25
    """How much the PWM grows after a pulse that hardly moved, 0 to 885."""
    pwm_max: Pwm = 600
    """Largest PWM of a pulse, 0 to 885 (100 %)."""
    pulse_duration: Annotated[float, Field(ge=0.01, le=5)] = 0.30
    """Seconds that a pulse lasts, 0.01 to 5."""
    pulse_rest: Annotated[float, Field(ge=0, le=10)] = 0.20
    """Seconds of rest after a pulse, 0 to 10."""
    pulse_max: Annotated[int, Field(ge=0, le=1000)] = 25
    """How many pulses there may be, 0 to 1000."""
    motion_threshold: Annotated[float, Field(ge=0, le=45)] = 0.12
    """Motion in degrees below which a pulse counts as one that did not move."""
    stall_pulses: Annotated[int, Field(ge=1, le=1000)] = 6
    """How many pulses in a row that did not move are a stall."""
    enable_backoff: bool = True
    """Whether the PWM shrinks after a pulse that moved too far."""
    max_step_factor: Annotated[float, Field(gt=0, le=100)] = 1.5
    """How far a pulse may move near the target, in tolerances."""
    pwm_backoff_step: Pwm = 60
    """How much the PWM shrinks then, 0 to 885; never below `pulse_pwm_start`."""
    precise_log: bool = True
    """Whether each pulse is logged."""

    goal_torque: Torque = 1023
    """Torque that moves use, 0 to 1023 (100 %); becomes the goal PWM, 0 to 885."""
    torque_limit: Torque = 1023
    """Torque that nothing may exceed, 0 to 1023 (100 %); becomes the PWM limit, 0 to 885."""

    temperature_limit: Annotated[float, Field(gt=0, le=100)] = 70.0
    """Temperature in degrees Celsius above which nothing is moved."""
    current_limit: Annotated[float, Field(gt=0, le=20000)] = 2000.0
    """Current in mA above which a warning is given."""
    voltage_min: Volts = 10.0
    """Supply voltage in V below which nothing is moved."""
    voltage_max: Volts = 14.0
    """Supply voltage in V above which nothing is moved."""

    profile_acceleration: Annotated[int, Field(ge=0, le=VELOCITY_MAX)] = 0
    """Profile acceleration in units of 214.577 rev/min², 0 to 32767; 0 is without a ramp."""
    moving_threshold: Annotated[int, Field(ge=0, le=1023)] = 10
    """Speed above which the servo says that it moves, in units of 0.229 rpm, 0 to 1023."""

    @field_validator("hotels", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("rotation_direction", mode="before")
    @classmethod
    def _no_switch(cls, value: Any) -> Any:
        # True equals 1 in Python and would pass for it.
        if isinstance(value, bool):
            raise ValueError("must be 1 or -1")  # noqa: TRY004 - pydantic turns no TypeError into a finding
        return value

    @field_validator("hotels")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in value if value.count(name) > 1})
        if twice:
            raise ValueError(f"each hotel once; given more than once: {', '.join(twice)}")
        return value

    @field_validator("baudrate")
    @classmethod
    def _known_speed(cls, value: int) -> int:
        if value not in BAUDRATES:
            raise ValueError(f"the serial driver knows {', '.join(str(speed) for speed in BAUDRATES)}")
        return value

    @model_validator(mode="after")
    def _go_together(self) -> ResortConfig:
        found = self._contradictions()
        if found:
            raise CrossFieldError(found)
        return self

    def _contradictions(self) -> list[tuple[tuple[str, ...], str]]:
        given, allowed = self.model_fields_set, pwm_of_torque(self.torque_limit)
        checks = (
            (
                self.voltage_min < self.voltage_max,
                ("voltage_min", "voltage_max"),
                f"voltage_min {self.voltage_min:g} V must be below voltage_max {self.voltage_max:g} V",
            ),
            (
                self.pulse_pwm_start <= self.pwm_max or not given & {"pulse_pwm_start", "pwm_max"},
                ("pulse_pwm_start", "pwm_max"),
                f"pulse_pwm_start {self.pulse_pwm_start} must not be above pwm_max {self.pwm_max}",
            ),
            (
                self.pwm_max <= allowed or "pwm_max" not in given,
                ("pwm_max", "torque_limit"),
                f"pwm_max {self.pwm_max} is above {allowed}, which torque_limit {self.torque_limit} of 1023 allows",
            ),
        )
        return [(keys, message) for holds, keys, message in checks if not holds]

    @property
    def goal_pwm(self) -> int:
        """Goal PWM of moves, 0 to 885."""
        return pwm_of_torque(min(self.goal_torque, self.torque_limit))

    @property
    def pulse_ceiling(self) -> int:
        """Largest PWM of a pulse, 0 to 885: a default of `pwm_max` gives way to a lower torque limit."""
        return min(self.pwm_max, pwm_of_torque(self.torque_limit))

    @property
    def angles(self) -> dict[str, float]:
        """The angle of each hotel in degrees, at least 0 and less than 360."""
        return geometry.hotel_angles(self.hotels, self.offset_angle, self.rotation_direction)

    def precise_parameters(self) -> dict[str, Any]:
        """The settings of the precise move by their keys."""
        return {key: getattr(self, key) for key in PRECISE_KEYS}


PRECISE_KEYS: Final = (
    "enable_precise_move",
    "position_tolerance",
    "switch_error",
    "stage1_timeout",
    "poll_interval",
    "pulse_pwm_start",
    "pwm_step",
    "pwm_max",
    "pulse_duration",
    "pulse_rest",
    "pulse_max",
    "motion_threshold",
    "stall_pulses",
    "enable_backoff",
    "max_step_factor",
    "pwm_backoff_step",
    "precise_log",
)
"""What the precise move can be given for one move (`overrides`) or until the end of the process (`tune_precise`)."""

NULLABLE_KEYS: Final = frozenset({"stage1_timeout"})
"""Keys for which null means "disabled"."""
