"""ExperimentSetup: what the experiment is called, where it happens, and what is checked before (facts 1.2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from labkeeper_flows.canvas.context import Context
from labkeeper_flows.canvas.motions import ot2
from labkeeper_flows.canvas.nodes.base import Category, Count, NodeParameters, NodeType, RetryPolicy, data
from labkeeper_flows.canvas.steps import Role, Step

FileName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/\\\x00-\x1f]+$")]
"""A word that goes into file names: no path separators."""


class ExperimentSetup(NodeParameters):
    """Parameters of the experiment as a whole. `nimo_*` and `csv_*` are handed on as data."""

    experiment_id: FileName = "experiment"
    """Name of the experiment; part of file names."""
    experiment_base_name: FileName | None = None
    """The Zinc canvas's name for it, used where `experiment_id` is absent."""
    test_well_address: str = "A1"
    """Well of the reactor. The guide's form offers A1-D6; the reactor has A1-C5, and what it lacks is refused."""
    target_cell: str | None = None
    """The Zinc canvas's name for `test_well_address`."""
    run_number: Count = Field(1, ge=1, le=9999)
    """Number of the run; part of file names."""
    auto_increment_run: bool = False
    """Whether whoever runs the canvas counts runs up from `run_number`."""
    pipette_tip_start_id: Count = Field(1, ge=1, le=96)
    """Number of the first tip to use, row by row: 1 is A1, 13 is B1."""
    experiment_notes: str = ""
    """For people."""
    experiment_status: str = ""
    """For people."""
    robot_ip: str = "169.254.69.185"
    """Address of the OT-2; resolved to a LabDevice by whoever runs the canvas."""
    robot_port: Count = Field(80, ge=1, le=65535)
    """Port as the guide has it; the robot answers on 31950 whatever this says (facts 1.6)."""
    squidstat_port: str = "COM4"
    """Serial port of the potentiostat."""
    squidstat_channel: Count = Field(0, ge=0, le=3)
    """Channel of the potentiostat."""
    arduino_port: str | None = None
    """Serial port of pumps and ultrasonic bath."""
    validate_hardware_connection: bool = True
    """Ask each device how it is before anything moves."""
    check_pipette_tips: bool = True
    """Refuse to begin with an empty tip rack."""
    verify_well_availability: bool = True
    """Refuse to begin when the well is known to hold something."""
    data_directory: str = "data"
    """Where data go."""
    create_data_directories: bool = True
    """Whether to make that folder."""
    metadata_generation: bool = True
    """Whether to write a metadata file."""
    csv_mode: str | None = None
    """Where a series of parameters comes from, such as `nimo_driven`."""
    csv_file_path: str | None = None
    """The file with that series."""
    check_csv_file_exists: bool = False
    """Whether that file must be there."""
    verify_nimo_files: bool = False
    """Whether the optimiser's files must be there."""
    nimo_enabled: bool = False
    """Whether the optimiser proposes the parameters."""
    nimo_method: str | None = None
    """The optimiser's method, such as `RE` or `PHYSBO`."""
    nimo_input_file: str | None = None
    """Candidates."""
    nimo_output_file: str | None = None
    """Proposals."""
    nimo_num_objectives: Count = Field(1, ge=1, le=100)
    """How many values an experiment yields."""
    nimo_num_proposals: Count = Field(1, ge=1, le=1000)
    """How many proposals are asked for."""


_SERIES = ("csv_mode", "csv_file_path", "check_csv_file_exists", "verify_nimo_files")


def steps(parameters: ExperimentSetup, context: Context) -> list[Step]:
    """Look at the well and the tips now, and at the devices when it runs; then open the experiment's record."""
    p = parameters
    well_field = "target_cell" if p.target_cell is not None else "test_well_address"
    well = p.target_cell or p.test_well_address
    spot = context.spot(well_field, context.deck.reactor, well_field, well)
    if p.target_cell is not None and "test_well_address" in p.model_fields_set and p.test_well_address != p.target_cell:
        context.refuse("target_cell", f"{p.target_cell!r} and test_well_address {p.test_well_address!r} differ")
    if spot is not None and p.verify_well_availability:
        inside = context.liquids.at_least(spot.labware.name, spot.well)
        if inside > 0:
            context.refuse(well_field, f"{spot} already holds {inside:g} µL", "empty it, or choose another", state=True)
    context.first_tip = p.pipette_tip_start_id
    _check_tips(p, context)
    _connect(p, context)
    named = "experiment_id" in p.model_fields_set or p.experiment_base_name is None
    context.experiment = {
        "experiment_id": p.experiment_id if named else p.experiment_base_name,
        "run_number": p.run_number,
    }
    return [*_checks(p), _record(p, context, well)]


def _check_tips(p: ExperimentSetup, context: Context) -> None:
    pipette = next(iter(context.deck.pipettes.values()), None)
    rack = context.deck.tip_rack(pipette) if pipette is not None else None
    if p.check_pipette_tips and (
        rack is None or not context.tips.left(rack.name, rack.labware.wells, p.pipette_tip_start_id)
    ):
        context.refuse(
            "check_pipette_tips", f"there is no tip left from number {p.pipette_tip_start_id} on", state=True
        )


def _connect(p: ExperimentSetup, context: Context) -> None:
    given = p.model_fields_set
    for role, name, parameter in (
        (Role.OT2, "robot_ip", "robot_ip"),
        (Role.OT2, "robot_port", "robot_port"),
        (Role.SQUIDSTAT, "com_port", "squidstat_port"),
        (Role.ARDUINO, "com_port", "arduino_port"),
    ):
        value = getattr(p, parameter)
        if value is not None:
            context.connect(role, name, value, parameter=parameter, said=parameter in given)


def _checks(p: ExperimentSetup) -> list[Step]:
    if not p.validate_hardware_connection:
        return []
    found = [
        ot2("get_status", physical=False),
        Step(
            Role.SQUIDSTAT, "get_status", {"com_port": p.squidstat_port, "channel": p.squidstat_channel}, physical=False
        ),
    ]
    if p.arduino_port is not None:
        found.append(Step(Role.ARDUINO, "get_status", {"com_port": p.arduino_port}, physical=False))
    return found


def _record(p: ExperimentSetup, context: Context, well: str) -> Step:
    optimiser = {name: getattr(p, name) for name in type(p).model_fields if name.startswith("nimo_")}
    return data(
        "begin_experiment",
        **context.experiment,
        auto_increment_run=p.auto_increment_run,
        well=well,
        notes=p.experiment_notes,
        status=p.experiment_status,
        data_directory=p.data_directory,
        create_data_directories=p.create_data_directories,
        metadata_generation=p.metadata_generation,
        series={name: getattr(p, name) for name in _SERIES},
        optimiser=optimiser,
    )


TYPES = (
    NodeType(
        "sdl1ExperimentSetup",
        "Names the experiment and checks what it needs",
        ExperimentSetup,
        steps,
        Category.SYSTEM,
        RetryPolicy(2, 30),
    ),
)
