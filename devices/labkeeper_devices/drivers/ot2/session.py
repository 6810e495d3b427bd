"""The run of a robot that single commands are given to: found, opened, loaded, begun and ended.

How it is built, and why, says `deciding`. Carrying commands out is `carrying`. One thread at a time, except the
properties.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, Interrupted, InvalidInput, Problem
from labkeeper_devices.drivers.base import Interrupt
from labkeeper_devices.drivers.ot2.answers import DOOR_OPEN, CommandState, RunState
from labkeeper_devices.drivers.ot2.deciding import BEGUN, GUARD, LABEL, OURS, Finding, Verdict, is_asked_for, judge
from labkeeper_devices.drivers.ot2.equipment import Equipment, LoadedLabware, LoadedPipette, labware_of, restored
from labkeeper_devices.drivers.ot2.http import Patience, Refused, RobotHttp, Unanswered
from labkeeper_devices.drivers.ot2.orders import Order
from labkeeper_devices.drivers.ot2.stopping import StopLatch, ask_to_stop, current_run, run_state, wait_until_over

log = logging.getLogger(__name__)

PAGE = 1000
LOOK_SECONDS = 0.02


class RunSession:
    """Our run on one robot."""

    def __init__(self, robot: RobotHttp, latch: StopLatch, patience: Patience) -> None:
        self.robot = robot
        self.latch = latch
        self.patience = patience
        self.run_id: str | None = None
        """Our run, as far as we know."""
        self.equipment = Equipment()
        self.settled = False
        """Whether our run is known to wait at its guard, or not to have begun."""
        self.doubtful = False
        """Whether a command whose queueing was never answered might still turn up in the queue."""
        self.stranded: str | None = None
        """Why nothing may move until the robot is initialised."""
        self.found = ""
        """What the robot was found doing when the connection was opened."""

    # Looking.

    def connect(self) -> Finding:
        """See what the robot does, and take up a run of ours again. Changes nothing there."""
        finding = self._look_closely()
        self.found = str(finding)
        return finding

    def look(self) -> Finding:
        """What the robot does now. Cheap while our run is where it was left."""
        if self.run_id is not None and self.settled:
            run = run_state(self.robot, self.run_id)
            if run is not None and not run.over:
                if run.status in ("paused", DOOR_OPEN) and run.played:
                    return Finding(Verdict.READY, run)
                if run.status == "idle" and not run.played:
                    return Finding(Verdict.FRESH, run)
        return self._look_closely()

    def _look_closely(self) -> Finding:
        run = current_run(self.robot)
        commands = self.commands(run.id) if run is not None and not run.over else []
        finding = judge(run, commands)
        if run is not None and finding.verdict in OURS:
            if run.id != self.run_id or not self.settled:
                self.equipment = restored(run, self._loads(run, commands), commands)
            self.run_id = run.id
            self.settled = finding.verdict in (Verdict.FRESH, Verdict.READY)
        elif self.run_id is not None:
            self._lost(self.run_id)
        return finding

    def _lost(self, run_id: str) -> None:
        """Our run no longer has the robot. Where it ended in order, the robot dropped what it held."""
        known = run_state(self.robot, run_id) is not None
        holding = self.equipment.holding()
        if not known and holding is not None:
            self.stranded = (
                f"the robot has lost its run (was it restarted?) while {holding}: see what is really on the pipette, "
                "take it off by hand, then initialize_robot"
            )
        self.equipment = self.equipment.empty_handed()
        self.run_id, self.settled = None, False

    def commands(self, run_id: str) -> list[CommandState]:
        """All commands of a run, without their results."""
        found: list[CommandState] = []
        while True:
            page = self.robot.get(f"/runs/{run_id}/commands", cursor=len(found), pageLength=PAGE)
            items = page.get("data") or []
            found += [CommandState.of(item) for item in items]
            if not items or len(found) >= int((page.get("meta") or {}).get("totalLength", 0)):
                return found

    def _loads(self, run: RunState, commands: Sequence[CommandState]) -> list[CommandState]:
        loads = [item for item in commands if item.kind == "loadLabware" and item.status == "succeeded"]
        return [CommandState.of(self.robot.get(f"/runs/{run.id}/commands/{item.id}")["data"]) for item in loads]

    # Opening and ending.

    def initialize(self, interrupt: Interrupt) -> RunState:
        """Open a fresh run with nothing loaded. A run of ours before it is ended, and the robot then homes."""
        finding = self.look()
        self.refuse_foreign(finding)
        run = finding.run
        if run is not None and not finding.replaceable and finding.verdict is not Verdict.FRESH:
            self.refuse_tool()
            self.end(run.id, interrupt)
        self.equipment, self.stranded = Equipment(), None
        return self._open()

    def end(self, run_id: str, interrupt: Interrupt) -> None:
        """End a run and wait until the robot has tidied up."""
        interrupt.check()
        self.settled = False
        ask_to_stop(self.robot, run_id)
        wait_until_over(self.robot, run_id, self.patience)
        self.equipment = self.equipment.empty_handed()
        self.run_id = None

    def refuse_foreign(self, finding: Finding) -> None:
        """Raise `Interlocked` while somebody else's run has the robot."""
        if finding.verdict is Verdict.FOREIGN:
            raise Interlocked(f"{finding}: wait for its end, or stop it where it was started")

    def refuse_tool(self) -> None:
        """Raise `Interlocked` while a pipette holds a tool: at the end of a run the robot throws it away."""
        tool = self.equipment.tool()
        if tool is not None:
            raise Interlocked(f"{tool}, and the end of the run would throw it into the trash: drop_tip it home first")

    def refuse_unusable(self, finding: Finding) -> None:
        """Raise `Interlocked` where no command may be given to the run as it is."""
        self.refuse_foreign(finding)
        if self.stranded is not None:
            raise Interlocked(self.stranded)
        if finding.verdict is Verdict.UNSETTLED:
            raise Interlocked(f"{finding}: end it with initialize_robot")

    def refuse_pending(self, finding: Finding, orders: Sequence[Order]) -> None:
        """Raise `Interlocked` where commands wait in the queue that are not the ones asked for now."""
        kinds, params = [order.kind for order in orders], [order.params for order in orders]
        if not is_asked_for(finding.pending, kinds, params):
            raise Interlocked(f"{finding}: ask for those, or end the run with initialize_robot")

    def await_still(self, interrupt: Interrupt) -> Finding:
        """What the robot does, once what our run was given before is done: an agent may have died in between."""
        while (finding := self.look()).verdict is Verdict.MOVING:
            self.refuse_latched()
            interrupt.sleep(LOOK_SECONDS)
        return finding

    def ready(self, interrupt: Interrupt) -> Finding:
        """Have a run of ours that waits at its guard. The first motion of a run is to home.

        Raises `Interlocked`, `DeviceError`, `Interrupted`; never `DeviceUnreachable`, since what the caller wants to
        have carried out has not begun.
        """
        try:
            finding = self.await_still(interrupt)
            self.refuse_unusable(finding)
            if finding.verdict in BEGUN:
                return finding
            if finding.replaceable:
                self.reopen()
            return Finding(Verdict.READY, self._begin(interrupt))
        except DeviceUnreachable as error:
            self.settled = False
            raise DeviceError(f"it did not begin: {error}") from error

    def _open(self) -> RunState:
        """A new run in place of one that is idle or over, labelled as ours."""
        self.run_id, self.settled, self.doubtful = None, False, False
        run = RunState.of(self.robot.post("/runs", {"data": {}}, wait=self.patience.load)["data"])
        self.run_id = run.id
        self.setup("comment", {"message": "opened by Labkeeper"}, key=LABEL)
        self.settled = True
        return run

    def reopen(self) -> None:
        """A new run that knows all that the one before knew."""
        known = self.equipment
        self._open()
        self.equipment = Equipment()
        for labware in known.labware.values():
            self.equipment = self.equipment.with_labware(self.place(labware))
        for pipette in known.pipettes.values():
            result = self.setup("loadPipette", {"pipetteName": pipette.name, "mount": pipette.mount}).result
            self.equipment = self.equipment.with_pipette(
                LoadedPipette(pipette.name, str(result["pipetteId"]), pipette.mount)
            )

    def _begin(self, interrupt: Interrupt) -> RunState:
        """Let a fresh run play up to its guard. The robot homes first."""
        self.queue("waitForResume", {}, GUARD)
        interrupt.check()
        self.latch.check()
        self.settled = False
        self.play()
        end = time.monotonic() + self.patience.rest
        while True:
            self.refuse_latched()
            run = run_state(self.robot, str(self.run_id))
            if run is None or run.over:
                why = "; ".join(run.errors) if run is not None and run.errors else "the robot gives no reason"
                raise DeviceError(f"the run ended when it was to begin with homing: {why}")
            if run.status == "paused":
                self.settled = True
                return run
            if run.status == DOOR_OPEN:
                raise Interlocked("the door is open: close it")
            if time.monotonic() >= end:
                raise DeviceError(f"the run is still {run.status} after {self.patience.rest:g} s: did homing fail?")
            interrupt.sleep(LOOK_SECONDS)

    def refuse_latched(self) -> None:
        """Raise `Interrupted` once the emergency stop came."""
        if self.latch.engaged:
            raise Interrupted("emergency-stop")

    # Commands.

    def setup(self, kind: str, params: Mapping[str, Any], key: str | None = None) -> CommandState:
        """A command that moves nothing, in a run that has not begun. Raises `DeviceError` in the robot's words."""
        data = {"commandType": kind, "params": dict(params), "intent": "setup", "key": key or f"{LABEL}-{uuid.uuid4()}"}
        self.settled = False
        answer = self.robot.post(
            f"/runs/{self.run_id}/commands", {"data": data}, wait=self.patience.load, waitUntilComplete="true"
        )
        self.settled = True
        command = CommandState.of(answer["data"])
        if command.status != "succeeded":
            raise DeviceError(command.words if command.status == "failed" else f"{kind} is still {command.status}")
        return command

    def queue(self, kind: str, params: Mapping[str, Any], key: str) -> CommandState:
        """Queue a command behind the guard: moves nothing.

        Where the answer is lost, the robot is asked for it. Raises `DeviceUnreachable` if it is not there.
        """
        data = {"commandType": kind, "params": dict(params), "intent": "protocol", "key": key}
        try:
            answer = self.robot.post(f"/runs/{self.run_id}/commands", {"data": data})
        except Unanswered:
            self.doubtful = True
            behind = self.commands(str(self.run_id))
            found = next((command for command in behind if command.key == key and command.status == "queued"), None)
            if found is None:
                raise
            return found
        return CommandState.of(answer["data"])

    def play(self) -> None:
        """Let the run go on from its guard."""
        self.robot.post(f"/runs/{self.run_id}/actions", {"data": {"actionType": "play"}})

    def define(self, definition: Mapping[str, Any]) -> None:
        """Tell the run of labware of one's own. Raises `InvalidInput` in the robot's words."""
        try:
            self.robot.post(f"/runs/{self.run_id}/labware_definitions", {"data": dict(definition)})
        except Refused as error:
            if error.status == 422:
                raise InvalidInput([Problem("definition", f"the robot refuses it: {error.words}")]) from error
            raise

    def place(self, labware: LoadedLabware) -> LoadedLabware:
        """Load labware into a run that has not begun; it with its new id."""
        if labware.definition is not None:
            self.define(labware.definition)
        params = {"location": {"slotName": str(labware.slot)}, "displayName": labware.name, **labware.order}
        return labware_of(self.setup("loadLabware", params))
