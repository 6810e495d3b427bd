"""What can be asked of a running agent over the control socket. Runs in control threads; decides nothing itself.

Here is what people ask; what runs on this host ask is handed to `calls`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from labkeeper_api.kinds import LabAction
from labkeeper_api.kinds.labaction import Action, Outcome
from labkeeper_devices.agent import calls
from labkeeper_devices.agent.calls import Calls, Refused
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.workplace import Workplace

ASKED_HERE = ("status", "device", "history", "estop", "act")


class Desk:
    """Answers control requests: `status`, `device`, `history`, `estop`, `act` (a LabAction), and those of `calls`."""

    def __init__(self, work: Workplace, calls: Calls, acted: Callable[[], None]) -> None:
        """`acted` is called after a person changed something."""
        self._device = work.device
        self._unit = work.settings.unit
        self._journal = work.journal
        self._stop = work.stop
        self._snapshot = work.snapshot
        self._calls = calls
        self._acted = acted

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises `Refused`, and what `Calls.answer` raises."""
        asked = request.get("do")
        if asked in calls.NAMES:
            return self._calls.answer(request)
        match asked:
            case "status":
                return self._snapshot()
            case "device":
                return {"device": self._device.model_dump(mode="json", by_alias=True, exclude_none=True)}
            case "history":
                return history(self._journal, int(request.get("limit", 50)))
            case "estop":
                return self._estop(str(request.get("requester", "unknown")), str(request.get("reason", "")))
            case "act":
                return self._act(request.get("action"))
        raise Refused(f"unknown request {asked!r}: it is one of {', '.join((*ASKED_HERE, *calls.NAMES))}")

    def _estop(self, requester: str, reason: str) -> dict[str, Any]:
        return {"stopped": True, "trouble": self._stop.engage(requester, reason or "no reason given")}

    def _act(self, raw: Any) -> dict[str, Any]:
        try:
            action = LabAction.model_validate(raw)
        except ValidationError as error:
            raise Refused(f"not a LabAction: {error}") from error
        spec = action.spec
        if spec.device != self._device.metadata.name or spec.unit not in (None, self._unit):
            raise Refused(f"the action is for {spec.unit or spec.device}, this is {self._unit}")
        if spec.action is Action.RELEASE:
            return self._release(spec.requester, spec.reason)
        return self._acknowledge(spec.requester, spec.reason, completed=spec.outcome is Outcome.COMPLETED)

    def _release(self, requester: str, reason: str) -> dict[str, Any]:
        why = self._stop.engaged
        if why is None:
            raise Refused(f"unit {self._unit} is not stopped")
        self._journal.record("Release", requester, reason, {"was": why})
        self._stop.release()
        return {"released": why}

    def _acknowledge(self, requester: str, reason: str, *, completed: bool) -> dict[str, Any]:
        said = self._snapshot()
        if said["run"] is not None:
            raise Refused(f"unit {self._unit} is carrying out a run; acknowledge when it has ended")
        if not said["held_by"]:
            raise Refused(f"unit {self._unit} holds nothing that could be acknowledged")
        commands = self._journal.acknowledge(requester, reason, completed=completed)
        self._acted()
        return {"acknowledged": [command.described() for command in commands]}


def history(journal: Journal, limit: int) -> dict[str, Any]:
    """The latest commands and actions, newest first."""
    return {
        "commands": [
            {**asdict(command), "key": str(command.key), "described": command.described()}
            for command in journal.last_commands(limit)
        ],
        "actions": [asdict(action) for action in journal.actions(limit)],
    }
