"""The motors: Opentrons' own simulated motor board, taking its time.

Everything above the board is Opentrons' code as it runs on the robot: path planning, limits, plunger arithmetic,
pausing. What is replaced is the lowest level only: each move, homing and retraction lasts as long as ``motion`` says,
and its position is true at every moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from opentrons import types
from opentrons.config import robot_configs
from opentrons.config.types import RobotConfig
from opentrons.hardware_control import API
from opentrons.hardware_control.backends.simulator import Simulator
from opentrons.hardware_control.dev_types import AttachedInstruments, PipetteSpec
from opentrons.hardware_control.module_control import AttachedModulesControl
from opentrons.hardware_control.types import DoorState, TipScrapeType
from opentrons.protocol_engine.execution.run_control import RunControlHandler
from opentrons_shared_data.pipette import pipette_load_name_conversions
from opentrons_shared_data.pipette.types import PipetteName, PipetteNameType

from ot2_simulator import motion
from ot2_simulator.pace import Pace
from ot2_simulator.settings import SettingsError

NO_SCRAPE = TipScrapeType.NONE


class Motors(Simulator):
    """The motor board. ``pace`` is set right after it is built, before anything moves."""

    pace: Pace | None = None

    async def move(
        self,
        target_position: dict[str, float],
        home_flagged_axes: bool = True,
        speed: float | None = None,
        axis_max_speeds: dict[str, float] | None = None,
    ) -> None:
        seconds = motion.move_seconds(self._position, target_position, speed, axis_max_speeds)
        await self._travel(target_position, seconds)
        await super().move(target_position, home_flagged_axes, speed, axis_max_speeds)

    async def home(self, axes: list[str] | None = None) -> dict[str, float]:
        names = "".join(axes) if axes else "XYZABC"
        homed = self._smoothie_driver.homed_position
        await self._travel({axis: homed[axis] for axis in names}, motion.home_seconds(self._position, homed, names))
        position: dict[str, float] = await super().home(axes)
        return position

    async def fast_home(self, axis: Sequence[str], margin: float) -> dict[str, float]:
        names = "".join(axis)
        homed = self._smoothie_driver.homed_position
        seconds = motion.fast_home_seconds(self._position, homed, names, margin)
        await self._travel({name: homed[name] for name in names}, seconds)
        position: dict[str, float] = await super().fast_home(axis, margin)
        return position

    async def get_attached_instruments(self, expected: dict[types.Mount, PipetteName]) -> AttachedInstruments:
        if not self._strict_attached:
            # Somebody has mounted what is asked for; it stays mounted. Opentrons' board forgets it when nothing is
            # asked for, and could then not drop its tip after a stop.
            for mount, name in expected.items():
                self._attached_instruments[mount] = cast(PipetteSpec, _model(name, mount))
        found: AttachedInstruments = await super().get_attached_instruments(expected)
        return found

    def pause(self) -> None:
        super().pause()
        if self.pace is not None:
            self.pace.paused = True

    def resume(self) -> None:
        super().resume()
        if self.pace is not None:
            self.pace.paused = False

    async def halt(self) -> None:
        await super().halt()
        self.resume()  # as the board: a halt ends a pause, or homing after a stop would wait for ever

    def where(self) -> dict[str, float]:
        """The axes' positions at this moment, in mm of the machine."""
        return {axis: round(value, 3) for axis, value in self._position.items()}

    async def _travel(self, target: Mapping[str, float], seconds: float) -> None:
        """Let a motion's time pass while the position follows."""
        if self.pace is None or seconds <= 0:
            return
        start = {axis: self._position[axis] for axis in target}
        self.pace.plunger_moved = self.pace.plunger_moved or any(axis in "BC" for axis in target)

        def follow(fraction: float) -> None:
            for axis, end in target.items():
                self._position[axis] = start[axis] + (end - start[axis]) * fraction

        await self.pace.motion(seconds, follow)


class Hardware(API):
    """Opentrons' hardware API on these motors."""

    def __init__(
        self, motors: Motors, loop: asyncio.AbstractEventLoop, config: RobotConfig, tip_dropped: Callable[[str], None]
    ) -> None:
        super().__init__(motors, loop=loop, config=config)
        self._tip_dropped = tip_dropped
        self.motors = motors
        # Opentrons skips waiting and pausing on simulated boards, to make analyses fast. This board takes its time, so
        # it must be possible to pause it.
        self._em_simulate = False

    @classmethod
    async def power_up(
        cls,
        pace: Pace,
        pipettes: Mapping[types.Mount, str],
        tip_dropped: Callable[[str], None],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> Hardware:
        """Build the hardware, homed; the builder that ``ThreadManager`` runs in the motors' thread.

        Args:
            pace: how time passes for the motors.
            pipettes: what is mounted, by pipette name; an empty mapping means: whatever a run asks for.
            tip_dropped: called in the motors' thread with the mount when the robot itself drops a tip into the
                trash, which it does after a run without any command.
            loop: the motors' thread's loop (given by ``ThreadManager``).
        """
        loop = loop or asyncio.get_running_loop()
        config = robot_configs.load_ot2()
        models = {mount: _model(name, mount) for mount, name in pipettes.items()}
        built = await Motors.build(models, {}, config, loop, strict_attached_instruments=bool(pipettes))
        motors = cast(Motors, built)  # Opentrons' annotation names the base class, its code builds ours
        hardware = cls(motors, loop, config, tip_dropped)
        await hardware.connect(pace)
        return hardware

    async def connect(self, pace: Pace) -> None:
        """Find the pipettes and home, in no time; from then on time passes."""
        await self.cache_instruments()
        self.motors.module_controls = await AttachedModulesControl.build(
            self, board_revision=self.motors.board_revision, event_callback=self._send_module_notification
        )
        await self.home()
        self.motors.pace = pace

    async def tip_drop_moves(
        self,
        mount: types.Mount,
        home_after: bool = True,
        ignore_plunger: bool = False,
        scrape_type: TipScrapeType = NO_SCRAPE,
    ) -> None:
        await super().tip_drop_moves(mount, home_after, ignore_plunger, scrape_type)
        pace = self.motors.pace
        if pace is not None and not pace.commanded:
            self._tip_dropped(mount.name.lower())

    def set_door(self, open_: bool) -> None:
        """Open or close the door; to be called in the motors' thread, as the switch's watcher does on a robot."""
        self._update_door_state(DoorState.OPEN if open_ else DoorState.CLOSED)

    async def do_delay(self, duration_s: float) -> None:
        pace = self.motors.pace
        await super().do_delay(duration_s if pace is None else duration_s / pace.factor)


def check_pipettes(pipettes: Mapping[str, str]) -> None:
    """Whether there are such pipettes, and whether an OT-2 takes them.

    Raises:
        SettingsError: there is one that it does not take.
    """
    known = [name.value for name in PipetteNameType if not name.value.endswith(("_flex", "_96"))]
    for mount, name in pipettes.items():
        if name not in known:
            raise SettingsError(f"--pipette {mount}={name}: an OT-2 takes {', '.join(known)}")


def _model(name: str, mount: types.Mount) -> dict[str, str | None]:
    """The newest model of a pipette name, as the robot reads it from the pipette's memory."""
    model = pipette_load_name_conversions.convert_pipette_name(PipetteNameType(name).value)
    return {"model": str(model), "id": f"simulated-{mount.name.lower()}"}


def scale_delays(pace: Pace) -> None:
    """Let ``waitForDuration`` follow the time factor, in this process.

    The engine sleeps by itself there, not through the hardware, and offers no other place to say how time passes.
    """

    async def wait_for_duration(self: RunControlHandler, seconds: float) -> None:
        if not self._state_store.config.ignore_pause:
            await pace.wait(seconds)

    RunControlHandler.wait_for_duration = wait_for_duration  # type: ignore[method-assign]
