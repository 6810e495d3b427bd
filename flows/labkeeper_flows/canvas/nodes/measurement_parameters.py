"""Parameters of ElectrochemicalMeasurement with the ranges of facts 1.2. What they mean is `measurement`'s."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labkeeper_flows.canvas import techniques
from labkeeper_flows.canvas.nodes.base import (
    Amperes,
    Count,
    Hertz,
    NodeParameters,
    Number,
    Seconds,
    Volts,
    VoltsPerSecond,
)


class _Techniques(NodeParameters):
    """The single techniques. A form sends all of them; only those of `measurement_type` matter."""

    ocv_duration: Seconds = Field(60, ge=1, le=3600)
    """s of open circuit voltage."""
    ocv_sample_interval: Seconds = Field(1, ge=0.1, le=60)
    """s between points."""
    ocv_settle_time: Seconds = Field(5, ge=0, le=60)
    """s before the first point."""
    ocv_stability_threshold: Volts = Field(0.001, ge=1e-4, le=0.1)
    """V of drift below which the voltage counts as stable."""
    cp_current: Amperes = Field(-0.004, ge=-0.1, le=0.1)
    """A; negative deposits."""
    cp_duration: Seconds = Field(720, ge=1, le=7200)
    """s at most."""
    cp_sample_interval: Seconds = Field(1, ge=0.1, le=60)
    """s between points."""
    cp_voltage_limit_min: Volts = Field(-2, ge=-2, le=0)
    """V below which it ends."""
    cp_voltage_limit_max: Volts = Field(2, ge=0, le=2)
    """V above which it ends."""
    cva_start_voltage: Volts = Field(-0.5, ge=-2, le=2)
    """V at one end."""
    cva_end_voltage: Volts = Field(0.5, ge=-2, le=2)
    """V at the other."""
    cva_scan_rate: VoltsPerSecond = Field(0.05, ge=0.001, le=1)
    """V/s."""
    cva_cycles: Count = Field(3, ge=1, le=100)
    """There and back."""
    cva_sample_interval: Seconds = Field(0.01, ge=0.001, le=1)
    """s between points."""
    peis_start_frequency: Hertz = Field(10_000, ge=0.1, le=1e5)
    """Hz at the beginning."""
    peis_end_frequency: Hertz = Field(0.1, ge=0.1, le=1000)
    """Hz at the end."""
    peis_points_per_decade: Number = Field(5, ge=1, le=20)
    """Points per decade; the form allows halves."""
    peis_minimum_cycles: Count = Field(1, ge=1, le=10)
    """Periods per point."""
    peis_ac_amplitude: Volts = Field(0.01, ge=0.001, le=0.1)
    """V."""
    peis_dc_bias: Volts = Field(0, ge=-2, le=2)
    """V."""
    peis_bias_vs_ocp: bool = True
    """Whether the bias counts from the open circuit voltage."""
    lsv_start_voltage: Volts = Field(-0.5, ge=-2, le=2)
    """V at the beginning."""
    lsv_end_voltage: Volts = Field(0.5, ge=-2, le=2)
    """V at the end."""
    lsv_scan_rate: VoltsPerSecond = Field(0.01, ge=0.001, le=1)
    """V/s."""
    lsv_sample_interval: Seconds = Field(0.01, ge=0.001, le=1)
    """s between points."""


class _Sequences(_Techniques):
    """The older sequence (`deposition_*`, `dissolution_*`) and that of the Zinc canvas (`cp_deposition_*`, ...).

    Ranges are those of the techniques they consist of.
    """

    deposition_current: Amperes | None = Field(None, ge=-0.1, le=0.1)
    """A of the older sequence, -0.004 where absent."""
    deposition_duration: Seconds | None = Field(None, ge=1, le=7200)
    """s, 720 where absent."""
    deposition_sample_interval: Seconds | None = Field(None, ge=0.1, le=60)
    """s, 1 where absent."""
    dissolution_current: Amperes | None = Field(None, ge=-0.1, le=0.1)
    """A of the older sequence, 0.004 where absent."""
    dissolution_duration: Seconds | None = Field(None, ge=1, le=7200)
    """s, 720 where absent."""
    dissolution_sample_interval: Seconds | None = Field(None, ge=0.1, le=60)
    """s, 1 where absent."""
    sequence_enabled: bool = False
    """Whether the Zinc canvas's sequence takes the place of `measurement_type`."""
    sequence_cycles: Count = Field(1, ge=1, le=100)
    """How often the whole sequence."""
    cp_deposition_enabled: bool = True
    """Whether to deposit."""
    cp_deposition_current: Amperes = Field(-0.004, ge=-0.1, le=0.1)
    """A."""
    cp_deposition_duration: Seconds = Field(720, ge=1, le=7200)
    """s at most."""
    cp_deposition_sample_interval: Seconds = Field(1, ge=0.1, le=60)
    """s between points."""
    cp_deposition_voltage_limit: Volts = Field(1.0, ge=0, le=2)
    """V, in either direction, beyond which it ends."""
    ocv_post_deposition_enabled: bool = True
    """Whether to measure the open circuit voltage after deposition."""
    ocv_post_deposition_duration: Seconds = Field(60, ge=1, le=3600)
    """s."""
    ocv_post_deposition_sample_interval: Seconds = Field(1, ge=0.1, le=60)
    """s between points."""
    peis_post_deposition_enabled: bool = True
    """Whether to measure the impedance after deposition."""
    peis_post_deposition_start_freq: Hertz = Field(10_000, ge=0.1, le=1e5)
    """Hz."""
    peis_post_deposition_end_freq: Hertz = Field(0.1, ge=0.1, le=1000)
    """Hz."""
    peis_post_deposition_points_per_decade: Number = Field(5, ge=1, le=20)
    """Points per decade."""
    peis_post_deposition_dc_bias: Volts = Field(0, ge=-2, le=2)
    """V."""
    peis_post_deposition_ac_amplitude: Volts = Field(0.01, ge=0.001, le=0.1)
    """V."""
    peis_post_deposition_bias_vs_ocp: bool = True
    """Whether the bias counts from the open circuit voltage."""
    peis_post_deposition_min_cycles: Count = Field(1, ge=1, le=10)
    """Periods per point."""
    cp_dissolution_enabled: bool = True
    """Whether to dissolve."""
    cp_dissolution_current: Amperes = Field(0.004, ge=-0.1, le=0.1)
    """A."""
    cp_dissolution_duration: Seconds = Field(720, ge=1, le=7200)
    """s at most."""
    cp_dissolution_sample_interval: Seconds = Field(1, ge=0.1, le=60)
    """s between points."""
    cp_dissolution_voltage_limit: Volts = Field(1.0, ge=0, le=2)
    """V, in either direction, beyond which it ends."""
    cp_dissolution_max_voltage: Volts = Field(-0.5, ge=-2, le=2)
    """V at which everything is dissolved and it ends."""
    ocv_post_dissolution_enabled: bool = True
    """As after deposition; so for the rest."""
    ocv_post_dissolution_duration: Seconds = Field(60, ge=1, le=3600)
    ocv_post_dissolution_sample_interval: Seconds = Field(1, ge=0.1, le=60)
    peis_post_dissolution_enabled: bool = True
    peis_post_dissolution_start_freq: Hertz = Field(10_000, ge=0.1, le=1e5)
    peis_post_dissolution_end_freq: Hertz = Field(0.1, ge=0.1, le=1000)
    peis_post_dissolution_points_per_decade: Number = Field(5, ge=1, le=20)
    peis_post_dissolution_dc_bias: Volts = Field(0, ge=-2, le=2)
    peis_post_dissolution_ac_amplitude: Volts = Field(0.01, ge=0.001, le=0.1)
    peis_post_dissolution_bias_vs_ocp: bool = True
    peis_post_dissolution_min_cycles: Count = Field(1, ge=1, le=10)


class ElectrochemicalMeasurement(_Sequences):
    """A measurement on one channel of the potentiostat."""

    com_port: str = "COM4"
    """Serial port of the potentiostat."""
    channel: Count = Field(0, ge=0, le=3)
    """Channel of it."""
    measurement_type: Literal["OCV", "CP", "CVA", "PEIS", "LSV"] = "CP"
    """Technique."""
    data_collection_enabled: bool = True
    """Whether to keep the data."""
    cycle_dependent_collection: bool = True
    """Whether the collection window of the loop around decides."""
    data_tag: str = "Electrochemical_Measurement"
    """Name of the data in exports."""
    real_time_data_collection: bool = True
    """Whether points are handed on as they come."""
    data_save_enabled: bool = True
    """The Zinc canvas's name for `data_collection_enabled`; both must allow it."""
    experiment_name_template: str = ""
    """Name of the experiment for the potentiostat."""
    dc_data_columns: list[str] = list(techniques.DC_COLUMNS)
    """Columns of direct current data."""
    ac_data_columns: list[str] = list(techniques.AC_COLUMNS)
    """Columns of impedance data."""
    element_logging_enabled: bool = True
    """Whether to log each element."""
    element_status_callback: bool = True
    """Whether to say when each element begins."""
