"""The OT-2 as the agent drives it: the `Driver` and `Pausable` protocols over `session`, `carrying` and `protocols`.

Not for journals, queues, retries. Results are JSON; each says whether it was simulated, and at which time factor.
Blocking, one thread at a time, except `emergency_stop`, `release_stop`, `progress`, `pause` and `resume`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, InvalidInput, Problem
from labkeeper_api.operations import OperationSpec, ot2
from labkeeper_api.operations.ot2 import (
    AtWell,
    DropTip,
    LoadCustomLabware,
    LoadLabware,
    LoadPipette,
    PickUpTip,
    Protocol,
    SetLights,
)
from labkeeper_api.operations.spec import Parameters
from labkeeper_devices.drivers.base import AtRest, Commands, Health, Identity, Interrupt, Progress, Simulation
from labkeeper_devices.drivers.ot2 import condition
from labkeeper_devices.drivers.ot2.answers import CommandState
from labkeeper_devices.drivers.ot2.carrying import Carrying, Watch
from labkeeper_devices.drivers.ot2.controls import Controls
from labkeeper_devices.drivers.ot2.http import Patience, RobotHttp
from labkeeper_devices.drivers.ot2.loading import Loading
from labkeeper_devices.drivers.ot2.lock import RobotLock
from labkeeper_devices.drivers.ot2.orders import definition_problems, orders_for
from labkeeper_devices.drivers.ot2.protocols import Protocols
from labkeeper_devices.drivers.ot2.session import RunSession
from labkeeper_devices.drivers.ot2.stopping import StopLatch, bring_to_rest

log = logging.getLogger(__name__)

MOTIONS: Final = frozenset(
    spec.key
    for spec in (
        ot2.HOME_ROBOT,
        ot2.MOVE_TO_WELL,
        ot2.PICKUP_TIP,
        ot2.DROP_TIP,
        ot2.ASPIRATE,
        ot2.DISPENSE,
        ot2.BLOWOUT,
    )
)
"""What is carried out as commands in our run."""
DOOR_MATTERS: Final = MOTIONS | {ot2.INITIALIZE_ROBOT.key, ot2.RUN_PROTOCOL.key}
"""What an open door forbids. Lights do not move."""


class OT2Driver:
    """Drives one OT-2."""

    operations: dict[str, OperationSpec] = {spec.key: spec for spec in ot2.OPERATIONS}
    mending: frozenset[str] = frozenset({ot2.INITIALIZE_ROBOT.key, ot2.HOME_ROBOT.key})
    """A fresh run and homing are what the robot asks for after an alarm of its motors."""

    def __init__(self, address: str, *, simulation: Simulation | None = None, patience: Patience | None = None) -> None:
        """`address`: host name or IP address, with port where it is not 31950. Opens nothing."""
        self._patience = patience or Patience()
        self._simulation = simulation
        self._latch = StopLatch()
        self._watch = Watch()
        self._robot = RobotHttp(address, self._patience)
        self.address = self._robot.address
        self._controls = Controls(self.address, self._latch, self._watch)
        self._lock = RobotLock(self.address)
        self._session: RunSession | None = None
        self._open = False
        self._perform: dict[str, Callable[[Any, Interrupt], dict[str, Any]]] = {
            ot2.INITIALIZE_ROBOT.key: self._initialize,
            ot2.LOAD_LABWARE.key: self._load_labware,
            ot2.LOAD_CUSTOM_LABWARE.key: self._load_labware,
            ot2.LOAD_PIPETTE.key: self._load_pipette,
            ot2.SET_LIGHTS.key: self._set_lights,
            ot2.GET_STATUS.key: self._get_status,
            ot2.GET_LABWARE_REGISTRY.key: self._get_labware_registry,
            ot2.ANALYZE_PROTOCOL.key: self._analyze_protocol,
            ot2.RUN_PROTOCOL.key: self._run_protocol,
            ot2.EMERGENCY_STOP.key: self._emergency_stop,
        }

    # The connection.

    def open(self, *, energize: bool) -> Identity:
        """Lock the robot against other processes of this host, see who it is and what it does. Only asks.

        A run of ours that is still there is taken up again: what is loaded in it and what the pipettes hold is read
        from it. Raises `DeviceUnreachable`, `DeviceError`.
        """
        del energize  # nothing is ever energized by connecting
        self._lock.take()
        try:
            identity = condition.identity_of(condition.read_vitals(self._robot), self.address, self._simulation)
            session = self._session or RunSession(self._robot, self._latch, self._patience)
            session.settled = False
            finding = session.connect()
        except BaseException:
            self._lock.release()
            raise
        self._session = session
        self._open = True
        log.info("OT-2 at %s: %s", self.address, finding)
        return identity

    def close(self) -> None:
        """Let the robot go and leave it as it is. What is known of its run is kept for the next `open`."""
        self._open = False
        self._robot.close()
        self._robot = RobotHttp(self.address, self._patience)
        if self._session is not None:
            self._session.robot = self._robot
        self._lock.release()

    @property
    def is_open(self) -> bool:
        """Whether the robot was reached and is ours."""
        return self._open

    def health(self) -> Health:
        """The robot's condition. Raises `DeviceUnreachable`."""
        session = self._connected()
        vitals = condition.read_vitals(self._robot)
        finding = session.look()
        return condition.health_of(vitals, finding, stopped=self._latch.engaged, stranded=session.stranded)

    # Operations.

    def check(self, operation: str, parameters: Parameters) -> None:
        """Refuse what could never succeed or what the robot's condition forbids, before anything moves.

        Raises `InvalidInput`, `Interlocked`; `DeviceUnreachable` when the robot cannot be asked.
        """
        if isinstance(parameters, LoadCustomLabware) and (problems := definition_problems(parameters)):
            raise InvalidInput(problems)
        spec = self.operations[operation]
        if not spec.physical or spec.emergency:
            return
        self._latch.check()
        session = self._connected()
        if operation not in DOOR_MATTERS:
            return
        if self._robot.get("/robot/door/status")["data"].get("status") == "open":
            raise Interlocked("the door is open: close it")
        finding = session.look()
        if operation in MOTIONS:
            session.refuse_unusable(finding)
            session.refuse_pending(finding, orders_for(operation, parameters, session.equipment))
            return
        session.refuse_foreign(finding)
        session.refuse_tool()

    def perform(self, operation: str, parameters: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        """Carry out one operation and confirm it.

        Raises `DeviceError` in the robot's words when it did not succeed, `Interrupted` when it was ended early (call
        `halt`), `DeviceUnreachable` when nobody can say how it ended.
        """
        began = time.monotonic()
        if operation in MOTIONS:
            result = self._move(operation, parameters, interrupt)
        else:
            result = self._perform[operation](parameters, interrupt)
        result["duration_s"] = round(time.monotonic() - began, 3)
        result["simulated"] = self._simulation is not None
        if self._simulation is not None:
            result["time_factor"] = self._simulation.time_factor
        return result

    def run_program(self, operation: str, parameters: Parameters, commands: Commands) -> dict[str, Any]:
        """An OT-2 has no operation that consists of others."""
        del parameters, commands
        raise InvalidInput([Problem("operation", f"{operation} is no program")])

    # Stopping, pausing.

    def halt(self) -> AtRest:
        """Stop what is under way, and say whether the robot is at rest.

        After a stop it drops what the pipettes held into the trash and homes; that is waited for.
        """
        session = self._session
        if session is None:
            return AtRest(False, {"reason": f"the OT-2 at {self.address} was never connected"})
        settled = session.run_id if session.settled else None
        return bring_to_rest(self._robot, self._patience, settled)

    def emergency_stop(self) -> None:
        """Stop the robot's run at once, whoever started it, over a connection of its own; latched. Any thread.

        The robot then drops what it holds into the trash and homes: its network interface has no other stop. Raises
        `DeviceError` when the robot does not confirm it.
        """
        self._controls.stop(self._session)

    def release_stop(self) -> None:
        """A person ended the emergency stop. Nothing moves by that."""
        self._latch.release()

    def progress(self) -> Progress | None:
        """How far what is under way has come. Any thread."""
        return self._watch.progress

    def pause(self) -> None:
        """Pause what is under way, in the middle of a motion. Any thread. Raises `DeviceError`."""
        self._controls.pause()

    def resume(self) -> None:
        """Let it go on. Any thread. Raises `DeviceError`."""
        self._controls.resume()

    # The operations one by one.

    def _connected(self) -> RunSession:
        if self._session is None or not self._open:
            raise DeviceUnreachable(f"the OT-2 at {self.address} is not connected")
        return self._session

    def _move(self, operation: str, parameters: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        session = self._connected()
        self._latch.check()
        carrying = Carrying(session, self._watch)
        ended = carrying.carry_out(lambda equipment: orders_for(operation, parameters, equipment), interrupt)
        if isinstance(parameters, PickUpTip):
            session.equipment = session.equipment.picked_up(parameters.pipette, parameters.labware, parameters.well)
        elif isinstance(parameters, DropTip):
            session.equipment = session.equipment.dropped(parameters.pipette)
        return _told(ended, parameters)

    def _initialize(self, _: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        session = self._connected()
        self._latch.check()
        try:
            before = str(session.look())
            run = session.initialize(interrupt)
        except DeviceUnreachable as error:
            # Known for what it is: at most the run before has ended, and asking again is harmless.
            raise DeviceError(f"the robot was not initialised: {error}") from error
        return {"connected": True, "run": run.status, "found": before}

    def _load_labware(self, wanted: LoadLabware | LoadCustomLabware, interrupt: Interrupt) -> dict[str, Any]:
        loading = Loading(self._connected(), Carrying(self._connected(), self._watch))
        labware, already = loading.labware(wanted, interrupt)
        return {
            "labware": labware.name,
            "slot": labware.slot,
            "definition": labware.uri,
            "wells": len(labware.wells),
            "already_loaded": already,
        }

    def _load_pipette(self, wanted: LoadPipette, interrupt: Interrupt) -> dict[str, Any]:
        loading = Loading(self._connected(), Carrying(self._connected(), self._watch))
        already = loading.pipette(wanted, interrupt)
        return {"pipette": wanted.pipette, "mount": wanted.mount, "already_loaded": already}

    def _set_lights(self, wanted: SetLights, interrupt: Interrupt) -> dict[str, Any]:
        interrupt.check()
        self._connected()
        try:
            answer = self._robot.post("/robot/lights", {"on": wanted.on})
        except DeviceUnreachable as error:
            raise DeviceError(f"the lights may not have been switched: {error}") from error
        return {"on": bool(answer.get("on"))}

    def _get_status(self, _: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        interrupt.check()
        session = self._connected()
        vitals = condition.read_vitals(self._robot)
        lights = bool(self._robot.get("/robot/lights").get("on"))
        finding = session.look()
        return condition.status_of(vitals, finding, session.equipment, lights=lights, found=session.found)

    def _get_labware_registry(self, _: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        interrupt.check()
        session = self._connected()
        session.look()
        return condition.registry_of(session.equipment)

    def _analyze_protocol(self, wanted: Protocol, interrupt: Interrupt) -> dict[str, Any]:
        analysis = Protocols(self._connected(), self._watch).analyse(wanted.name, wanted.content, interrupt)
        return {"protocol": wanted.name, **analysis.as_json()}

    def _run_protocol(self, wanted: Protocol, interrupt: Interrupt) -> dict[str, Any]:
        self._latch.check()
        return Protocols(self._connected(), self._watch).run(wanted.name, wanted.content, interrupt)

    def _emergency_stop(self, _: Parameters, __: Interrupt) -> dict[str, Any]:
        began = time.monotonic()
        run_id = self._controls.stop(self._session)
        return {
            "stopped": True,
            "was_under_way": run_id is not None,
            "confirmed_after_ms": round((time.monotonic() - began) * 1000, 2),
        }


def _told(ended: list[CommandState], parameters: Parameters) -> dict[str, Any]:
    """What the robot says of commands that succeeded: where the tip's end is, in mm of the deck, and the µL moved."""
    last = ended[-1]
    result: dict[str, Any] = {"commands": [command.kind for command in ended]}
    if isinstance(last.result.get("position"), dict):
        result["position_mm"] = last.result["position"]
    if "volume" in last.result:
        result["volume_ul"] = last.result["volume"]
    if isinstance(parameters, AtWell):
        result |= {"labware": parameters.labware, "well": parameters.well}
    return result
