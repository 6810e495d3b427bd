"""Takes one operation through check, interlocks, journal and driver, and says how the run ended.

Blocking; runs in the unit's device thread. The rule of the house stands here: a physical command is on disk before it
moves anything, its end is on disk before anyone is told, and what nobody can know is said to be unknown.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from labkeeper_api.errors import (
    DeviceError,
    DeviceUnreachable,
    Interlocked,
    Interrupted,
    InvalidInput,
    LabkeeperError,
    OutcomeUnknown,
)
from labkeeper_api.operations import OperationSpec
from labkeeper_api.operations.spec import Parameters
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.records import CommandKey, Conclusion, JournalError, Replayed
from labkeeper_devices.drivers.base import Driver, Interrupt

log = logging.getLogger(__name__)

LogLine = tuple[datetime, int, str]

FRESH_SECONDS = 1.0
"""How old a reading of the interlocks may be when the command begins."""


@dataclass(frozen=True)
class Errand:
    """What a run asks of the unit."""

    run_id: str
    operation: str
    parameters: dict[str, Any]
    retries: int = 0
    retry_delay_seconds: float = 0.0
    timeout_seconds: float | None = None


@dataclass
class Carried:
    """How an errand ended. `fault` is why the hardware cannot be used now, where the errand showed that."""

    conclusion: Conclusion
    fault: str | None = None
    lines: list[LogLine] = field(default_factory=list)


class Carrier:
    """Carries errands out, one at a time."""

    def __init__(
        self,
        driver: Driver,
        journal: Journal,
        interrupt: Interrupt,
        *,
        refusals: Callable[[], list[str]],
        clock: Callable[[], datetime],
        simulated: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`refusals` says why a physical command must not begin; `simulated` is added to everything that is said."""
        self._driver = driver
        self._journal = journal
        self._interrupt = interrupt
        self._refusals = refusals
        self._clock = clock
        self._simulated = simulated
        self._monotonic = monotonic
        self._lines: list[LogLine] = []
        self._prepared: _Prepared | None = None

    def prepare(self, errand: Errand) -> None:
        """Ask the device for an errand that is about to begin. Moves nothing, journals nothing, never raises.

        Spares the errand's first command these reads, if it follows at once.
        """
        spec = self._driver.operations.get(errand.operation)
        if spec is None or spec.program:
            return
        began = self._monotonic()
        trouble: LabkeeperError | None = None
        try:
            self._driver.check(spec.key, spec.parameters.model_validate(errand.parameters))
        except LabkeeperError as error:
            trouble = error
        except Exception as error:  # noqa: BLE001 - what is wrong here comes again in `carry_out`, and is said there
            log.debug("%s cannot be prepared: %s", errand.operation, error)
            return
        self._prepared = _Prepared(errand.run_id, began, trouble)

    def carry_out(self, errand: Errand) -> Carried:
        """Carry out the errand; never raises for what the device, its driver or the errand did wrong.

        The interrupt must be clear of what was before the errand; what was set on it since then counts.
        """
        self._lines = []
        carried = self._carry_out(errand)
        carried.lines = self._lines
        carried.conclusion = carried.conclusion.noted(self._simulated)
        return carried

    def _carry_out(self, errand: Errand) -> Carried:
        spec = self._driver.operations.get(errand.operation)
        if spec is None:
            known = ", ".join(sorted(self._driver.operations))
            return _failed(f"this unit's driver has no operation {errand.operation!r}; it has {known}")
        try:
            parameters = spec.parameters.model_validate(errand.parameters)
        except ValidationError as error:
            return _failed(f"parameters refused before anything moved: {_plain(error)}")
        for attempt in range(errand.retries + 1 if spec.idempotent else 1):
            carried = self._attempt(errand, spec, parameters)
            if carried.conclusion.type != "FAILED" or attempt >= errand.retries or not spec.idempotent:
                break
            self._say(logging.WARNING, f"attempt {attempt + 1} failed: {carried.conclusion.message}")
            try:
                self._interrupt.sleep(errand.retry_delay_seconds)
            except Interrupted as error:
                return Carried(_interrupted(error, errand), fault=carried.fault)
        return carried

    def _attempt(self, errand: Errand, spec: OperationSpec, parameters: Parameters) -> Carried:
        self._interrupt.set_deadline(errand.timeout_seconds)
        commands = _Commands(self, errand.run_id)
        try:
            if spec.program:
                result = self._driver.run_program(errand.operation, parameters, commands)
            else:
                result = self._command(CommandKey(errand.run_id), spec, parameters)
        except Interrupted as error:
            return Carried(_interrupted(error, errand))
        except OutcomeUnknown as error:
            return Carried(Conclusion("CRASHED", "Crashed", str(error)), fault=str(error))
        except JournalError as error:
            # Nothing begins without the journal; and what ended without it stays open in it, which holds the unit.
            return Carried(Conclusion("CRASHED", "Crashed", str(error)), fault=str(error))
        except DeviceUnreachable as error:
            return Carried(_failed(str(error)).conclusion, fault=str(error))
        except LabkeeperError as error:
            return _failed(str(error))
        except Exception as error:
            # A physical command that ended like this is unknown already, and does not come here.
            log.exception("driver error in %s", errand.operation)
            text = f"a mistake in the driver, outside of any command: {type(error).__name__}: {error}"
            return Carried(Conclusion("CRASHED", "Crashed", text))
        finally:
            self._interrupt.set_deadline(None)
        return Carried(Conclusion("COMPLETED", "Completed", _summary(result), result))

    def _command(self, key: CommandKey, spec: OperationSpec, parameters: Parameters) -> dict[str, Any]:
        """One command. Raises what `_attempt` translates."""
        self._interrupt.check()
        refused = self._refusals() if spec.physical else []
        if refused:
            raise Interlocked("refused before anything moved: " + "; ".join(refused))
        prepared, self._prepared = self._prepared, None
        if prepared is None or not prepared.serves(key, self._monotonic()):
            self._driver.check(spec.key, parameters)
        elif prepared.trouble is not None:
            raise prepared.trouble
        if not spec.physical:
            return self._driver.perform(spec.key, parameters, self._interrupt)
        self._interrupt.check()
        arguments = parameters.model_dump(mode="json")
        begun = self._journal.begin(key, spec.key, arguments, idempotent=spec.idempotent)
        if isinstance(begun, Replayed):
            self._say(
                logging.INFO, f"{spec.key} was carried out before in this run; its result is taken from the journal"
            )
            return begun.result
        self._say(logging.INFO, f"begin {spec.key} {arguments}")
        return self._perform(begun.seq, spec, parameters)

    def _perform(self, seq: int, spec: OperationSpec, parameters: Parameters) -> dict[str, Any]:
        try:
            result = self._driver.perform(spec.key, parameters, self._interrupt)
        except Interrupted as error:
            self._end_interrupted(seq, spec, error)
            raise
        except DeviceUnreachable as error:
            raise self._unknown(seq, spec, str(error)) from error
        except (DeviceError, InvalidInput) as error:
            self._journal.end(seq, "failed", message=str(error))
            self._say(logging.ERROR, f"{spec.key} failed: {error}")
            raise
        except Exception as error:
            # A mistake in a driver says nothing about what the hardware did.
            log.exception("driver error in %s", spec.key)
            raise self._unknown(seq, spec, f"{type(error).__name__}: {error}") from error
        self._journal.end(seq, "succeeded", result=result)
        self._say(logging.INFO, f"end {spec.key}: {_summary(result)}")
        return result

    def _end_interrupted(self, seq: int, spec: OperationSpec, error: Interrupted) -> None:
        """Make sure of the standstill before anyone is told that the command was ended."""
        try:
            rest = self._driver.halt()
        except Exception as trouble:
            raise self._unknown(seq, spec, f"it was to be stopped ({error.cause}), and then: {trouble}") from trouble
        if not rest.confirmed:
            raise self._unknown(
                seq, spec, f"it was to be stopped ({error.cause}), but the hardware does not confirm that it is at rest"
            )
        where = ", ".join(f"{name} {value}" for name, value in rest.detail.items())
        self._journal.end(seq, "interrupted", result=rest.detail, message=f"{error.cause}; at rest, {where}")
        error.args = (f"{error.args[0]}; at rest, {where}",)
        self._say(logging.WARNING, f"{spec.key} was stopped ({error.cause}); at rest, {where}")

    def _unknown(self, seq: int, spec: OperationSpec, why: str) -> OutcomeUnknown:
        self._journal.unknown(seq, why)
        text = (
            f"nobody knows how {spec.key} ended: {why}. The unit is Held until a person looks and says so: "
            "labkeeper device acknowledge"
        )
        self._say(logging.CRITICAL, text)
        return OutcomeUnknown(text)

    def _say(self, level: int, message: str) -> None:
        text = f"{message} {self._simulated}".strip()
        log.log(level, "%s", text)
        self._lines.append((self._clock(), level, text))


@dataclass(frozen=True)
class _Prepared:
    """What the device was asked for the first command of a run, `trouble` being what it said against it."""

    run_id: str
    at: float
    trouble: LabkeeperError | None

    def serves(self, key: CommandKey, now: float) -> bool:
        """Whether it is this command's answer, and still fresh."""
        return key == CommandKey(self.run_id) and now - self.at < FRESH_SECONDS


class _Commands:
    """Single commands on behalf of a program, each with a key of its own."""

    def __init__(self, carrier: Carrier, run_id: str) -> None:
        self._carrier = carrier
        self._run_id = run_id
        self._ordinals: dict[tuple[str, int], int] = {}

    def run(self, operation: str, parameters: dict[str, Any], *, node: str, iteration: int) -> dict[str, Any]:
        """Carry out one operation of the program."""
        spec = self._carrier._driver.operations[operation]  # noqa: SLF001 - the carrier's own other half
        checked = spec.parameters.model_validate(parameters)
        ordinal = self._ordinals.get((node, iteration), 0)
        self._ordinals[node, iteration] = ordinal + 1
        key = CommandKey(self._run_id, node, iteration, ordinal)
        return self._carrier._command(key, spec, checked)  # noqa: SLF001


def _failed(message: str) -> Carried:
    return Carried(Conclusion("FAILED", "Failed", message))


def _interrupted(error: Interrupted, errand: Errand) -> Conclusion:
    text = str(error)
    if error.cause == "cancel":
        return Conclusion("CANCELLED", "Cancelled", text.replace("interrupted by cancel", "stopped on request"))
    if error.cause == "timeout":
        seconds = errand.timeout_seconds
        return Conclusion(
            "FAILED", "TimedOut", text.replace("interrupted by timeout", f"stopped after the timeout of {seconds} s")
        )
    if error.cause == "drain":
        return Conclusion(
            "CRASHED", "Crashed", text.replace("interrupted by drain", "stopped because the agent was shut down")
        )
    return Conclusion(
        "FAILED", "EmergencyStopped", text.replace("interrupted by emergency-stop", "stopped by the emergency stop")
    )


def _plain(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'parameters'}: {item['msg']}"
        for item in error.errors(include_url=False)
    )


def _summary(result: dict[str, Any]) -> str:
    """The short values of a result, for a state's message."""
    shown = {key: value for key, value in result.items() if isinstance(value, str | int | float | bool)}
    shown.pop("simulated", None)
    shown.pop("time_factor", None)
    return ", ".join(f"{key}={value}" for key, value in shown.items())[:500]
