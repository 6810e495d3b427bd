"""The operations of a potentiostat, and the elements of its experiments (facts 1.2).

Names and parameters are those of a canvas's steps for the role `squidstat`. Units stand at the end of each name: V, A,
s, Hz. Ranges here are only what no instrument can do otherwise; what one instrument can do is its configuration's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from labkeeper_api.operations.spec import OperationSpec, Parameters

DRIVER = "squidstat"

DcColumn = Literal["timestamp_s", "current_A", "we_voltage_V"]
"""Time since the element began, current (positive oxidises), voltage of the working electrode against the reference."""
AcColumn = Literal[
    "timestamp",
    "frequency",
    "absoluteImpedance",
    "realImpedance",
    "imagImpedance",
    "phaseAngle",
    "numberOfCycles",
]
"""s, Hz, ohm, ohm, ohm (negative where the cell is capacitive), degrees (of the impedance), periods measured."""
DC_COLUMNS: tuple[DcColumn, ...] = get_args(DcColumn)
AC_COLUMNS: tuple[AcColumn, ...] = get_args(AcColumn)
MAX_ELEMENTS = 2000

Channel = Annotated[int, Field(ge=0, le=63)]
PositiveSeconds = Annotated[float, Field(gt=0, le=604_800)]
Expected = Annotated[float, Field(ge=0)]
ComPort = Annotated[str, Field(min_length=1, max_length=256)]


class Ocv(Parameters):
    """Open circuit voltage over time."""

    technique: Literal["OCV"]
    duration_s: PositiveSeconds
    """s that are recorded."""
    sample_interval_s: PositiveSeconds
    """s between points."""
    settle_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """s before the first point."""
    stability_threshold_v: Annotated[float, Field(gt=0)] | None = None
    """V of drift over the last tenth below which the voltage counts as stable; said in the result."""


class Cp(Parameters):
    """Constant current; ends early when the voltage leaves its limits."""

    technique: Literal["CP"]
    current_a: float
    """A; negative reduces, that is deposits."""
    duration_s: PositiveSeconds
    """s at most."""
    sample_interval_s: PositiveSeconds
    """s between points."""
    voltage_min_v: float | None = None
    """V below which it ends; the instrument's own limit when not given."""
    voltage_max_v: float | None = None
    """V above which it ends; the instrument's own limit when not given."""

    @model_validator(mode="after")
    def _room(self) -> Cp:
        low, high = self.voltage_min_v, self.voltage_max_v
        if low is not None and high is not None and low >= high:
            raise ValueError(f"voltage_min_v {low:g} must be below voltage_max_v {high:g}")
        return self


class Sweep(Parameters):
    """What the two sweeps have in common."""

    start_v: float
    """V at the beginning."""
    end_v: float
    """V at the other end."""
    scan_rate_v_s: Annotated[float, Field(gt=0, le=1000)]
    """V/s."""
    sample_interval_s: PositiveSeconds
    """s between points."""

    @model_validator(mode="after")
    def _distance(self) -> Sweep:
        if self.start_v == self.end_v:
            raise ValueError(f"end_v {self.end_v:g} is also start_v: nothing to sweep")
        return self


class Cva(Sweep):
    """Cyclic voltammetry: from start to end and back, several times."""

    technique: Literal["CVA"]
    cycles: Annotated[int, Field(ge=1, le=10_000)]
    """There and back."""
    variant: Annotated[str, Field(max_length=32)] | None = None
    """What the canvas calls it, such as `CV_activation`; repeated in the result."""


class Lsv(Sweep):
    """One sweep."""

    technique: Literal["LSV"]


class Peis(Parameters):
    """Impedance over frequency at a constant voltage."""

    technique: Literal["PEIS"]
    start_hz: Annotated[float, Field(gt=0)]
    """Hz at the beginning."""
    end_hz: Annotated[float, Field(gt=0)]
    """Hz at the end."""
    points_per_decade: Annotated[float, Field(gt=0, le=100)]
    """Points per decade; halves are possible."""
    minimum_cycles: Annotated[int, Field(ge=1, le=1000)] = 1
    """Periods per point at least."""
    amplitude_v: Annotated[float, Field(gt=0, le=1)]
    """V of the sine wave, zero to peak."""
    dc_bias_v: float = 0.0
    """V on which the sine wave sits."""
    bias_vs_ocp: bool = True
    """Whether the bias counts from the open circuit voltage."""


Element = Annotated[Ocv | Cp | Cva | Lsv | Peis, Field(discriminator="technique")]
"""One part of an experiment."""


class ReferenceElectrode(Parameters):
    """Whether a reference electrode is used (facts 1.7)."""

    type: Literal["RE", "CE"] = "RE"
    """`RE`: an electrode of its own; `CE`: the counter electrode is the reference."""
    enabled: bool = True
    """Off means the counter electrode."""


class Connect(Parameters):
    """Parameters of `connect` and `disconnect`. The agent owns the connection: these begin and end its use."""

    com_port: ComPort | None = None
    """What the canvas calls the instrument; resolved to this unit by whoever asks, and repeated in the answer."""
    channel: Channel = 0
    """Channel of the instrument."""


class RegisterCallbacks(Parameters):
    """Parameters of `register_callbacks`: which columns `wait_until_idle` returns."""

    channel: Channel = 0
    """Channel of the instrument."""
    dc: Annotated[list[DcColumn], Field(min_length=1, max_length=8)] = list(get_args(DcColumn))
    """Columns of direct current data."""
    ac: Annotated[list[AcColumn], Field(min_length=1, max_length=8)] = list(get_args(AcColumn))
    """Columns of impedance data."""


class BuildExperiment(Parameters):
    """Parameters of `build_experiment`."""

    channel: Channel = 0
    """Channel of the instrument."""
    elements: Annotated[list[Element], Field(min_length=1, max_length=MAX_ELEMENTS)]
    """The experiment's parts in order."""
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """For people."""
    reference_electrode: ReferenceElectrode | None = None
    """Whether a reference electrode is used; the instrument's way when not given."""


class OnChannel(Parameters):
    """Parameters of what needs only the channel."""

    channel: Channel = 0
    """Channel of the instrument."""


class StartExperiment(OnChannel):
    """Parameters of `start_experiment`."""

    expected_s: Expected | None = None
    """How long whoever asks expects it to take; repeated in the answer."""


class WaitUntilIdle(OnChannel):
    """Parameters of `wait_until_idle`."""

    poll_s: Annotated[float, Field(ge=0.01, le=60)] = 0.1
    """s between looks at the instrument."""
    expected_s: Expected | None = None
    """How long whoever asks expects it to take; repeated in the answer. It ends nothing."""


class GetStatus(OnChannel):
    """Parameters of `get_status`."""

    com_port: ComPort | None = None
    """What the canvas calls the instrument; repeated in the answer."""


def _operation(name: str, summary: str, parameters: type[Parameters], **safety: Any) -> OperationSpec:
    return OperationSpec(DRIVER, name, summary, parameters, **{"physical": False, "idempotent": True, **safety})


CONNECT = _operation("connect", "Begin to use a channel: make sure that the instrument answers.", Connect)
REGISTER_CALLBACKS = _operation("register_callbacks", "Say which columns are wanted.", RegisterCallbacks)
BUILD_EXPERIMENT = _operation(
    "build_experiment", "Put an experiment together and refuse what the instrument cannot do.", BuildExperiment
)
UPLOAD_EXPERIMENT = _operation("upload_experiment", "Hand the experiment to the instrument.", OnChannel)
START_EXPERIMENT = _operation(
    "start_experiment",
    "Close the cell and start the experiment that was uploaded.",
    StartExperiment,
    physical=True,
    idempotent=False,
)
WAIT_UNTIL_IDLE = _operation(
    "wait_until_idle", "Wait for the end of the experiment, enforce its limits, and return its data.", WaitUntilIdle
)
DISCONNECT = _operation("disconnect", "End the use of a channel: make sure that its cell is open.", Connect)
GET_STATUS = _operation("get_status", "Read what the instrument does.", GetStatus)
EMERGENCY_STOP = OperationSpec(
    DRIVER,
    "emergency_stop",
    "Open the cells at once and stay stopped until a person releases the stop.",
    emergency=True,
)

OPERATIONS = (
    CONNECT,
    REGISTER_CALLBACKS,
    BUILD_EXPERIMENT,
    UPLOAD_EXPERIMENT,
    START_EXPERIMENT,
    WAIT_UNTIL_IDLE,
    DISCONNECT,
    GET_STATUS,
    EMERGENCY_STOP,
)
