"""The devices of one canvas run, reached over the control sockets of their agents: the runner's port `Devices`.

An agent that dies and comes back is asked the same again, with the same key, so nothing is done twice. Not for starting
agents (`labkeeper.embedded.standalone`) and not for deciding what comes next (the runner's).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from labkeeper.canvas.holding import Command, HeldUnit
from labkeeper_api.errors import LabkeeperError
from labkeeper_api.unit_calls import Perform, Performed, Reserved
from labkeeper_devices.agent.control import NoAgent
from labkeeper_devices.agent.unit_client import UnitClient
from labkeeper_flows.canvas.steps import Role
from labkeeper_flows.canvas_run.ports import DeviceInfo, StepKey

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0
"""How long an agent may be away: it is restarted within seconds, and its device may have to come up again."""


class SocketDevices:
    """Implements `labkeeper_flows.canvas_run.ports.Devices`."""

    def __init__(
        self, units: Mapping[Role, UnitClient], *, run: str, name: str, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """`run` is the id of the run, which holds the units and begins the keys of all commands; `name` is for people.

        The same `run` must be given when the run is resumed. An agent that is away for longer than `patience_seconds`
        fails the command.
        """
        self._units = dict(units)
        self._run = run
        self._name = name
        self._patience = patience_seconds
        self._held: dict[Role, HeldUnit] = {}

    def reserve(self) -> tuple[DeviceInfo, ...]:
        """Hold every device of the run. Raises `LabkeeperError` when one cannot be had; then none is held."""
        infos = []
        try:
            # All in one order, so that two runs that want the same devices cannot each wait for the other's.
            for role, client in sorted(self._units.items(), key=lambda item: item[1].unit):
                said = client.reserve(self._run, self._name)
                self._held[role] = HeldUnit(client, said, self._run, self._name)
                infos.append(_info(role, said))
        except LabkeeperError:
            self.release()
            raise
        return tuple(infos)

    def perform(self, role: Role, key: StepKey, operation: str, parameters: dict[str, Any]) -> Performed:
        """Carry out one operation (without the driver's name). Waits for an agent that is away, and asks it again.

        Raises `LabkeeperError` when the device cannot be reached any more, or was interrupted while it could not be.
        """
        unit = self._held.get(role)
        if unit is None:
            raise LabkeeperError(f"no device of role {role} is held by this run")
        call = Perform(
            holder=self._run,
            run=self._run,
            node=key.node,
            iteration=key.cycle,
            ordinal=key.ordinal,
            operation=f"{unit.driver}.{operation}",
            parameters=parameters,
        )
        with unit.command() as command:
            return self._insist(unit, command, call)

    def _insist(self, unit: HeldUnit, command: Command, call: Perform) -> Performed:
        """Ask until there is an answer. What an agent did before it died, the next one answers from its journal."""
        while True:
            try:
                return unit.client.perform(call)
            except NoAgent as error:
                log.warning("%s; waiting for the agent of %s", error, unit.client.unit)
                self._wait_for_agent(unit, command, call)

    def _wait_for_agent(self, unit: HeldUnit, command: Command, call: Perform) -> None:
        end = time.monotonic() + self._patience
        why = "it does not answer"
        what = f"{call.operation} of node {call.node!r}"
        while time.monotonic() < end:
            if command.interrupted.wait(0.1):
                raise LabkeeperError(
                    f"{what} was to be stopped while the agent of unit {unit.client.unit} was away; what became of it "
                    "is in the unit's journal: labkeeper device history"
                )
            try:
                unit.client.reserve(self._run, self._name)
            except LabkeeperError as error:
                why = str(error)  # away, or busy with what it took while nobody held it
                continue
            return
        raise LabkeeperError(
            f"{what}: the agent of unit {unit.client.unit} could not be had again for {self._patience:g} s ({why}); "
            "what became of the command is in the unit's journal: start the agent again and resume the run"
        )

    def interrupt(self) -> None:
        """Stop whatever is under way on any device. From any thread; returns at once."""
        for unit in list(self._held.values()):
            unit.interrupt()

    def release(self) -> None:
        """Let all devices go."""
        while self._held:
            _, unit = self._held.popitem()
            unit.release()


def _info(role: Role, said: Reserved) -> DeviceInfo:
    return DeviceInfo(role, said.unit, said.driver, said.simulated, said.time_factor)
