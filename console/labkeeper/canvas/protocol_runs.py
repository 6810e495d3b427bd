"""Carries an Opentrons protocol out on the robot through its agent: analysed first, then run with progress.

What the robot says of a protocol is told in its own words. Not for canvases.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from labkeeper.canvas import lab_devices
from labkeeper.canvas.devices import SocketDevices
from labkeeper.canvas.lab_devices import DRY_RUN_FACTOR, Placed
from labkeeper.canvas.preparing import Asked
from labkeeper.canvas.runs import Cancelling, Say
from labkeeper.canvas.units import held, units_of
from labkeeper_api.errors import InvalidInput, LabkeeperError, Problem
from labkeeper_api.unit_calls import Performed, Progress
from labkeeper_devices.agent.control import NoAgent
from labkeeper_devices.agent.unit_client import UnitClient
from labkeeper_flows.canvas.steps import Role
from labkeeper_flows.canvas_run.ports import DeviceInfo, StepKey

LOOK_SECONDS = 0.25

Show = Callable[[Progress], None]


@dataclass(frozen=True)
class ProtocolEnded:
    """How it ended. `result` is what the robot's driver returned."""

    name: str
    run_id: str
    status: str
    message: str
    device: DeviceInfo
    dry_run: bool
    began: datetime
    ended: datetime
    analysis: Mapping[str, Any]
    result: Mapping[str, Any] = field(default_factory=dict)
    held: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it ran to its end."""
        return self.status == "completed"

    def as_dict(self) -> dict[str, Any]:
        """The result object."""
        return {
            "status": self.status,
            "protocol": self.name,
            "run_id": self.run_id,
            "message": self.message,
            "unit": self.device.unit,
            "simulated": self.device.simulated,
            "time_factor": self.device.time_factor,
            "dry_run": self.dry_run,
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat(),
            "analysis": dict(self.analysis),
            "result": dict(self.result),
        }


def robot_of(asked: Asked) -> dict[Role, Placed]:
    """The robot that a protocol runs on. Raises `InvalidInput`."""
    devices = lab_devices.lab_devices(asked.lab, asked.beside, asked.home)
    if asked.dry_run:
        return lab_devices.simulated({}, [Role.OT2], devices, asked.time_factor or DRY_RUN_FACTOR)
    return lab_devices.chosen({}, [Role.OT2], devices)


def carry_out_protocol(
    name: str,
    text: str,
    units: Mapping[Role, UnitClient],
    *,
    dry_run: bool,
    show: Show,
    cancelling: Cancelling,
) -> ProtocolEnded:
    """Analyse a protocol and run it to its end. Blocking.

    Raises `InvalidInput` in the robot's words when it cannot run: nothing has moved then.
    """
    began = datetime.now(UTC)
    run_id = f"protocol-{began:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    devices = SocketDevices(units, run=run_id, name=name)
    (device,) = devices.reserve()
    try:
        cancelling.begin(devices.interrupt)
        parameters = {"name": name, "content": text}
        analysed = devices.perform(Role.OT2, StepKey("analysis", 1, 0), "analyze_protocol", parameters)
        if analysed.outcome != "succeeded" or (analysed.result or {}).get("result") != "ok":
            raise InvalidInput(_reasons(name, analysed))
        with _Following(units[Role.OT2], show):
            done = devices.perform(Role.OT2, StepKey("protocol", 1, 0), "run_protocol", parameters)
        waiting = tuple(held(units.values()))
    finally:
        devices.release()
    return ProtocolEnded(
        name=name,
        run_id=run_id,
        status=_status(done),
        message=done.message,
        device=device,
        dry_run=dry_run,
        began=began,
        ended=datetime.now(UTC),
        analysis=analysed.result or {},
        result=done.result or {},
        held=waiting,
    )


def run_protocol_file(
    name: str, text: str, asked: Asked, *, say: Say, show: Show, cancelling: Cancelling
) -> ProtocolEnded:
    """The same on the lab's robot, with its agent started for the run where none runs."""
    with units_of(asked.home, robot_of(asked), say) as units:
        return carry_out_protocol(name, text, units, dry_run=asked.dry_run, show=show, cancelling=cancelling)


def _reasons(name: str, analysed: Performed) -> list[Problem]:
    errors = (analysed.result or {}).get("errors") or []
    if analysed.outcome == "succeeded" and errors:
        return [Problem("", f"the robot refused it at its analysis: {error}", source=name) for error in errors]
    return [Problem("", f"its analysis {analysed.outcome}: {analysed.message}", source=name)]


def _status(done: Performed) -> str:
    if done.outcome == "succeeded":
        return "completed"
    return "cancelled" if done.outcome == "interrupted" and done.cause == "cancel" else done.outcome


class _Following:
    """Asks the agent how far the operation has come, in a thread of its own, for as long as the block lasts."""

    def __init__(self, client: UnitClient, show: Show) -> None:
        self._client = client
        self._show = show
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="protocol progress", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                found = self._client.status().get("progress")
            except (NoAgent, LabkeeperError):
                continue  # `perform` waits for the agent and says what became of it
            if found is not None:
                self._show(Progress.model_validate(found))
