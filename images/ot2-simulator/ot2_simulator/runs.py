"""One run: its engine while it is current, its record afterwards."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from opentrons.protocol_engine import Command, StateSummary
from opentrons.protocol_engine.errors import CommandDoesNotExistError
from opentrons.protocol_engine.types import DeckConfigurationType
from opentrons.protocol_runner import RunOrchestrator

from ot2_simulator.witness import Witness

ACTIONS = ("play", "pause", "stop")


class Run:
    """A run of the robot. While it is current its state is the engine's; afterwards what the engine last said."""

    def __init__(self, run_id: str, orchestrator: RunOrchestrator, witness: Witness, protocol_id: str | None) -> None:
        self.id = run_id
        self.orchestrator = orchestrator
        self.witness = witness
        self.protocol_id = protocol_id
        self.created_at = datetime.now(UTC)
        self.actions: list[dict[str, Any]] = []
        self.playing = False
        """Whether play was ever asked for: the second play resumes."""
        self._summary: StateSummary | None = None
        self._commands: list[Command] | None = None

    @property
    def current(self) -> bool:
        """Whether this run has the robot."""
        return self._summary is None

    def archive(self) -> None:
        """Keep what the engine says now, for good."""
        self._commands = self.commands()
        self._summary = self.summary()

    def summary(self) -> StateSummary:
        """Equipment, errors and status."""
        return self._summary if self._summary is not None else self.orchestrator.get_state_summary()

    def commands(self) -> list[Command]:
        """All commands, in order."""
        return self._commands if self._commands is not None else self.orchestrator.get_all_commands()

    def command(self, command_id: str) -> Command:
        """One command.

        Raises:
            CommandDoesNotExistError: there is none of that id.
        """
        if self._commands is None:
            return self.orchestrator.get_command(command_id)
        for command in self._commands:
            if command.id == command_id:
                return command
        raise CommandDoesNotExistError(f"Command {command_id} does not exist")

    async def play_to_end(self, deck: DeckConfigurationType) -> None:
        """Play from the start until the run is over; errors of the protocol end up in its summary."""
        await self.orchestrator.run(deck_configuration=deck)

    def add_action(self, action_type: str) -> dict[str, Any]:
        """Record a play, pause or stop: ``{"id", "actionType", "createdAt"}``."""
        action = {"id": str(uuid.uuid4()), "actionType": action_type, "createdAt": datetime.now(UTC).isoformat()}
        self.actions.append(action)
        return action

    def as_json(self) -> dict[str, Any]:
        """The robot's ``Run`` resource."""
        summary = self.summary().model_dump(mode="json", exclude_none=True)
        errors = [command.error for command in self.commands() if command.error is not None]
        data = {
            "ok": True,
            "id": self.id,
            "createdAt": self.created_at.isoformat(),
            "status": summary["status"],
            "current": self.current,
            "actions": self.actions,
            "errors": summary["errors"],
            "fullErrorList": [error.model_dump(mode="json", exclude_none=True) for error in errors],
            "hasEverEnteredErrorRecovery": summary["hasEverEnteredErrorRecovery"],
            "runTimeParameters": [],
            "protocolId": self.protocol_id,
            "startedAt": summary.get("startedAt"),
            "completedAt": summary.get("completedAt"),
            "outputFileIds": [],
        }
        data |= {name: summary[name] for name in ("pipettes", "modules", "labware", "liquids", "labwareOffsets")}
        return {name: value for name, value in data.items() if value is not None}
