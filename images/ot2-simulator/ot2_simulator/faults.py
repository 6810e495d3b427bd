"""Faults that a test orders beforehand, and who gets them: a registry, no effects.

The effects are where they happen on a robot: at the motors (``hardware``), at the connection (``web``), at the power
switch (``server``). Only commands get faults; homing after a run, for example, does not. The actions ``play``,
``pause`` and ``stop`` get those of the connection that name them.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from itertools import count as counter
from typing import Any

WHEN: dict[str, tuple[str, ...]] = {
    "fail": ("motion",),
    "slow": ("motion",),
    "hang": ("motion", "answer"),
    "drop": ("before", "after"),
    "reboot": ("now", "motion"),
}
"""The kinds of fault and the moments each can strike; the first is the default."""

NUMBERS: dict[str, tuple[float, float]] = {"factor": (1.0, 1e6), "seconds": (0.0, 3600.0), "count": (1.0, 1e6)}


class FaultError(ValueError):
    """A fault that cannot be ordered; the message says what would be right."""


@dataclass
class Fault:
    """One ordered fault.

    Attributes:
        kind: ``fail`` (the motor board alarms), ``slow``, ``hang``, ``drop`` (the connection), ``reboot``.
        when: at the command's first ``motion``; ``before`` or ``after`` it is executed; instead of its ``answer``;
            ``now``.
        command: only a command of this type is struck, such as ``aspirate``, or an action; None for any command.
        count: how many commands it still strikes.
        factor: slow: how many times longer each motion takes.
        seconds: slow: added once per command; reboot: how long connections are refused. Real seconds, whatever the
            time factor.
        message: fail: what the motor board says.
    """

    kind: str
    when: str
    command: str | None = None
    count: int = 1
    factor: float = 1.0
    seconds: float = 0.0
    message: str = "ALARM: Hard limit +X"
    id: int = field(default=0)


def parse(data: object) -> Fault:
    """Read an ordered fault.

    Args:
        data: ``{"kind", "when"?, "commandType"?, "count"?, "factor"?, "seconds"?, "message"?}``.

    Raises:
        FaultError: something in it is wrong.
    """
    if not isinstance(data, dict):
        raise FaultError('a fault is an object such as {"kind": "fail"}')
    kind = data.get("kind")
    if kind not in WHEN:
        raise FaultError(f"kind must be one of {', '.join(WHEN)}, not {kind!r}")
    allowed = {"kind", "when", "commandType", "count", "factor", "seconds", "message"}
    if unknown := sorted(set(data) - allowed):
        raise FaultError(f"unknown: {', '.join(map(str, unknown))}; a fault has {', '.join(sorted(allowed))}")
    when = data.get("when", WHEN[kind][0])
    if when not in WHEN[kind]:
        raise FaultError(f"when must be one of {', '.join(WHEN[kind])} for {kind}, not {when!r}")
    for name, (low, high) in NUMBERS.items():
        value = data.get(name, low)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise FaultError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    for name in ("commandType", "message"):
        if not isinstance(data.get(name, ""), str):
            raise FaultError(f"{name} must be a string")
    if kind == "slow" and "factor" not in data and "seconds" not in data:
        raise FaultError("slow needs a factor, or seconds")
    return Fault(
        kind=kind,
        when=when,
        command=data.get("commandType"),
        count=int(data.get("count", 1)),
        factor=float(data.get("factor", 1.0)),
        seconds=float(data.get("seconds", 3.0 if kind == "reboot" else 0.0)),
        message=data.get("message", Fault.message),
    )


class Faults:
    """The ordered faults, first come first struck. Used from the HTTP thread and the motors' thread."""

    def __init__(self) -> None:
        self._ordered: list[Fault] = []
        self._struck: list[dict[str, Any]] = []
        self._ids = counter(1)
        self._lock = threading.Lock()

    def order(self, fault: Fault) -> Fault:
        """Add a fault; it gets its id."""
        with self._lock:
            fault.id = next(self._ids)
            self._ordered.append(fault)
        return fault

    def strike(self, command: str, moments: tuple[str, ...], *, named: bool = False) -> Fault | None:
        """Take the first fault that is due for this command at one of these moments, and count it down.

        With ``named`` only one that names it.
        """
        wanted = (command,) if named else (None, command)
        with self._lock:
            for fault in self._ordered:
                if fault.when in moments and fault.command in wanted:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._ordered.remove(fault)
                    self._struck.append(
                        {"id": fault.id, "kind": fault.kind, "when": fault.when, "commandType": command}
                    )
                    return fault
        return None

    def clear(self) -> None:
        """Forget all that are still to come."""
        with self._lock:
            self._ordered.clear()

    def summary(self) -> dict[str, Any]:
        """``{"ordered": [...], "struck": [...]}``, for ``/simulator/faults``."""
        with self._lock:
            return {"ordered": [asdict(fault) for fault in self._ordered], "struck": list(self._struck)}
