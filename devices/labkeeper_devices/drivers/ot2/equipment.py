"""What a run knows of the deck: labware and pipettes under the names that commands use, and what the pipettes hold.

Pure. It can be rebuilt from what the robot says of a run: labware is loaded with its name as display name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from labkeeper_devices.drivers.ot2.answers import CommandState, RunState

FULL_RACK = 96
"""Places of a rack of tips; what stands in a smaller one is a tool."""


@dataclass(frozen=True)
class LoadedLabware:
    """Labware in a slot. `order` is what loads it again; `wells` is empty where they are not known."""

    name: str
    id: str
    slot: int
    order: Mapping[str, Any]
    wells: frozenset[str] = frozenset()
    definition: Mapping[str, Any] | None = None

    @property
    def load_name(self) -> str:
        """The name in its definition."""
        return str(self.order["loadName"])

    def same_as(self, other: LoadedLabware) -> bool:
        """Whether it is the same labware in the same place under the same name."""
        return (self.name, self.slot, self.uri) == (other.name, other.slot, other.uri)

    @property
    def uri(self) -> str:
        """`namespace/loadName/version`."""
        return f"{self.order['namespace']}/{self.load_name}/{self.order['version']}"


@dataclass(frozen=True)
class LoadedPipette:
    """A pipette on a mount."""

    name: str
    id: str
    mount: str


@dataclass(frozen=True)
class Held:
    """What a pipette holds: what stood at a well of a rack."""

    labware: str
    well: str
    tool: bool

    def __str__(self) -> str:
        return f"the {'tool' if self.tool else 'tip'} from {self.labware} {self.well}"


@dataclass(frozen=True)
class Equipment:
    """All of it. `held` is by the pipette's name."""

    labware: Mapping[str, LoadedLabware] = field(default_factory=dict)
    pipettes: Mapping[str, LoadedPipette] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)

    def with_labware(self, loaded: LoadedLabware) -> Equipment:
        """With one thing more on the deck."""
        return replace(self, labware={**self.labware, loaded.name: loaded})

    def with_pipette(self, loaded: LoadedPipette) -> Equipment:
        """With that pipette on its mount, in place of what was there."""
        others = {name: other for name, other in self.pipettes.items() if other.mount != loaded.mount}
        return replace(self, pipettes={**others, loaded.name: loaded})

    def picked_up(self, pipette: str, labware: str, well: str) -> Equipment:
        """A pipette took what stands at a well."""
        wells = self.labware[labware].wells if labware in self.labware else frozenset()
        held = Held(labware, well, tool=0 < len(wells) < FULL_RACK)
        return replace(self, held={**self.held, pipette: held})

    def dropped(self, pipette: str) -> Equipment:
        """A pipette let go of what it held."""
        return replace(self, held={name: held for name, held in self.held.items() if name != pipette})

    def empty_handed(self) -> Equipment:
        """No pipette holds anything: the robot ended the run, and dropped it."""
        return replace(self, held={})

    def tool(self) -> str | None:
        """The tool that a pipette holds, for a sentence; None if none does."""
        return next((f"{name} holds {held}" for name, held in self.held.items() if held.tool), None)

    def holding(self) -> str | None:
        """What the pipettes hold, for a sentence; None if nothing."""
        return ", ".join(f"{name} holds {held}" for name, held in self.held.items()) or None


def restored(run: RunState, loads: Sequence[CommandState], commands: Sequence[CommandState]) -> Equipment:
    """The equipment of a run that another process made. `loads`: its successful loadLabware commands with results."""
    definitions = {str(load.result.get("labwareId")): load for load in loads}
    found = Equipment()
    for item in run.labware:
        load = definitions.get(str(item.get("id")))
        if load is not None:
            found = found.with_labware(labware_of(load))
    for item in run.pipettes:
        name = str(item.get("pipetteName"))
        found = found.with_pipette(LoadedPipette(name, str(item.get("id")), str(item.get("mount"))))
    pipettes = {pipette.id: name for name, pipette in found.pipettes.items()}
    racks = {labware.id: name for name, labware in found.labware.items()}
    for command in commands:
        pipette = pipettes.get(str(command.params.get("pipetteId")))
        if pipette is None or command.status != "succeeded":
            continue
        if command.kind == "pickUpTip":
            rack = racks.get(str(command.params.get("labwareId")), "?")
            found = found.picked_up(pipette, rack, str(command.params.get("wellName")))
        elif command.kind in ("dropTip", "dropTipInPlace"):
            found = found.dropped(pipette)
    return found


def labware_of(load: CommandState) -> LoadedLabware:
    """The labware that a successful `loadLabware` put on the deck."""
    params, definition = load.params, load.result.get("definition") or {}
    order = {name: params[name] for name in ("loadName", "namespace", "version")}
    return LoadedLabware(
        name=str(params.get("displayName") or params["loadName"]),
        id=str(load.result["labwareId"]),
        slot=int(params["location"]["slotName"]),
        order=order,
        wells=frozenset(definition.get("wells") or ()),
        definition=definition if order["namespace"] != "opentrons" else None,
    )
