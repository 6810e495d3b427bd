"""One OT-2 held for a script: through the agent that has it, or through one that is started for it and ended again.

Connects when first asked to. Not the operations themselves: those are `opentrons_functions`.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from labkeeper.canvas.devices import SocketDevices
from labkeeper.canvas.resolution import answers_to
from labkeeper.embedded.standalone import running_devices, running_units
from labkeeper_api.errors import DeviceError, InvalidInput, LabkeeperError, Problem
from labkeeper_api.kinds import LabDevice
from labkeeper_api.unit_calls import Performed
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.unit_client import UnitClient
from labkeeper_flows.canvas.steps import Role
from labkeeper_flows.canvas_run.ports import DeviceInfo, StepKey

DRY_RUN_TIME_FACTOR = 100.0
NAMESPACE = "standalone"
"""Namespace of the LabDevice that is made for a robot that no agent has."""

Outcome = Literal["succeeded", "failed", "interlocked", "interrupted", "unknown"]


@dataclass(frozen=True)
class OperationResult:
    """How one operation ended, the same for every operation.

    `data` is what the robot's driver returned. `simulated`: a simulator was driven, `time_factor` times faster than
    real time. `replayed`: it had been carried out before, and nothing moved. The rest is for a person.
    """

    operation: str
    outcome: Outcome
    simulated: bool
    time_factor: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    replayed: bool = False

    @property
    def success(self) -> bool:
        """Whether it did what was asked."""
        return self.outcome == "succeeded"


class OperationFailed(DeviceError):
    """The robot did not do what was asked; `result` says how it ended."""

    def __init__(self, result: OperationResult) -> None:
        self.result = result
        super().__init__(f"{result.operation} {result.outcome}: {result.message}")


@dataclass(frozen=True)
class _Held:
    """A robot that is held, and all that must be ended to let it go."""

    client: UnitClient
    devices: SocketDevices
    info: DeviceInfo
    stack: ExitStack


class Robot:
    """The robot at an address, held from the first operation on until `close`. Thread-safe; one operation at a time."""

    def __init__(self, address: str, *, dry_run: bool, home: Path) -> None:
        self.run_id = f"controller-{uuid.uuid4()}"
        """Id under which the unit's journal has what is done here."""
        self._address = address
        self._dry_run = dry_run
        self._home = home
        self._lock = threading.RLock()
        self._held: _Held | None = None
        self._ordinal = 0

    @property
    def held(self) -> bool:
        """Whether it is held now."""
        return self._held is not None

    def connect(self) -> DeviceInfo:
        """Hold it, if that is not so yet. Raises `LabkeeperError` when it is away, held by another or stopped."""
        return self._hold().info

    def close(self) -> None:
        """Let it go, and end the agent that was started for it. The next operation connects anew."""
        with self._lock:
            held, self._held = self._held, None
            if held is not None:
                held.stack.close()

    def interrupt(self) -> None:
        """Stop what another thread has it do now."""
        held = self._held
        if held is not None:
            held.devices.interrupt()

    def perform(self, operation: str, parameters: dict[str, Any]) -> OperationResult:
        """Carry out one operation. Raises `OperationFailed`, or `LabkeeperError` when the robot cannot be reached."""
        with self._lock:
            held = self._hold()
            self._ordinal += 1
            try:
                key = StepKey("controller", 0, self._ordinal)
                said = held.devices.perform(Role.OT2, key, operation, parameters)
            except KeyboardInterrupt:
                # Ctrl-C is meant for what moves, not only for the wait.
                held.client.interrupt(self.run_id)
                raise
        return _checked(operation, said, held.info)

    def _hold(self) -> _Held:
        with self._lock:
            if self._held is None:
                with ExitStack() as stack:
                    client = self._unit(stack)
                    name = f"OpentronsController({self._address})"
                    devices = SocketDevices({Role.OT2: client}, run=self.run_id, name=name)
                    info = devices.reserve()[0]
                    stack.callback(devices.release)
                    self._held = _Held(client, devices, info, stack.pop_all())
            return self._held

    def _unit(self, stack: ExitStack) -> UnitClient:
        """The unit that has the robot; one of our own, until the stack ends, where there is none."""
        if not self._dry_run:
            running = running_devices(self._home)
            fitting = [u for u, d in running.items() if d.spec.driver == Role.OT2 and answers_to(d, self._address)]
            if len(fitting) > 1:
                raise LabkeeperError(f"several units answer to {self._address}: {', '.join(fitting)}")
            if fitting:
                return UnitClient(UnitDirectory.of(self._home, fitting[0]))
        device = _device(self._address, dry_run=self._dry_run)
        units = stack.enter_context(running_units(self._home, [device], folder=self._home))
        return units[device.metadata.key]


def _checked(operation: str, said: Performed, info: DeviceInfo) -> OperationResult:
    result = OperationResult(
        operation, said.outcome, info.simulated, info.time_factor, said.result or {}, said.message, said.replayed
    )
    if not result.success:
        raise OperationFailed(result)
    return result


def _device(robot_ip: str, *, dry_run: bool) -> LabDevice:
    """A LabDevice for a robot that no manifest names. A dry run has another unit, and so another journal."""
    words = "".join(c if c.isalnum() else "-" for c in robot_ip.lower()).strip("-")
    spec: dict[str, Any] = {"driver": Role.OT2.value, "pool": NAMESPACE, "connection": {"address": robot_ip}}
    if dry_run:
        spec["simulate"] = {"timeFactor": DRY_RUN_TIME_FACTOR}
    name = f"ot2-{words}-dry-run" if dry_run else f"ot2-{words}"
    try:
        return LabDevice.model_validate({"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
    except ValidationError as error:
        hint = "an IP address or a host name, with :port where it is not the robot's usual one"
        raise InvalidInput([Problem("robot_ip", f"{robot_ip!r} is no address of a robot", hint)]) from error
