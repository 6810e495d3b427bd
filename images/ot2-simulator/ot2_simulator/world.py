"""What is physically on the deck: liquids, tips and what went wrong with them. Pure bookkeeping, no engine, no clock.

The world outlives the robot's software: after a reboot the wells still hold what they held, while the engine believes
whatever it is told. It also keeps what the engine does not know: that a well was empty and air was drawn, or that a tip
was gone.

Volumes are in µL. Places are named as people see them: deck slots ``"1"``..``"12"``; on top of something else in a
slot, ``"4.1"``; ``"offDeck:ID"``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ot2_simulator.liquid import AIR, Column, Mixture
from ot2_simulator.settings import Supply

TOLERANCE = 1e-6
"""µL below which nothing is anything."""


@dataclass
class Place:
    """One piece of labware where it stands.

    Attributes:
        uri: ``namespace/loadName/version``.
        capacities: µL each well can hold, by well name.
        wells: what is in the wells that were ever touched.
        taken: tip places that are empty; ``returned``: those with a used tip put back.
    """

    uri: str
    is_tiprack: bool
    capacities: Mapping[str, float]
    wells: dict[str, Mixture] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)

    def check(self, well: str, volume: float) -> None:
        """Whether a well can hold this many µL.

        Raises:
            ValueError: more than it can hold, or less than nothing.
        """
        capacity = self.capacities[well]
        if not 0 <= volume <= capacity + TOLERANCE:
            raise ValueError(f"well {well} of {self.uri} holds 0 to {capacity:g} µL, not {volume:g}")

    def as_json(self) -> dict[str, Any]:
        """The shape of one entry of ``deck`` in ``/simulator/state``."""
        wells = {
            name: {"volume": round(mix.volume, 4), "liquids": mix.as_json()} for name, mix in sorted(self.wells.items())
        }
        data: dict[str, Any] = {"uri": self.uri, "isTiprack": self.is_tiprack, "wells": wells}
        if self.is_tiprack:
            data["tips"] = {
                "taken": sorted(self.taken - self.returned),
                "returned": sorted(self.returned),
                "fresh": len(self.capacities) - len(self.taken | self.returned),
            }
        return data


@dataclass
class Held:
    """What a pipette holds. ``tip``: where its tip came from, ``{"slot", "wells", "uri"}``, or None."""

    name: str
    tip: dict[str, Any] | None = None
    column: Column = field(default_factory=Column)

    def as_json(self) -> dict[str, Any]:
        """The shape of one entry of ``pipettes`` in ``/simulator/state``."""
        liquid, air = self.column.liquid, self.column.air
        return {
            "name": self.name,
            "tip": self.tip,
            "volume": round(liquid, 4),
            "air": round(air, 4),
            "content": self.column.as_json(),
        }


class World:
    """The deck and the pipettes' contents. Used from one thread."""

    def __init__(self, supplies: Mapping[str, Supply] | None = None) -> None:
        """``supplies``: what a person has filled into the labware of a slot before it is put there."""
        self._supplies = dict(supplies or {})
        self.places: dict[str, Place] = {}
        self.held: dict[str, Held] = {}
        self.anomalies: list[dict[str, Any]] = []
        self.discarded = Mixture()
        self.air_aspirated = 0.0

    def clear(self) -> None:
        """A person clears the deck: clean labware in its places, full racks, nothing in the pipettes, nothing noted."""
        self.places = {key: Place(place.uri, place.is_tiprack, place.capacities) for key, place in self.places.items()}
        self.held = {mount: Held(held.name) for mount, held in self.held.items()}
        self.anomalies = []
        self.discarded = Mixture()
        self.air_aspirated = 0.0

    def put(self, key: str, uri: str, is_tiprack: bool, capacities: Mapping[str, float]) -> None:
        """Someone says what stands in a place. The same labware keeps its content; other labware is new and clean."""
        place = self.places.get(key)
        if place is None or place.uri != uri:
            self.places[key] = Place(uri, is_tiprack, dict(capacities))
            self._supply(key)

    def _supply(self, key: str) -> None:
        """New labware comes filled; what it has no well for, or no room, is noted."""
        supply = self._supplies.get(key)
        if supply is None or self.places[key].is_tiprack:
            return
        for well, volume in supply.volumes.items():
            if well in self.places[key].capacities:
                self.pour(key, well, volume, supply.liquid, "")
            else:
                self._note("no_such_well", "", slot=key, well=well, volume=volume)

    def move(self, source: str, target: str) -> None:
        """Labware is carried to another place."""
        if source != target and source in self.places:
            self.places[target] = self.places.pop(source)

    def mount(self, mount: str, name: str) -> None:
        """A run says which pipette is on a mount. The tip it holds stays, whatever the run believes."""
        held = self.held.get(mount)
        if held is None or held.name != name:
            self.held[mount] = Held(name)

    def fill(self, key: str, well: str, volume: float, liquid: str) -> None:
        """A person makes a well hold exactly this much of one liquid.

        Raises:
            KeyError: no such place or well.
            ValueError: more than the well can hold, or less than nothing.
        """
        place = self.places[key]
        place.check(well, volume)
        place.wells[well] = Mixture({liquid: volume} if volume > 0 else {})

    def pour(self, key: str, well: str, volume: float, liquid: str, command: str) -> None:
        """A protocol says that a well was filled. The engine does not ask whether it fits; what does not runs over."""
        fits = min(volume, self.places[key].capacities[well])
        self.fill(key, well, max(0.0, fits), liquid)
        if volume > fits + TOLERANCE:
            self._note("overflow", command, slot=key, well=well, volume=round(volume - fits, 4))

    def aspirate(self, mount: str, key: str, wells: Iterable[str], each: float, command: str) -> None:
        """Draw ``each`` µL from every well; what a well does not have is drawn as air."""
        place, held = self.places[key], self.held[mount]
        for well in wells:
            mixture = place.wells.setdefault(well, Mixture())
            drawn = mixture.take(min(each, mixture.volume))
            air = each - drawn.volume
            held.column.draw(drawn)
            if air > TOLERANCE:
                held.column.draw(Mixture({AIR: air}))
                self.air_aspirated += air
                self._note("air_aspirated", command, mount=mount, slot=key, well=well, volume=round(air, 4))

    def aspirate_air(self, mount: str, volume: float) -> None:
        """Draw air on purpose: an air gap."""
        self.held[mount].column.draw(Mixture({AIR: volume}))

    def dispense(self, mount: str, key: str, wells: list[str], each: float, command: str) -> None:
        """Push ``each`` µL into every well; what does not fit runs over, and what is air is nothing."""
        place, held = self.places[key], self.held[mount]
        for well in wells:
            mixture = place.wells.setdefault(well, Mixture())
            mixture.add(held.column.push(each))
            over = mixture.volume - place.capacities.get(well, 0.0)
            if over > TOLERANCE:
                self.discarded.add(mixture.take(over))
                self._note("overflow", command, mount=mount, slot=key, well=well, volume=round(over, 4))

    def push_away(self, mount: str, volume: float | None) -> None:
        """Push µL out where there is no well (the trash, the air); all that is left when None."""
        column = self.held[mount].column
        self.discarded.add(column.push(column.liquid + column.air if volume is None else volume))

    def blow_out(self, mount: str, key: str, wells: list[str], command: str) -> None:
        """Push all that is left into wells, in equal parts."""
        column = self.held[mount].column
        rest = column.liquid + column.air
        if rest > TOLERANCE:
            self.dispense(mount, key, wells, rest / len(wells), command)

    def pick_up(self, mount: str, key: str, wells: list[str], command: str) -> None:
        """Put tips on. The OT-2 has no sensor there: an empty place is noticed by nobody but this world."""
        place, held = self.places[key], self.held[mount]
        missing = [well for well in wells if well in place.taken and well not in place.returned]
        if missing:
            self._note("no_tip_there", command, mount=mount, slot=key, wells=missing)
        if held.tip is not None:
            self._note("tip_on_tip", command, mount=mount, slot=key, wells=wells)
        used = sorted(place.returned & set(wells))
        place.taken.update(wells)
        place.returned.difference_update(wells)
        held.column = Column()
        held.tip = {"slot": key, "wells": wells, "uri": place.uri, "used": used} if len(missing) < len(wells) else None

    def drop(self, mount: str, key: str | None, wells: list[str]) -> None:
        """Take tips off: back into a rack's wells, or into the trash when ``key`` is None. What is in them goes with
        them."""
        held = self.held[mount]
        self.push_away(mount, None)
        if key is not None and held.tip is not None:
            self.places[key].returned.update(wells)
        held.tip = None

    def interrupted(self, command: str, mount: str | None, why: str) -> None:
        """A command broke off: how far it got, nobody knows."""
        self._note("interrupted", command, mount=mount, why=why)

    def as_json(self) -> dict[str, Any]:
        """``deck``, ``pipettes``, ``airAspirated``, ``discarded`` and ``anomalies`` of ``/simulator/state``."""
        return {
            "deck": {key: place.as_json() for key, place in sorted(self.places.items())},
            "pipettes": {mount: held.as_json() for mount, held in sorted(self.held.items())},
            "airAspirated": round(self.air_aspirated, 4),
            "discarded": self.discarded.as_json(),
            "anomalies": list(self.anomalies),
        }

    def _note(self, kind: str, command: str, **what: Any) -> None:
        """Remember what a person at the robot would have seen go wrong; ``command`` is the command's id."""
        self.anomalies.append({"kind": kind, "commandId": command, **what})
