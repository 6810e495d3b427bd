"""One power-up of the robot: its hardware, its runs, its door and its lights. A reboot makes a new one.

Imports Opentrons (seconds). Everything here happens on the HTTP server's event loop; the motors have a thread of their
own, as on the robot.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from opentrons import types
from opentrons.hardware_control import ThreadManager
from opentrons.hardware_control.types import Axis
from opentrons.protocol_engine import Config, DeckType, ProtocolEngineError
from opentrons.protocol_engine.create_protocol_engine import create_protocol_engine
from opentrons.protocol_engine.error_recovery_policy import never_recover
from opentrons.protocol_engine.types import DeckConfigurationType, PostRunHardwareState
from opentrons.protocol_reader import ProtocolSource
from opentrons.protocol_runner import RunOrchestrator
from opentrons.protocol_runner.run_orchestrator import ParseMode
from opentrons.protocols.api_support.deck_type import should_load_fixed_trash

from ot2_simulator.compat import accept_small_tip_racks
from ot2_simulator.faults import Faults
from ot2_simulator.hardware import Hardware, scale_delays
from ot2_simulator.pace import Pace
from ot2_simulator.runs import Run
from ot2_simulator.settings import Settings
from ot2_simulator.witness import Log, Witness
from ot2_simulator.world import World

log = logging.getLogger(__name__)

DECK = DeckType.OT2_STANDARD
DECK_CONFIGURATION: DeckConfigurationType = [
    *((f"cutout{number}", "singleStandardSlot", None) for number in range(1, 12)),
    ("cutout12", "fixedTrashSlot", None),
]


class RunConflictError(RuntimeError):
    """The current run is neither idle nor over; the message is the robot's."""


class Robot:
    """The robot from power-up to power loss.

    Args:
        settings: what the simulator was started with.
        world: the deck; it outlives the robot.
        command_log: what the robot was told to do; outlives it too.
        faults: what tests have ordered.
        power_cut: called from the motors' thread when a reboot fault strikes.
    """

    def __init__(
        self, settings: Settings, world: World, command_log: Log, faults: Faults, power_cut: Callable[[float], None]
    ) -> None:
        self.boot_id = uuid.uuid4().hex
        self.started_at = datetime.now(UTC)
        self.world = world
        self.pace = Pace(settings.time_factor, faults, power_cut)
        self.runs: dict[str, Run] = {}
        self.current: Run | None = None
        self._settings = settings
        self._log = command_log
        self._changing = asyncio.Lock()  # two requests for a run at the same time must not both get one
        self._own_loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        mounted = {types.Mount[mount.upper()]: name for mount, name in settings.pipettes.items()}
        scale_delays(self.pace)
        accept_small_tip_racks(settings.small_tip_racks)
        self._thread = ThreadManager(Hardware.power_up, self.pace, mounted, self._tip_dropped)
        self.hardware = self._thread.wrapped()

    def _tip_dropped(self, mount: str) -> None:
        """Called in the motors' thread; the world belongs to this loop."""
        if mount in self.world.held:
            self._own_loop.call_soon_threadsafe(self.world.drop, mount, None, [])

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The motors' thread's loop."""
        return self.hardware.loop

    async def create_run(
        self, source: ProtocolSource | None, protocol_id: str | None, parameters: dict[str, object]
    ) -> Run:
        """Start a new current run; the one before goes into history, if it is idle or over.

        Raises:
            RunConflictError: the current run is active.
            Exception: the protocol cannot be loaded; whatever Opentrons says.
        """
        async with self._changing:
            return await self._create_run(source, protocol_id, parameters)

    async def _create_run(
        self, source: ProtocolSource | None, protocol_id: str | None, parameters: dict[str, object]
    ) -> Run:
        await self._archive()
        run_id = str(uuid.uuid4())
        engine = await create_protocol_engine(
            hardware_api=self.hardware,
            config=Config(robot_type="OT-2 Standard", deck_type=DECK, block_on_door_open=self._settings.door_switch),
            error_recovery_policy=never_recover,  # as on every OT-2: error recovery is the Flex's
            load_fixed_trash=should_load_fixed_trash(source.config) if source else False,
            deck_configuration=DECK_CONFIGURATION,
        )
        witness = Witness(self.world, self._log, self.pace, run_id, self.boot_id)
        engine.add_plugin(witness)
        orchestrator = RunOrchestrator.build_orchestrator(
            run_id=run_id,
            protocol_engine=engine,
            hardware_api=self.hardware,
            protocol_config=source.config if source else None,
        )
        if source is None:
            orchestrator.prepare()
        else:
            try:
                await orchestrator.load(
                    source,
                    run_time_param_values=dict(parameters) or None,  # type: ignore[arg-type]
                    run_time_param_paths=None,
                    parse_mode=ParseMode.ALLOW_LEGACY_METADATA_AND_REQUIREMENTS,
                )
            except Exception:
                await _close(orchestrator)
                raise
        run = Run(run_id, orchestrator, witness, protocol_id)
        self.runs[run_id] = run
        self.current = run
        return run

    async def archive(self) -> None:
        """Make the current run a past one.

        Raises:
            RunConflictError: it is active.
        """
        async with self._changing:
            await self._archive()

    async def _archive(self) -> None:
        run = self.current
        if run is None:
            return
        if not run.orchestrator.get_is_okay_to_clear():
            raise RunConflictError("Current run is not idle or stopped.")
        await _close(run.orchestrator)
        run.archive()
        self.current = None

    def play(self, run: Run) -> None:
        """Start or resume a run. Starting goes on in the background, as on the robot: an un-played run homes first.

        Raises:
            ProtocolEngineError: the engine does not allow it.
        """
        if run.playing:
            run.orchestrator.play(DECK_CONFIGURATION)
        else:
            run.playing = True
            self._background(run.play_to_end(DECK_CONFIGURATION))

    def stop(self, run: Run) -> None:
        """Stop a run, in the background, as on the robot."""
        self._background(self._stop(run))

    async def _stop(self, run: Run) -> None:
        try:
            await run.orchestrator.stop()
        except ProtocolEngineError as error:
            # The robot answers 201 to a stop of what has already stopped, and writes this into its log.
            log.warning("run %s: stop was not possible: %s", run.id, error)

    async def home(self, mount: str | None) -> None:
        """Home the whole robot, or one mount and its plunger."""
        if mount is None:
            await self.hardware.home()
            return
        which = types.Mount[mount.upper()]
        await self.hardware.home([Axis.by_mount(which)])
        await self.hardware.home_plunger(which)

    async def set_door(self, open_: bool) -> None:
        """Open or close the door, and wait until the engine has heard of it."""
        # The notification waits for the engine's loop, which is this one: so it is sent from the motors' thread and
        # awaited here.
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._tell_door(open_), self.loop))

    async def _tell_door(self, open_: bool) -> None:
        self.hardware.set_door(open_)

    def mark_dead(self) -> None:
        """From here on nothing that the software does counts: the power is gone."""
        if self.current is not None:
            self.current.witness.power_lost()

    def power_off(self) -> None:
        """Stop the motors' thread."""
        self._thread.clean_up()

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work go on while its request is answered."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("work in the background failed", exc_info=error)


async def _close(orchestrator: RunOrchestrator) -> None:
    """Let go of an engine without moving anything."""
    await orchestrator.finish(
        drop_tips_after_run=False,
        set_run_status=False,
        post_run_hardware_state=PostRunHardwareState.STAY_ENGAGED_IN_PLACE,
    )
