"""What a run asks of a unit, and how that ended, in the words of Prefect's states and of `unit_calls`. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import ValidationError

from labkeeper_api.errors import DeviceUnreachable, Interlocked, Interrupted, LabkeeperError, OutcomeUnknown
from labkeeper_devices.agent.records import AlreadyEnded, CommandKey, Conclusion, EndUnwritten, JournalError

LONGEST_ARGUMENTS = 1000
"""Characters of a command's arguments in the log; the journal has all."""

LogLine = tuple[datetime, int, str]

Outcome = Literal["succeeded", "failed", "interlocked", "interrupted", "unknown"]
"""How one command ended, as `labkeeper_api.unit_calls.Performed` says it."""
Cause = Literal["cancel", "timeout", "emergency-stop", "drain"]


@dataclass(frozen=True)
class Errand:
    """What a run asks of the unit. `node`, `iteration` and `ordinal` say where in the run, if it is not all of it."""

    run_id: str
    operation: str
    parameters: dict[str, Any]
    retries: int = 0
    retry_delay_seconds: float = 0.0
    timeout_seconds: float | None = None
    node: str = ""
    iteration: int = 0
    ordinal: int = 0

    @property
    def key(self) -> CommandKey:
        """The key of its command, if it is one."""
        return CommandKey(self.run_id, self.node, self.iteration, self.ordinal)

    @property
    def place(self) -> str:
        """What the node paths of a program's commands begin with."""
        whole = self.key == CommandKey(self.run_id)
        return "" if whole else f"{self.node}[{self.iteration}].{self.ordinal}/"


@dataclass
class Carried:
    """How an errand ended. `fault` is why the hardware cannot be used now, where the errand showed that.

    `outcome`, `cause` (of an interruption) and `replayed` (nothing moved, the journal knew) say it of a single command.
    """

    conclusion: Conclusion
    fault: str | None = None
    lines: list[LogLine] = field(default_factory=list)
    outcome: Outcome = "failed"
    cause: Cause | None = None
    replayed: bool = False


def ended(error: LabkeeperError, errand: Errand) -> Carried:
    """What an error says of the errand's end."""
    text = str(error)
    match error:
        case Interrupted():
            return Carried(_interrupted(error, errand), outcome="interrupted", cause=_cause(error.cause))
        case OutcomeUnknown() | EndUnwritten():
            # It stays open in the journal, which holds the unit.
            return Carried(Conclusion("CRASHED", "Crashed", text), fault=text, outcome="unknown")
        case JournalError():
            # Nothing begins without the journal.
            return Carried(Conclusion("CRASHED", "Crashed", text), fault=text, outcome="interlocked")
        case DeviceUnreachable():
            return Carried(failed(text).conclusion, fault=text)
        case Interlocked():
            return Carried(failed(text).conclusion, outcome="interlocked")
        case AlreadyEnded():
            cause = _cause((error.command.message or "").partition(";")[0])
            before: Outcome = "interrupted" if error.command.outcome == "interrupted" else "failed"
            return Carried(failed(text).conclusion, outcome=before, cause=cause, replayed=True)
    return failed(text)


def failed(message: str) -> Carried:
    """It did not succeed, for this reason."""
    return Carried(Conclusion("FAILED", "Failed", message))


def succeeded(result: dict[str, Any], *, replayed: bool) -> Carried:
    """It did what was asked."""
    conclusion = Conclusion("COMPLETED", "Completed", summary(result), result)
    return Carried(conclusion, outcome="succeeded", replayed=replayed)


def _cause(given: str) -> Cause | None:
    return next((cause for cause in get_args(Cause) if cause == given), None)


def shortened(arguments: dict[str, Any]) -> str:
    """For a line of a log: arguments may be a whole protocol."""
    text = str(arguments)
    return text if len(text) <= LONGEST_ARGUMENTS else f"{text[:LONGEST_ARGUMENTS]}..."


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


def plain(error: ValidationError) -> str:
    """What is wrong with the parameters, on one line."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'parameters'}: {item['msg']}"
        for item in error.errors(include_url=False)
    )


def summary(result: dict[str, Any]) -> str:
    """The short values of a result, for a state's message."""
    shown = {key: value for key, value in result.items() if isinstance(value, str | int | float | bool)}
    shown.pop("simulated", None)
    shown.pop("time_factor", None)
    return ", ".join(f"{key}={value}" for key, value in shown.items())[:500]
