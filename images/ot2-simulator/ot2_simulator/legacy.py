"""What commands of old protocols imply. Imports Opentrons.

Protocols of API level below 2.14, and JSON protocols up to version 5, are carried out past the engine, which is only
told afterwards: commands that succeeded, without saying what they changed. What they changed follows from their
parameters.
"""

from __future__ import annotations

from opentrons.protocol_engine import Command, StateView, commands
from opentrons.protocol_engine.state.update_types import StateUpdate
from opentrons.protocol_engine.types import LabwareWellId, TipGeometry, TipRackWellState

SOME_TIP = TipGeometry(length=0, diameter=0, volume=0)
"""The world asks only whether there is a tip."""


def implied(command: Command, state: StateView) -> StateUpdate:
    """The state update that the engine would have given for a command it had carried out itself.

    Args:
        command: one that succeeded; other commands than those that handle tips and liquids imply nothing.
        state: the engine's state before it.
    """
    update = StateUpdate()
    if isinstance(command, commands.Aspirate | commands.Dispense):
        params = command.params
        labware, well, pipette = params.labwareId, params.wellName, params.pipetteId
        each = params.volume * state.geometry.get_nozzles_per_well(labware, well, pipette)
        wells = state.geometry.get_wells_covered_by_pipette_with_active_well(labware, well, pipette)
        sign = -1 if isinstance(command, commands.Aspirate) else 1
        update.set_liquid_operated(labware_id=labware, well_names=wells, volume_added=sign * each)
    elif isinstance(command, commands.PickUpTip | commands.DropTip):
        _tip(command, state, update)
    return update


def _tip(command: commands.PickUpTip | commands.DropTip, state: StateView, update: StateUpdate) -> None:
    """A tip that was put on, or taken off: into a rack, or else into the trash."""
    labware, well, pipette = command.params.labwareId, command.params.wellName, command.params.pipetteId
    on = isinstance(command, commands.PickUpTip)
    update.update_pipette_tip_state(
        pipette_id=pipette,
        tip_geometry=SOME_TIP if on else None,
        tip_source=LabwareWellId(labware, well) if on else None,
    )
    if state.labware.get_definition(labware).parameters.isTiprack:
        nozzles = state.pipettes.get_nozzle_configuration(pipette)
        wells = state.tips.compute_tips_to_mark_as_used_or_empty(labware, well, nozzles)
        used = TipRackWellState.EMPTY if on else TipRackWellState.USED
        update.update_tip_rack_well_state(tip_state=used, labware_id=labware, well_names=wells)
