"""`OpentronsController`: the battery guide's way to move an OT-2 from a script or a shell (seeds/facts.md, 1.6).

In a managed lab, where an agent on this host has the robot with that address or alias, every call goes through it;
else the controller starts an agent of its own for the robot. Either way each movement passes the unit's guard and
journal. Not for canvases: those are planned and checked as a whole before anything moves.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

from labkeeper.opentrons_robot import OperationFailed, OperationResult, Robot
from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_devices.agent.host import home
from labkeeper_flows.canvas.deck import PIPETTES, Pipette
from labkeeper_flows.canvas_run.ports import DeviceInfo

__all__ = ["OpentronsController", "OperationFailed", "OperationResult"]

DEFAULT_ROBOT_IP = "169.254.69.185"
ROWS, COLUMNS = "ABCDEFGH", 12


class Options(TypedDict, total=False):
    """What may be said of a place besides its labware and well, and the short names of those.

    The pipette may be left out when one is loaded. Offsets in mm to the right, to the back and up.
    """

    pipette_name: str | None
    offset_x: float
    offset_y: float
    offset_z: float
    labware: str
    well: str
    pipette: str


class OpentronsController:
    """One OT-2. Nothing is connected before the first operation.

    Every operation returns an `OperationResult` when it succeeded and raises `OperationFailed` when it did not. Places
    are named `labware_name`, `well_name` and `pipette_name`, or `labware`, `well` and `pipette` for short (`Options`).
    Lengths in mm, speeds in mm/s, volumes in µL. May be used from several threads; operations happen one after another.
    """

    def __init__(
        self, robot_ip: str = DEFAULT_ROBOT_IP, dry_run: bool = False, *, home_path: Path | None = None
    ) -> None:
        """`dry_run` drives a simulator, and every result says so. `home_path` is where the lab is, if not as usual."""
        self.robot_ip = robot_ip
        self.dry_run = dry_run
        self._robot = Robot(robot_ip, dry_run=dry_run, home=home_path or home())
        self._pipettes: dict[str, str] = {}
        # At the latest when the program ends.
        self._end = weakref.finalize(self, self._robot.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def run_id(self) -> str:
        """Id under which the unit's journal has what this controller did."""
        return self._robot.run_id

    @property
    def connected(self) -> bool:
        """Whether the robot is held by this controller."""
        return self._robot.held

    def connect(self) -> DeviceInfo:
        """Hold the robot, if that is not so yet. The first operation does it by itself.

        Raises `LabkeeperError` when the robot is away, held by another or stopped.
        """
        return self._robot.connect()

    def close(self) -> None:
        """Let the robot go, and end the agent that was started for it. The next operation connects anew."""
        self._robot.close()

    def interrupt(self) -> None:
        """Stop what another thread has the robot do now."""
        self._robot.interrupt()

    def initialize_robot(self) -> OperationResult:
        """Open a fresh run on the robot, with an empty deck."""
        self._pipettes.clear()
        return self._do("initialize_robot")

    def home_robot(self) -> OperationResult:
        """Move all axes home."""
        return self._do("home_robot")

    def set_lights(self, on: bool = True) -> OperationResult:
        """Switch the rail lights."""
        return self._do("set_lights", on=on)

    def get_status(self) -> OperationResult:
        """Ask the robot, its door and its run how they are."""
        return self._do("get_status")

    def get_labware_registry(self) -> OperationResult:
        """List what was loaded."""
        return self._do("get_labware_registry")

    def load_labware(
        self,
        slot: int | str,
        load_name: str,
        labware_name: str | None = None,
        namespace: str = "opentrons",
        version: int = 1,
        *,
        labware: str | None = None,
    ) -> OperationResult:
        """Say which standard labware stands in a slot; its name later is the load name where none is given."""
        name = _one("labware", labware, labware_name) or load_name
        more = {"load_name": load_name, "slot": _slot(slot), "namespace": namespace, "version": version}
        return self._do("load_labware", labware=name, **more)

    def load_custom_labware(
        self,
        slot: int | str,
        definition: Mapping[str, Any],
        labware_name: str | None = None,
        *,
        labware: str | None = None,
    ) -> OperationResult:
        """Say which labware of one's own stands in a slot, by its Opentrons definition (schema 2)."""
        said = definition.get("parameters")
        load_name = said.get("loadName") if isinstance(said, Mapping) else None
        if not isinstance(load_name, str) or not load_name:
            hint = "give a labware definition of schema 2"
            raise InvalidInput([Problem("definition.parameters.loadName", "does not name the labware", hint)])
        name = _one("labware", labware, labware_name) or load_name
        more = {"load_name": load_name, "slot": _slot(slot), "definition": dict(definition)}
        return self._do("load_custom_labware", labware=name, **more)

    def load_pipette(
        self, pipette_name: str | None = None, mount: str = "right", *, pipette: str | None = None
    ) -> OperationResult:
        """Say which pipette is mounted where."""
        name = _named("pipette", pipette, pipette_name)
        result = self._do("load_pipette", pipette=name, mount=mount)
        self._pipettes = {other: where for other, where in self._pipettes.items() if where != mount} | {name: mount}
        return result

    def move_to_well(
        self,
        labware_name: str | None = None,
        well_name: str | None = None,
        *,
        origin: str = "top",
        speed: float = 100.0,
        **options: Unpack[Options],
    ) -> OperationResult:
        """Move a pipette to a place relative to a well's `top` or `bottom`."""
        return self._do("move_to_well", **self._at(labware_name, well_name, options), origin=origin, speed=speed)

    def pickup_tip(
        self, labware_name: str | None = None, well_name: str | None = None, **options: Unpack[Options]
    ) -> OperationResult:
        """Pick up a tip, an electrode or a tool."""
        return self._do("pickup_tip", **self._at(labware_name, well_name, options))

    def drop_tip(
        self, labware_name: str | None = None, well_name: str | None = None, **options: Unpack[Options]
    ) -> OperationResult:
        """Drop what is on the pipette into a place of a rack, or into the trash where none is named."""
        if _spot(labware_name, well_name, options) == (None, None):
            return self._do("drop_tip", pipette=self._pipette(options), trash=True)
        return self._do("drop_tip", **self._at(labware_name, well_name, options))

    def aspirate(
        self,
        volume: float,
        labware_name: str | None = None,
        well_name: str | None = None,
        *,
        origin: str = "bottom",
        **options: Unpack[Options],
    ) -> OperationResult:
        """Take liquid up, from the bottom of the well unless said otherwise."""
        return self._do("aspirate", **self._at(labware_name, well_name, options), volume=volume, origin=origin)

    def dispense(
        self,
        volume: float,
        labware_name: str | None = None,
        well_name: str | None = None,
        *,
        origin: str = "top",
        **options: Unpack[Options],
    ) -> OperationResult:
        """Let liquid out, at the top of the well unless said otherwise."""
        return self._do("dispense", **self._at(labware_name, well_name, options), volume=volume, origin=origin)

    def blowout(
        self, labware_name: str | None = None, well_name: str | None = None, **options: Unpack[Options]
    ) -> OperationResult:
        """Blow the rest out of the tip, at the top of the well."""
        return self._do("blowout", **self._at(labware_name, well_name, options))

    def fill_well(
        self,
        source_labware: str,
        source_well: str,
        target_labware: str,
        target_well: str,
        volume: float,
        pipette_name: str | None = None,
        *,
        pipette: str | None = None,
    ) -> OperationResult:
        """From one well to another with the tip that is on, in equal parts that the pipette can measure.

        The result's `data` says the `parts`. Ends with the first movement that does not succeed.
        """
        name = _one("pipette", pipette, pipette_name) or self._pipette({})
        parts = _parts(name, volume)
        for part in parts:
            self.move_to_well(source_labware, source_well, pipette_name=name)
            self.aspirate(part, source_labware, source_well, pipette_name=name)
            self.move_to_well(target_labware, target_well, pipette_name=name)
            self.dispense(part, target_labware, target_well, pipette_name=name)
            last = self.blowout(target_labware, target_well, pipette_name=name)
        data = {"parts": list(parts), "volume": volume, "simulated": last.simulated}
        return OperationResult("fill_well", "succeeded", last.simulated, last.time_factor, data, last.message)

    def delay(self, seconds: float) -> OperationResult:
        """Let time pass; on a simulator as much faster as that is."""
        info = self.connect()
        if not 0 <= seconds <= 86_400:
            raise InvalidInput([Problem("seconds", f"{seconds:g} is no time to wait", "0 to 86400")])
        time.sleep(seconds / (info.time_factor or 1.0))
        return OperationResult("delay", "succeeded", info.simulated, info.time_factor, {"seconds": seconds})

    @staticmethod
    def get_pipette_tip_location(tip: int) -> str:
        """The place of a tip in its rack, counted row by row from 1: A1 to A12, then B1, to 96, which is H12."""
        if not 1 <= tip <= len(ROWS) * COLUMNS:
            raise InvalidInput([Problem("tip", f"there is no tip {tip}", f"1 to {len(ROWS) * COLUMNS}")])
        row, column = divmod(tip - 1, COLUMNS)
        return f"{ROWS[row]}{column + 1}"

    def _do(self, operation: str, **parameters: Any) -> OperationResult:
        return self._robot.perform(operation, parameters)

    def _at(self, labware: str | None, well: str | None, options: Options) -> dict[str, Any]:
        labware, well = _spot(labware, well, options)
        missing = [name for name, value in (("labware_name", labware), ("well_name", well)) if value is None]
        if missing:
            raise InvalidInput([Problem(name, "says where, and is missing") for name in missing])
        x, y, z = options.get("offset_x", 0.0), options.get("offset_y", 0.0), options.get("offset_z", 0.0)
        offset = {"x": float(x), "y": float(y), "z": float(z)}
        return {"pipette": self._pipette(options), "labware": labware, "well": well, "offset": offset}

    def _pipette(self, options: Options) -> str:
        name = _one("pipette", options.get("pipette"), options.get("pipette_name"))
        if name is not None:
            return name
        if len(self._pipettes) != 1:
            loaded = ", ".join(self._pipettes) or "none"
            raise InvalidInput([Problem("pipette_name", f"say which pipette; loaded by this controller: {loaded}")])
        return next(iter(self._pipettes))


def _spot(labware: str | None, well: str | None, options: Options) -> tuple[str | None, str | None]:
    unknown = sorted(set(options) - set(Options.__annotations__))
    if unknown:
        raise TypeError(f"unexpected argument {unknown[0]!r}: places take {', '.join(Options.__annotations__)}")
    return _one("labware", options.get("labware"), labware), _one("well", options.get("well"), well)


def _one(what: str, short: str | None, long: str | None) -> str | None:
    if short is not None and long is not None and short != long:
        raise InvalidInput([Problem(f"{what}_name", f"{long!r} differs from {what} {short!r}", "give one of them")])
    return long if long is not None else short


def _named(what: str, short: str | None, long: str | None) -> str:
    name = _one(what, short, long)
    if name is None:
        raise InvalidInput([Problem(f"{what}_name", "is missing")])
    return name


def _slot(slot: int | str) -> int:
    try:
        return int(slot)
    except ValueError:
        raise InvalidInput([Problem("slot", f"{slot!r} is no slot of an OT-2", "1 to 11")]) from None


def _parts(pipette: str, volume: float) -> tuple[float, ...]:
    if pipette not in PIPETTES:
        raise InvalidInput(
            [Problem("pipette_name", f"nothing is known of {pipette!r}", f"one of {', '.join(PIPETTES)}")]
        )
    smallest, largest = PIPETTES[pipette]
    if not volume >= smallest:
        hint = f"at least {smallest:g} µL"
        raise InvalidInput([Problem("volume", f"{volume:g} µL is less than {pipette} can measure", hint)])
    return Pipette(pipette, "", smallest, largest).parts(volume)
