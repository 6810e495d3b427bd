"""Takes one operation through check, interlocks, journal and driver, and says how the run ended.

Blocking; runs in the unit's device thread. The rule of the house stands here: a physical command is on disk before it
moves anything, its end is on disk before anyone is told, and what nobody can know is said to be unknown.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from labkeeper_devices.agent.errands import (
    Carried,
    Errand,
    LogLine,
    ended,
    failed,
    plain,
    shortened,
    succeeded,
    summary,
)
from labkeeper_devices.agent.journal import Journal
from labkeeper_devices.agent.records import CommandKey, Conclusion, EndUnwritten, JournalError, Replayed
from labkeeper_devices.agent.records import Outcome as Ended
from labkeeper_devices.drivers.base import Driver, Interrupt

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
"""How old a reading of the interlocks may be when the command begins."""


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
        self._replayed = False

    def recall(self, errand: Errand) -> Carried | None:
        """How the errand ended when it was carried out before; None if it may be carried out. Moves nothing.

        Any thread, also while another errand is under way.
        """
        spec = self._driver.operations.get(errand.operation)
        if spec is None or spec.program or not spec.physical:
            return None
        try:
            arguments = spec.parameters.model_validate(errand.parameters).model_dump(mode="json")
            known = self._journal.look(errand.key, spec.key, arguments, idempotent=spec.idempotent)
        except ValidationError:
            return None  # said, with what is wrong, when it is carried out
        except LabkeeperError as error:
            return ended(error, errand)
        return None if known is None else succeeded(known.result, replayed=True)

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
        self._replayed = False
        carried = self._carry_out(errand)
        carried.lines = self._lines
        carried.conclusion = carried.conclusion.noted(self._simulated)
        return carried

    def _carry_out(self, errand: Errand) -> Carried:
        spec = self._driver.operations.get(errand.operation)
        if spec is None:
            known = ", ".join(sorted(self._driver.operations))
            return failed(f"this unit's driver has no operation {errand.operation!r}; it has {known}")
        try:
            parameters = spec.parameters.model_validate(errand.parameters)
        except ValidationError as error:
            return failed(f"parameters refused before anything moved: {plain(error)}")
        for attempt in range(errand.retries + 1 if spec.idempotent else 1):
            carried = self._attempt(errand, spec, parameters)
            if carried.conclusion.type != "FAILED" or attempt >= errand.retries or not spec.idempotent:
                break
            self._say(logging.WARNING, f"attempt {attempt + 1} failed: {carried.conclusion.message}")
            try:
                self._interrupt.sleep(errand.retry_delay_seconds)
            except Interrupted as error:
                return replace(ended(error, errand), fault=carried.fault)
        return carried

    def _attempt(self, errand: Errand, spec: OperationSpec, parameters: Parameters) -> Carried:
        self._interrupt.set_deadline(errand.timeout_seconds)
        try:
            if spec.program:
                result = self._driver.run_program(errand.operation, parameters, _Commands(self, errand))
            else:
                result = self._command(errand.key, spec, parameters)
        except LabkeeperError as error:
            return ended(error, errand)
        except Exception as error:
            # A physical command that ended like this is unknown already, and does not come here.
            log.exception("driver error in %s", errand.operation)
            text = f"a mistake in the driver, outside of any command: {type(error).__name__}: {error}"
            return Carried(Conclusion("CRASHED", "Crashed", text))
        finally:
            self._interrupt.set_deadline(None)
        return succeeded(result, replayed=self._replayed and not spec.program)

    def _command(self, key: CommandKey, spec: OperationSpec, parameters: Parameters) -> dict[str, Any]:
        """One command. Raises what `ended` translates."""
        arguments = parameters.model_dump(mode="json")
        if spec.physical:
            # Before anything is asked of the device: what was done, such as picking up a tip, may not be possible now.
            known = self._journal.look(key, spec.key, arguments, idempotent=spec.idempotent)
            if known is not None:
                return self._known(spec, known)
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
            return self._watch(spec, parameters)
        self._interrupt.check()
        begun = self._journal.begin(key, spec.key, arguments, idempotent=spec.idempotent)
        if isinstance(begun, Replayed):
            return self._known(spec, begun)
        self._say(logging.INFO, f"begin {spec.key} {shortened(arguments)}")
        return self._perform(begun.seq, spec, parameters)

    def _known(self, spec: OperationSpec, done: Replayed) -> dict[str, Any]:
        self._replayed = True
        self._say(logging.INFO, f"{spec.key} was carried out before in this run; its result is taken from the journal")
        return done.result

    def _watch(self, spec: OperationSpec, parameters: Parameters) -> dict[str, Any]:
        """What moves nothing by itself, but may wait for something that a command before it began."""
        try:
            return self._driver.perform(spec.key, parameters, self._interrupt)
        except Interrupted as error:
            if not self._driver.halt().confirmed:
                raise DeviceUnreachable(
                    f"{spec.key} was to be stopped ({error.cause}), but the hardware does not confirm that it rests"
                ) from error
            raise

    def _perform(self, seq: int, spec: OperationSpec, parameters: Parameters) -> dict[str, Any]:
        try:
            result = self._driver.perform(spec.key, parameters, self._interrupt)
        except Interrupted as error:
            self._end_interrupted(seq, spec, error)
            raise
        except DeviceUnreachable as error:
            raise self._unknown(seq, spec, str(error)) from error
        except (DeviceError, InvalidInput) as error:
            self._end(seq, "failed", message=str(error))
            self._say(logging.ERROR, f"{spec.key} failed: {error}")
            raise
        except Exception as error:
            # A mistake in a driver says nothing about what the hardware did.
            log.exception("driver error in %s", spec.key)
            raise self._unknown(seq, spec, f"{type(error).__name__}: {error}") from error
        self._end(seq, "succeeded", result=result)
        self._say(logging.INFO, f"end {spec.key}: {summary(result)}")
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
        self._end(seq, "interrupted", result=rest.detail, message=f"{error.cause}; at rest, {where}")
        error.args = (f"{error.args[0]}; at rest, {where}",)
        self._say(logging.WARNING, f"{spec.key} was stopped ({error.cause}); at rest, {where}")

    def _end(self, seq: int, outcome: Ended, *, result: dict[str, Any] | None = None, message: str = "") -> None:
        """Have the end on disk before anyone is told."""
        try:
            self._journal.end(seq, outcome, result=result, message=message)
        except JournalError as error:
            raise EndUnwritten(f"a command ended {outcome}, which is not on disk: {error}") from error

    def _unknown(self, seq: int, spec: OperationSpec, why: str) -> OutcomeUnknown:
        try:
            self._journal.unknown(seq, why)
        except JournalError as error:
            # The command stays open in the journal anyway, and that is what counts.
            log.warning("why nobody knows how %s ended is not on disk: %s", spec.key, error)
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

    def __init__(self, carrier: Carrier, errand: Errand) -> None:
        self._carrier = carrier
        self._errand = errand
        self._ordinals: dict[tuple[str, int], int] = {}

    def run(self, operation: str, parameters: dict[str, Any], *, node: str, iteration: int) -> dict[str, Any]:
        """Carry out one operation of the program."""
        spec = self._carrier._driver.operations[operation]  # noqa: SLF001 - the carrier's own other half
        checked = spec.parameters.model_validate(parameters)
        ordinal = self._ordinals.get((node, iteration), 0)
        self._ordinals[node, iteration] = ordinal + 1
        key = CommandKey(self._errand.run_id, f"{self._errand.place}{node}", iteration, ordinal)
        return self._carrier._command(key, spec, checked)  # noqa: SLF001
