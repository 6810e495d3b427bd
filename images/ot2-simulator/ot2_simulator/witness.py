"""The witness: sees every command that the engine carries out, and tells the world what it did.

A plugin of Opentrons' engine. It believes only what succeeded, reads volumes, wells and tips from the engine's own
state updates (so that multi-channel pipettes and in-place commands count as the engine counts them), and keeps the log
of commands that tests compare.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any

from opentrons.protocol_engine import (
    AddressableAreaLocation,
    Command,
    DeckSlotLocation,
    LabwareLocation,
    ModuleLocation,
    OnLabwareLocation,
)
from opentrons.protocol_engine.actions import Action, FailCommandAction, RunCommandAction, SucceedCommandAction
from opentrons.protocol_engine.plugins import AbstractPlugin
from opentrons.protocol_engine.state import update_types as updates
from opentrons.protocol_engine.types import DeckPoint
from opentrons_shared_data.labware.labware_definition import LabwareDefinition

from ot2_simulator.legacy import implied
from ot2_simulator.pace import Pace
from ot2_simulator.world import World

LOG_LENGTH = 100_000


class Log:
    """What the robot was told to do and how that ended, over all runs of this simulator, in order."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self._count = 0

    def add(self, run_id: str, boot_id: str, command: Command, started: datetime) -> dict[str, Any]:
        """Add a command that starts now; the entry is completed in place."""
        self._count += 1
        entry: dict[str, Any] = {
            "n": self._count,
            "bootId": boot_id,
            "runId": run_id,
            "commandId": command.id,
            "commandType": command.commandType,
            "params": command.params.model_dump(mode="json", exclude_none=True),
            "intent": command.intent.value if command.intent else None,
            "startedAt": started.isoformat(),
            "status": "running",
        }
        self._entries.append(entry)
        return entry

    def since(self, number: int) -> list[dict[str, Any]]:
        """The entries with an ``n`` above this one."""
        return [entry for entry in self._entries if entry["n"] > number]


class Witness(AbstractPlugin):
    """Reports one run's commands to the world, the log and the motors' pace."""

    def __init__(self, world: World, log: Log, pace: Pace, run_id: str, boot_id: str) -> None:
        self._world = world
        self._log = log
        self._pace = pace
        self._run_id = run_id
        self._boot_id = boot_id
        self._entry: dict[str, Any] | None = None
        self._powered = True
        self.position: dict[str, Any] | None = None
        """Where the last command that moved a pipette left it: ``{"mount", "x", "y", "z"}`` in mm of the deck, of the
        tip's end."""

    def power_lost(self) -> None:
        """The robot lost power: the command that was running ends here, and nothing after it counts."""
        if self._entry is not None:
            self._entry["status"] = "power lost"
            self._broke_off(self._entry["commandId"], self._entry["params"], "power lost")
        self._powered = False

    def handle_action(self, action: Action) -> None:
        if not self._powered:
            return
        if isinstance(action, RunCommandAction):
            command = self.state.commands.get(action.command_id)
            self._entry = self._log.add(self._run_id, self._boot_id, command, action.started_at)
            self._pace.begin(command.commandType)
        elif isinstance(action, SucceedCommandAction):
            self._close("succeeded", action.command.completedAt)
            self._believe(action.command, action.state_update)
        elif isinstance(action, FailCommandAction):
            running = action.running_command
            self._broke_off(running.id, running.params.model_dump(), str(action.error))
            self._close("failed", action.failed_at)

    def _close(self, status: str, at: datetime | None) -> None:
        """Complete the running command's entry."""
        self._pace.end()
        if self._entry is not None:
            self._entry["status"] = status
            self._entry["completedAt"] = at.isoformat() if at else None
        self._entry = None

    def _broke_off(self, command_id: str, params: dict[str, Any], why: str) -> None:
        """Tell the world that nobody knows how far a command got: one in which the plunger had begun to move."""
        if self._pace.plunger_moved:
            self._world.interrupted(command_id, self._mount(params.get("pipetteId")), why)

    def _believe(self, command: Command, update: updates.StateUpdate) -> None:
        """Tell the world what a succeeded command did."""
        if update == updates.StateUpdate():
            update = implied(command, self.state)
        if isinstance(loaded := update.loaded_labware, updates.LoadedLabwareUpdate):
            self._place(loaded.labware_id, loaded.new_location, loaded.definition)
        if isinstance(moved := update.labware_location, updates.LabwareLocationUpdate):
            source = self._known(moved.labware_id)
            self._world.move(source, self._key(moved.labware_id, moved.new_location))
        if isinstance(pipette := update.loaded_pipette, updates.LoadPipetteUpdate):
            self._world.mount(pipette.mount.value, pipette.pipette_name.value)
        if isinstance(liquid := update.liquid_loaded, updates.LiquidLoadedUpdate):
            self._fill(command, liquid)
        self._tips(command, update)
        self._fluids(command, update)
        self._where(command, update)

    def _fill(self, command: Command, loaded: updates.LiquidLoadedUpdate) -> None:
        """A protocol says what a person has filled in."""
        key = self._known(loaded.labware_id)
        name = self._liquid_name(getattr(command.params, "liquidId", None))
        for well, volume in loaded.volumes.items():
            self._world.pour(key, well, volume, name, command.id)

    def _liquid_name(self, liquid_id: str | None) -> str:
        """A liquid's display name, where the protocol gives one."""
        names = {liquid.id: liquid.displayName for liquid in self.state.liquid.get_all()}
        return names.get(liquid_id or "", liquid_id or "unnamed")

    def _tips(self, command: Command, update: updates.StateUpdate) -> None:
        """Tips that were put on or taken off."""
        state = update.pipette_tip_state
        if not isinstance(state, updates.PipetteTipStateUpdate):
            return
        mount = self._mount(state.pipette_id)
        if mount is None:
            return
        tips = update.tips_state
        rack = tips if isinstance(tips, updates.TipsStateUpdate) and tips.well_names else None
        key = self._known(rack.labware_id) if rack else None
        if state.tip_geometry is None:
            self._world.drop(mount, key, rack.well_names if rack else [])
        elif rack is not None and key is not None:
            self._world.pick_up(mount, key, rack.well_names, command.id)

    def _fluids(self, command: Command, update: updates.StateUpdate) -> None:
        """Liquid that went in or out of a tip."""
        fluid, operated = update.pipette_aspirated_fluid, update.liquid_operated
        mount = self._mount(getattr(command.params, "pipetteId", None))
        if mount is None:
            return
        if isinstance(operated, updates.LiquidOperatedUpdate) and isinstance(operated.volume_added, float | int):
            key, wells, each = self._known(operated.labware_id), operated.well_names, operated.volume_added
            if each < 0:
                self._world.aspirate(mount, key, wells, -each, command.id)
            else:
                self._world.dispense(mount, key, wells, each, command.id)
        elif isinstance(fluid, updates.PipetteAspiratedFluidUpdate):
            self._world.aspirate_air(mount, fluid.fluid.volume * self._nozzles(fluid.pipette_id))
        elif isinstance(fluid, updates.PipetteEjectedFluidUpdate):
            self._world.push_away(mount, fluid.volume * self._nozzles(fluid.pipette_id))
        elif command.commandType in ("blowout", "blowOutInPlace"):
            self._blow_out(command, mount)

    def _blow_out(self, command: Command, mount: str) -> None:
        """All that is left goes where the pipette is: a well, or nowhere that counts."""
        labware, well = getattr(command.params, "labwareId", None), getattr(command.params, "wellName", None)
        pipette = getattr(command.params, "pipetteId", "")
        if labware is None:
            location = self.state.pipettes.get_current_location()
            labware, well = getattr(location, "labware_id", None), getattr(location, "well_name", None)
        if labware is None or well is None:
            self._world.push_away(mount, None)
            return
        wells = self.state.geometry.get_wells_covered_by_pipette_with_active_well(labware, well, pipette)
        self._world.blow_out(mount, self._known(labware), wells, command.id)

    def _where(self, command: Command, update: updates.StateUpdate) -> None:
        """Remember where a pipette was left."""
        moved = update.pipette_location
        mount = self._mount(getattr(command.params, "pipetteId", None))
        if isinstance(moved, updates.PipetteLocationUpdate) and isinstance(moved.new_deck_point, DeckPoint):
            point = moved.new_deck_point
            self.position = {"mount": mount, "x": round(point.x, 3), "y": round(point.y, 3), "z": round(point.z, 3)}

    def _nozzles(self, pipette_id: str) -> int:
        """How many nozzles move liquid."""
        return self.state.pipettes.get_nozzle_configuration(pipette_id).tip_count

    def _mount(self, pipette_id: str | None) -> str | None:
        """``left`` or ``right``; a pipette is known to the world from when it is loaded."""
        if pipette_id is None:
            return None
        for pipette in self.state.pipettes.get_all():
            if pipette.id == pipette_id:
                self._world.mount(pipette.mount.value, pipette.pipetteName.value)
                return str(pipette.mount.value)
        return None

    def _known(self, labware_id: str) -> str:
        """The place of labware, told to the world if the engine loaded it without a command (the fixed trash)."""
        location = self.state.labware.get_location(labware_id)
        return self._place(labware_id, location, self.state.labware.get_definition(labware_id))

    def _place(self, labware_id: str, location: LabwareLocation, definition: LabwareDefinition) -> str:
        key = self._key(labware_id, location)
        uri = f"{definition.namespace}/{definition.parameters.loadName}/{definition.version}"
        capacities = {name: float(well.totalLiquidVolume) for name, well in definition.wells.items()}
        self._world.put(key, uri, bool(definition.parameters.isTiprack), capacities)
        return key

    def _key(self, labware_id: str, location: LabwareLocation) -> str:
        """A place's name: its slot, and how many pieces are below it."""
        level = 0
        while isinstance(location, OnLabwareLocation):
            level += 1
            location = self.state.labware.get_location(location.labwareId)
        if isinstance(location, ModuleLocation):
            level += 1
            slot = self.state.modules.get_location(location.moduleId).slotName.id
        elif isinstance(location, DeckSlotLocation):
            slot = location.slotName.id
        elif isinstance(location, AddressableAreaLocation):
            slot = location.addressableAreaName
        else:
            return f"offDeck:{labware_id}"
        return slot if level == 0 else f"{slot}.{level}"
