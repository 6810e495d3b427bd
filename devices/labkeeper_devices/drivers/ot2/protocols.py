"""Whole protocols on the robot: taken in, analysed, run to the end. Not for single commands: those are `carrying`.

The robot itself would play a protocol whose analysis failed; to refuse it is its client's business.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from labkeeper_api.errors import DeviceError, DeviceUnreachable, InvalidInput, Problem
from labkeeper_devices.drivers.base import Interrupt
from labkeeper_devices.drivers.ot2.answers import DOOR_OPEN, CommandState, RunState, words_of
from labkeeper_devices.drivers.ot2.carrying import ENDED, Restarted, Watch
from labkeeper_devices.drivers.ot2.deciding import Verdict
from labkeeper_devices.drivers.ot2.http import Refused, Unanswered
from labkeeper_devices.drivers.ot2.session import RunSession
from labkeeper_devices.drivers.ot2.stopping import run_state, wait_until_over

LOOK_SECONDS: Final = 0.1
ANALYSIS_LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Analysis:
    """What the robot says of a protocol. `errors` are in its words; empty when it can run."""

    protocol_id: str
    errors: tuple[str, ...]
    commands: int
    labware: tuple[Mapping[str, Any], ...]
    pipettes: tuple[Mapping[str, Any], ...]

    @property
    def sound(self) -> bool:
        """Whether the protocol can run."""
        return not self.errors

    def as_json(self) -> dict[str, Any]:
        """For results."""
        return {
            "protocol_id": self.protocol_id,
            "result": "ok" if self.sound else "not-ok",
            "errors": list(self.errors),
            "commands": self.commands,
            "labware": [dict(item) for item in self.labware],
            "pipettes": [dict(item) for item in self.pipettes],
        }


def analysis_of(protocol_id: str, data: Mapping[str, Any]) -> Analysis:
    """From the robot's completed analysis. One that says not-ok has an error, whatever it lists."""
    errors = tuple(words_of(error) for error in data.get("errors") or ())
    if data.get("result") != "ok" and not errors:
        errors = ("the robot says not-ok and gives no reason",)
    labware = tuple(
        {"load_name": item.get("loadName"), "location": item.get("location")} for item in data.get("labware") or ()
    )
    pipettes = tuple(
        {"pipette": item.get("pipetteName"), "mount": item.get("mount")} for item in data.get("pipettes") or ()
    )
    return Analysis(protocol_id, errors, len(data.get("commands") or ()), labware, pipettes)


class Protocols:
    """Protocols on a session's robot."""

    def __init__(self, session: RunSession, watch: Watch) -> None:
        self._session = session
        self._watch = watch

    def analyse(self, name: str, content: str, interrupt: Interrupt) -> Analysis:
        """Hand a protocol to the robot and wait for its analysis; nothing moves.

        Raises `InvalidInput` in the robot's words for what is no protocol, `DeviceError`, `Interrupted`.
        """
        robot = self._session.robot
        try:
            taken = robot.upload("/protocols", name, content)["data"]
        except Refused as error:
            if error.status == 422:
                problem = Problem("content", f"the robot takes {name} for no protocol: {error.words}")
                raise InvalidInput([problem]) from error
            raise
        protocol_id = str(taken["id"])
        path = f"/protocols/{protocol_id}/analyses/{taken['analysisSummaries'][-1]['id']}"
        end = time.monotonic() + self._session.patience.analysis
        while (found := robot.get(path)["data"]).get("status") != "completed":
            if time.monotonic() >= end:
                raise DeviceError(f"the analysis of {name} has not ended after {self._session.patience.analysis:g} s")
            interrupt.sleep(ANALYSIS_LOOK_SECONDS)
        return analysis_of(protocol_id, found)

    def run(self, name: str, content: str, interrupt: Interrupt) -> dict[str, Any]:
        """Run a protocol to its end.

        Raises `DeviceError` in the robot's words when its analysis or the run failed, `Interrupted` when it was ended
        early (then the caller brings the robot to rest), `DeviceUnreachable` when nobody can say how it ended.
        """
        self._watch.begin("", None, f"analyse {name}")
        try:
            run_id, analysis = self._prepare(name, content, interrupt)
            self._watch.begin(run_id, analysis.commands, f"begin {name}")
            self._session.refuse_latched()
            interrupt.check()
            sent = self._play()
            run = self._follow(run_id, name, interrupt, sent=sent)
        finally:
            self._watch.end()
        return {"protocol": name, "run": run.status, "commands": analysis.commands, "pipettes": list(analysis.pipettes)}

    def _prepare(self, name: str, content: str, interrupt: Interrupt) -> tuple[str, Analysis]:
        """All that comes before the first motion of the protocol; no failure here leaves a doubt."""
        session = self._session
        try:
            analysis = self.analyse(name, content, interrupt)
            if not analysis.sound:
                raise DeviceError(f"{name} was refused at its analysis, nothing moved: {'; '.join(analysis.errors)}")
            finding = session.look()
            session.refuse_foreign(finding)
            run = finding.run
            if run is not None and not finding.replaceable and finding.verdict is not Verdict.FRESH:
                session.refuse_tool()
                session.end(run.id, interrupt)
            session.run_id, session.settled = None, False
            made = session.robot.post(
                "/runs", {"data": {"protocolId": analysis.protocol_id}}, wait=session.patience.load
            )
        except DeviceUnreachable as error:
            raise DeviceError(f"{name} did not begin: {error}") from error
        return str(made["data"]["id"]), analysis

    def _play(self) -> bool:
        """Start the run; False when the answer was lost, and it may have started."""
        try:
            self._act("play")
        except Unanswered:
            return False
        except DeviceUnreachable as error:
            raise DeviceError(f"the protocol did not begin: {error}") from error
        return True

    def _act(self, action: str) -> None:
        self._session.robot.post(f"/runs/{self._watch.run_id}/actions", {"data": {"actionType": action}})

    def _follow(self, run_id: str, name: str, interrupt: Interrupt, *, sent: bool) -> RunState:
        robot, patience, heard = self._session.robot, self._session.patience, time.monotonic()
        while True:
            self._session.refuse_latched()
            try:
                run = run_state(robot, run_id)
                if run is not None and not run.over:
                    self._tell(run)
            except DeviceError as error:
                # An answer that is an error says nothing about the run either.
                if time.monotonic() - heard >= patience.absence:
                    raise DeviceUnreachable(f"the robot was lost in the middle of {name}: {error}") from error
                interrupt.sleep(LOOK_SECONDS)
                continue
            heard = time.monotonic()
            if run is None:
                raise Restarted(f"the robot was restarted in the middle of {name}, and knows nothing of its run")
            if run.over:
                return self._end(run, name, interrupt)
            if not sent and run.plays == 0:
                raise DeviceError(f"{name} did not begin: the connection was lost when it was started")
            sent = True
            interrupt.sleep(LOOK_SECONDS)

    def _tell(self, run: RunState) -> None:
        answer = self._session.robot.get(f"/runs/{run.id}/commands", pageLength=1)
        meta = ((answer.get("links") or {}).get("current") or {}).get("meta") or {}
        done = int(meta.get("index", 0))
        items: Sequence[Mapping[str, Any]] = answer.get("data") or ()
        doing = CommandState.of(items[-1]).kind if items else "home"
        if run.status == DOOR_OPEN:
            doing = f"{doing}: the door is open; close it and resume"
        self._watch.tell(done, doing, paused=run.status in ("paused", DOOR_OPEN))

    def _end(self, run: RunState, name: str, interrupt: Interrupt) -> RunState:
        if run.status == "succeeded":
            return run
        interrupt.check()
        wait_until_over(self._session.robot, run.id, self._session.patience)
        if run.status == "stopped":
            raise DeviceError(f"{name} was stopped at the robot by somebody else{ENDED}")
        raise DeviceError(f"{name} failed: {'; '.join(run.errors) or 'the robot gives no reason'}{ENDED}")
