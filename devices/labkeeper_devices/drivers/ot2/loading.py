"""Tells our run which labware stands where and which pipettes are mounted. Nothing moves.

In a run that has not begun, the robot checks each at once. In one that plays, a load that the robot refused would end
the run and make it home; what would surely be refused is therefore refused here before.
"""

from __future__ import annotations

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.operations.ot2 import LoadCustomLabware, LoadLabware, LoadPipette
from labkeeper_devices.drivers.base import Interrupt
from labkeeper_devices.drivers.ot2.answers import CommandState
from labkeeper_devices.drivers.ot2.carrying import Carrying
from labkeeper_devices.drivers.ot2.deciding import BEGUN, Finding
from labkeeper_devices.drivers.ot2.equipment import Equipment, LoadedLabware, LoadedPipette, labware_of
from labkeeper_devices.drivers.ot2.orders import Order, definition_problems, load_order
from labkeeper_devices.drivers.ot2.session import RunSession


class Loading:
    """Loads into a session's run."""

    def __init__(self, session: RunSession, carrying: Carrying) -> None:
        self._session = session
        self._carrying = carrying

    def labware(self, wanted: LoadLabware | LoadCustomLabware, interrupt: Interrupt) -> tuple[LoadedLabware, bool]:
        """Load labware; it, and whether it was there already. Raises `InvalidInput`, `DeviceError`."""
        if isinstance(wanted, LoadCustomLabware) and (problems := definition_problems(wanted)):
            raise InvalidInput(problems)
        session, order = self._session, load_order(wanted)
        finding = self._open_run(interrupt)
        there = session.equipment.labware.get(wanted.labware)
        if there is not None and (there.slot, there.uri) == (wanted.slot, _uri(order)):
            return there, True
        begun = finding.verdict in BEGUN
        if problems := labware_problems(session.equipment, wanted.labware, wanted.slot, begun=begun):
            raise InvalidInput(problems)
        if isinstance(wanted, LoadCustomLabware) and wanted.definition is not None:
            session.define(wanted.definition)
        loaded = labware_of(self._carry_out(order, interrupt, begun=begun))
        session.equipment = session.equipment.with_labware(loaded)
        return loaded, False

    def pipette(self, wanted: LoadPipette, interrupt: Interrupt) -> bool:
        """Say which pipette is mounted; whether that was known already. Raises `DeviceError`."""
        session = self._session
        finding = self._open_run(interrupt)
        there = session.equipment.pipettes.get(wanted.pipette)
        if there is not None and there.mount == wanted.mount:
            return True
        params = {"pipetteName": wanted.pipette, "mount": wanted.mount}
        order = Order("loadPipette", params, f"load {wanted.pipette} on the {wanted.mount}")
        done = self._carry_out(order, interrupt, begun=finding.verdict in BEGUN)
        loaded = LoadedPipette(wanted.pipette, str(done.result["pipetteId"]), wanted.mount)
        session.equipment = session.equipment.with_pipette(loaded)
        return False

    def _open_run(self, interrupt: Interrupt) -> Finding:
        """Our run as it is; a new one where there is none. Opening one moves nothing."""
        session = self._session
        finding = session.await_still(interrupt)
        session.refuse_unusable(finding)
        if finding.replaceable:
            session.reopen()
            finding = session.look()
        return finding

    def _carry_out(self, order: Order, interrupt: Interrupt, *, begun: bool) -> CommandState:
        if not begun:
            interrupt.check()
            return self._session.setup(order.kind, order.params)
        return self._carrying.carry_out(lambda _: [order], interrupt)[0]


def labware_problems(equipment: Equipment, name: str, slot: int, *, begun: bool) -> list[Problem]:
    """What speaks against loading labware of that name into that slot."""
    hint = "initialize_robot begins with an empty deck"
    there = equipment.labware.get(name)
    if there is not None:
        return [Problem("labware", f"{name!r} is {there.load_name} in slot {there.slot} already", hint)]
    other = next((labware for labware in equipment.labware.values() if labware.slot == slot), None)
    if begun and other is not None:
        return [Problem("slot", f"slot {slot} already holds {other.name!r} ({other.load_name})", hint)]
    return []


def _uri(order: Order) -> str:
    return f"{order.params['namespace']}/{order.params['loadName']}/{order.params['version']}"
