"""A process on the unit's host asks the unit's agent: typed calls over the control socket. Decides and retries nothing.

Every method raises `NoAgent` when no agent answers and `LabkeeperError` with the agent's words when it refuses. Safe to
be used from several threads: each call has a connection of its own.
"""

from __future__ import annotations

from typing import Any

from labkeeper_api.kinds import LabDevice
from labkeeper_api.unit_calls import Interrupt, Pause, Perform, Performed, Renew, Reserve, Reserved, Unreserve
from labkeeper_devices.agent import control
from labkeeper_devices.agent.host import UnitDirectory


class UnitClient:
    """Asks the agent of one unit."""

    def __init__(self, directory: UnitDirectory) -> None:
        self.directory = directory

    @property
    def unit(self) -> str:
        """Name of the unit."""
        return self.directory.unit

    def status(self) -> dict[str, Any]:
        """What is the case; among it `state`, `reason`, `reservation` and `progress`."""
        return self._ask({"do": "status"})

    def device(self) -> LabDevice:
        """The LabDevice that the agent was started with."""
        return LabDevice.model_validate(self._ask({"do": "device"})["device"])

    def reserve(self, holder: str, name: str) -> Reserved:
        """Hold the unit. `holder` is the id of a run, `name` says for people what it is held for."""
        return Reserved.model_validate(self._ask(Reserve(holder=holder, name=name).model_dump()))

    def renew(self, holder: str) -> Reserved:
        """Say that the holder is still there."""
        return Reserved.model_validate(self._ask(Renew(holder=holder).model_dump()))

    def unreserve(self, holder: str) -> None:
        """Let the unit go."""
        self._ask(Unreserve(holder=holder).model_dump())

    def interrupt(self, holder: str) -> None:
        """Stop the holder's command that is under way, if there is one. Returns before it has come to rest."""
        self._ask(Interrupt(holder=holder).model_dump())

    def pause(self, holder: str) -> None:
        """Pause the operation that is under way."""
        self._ask(Pause(do="pause", holder=holder).model_dump())

    def resume(self, holder: str) -> None:
        """Let it go on."""
        self._ask(Pause(do="resume", holder=holder).model_dump())

    def perform(self, call: Perform) -> Performed:
        """Carry out one operation. Waits for as long as that takes; `NoAgent` at once when the agent dies meanwhile."""
        return Performed.model_validate(self._ask(call.model_dump(), timeout=None))

    def estop(self, requester: str, reason: str) -> str | None:
        """Engage the emergency stop; what went wrong with it, or None."""
        trouble = self._ask({"do": "estop", "requester": requester, "reason": reason})["trouble"]
        return None if trouble is None else str(trouble)

    def _ask(self, request: dict[str, Any], *, timeout: float | None = 10.0) -> dict[str, Any]:
        return control.call(self.directory.socket, request, timeout=timeout)
