"""SequenceControl and CycleCounter: the head of a loop, and what reports on it (facts 1.2).

Where the loop goes is drawn, and found by `loops`; how often it goes is said here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labkeeper_flows.canvas import expressions
from labkeeper_flows.canvas.context import Context
from labkeeper_flows.canvas.loops import CollectionWindow, LoopRule
from labkeeper_flows.canvas.nodes.base import (
    Category,
    Count,
    ErrorHandling,
    NodeParameters,
    NodeType,
    RetryPolicy,
    Seconds,
    data,
)
from labkeeper_flows.canvas.steps import Step


class SequenceControl(NodeParameters):
    """How a loop goes on and which cycles' data are kept."""

    error_handling: ErrorHandling = "continue"
    """As in the guide's form: no hardware is behind it."""
    loop_type: Literal["fixed_count", "time_based", "condition_based"] = "fixed_count"
    """What ends it."""
    loop_count: Count = Field(5, ge=1, le=100)
    """Cycles of a fixed_count loop."""
    loop_duration: Seconds | None = Field(None, gt=0)
    """s after which a time_based loop begins no other cycle. The guide's form has no field for it; a break_condition
    over `time` says the same."""
    loop_condition: Literal["voltage_threshold", "current_threshold", "time_limit"] = "voltage_threshold"
    """What the form shows beside the break condition; the condition itself decides."""
    break_condition: str = "voltage < -1.5"
    """When a condition_based loop ends."""
    data_collection_start: Count = Field(3, ge=1, le=50)
    """First cycle whose data are kept with `from_cycle_n`."""
    data_collection_mode: Literal["all_cycles", "from_cycle_n", "last_n_cycles"] = "from_cycle_n"
    """Which cycles' data are kept."""
    stabilization_cycles: Count = Field(2, ge=0, le=20)
    """First cycles whose data are never kept."""
    last_n_cycles: Count = Field(3, ge=1, le=20)
    """How many cycles are kept with `last_n_cycles`."""


class CycleCounter(NodeParameters):
    """What is shown after each cycle. Everything that counts or times is read-only: the loop itself says."""

    error_handling: ErrorHandling = "continue"
    """As in the guide's form: no hardware is behind it."""
    display_mode: Literal["basic", "detailed", "statistics"] = "detailed"
    """How much."""
    time_format: Literal["hms", "seconds", "minutes"] = "hms"
    """How times are written."""
    show_progress_bar: bool = True
    """Whether to show one."""
    show_eta: bool = True
    """Whether to estimate the end, from the cycles that ran (the guide's program assumed 720 s each)."""
    data_collection_enabled: bool = True
    """Whether the report is kept."""
    cycle_dependent_collection: bool = False
    """Whether the collection window decides that."""
    data_tag: str = "Cycle_Monitor"
    """Name of the report in exports."""
    current_cycle: Count = 1
    """Read-only; so for the rest."""
    total_cycles: Count = 5
    cycle_start_time: Seconds = 0
    elapsed_time_current: Seconds = 0
    elapsed_time_total: Seconds = 0
    estimated_completion: Seconds = 0
    average_cycle_time: Seconds = 0
    fastest_cycle_time: Seconds = 0
    slowest_cycle_time: Seconds = 0


def rule_of(p: SequenceControl, context: Context) -> LoopRule:
    """How the loop goes on. Refuses a condition that cannot be understood, or that a time_based loop cannot use."""
    window = CollectionWindow(p.data_collection_mode, p.data_collection_start, p.last_n_cycles, p.stabilization_cycles)
    if p.loop_type == "fixed_count":
        # The form hides the condition then, and sends its default along.
        return LoopRule(window, count=p.loop_count)
    if p.loop_type == "time_based" and p.loop_duration is not None:
        return LoopRule(window, duration_s=p.loop_duration)
    try:
        condition = expressions.parse(p.break_condition)
    except expressions.ExpressionError as error:
        context.refuse("break_condition", f"{p.break_condition!r} is no condition: {error}")
        return LoopRule(window, count=1)
    if p.loop_type == "time_based" and not condition.names & expressions.TIME_NAMES:
        hint = 'such as "time >= 2 h", or give a loop_duration'
        context.refuse("break_condition", "a time_based loop needs a condition over time", hint)
    return LoopRule(window, condition=condition)


def control_steps(parameters: SequenceControl, context: Context) -> list[Step]:
    """Note how the loop will go."""
    rule = rule_of(parameters, context)
    return [
        data(
            "begin_loop",
            loop_type=parameters.loop_type,
            count=rule.count,
            duration_s=rule.duration_s,
            break_condition=rule.condition.text if rule.condition else None,
        )
    ]


def counter_steps(parameters: CycleCounter, context: Context) -> list[Step]:
    """Report on the cycle that has just ended."""
    p = parameters
    cycle = context.cycle
    kept = cycle.kept if cycle and p.cycle_dependent_collection else True
    return [
        data(
            "report_cycle",
            loop=cycle.loop if cycle else None,
            cycle=cycle.number if cycle else 1,
            total=cycle.total if cycle else 1,
            display_mode=p.display_mode,
            time_format=p.time_format,
            show_progress_bar=p.show_progress_bar,
            show_eta=p.show_eta,
            tag=p.data_tag,
            kept=kept if p.data_collection_enabled else False,
        )
    ]


SEQUENCE_CONTROL = "sdl1SequenceControl"
CYCLE_COUNTER = "sdl1CycleCounter"

TYPES = (
    NodeType(
        SEQUENCE_CONTROL,
        "Repeats a part of the canvas",
        SequenceControl,
        control_steps,
        Category.SYSTEM,
        RetryPolicy(1, 5),
    ),
    NodeType(
        CYCLE_COUNTER,
        "Reports on each cycle of a loop",
        CycleCounter,
        counter_steps,
        Category.SYSTEM,
        RetryPolicy(1, 5),
    ),
)
