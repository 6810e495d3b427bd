"""Answers processes on the host that hold the unit and have single commands carried out (`labkeeper_api.unit_calls`).

All of it happens in the agent's event loop, where nothing comes between looking and taking; `answer` is how a thread of
the control socket gets there. The rules of a command itself stand in `carrier`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from labkeeper_api.errors import DeviceError, LabkeeperError
from labkeeper_api.unit_calls import (
    RENEW_SECONDS,
    Interrupt,
    Pause,
    Perform,
    Performed,
    Renew,
    Reserve,
    Reserved,
    Unreserve,
)
from labkeeper_devices.agent import reservation
from labkeeper_devices.agent.control import Leaving
from labkeeper_devices.agent.errands import Carried, Errand, plain
from labkeeper_devices.agent.reservation import Reservation
from labkeeper_devices.agent.workplace import Workplace
from labkeeper_devices.drivers.base import Pausable

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_SECONDS = 0.02
CLAIM_SECONDS = 5.0
"""How long a reservation waits to hear whether a run that is being taken from Prefect is ours."""
CONNECT_SECONDS = 60.0
"""How long a command waits for an agent that was only just started to have looked at its device once."""

_Call = Reserve | Renew | Unreserve | Interrupt | Pause | Perform

_FORMS: dict[str, type[_Call]] = {
    "reserve": Reserve,
    "renew": Renew,
    "unreserve": Unreserve,
    "interrupt": Interrupt,
    "pause": Pause,
    "resume": Pause,
    "perform": Perform,
}

NAMES = tuple(_FORMS)
"""What can be asked here."""


class Refused(LabkeeperError):
    """What was asked makes no sense for this unit now."""


@dataclass(frozen=True)
class _UnderWay:
    """The command under way, and where its end will be told."""

    call: Perform
    end: asyncio.Future[Performed]


class Calls:
    """Reservation and commands of one unit."""

    def __init__(self, work: Workplace) -> None:
        self._work = work
        self._under_way: _UnderWay | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Blocking, from a control thread. Raises `Refused`, `Leaving` or `DeviceError`."""
        try:
            call = _FORMS[request["do"]].model_validate(request)
        except ValidationError as error:
            raise Refused(f"not a call of {request['do']!r}: {plain(error)}") from error
        if isinstance(call, Perform) and self._stops(call.operation):
            return _plain_json(self._emergency(call))
        if isinstance(call, Pause):
            self._in_loop(self._check_may_pause(call.holder))
            return self._pause(call)
        said = self._in_loop(self._answer(call))
        return _plain_json(said) if said is not None else {}

    async def watch(self) -> None:
        """Let the unit go when its holder is not heard of any more. Runs until it is cancelled."""
        while True:
            silent = self._work.expired
            if silent is not None:
                log.warning("nothing was heard of %s for too long: the unit is let go", silent.described)
                self._work.reserve_for(None)
            await asyncio.sleep(RENEW_SECONDS / 10)

    @property
    def busy(self) -> bool:
        """Whether a command is under way."""
        return self._under_way is not None

    async def _answer(self, call: _Call) -> BaseModel | None:
        match call:
            case Reserve():
                return await self._reserve(call)
            case Renew():
                self._heard(await self._check_holder(call.holder))
                return self._reserved()
            case Unreserve():
                held = self._work.reserved
                if held is not None and held.holder == call.holder:
                    self._work.reserve_for(None)
            case Interrupt():
                self._heard(await self._check_holder(call.holder))
                if self._under_way is not None:
                    self._work.interrupt.set("cancel")
            case Perform():
                return await self._perform(call)
        return None

    # Reservation.

    async def _reserve(self, call: Reserve) -> Reserved:
        await self._claim_decided()
        if self._work.draining:
            raise Leaving(f"the agent of unit {self._work.settings.unit} is being shut down")
        why = self._against(call.holder)
        if why is not None:
            raise Refused(f"unit {self._work.settings.unit} cannot be reserved: {why}")
        self._work.reserve_for(Reservation(call.holder, call.name, self._work.now()))
        return self._reserved()

    async def _claim_decided(self) -> None:
        """Wait for a moment to hear whether a run that is being taken from Prefect is ours."""
        end = asyncio.get_running_loop().time() + CLAIM_SECONDS
        while self._work.claiming and self._work.busy_with is None:
            if asyncio.get_running_loop().time() >= end:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _against(self, holder: str) -> str | None:
        work = self._work
        # A holder may let the unit go while its last command is still under way.
        doing = f"run {work.busy_with}" if work.busy_with is not None else work.command
        return reservation.against(work.reserved, holder, doing=doing, claiming=work.claiming)

    async def _check_holder(self, holder: str) -> Reservation:
        held = self._work.reserved
        if held is None or held.holder != holder:
            by = f"held for {held.described}" if held is not None else "not reserved"
            raise Refused(f"unit {self._work.settings.unit} is {by}, not held by {holder}")
        return held

    async def _check_may_pause(self, holder: str) -> None:
        if holder == self._work.busy_id:
            return  # a run of Prefect holds the unit by being under way
        self._heard(await self._check_holder(holder))
        if self._under_way is None:
            raise DeviceError(f"unit {self._work.settings.unit} has nothing under way that could be paused")

    def _heard(self, held: Reservation) -> None:
        self._work.reserve_for(held.renewed(self._work.now()))

    def _reserved(self) -> Reserved:
        device = self._work.device
        simulate = device.spec.simulate
        return Reserved(
            unit=self._work.settings.unit,
            driver=device.spec.driver,
            simulated=simulate is not None,
            time_factor=simulate.time_factor if simulate is not None else None,
        )

    # Commands.

    async def _perform(self, call: Perform) -> Performed:
        await self._looked_at()
        await self._claim_decided()
        # No await from here to the beginning of the command: what is found to be so stays so.
        if self._under_way is not None and _same(self._under_way.call, call):
            return await asyncio.shield(self._under_way.end)
        if self._work.draining:
            raise Leaving(f"the agent of unit {self._work.settings.unit} is being shut down")
        errand = _errand(call)
        known = self._work.carrier.recall(errand)
        if known is not None:
            return self._performed(known)  # whoever has the unit now: nothing moves
        refused = self._take(call)
        if refused is not None:
            return Performed(outcome="interlocked", message=self._noted(refused))
        why = self._work.situation.against(mending=call.operation in self._work.driver.mending)
        if why is not None:
            return Performed(outcome="interlocked", message=self._noted(f"refused before anything moved: {why}"))
        return await self._begin(call, errand)

    async def _looked_at(self) -> None:
        """Wait until the device was looked at once: a command must not fail because its agent was restarted."""
        end = asyncio.get_running_loop().time() + CONNECT_SECONDS
        while not self._work.draining and asyncio.get_running_loop().time() < end:
            situation = self._work.situation
            if situation.connected or situation.fault is not None or not situation.may_energize:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _take(self, call: Perform) -> str | None:
        """Hold the unit for the call's holder, who may have done so with an agent before this; or why not."""
        if self._under_way is not None:
            doing = self._under_way.call.operation
            return f"refused before anything moved: {doing} is under way, and there is one command at a time"
        why = self._against(call.holder)
        if why is not None:
            return f"refused before anything moved: {why}"
        held = self._work.reserved
        name = held.name if held is not None else "a run that reserved it from an agent before this"
        self._work.reserve_for(Reservation(call.holder, name, self._work.now()))
        return None

    async def _begin(self, call: Perform, errand: Errand) -> Performed:
        work = self._work
        end: asyncio.Future[Performed] = asyncio.get_running_loop().create_future()
        self._under_way = _UnderWay(call, end)
        # Before anything can be set on it for this command: what is set from here on must not be lost.
        work.interrupt.clear()
        work.command = call.operation
        try:
            carried = await work.connection.in_thread(lambda: work.carrier.carry_out(errand))
            performed = self._performed(carried)
            end.set_result(performed)
        finally:
            end.cancel()
            held = work.reserved
            work.command = None
            self._under_way = None
            if held is not None:
                # Only now does its time begin to run.
                self._heard(held)
        work.connection.after(completed=carried.outcome == "succeeded", fault=carried.fault)
        work.publish()
        return performed

    def _performed(self, carried: Carried) -> Performed:
        succeeded = carried.outcome == "succeeded"
        return Performed(
            outcome=carried.outcome,
            result=self._marked(carried.conclusion.data or {}) if succeeded else None,
            message=self._noted(carried.conclusion.message),
            cause=carried.cause,
            replayed=carried.replayed,
        )

    def _marked(self, result: dict[str, Any]) -> dict[str, Any]:
        """What a person said of a simulated command says that it was one, as what the driver returns does."""
        simulate = self._work.device.spec.simulate
        if simulate is None:
            return result
        return {**result, "simulated": True, "time_factor": simulate.time_factor}

    def _noted(self, message: str) -> str:
        note = self._work.note
        return message if message.endswith(note) else f"{message} {note}"

    # What waits for nothing that is under way.

    def _stops(self, operation: str) -> bool:
        spec = self._work.driver.operations.get(operation)
        return spec is not None and spec.emergency

    def _emergency(self, call: Perform) -> Performed:
        trouble = self._work.stop.engage(f"run {call.run}", f"operation {call.operation}")
        if trouble is not None:
            return Performed(outcome="failed", message=self._noted(f"the stop is latched, but: {trouble}"))
        message = self._noted("energy off, stop latched")
        return Performed(outcome="succeeded", result=self._marked({"stopped": True}), message=message)

    def _pause(self, call: Pause) -> dict[str, Any]:
        driver = self._work.driver
        if not isinstance(driver, Pausable):
            raise Refused(f"driver {self._work.device.spec.driver} cannot pause what it does")
        driver.pause() if call.do == "pause" else driver.resume()
        return {}

    def _in_loop(self, question: Coroutine[Any, Any, T]) -> T:
        loop = self._work.loop
        if loop is None or loop.is_closed():
            question.close()
            raise Leaving(f"the agent of unit {self._work.settings.unit} is starting or ending")
        try:
            return asyncio.run_coroutine_threadsafe(question, loop).result()
        except concurrent.futures.CancelledError:
            raise Leaving(f"the agent of unit {self._work.settings.unit} ended") from None


def _errand(call: Perform) -> Errand:
    return Errand(
        run_id=call.run,
        operation=call.operation,
        parameters=call.parameters,
        timeout_seconds=call.timeout_seconds,
        node=call.node,
        iteration=call.iteration,
        ordinal=call.ordinal,
    )


def _same(one: Perform, other: Perform) -> bool:
    """Whether it is the same command of the same run, whoever asks and however patiently."""
    alike: dict[str, Any] = {"timeout_seconds": None, "holder": one.holder}
    return one.model_copy(update=alike) == other.model_copy(update=alike)


def _plain_json(said: BaseModel) -> dict[str, Any]:
    return said.model_dump(mode="json")
