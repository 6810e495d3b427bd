"""ElectrochemicalMeasurement: one technique, or a sequence of deposition and dissolution (facts 1.2)."""

from __future__ import annotations

from labkeeper_flows.canvas import techniques
from labkeeper_flows.canvas.context import Context
from labkeeper_flows.canvas.nodes.base import Category, NodeType, RetryPolicy
from labkeeper_flows.canvas.nodes.measurement_parameters import ElectrochemicalMeasurement
from labkeeper_flows.canvas.steps import Role, Step
from labkeeper_flows.canvas.techniques import Element


def elements_of(p: ElectrochemicalMeasurement) -> list[Element]:
    """The elements of the experiment, in order."""
    if p.sequence_enabled:
        return _sequence(p) * p.sequence_cycles
    older = ("deposition_", "dissolution_")
    if any(name.startswith(older) for name in p.model_fields_set) and "measurement_type" not in p.model_fields_set:
        return _older_sequence(p)
    return [_single(p)]


def _single(p: ElectrochemicalMeasurement) -> Element:
    match p.measurement_type:
        case "OCV":
            return techniques.ocv(
                p.ocv_duration,
                p.ocv_sample_interval,
                settle_s=p.ocv_settle_time,
                stability_v=p.ocv_stability_threshold,
            )
        case "CVA":
            voltages = p.cva_start_voltage, p.cva_end_voltage
            return techniques.cva(*voltages, p.cva_scan_rate, p.cva_cycles, p.cva_sample_interval)
        case "LSV":
            return techniques.lsv(p.lsv_start_voltage, p.lsv_end_voltage, p.lsv_scan_rate, p.lsv_sample_interval)
        case "PEIS":
            return techniques.peis(
                p.peis_start_frequency,
                p.peis_end_frequency,
                p.peis_points_per_decade,
                p.peis_ac_amplitude,
                minimum_cycles=p.peis_minimum_cycles,
                bias_v=p.peis_dc_bias,
                bias_vs_ocp=p.peis_bias_vs_ocp,
            )
    limits = p.cp_voltage_limit_min, p.cp_voltage_limit_max
    return techniques.cp(p.cp_current, p.cp_duration, p.cp_sample_interval, *limits)


def _older_sequence(p: ElectrochemicalMeasurement) -> list[Element]:
    limits = p.cp_voltage_limit_min, p.cp_voltage_limit_max

    def part(current: float | None, duration: float | None, interval: float | None, usual: float) -> Element:
        return techniques.cp(
            usual if current is None else current,
            720 if duration is None else duration,
            1 if interval is None else interval,
            *limits,
        )

    return [
        part(p.deposition_current, p.deposition_duration, p.deposition_sample_interval, -0.004),
        part(p.dissolution_current, p.dissolution_duration, p.dissolution_sample_interval, 0.004),
    ]


def _sequence(p: ElectrochemicalMeasurement) -> list[Element]:
    found: list[Element] = []
    for phase in ("deposition", "dissolution"):
        if getattr(p, f"cp_{phase}_enabled"):
            limit = getattr(p, f"cp_{phase}_voltage_limit")
            # Dissolution drives the voltage up; what it reaches when everything is gone ends it (facts 1.2).
            highest = min(limit, p.cp_dissolution_max_voltage) if phase == "dissolution" else limit
            current, duration, interval = (
                getattr(p, f"cp_{phase}_{name}") for name in ("current", "duration", "sample_interval")
            )
            found.append(techniques.cp(current, duration, interval, -limit, highest))
        if getattr(p, f"ocv_post_{phase}_enabled"):
            values = [getattr(p, f"ocv_post_{phase}_{name}") for name in ("duration", "sample_interval")]
            found.append(techniques.ocv(*values))
        if getattr(p, f"peis_post_{phase}_enabled"):
            found.append(_sequence_peis(p, f"peis_post_{phase}"))
    return found


def _sequence_peis(p: ElectrochemicalMeasurement, prefix: str) -> Element:
    names = ("start_freq", "end_freq", "points_per_decade", "ac_amplitude")
    return techniques.peis(
        *[getattr(p, f"{prefix}_{name}") for name in names],
        minimum_cycles=getattr(p, f"{prefix}_min_cycles"),
        bias_v=getattr(p, f"{prefix}_dc_bias"),
        bias_vs_ocp=getattr(p, f"{prefix}_bias_vs_ocp"),
    )


def steps(parameters: ElectrochemicalMeasurement, context: Context) -> list[Step]:
    """Connect, register callbacks, build, upload, start, poll, disconnect (facts 1.2); then note the data."""
    p = parameters
    context.connect(Role.SQUIDSTAT, "com_port", p.com_port, parameter="com_port", said="com_port" in p.model_fields_set)
    elements = elements_of(p)
    if not elements:
        context.refuse("sequence_enabled", "every part of the sequence is switched off", "switch one on")
    for element in elements:
        _check(element, context)
    if context.findings:
        return []
    return techniques.measure(
        context,
        elements,
        channel=p.channel,
        tag=p.data_tag,
        com_port=p.com_port,
        collect=p.data_collection_enabled and p.data_save_enabled,
        by_cycle=p.cycle_dependent_collection,
        extra={"name": p.experiment_name_template} if p.experiment_name_template else None,
    )


def _check(element: Element, context: Context) -> None:
    name = element["technique"].lower()
    if element["technique"] in ("CVA", "LSV") and element["start_v"] == element["end_v"]:
        context.refuse(f"{name}_end_voltage", f"{element['end_v']:g} V is also the start voltage: nothing to sweep")
    low, high = element.get("voltage_min_v"), element.get("voltage_max_v")
    if low is not None and high is not None and low >= high:
        context.refuse((), f"the voltage limits leave nothing between {low:g} V and {high:g} V")


TYPES = (
    NodeType(
        "sdl1ElectrochemicalMeasurement",
        "Measures with the potentiostat",
        ElectrochemicalMeasurement,
        steps,
        Category.ELECTROCHEMICAL,
        RetryPolicy(1, 60),
    ),
)
