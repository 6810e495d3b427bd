"""What a node's steps are worked out against: deck, ledgers, what the pipette holds, and the cycle of the loop.

One `Context` is handed from node to node in the order of the plan; the functions in `motions` and `nodes` read and
change it, and nothing else. What they cannot accept they `refuse`, and go on, so that all of it is reported at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labkeeper_api.documents import NodePath
from labkeeper_api.suggestions import did_you_mean
from labkeeper_flows.canvas.deck import Deck, Pipette, Placed
from labkeeper_flows.canvas.labware import Kind
from labkeeper_flows.canvas.ledgers import LiquidLedger, TipLedger
from labkeeper_flows.canvas.steps import Role


@dataclass(frozen=True)
class Finding:
    """Why a node's steps cannot be had. `field` is the parameter, `()` the node as a whole.

    `state`: it follows from what happened before (tips, volumes, what the pipette holds). Such findings mean little
    while an earlier node is wrong in itself, so the plan reports them only when nothing else is wrong.
    """

    field: NodePath
    message: str
    hint: str = ""
    state: bool = False


@dataclass(frozen=True)
class Spot:
    """A place on the deck that was checked to exist."""

    labware: Placed
    well: str

    def __str__(self) -> str:
        return f"{self.labware.name} {self.well}"


@dataclass(frozen=True)
class Held:
    """What is on the pipette: a tip or a tool, where it came from, and how much liquid (µL) is in it."""

    kind: Kind
    home: Spot
    volume: float = 0.0

    def __str__(self) -> str:
        return f"the {'tip' if self.kind is Kind.TIPS else 'tool'} from {self.home}"


@dataclass(frozen=True)
class Cycle:
    """Where in a loop a node stands. `number` counts from 1; `total` is None where nobody can know it beforehand.

    `kept`: whether the loop's collection window keeps the data of this cycle; None if that is known only at the end.
    """

    loop: str
    number: int
    total: int | None
    kept: bool | None
    kept_cycles: tuple[int, ...] | None
    """All cycles whose data are kept, where that is known beforehand."""


@dataclass
class Context:
    """The state of the lab at one point of the plan."""

    deck: Deck
    tips: TipLedger
    liquids: LiquidLedger
    drivers: frozenset[str] = frozenset()
    """Drivers that this lab has beyond those every canvas may use, such as `xarm`."""
    global_config: Mapping[str, Any] = field(default_factory=dict)
    first_tip: int = 1
    """Number of the tip from which on tips are taken, from 1 (`pipette_tip_start_id`)."""
    held: Held | None = None
    cycle: Cycle | None = None
    last_loop: Cycle | None = None
    """The loop that ended last, for nodes after it (exports)."""
    experiment: dict[str, Any] = field(default_factory=dict)
    """What ExperimentSetup said: `experiment_id`, `run_number`."""
    connections: dict[tuple[Role, str], tuple[object, bool]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def refuse(self, parameter: str | NodePath, message: str, hint: str = "", *, state: bool = False) -> None:
        """Say that a parameter cannot be accepted."""
        path: NodePath = parameter if isinstance(parameter, tuple) else ((parameter,) if parameter else ())
        self.findings.append(Finding(path, message, hint, state))

    def taken_findings(self) -> list[Finding]:
        """All findings since the last time, without repetitions."""
        found, self.findings = self.findings, []
        return list(dict.fromkeys(found))

    def labware(self, parameter: str | NodePath, name: str) -> Placed | None:
        """Labware by its name on the deck; refused if it is not there."""
        placed = self.deck.labware.get(name)
        if placed is None:
            self.refuse(parameter, f"{name!r} is not on the deck", did_you_mean(name, self.deck.labware))
        return placed

    def spot(
        self, labware_parameter: str | NodePath, name: str, well_parameter: str | NodePath, well: str
    ) -> Spot | None:
        """A well that exists; refused if labware or well do not."""
        placed = self.labware(labware_parameter, name)
        if placed is None:
            return None
        wells = placed.labware.wells
        if well not in wells:
            hint = f"it has {wells[0]} to {wells[-1]}" if len(wells) > 4 else f"it has {', '.join(wells)}"
            self.refuse(well_parameter, f"{well!r} is no well of {name} ({placed.labware.load_name})", hint)
            return None
        return Spot(placed, well)

    def pipette(self, parameter: str | NodePath = (), name: str | None = None) -> Pipette | None:
        """A mounted pipette by its name, or the only one; refused if there is none."""
        mounted = self.deck.pipettes
        if name is None:
            if not mounted:
                self.refuse(parameter, "the deck has no pipette", "name one under instruments.pipette")
            return next(iter(mounted.values()), None)
        if name not in mounted:
            on = ", ".join(f"{pipette.name} ({pipette.mount})" for pipette in mounted.values()) or "none"
            self.refuse(parameter, f"no {name} is mounted", f"mounted: {on}")
        return mounted.get(name)

    def connect(self, role: Role, name: str, value: object, *, parameter: str, said: bool) -> None:
        """Note how a canvas reaches a device, such as ("squidstat", "com_port", "COM4"), for whoever resolves it.

        `said`: the canvas says so, and not only a default. Two nodes that say different things are refused.
        """
        before = self.connections.get((role, name))
        if before is None or (said and not before[1]):
            self.connections[role, name] = (value, said)
        elif said and before[0] != value:
            hint = "one canvas uses one device of each kind"
            self.refuse(parameter, f"{value!r} differs from the {before[0]!r} of an earlier node", hint)
