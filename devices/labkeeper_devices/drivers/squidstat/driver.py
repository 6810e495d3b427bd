"""The potentiostat as the agent drives it: the `Driver` protocol over `Potentiostat`. Not for journals and queues.

The connection is the agent's and stays open; `connect` and `disconnect` of a canvas begin and end the use of a channel.
What was built and not yet uploaded is this process's; what was started is the instrument's, and survives the agent.
Results are JSON with units in the keys; all say that they are simulated, and at which time factor.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, Interrupted, InvalidInput, Problem
from labkeeper_api.operations import OperationSpec, squidstat
from labkeeper_api.operations.spec import Parameters
from labkeeper_api.operations.squidstat import (
    AC_COLUMNS,
    DC_COLUMNS,
    BuildExperiment,
    Connect,
    GetStatus,
    OnChannel,
    RegisterCallbacks,
    StartExperiment,
    WaitUntilIdle,
)
from labkeeper_devices.drivers.base import AtRest, Commands, Health, Identity, Interrupt, Simulation
from labkeeper_devices.drivers.common.latch import StopLatch
from labkeeper_devices.drivers.common.results import marked
from labkeeper_devices.drivers.squidstat.checks import expected_s, shortfalls, static_problems
from labkeeper_devices.drivers.squidstat.link import InstrumentLink, LinkLost
from labkeeper_devices.drivers.squidstat.potentiostat import Built, Hello, Potentiostat
from labkeeper_devices.drivers.squidstat.settings import PotentiostatConfig
from labkeeper_devices.drivers.squidstat.watching import Watch

log = logging.getLogger(__name__)

ALL_COLUMNS: dict[str, tuple[str, ...]] = {"dc": DC_COLUMNS, "ac": AC_COLUMNS}


class SquidstatDriver:
    """Drives one potentiostat. Blocking; `emergency_stop` and `release_stop` from any thread."""

    operations: dict[str, OperationSpec] = {spec.key: spec for spec in squidstat.OPERATIONS}
    mending: frozenset[str] = frozenset()

    def __init__(self, config: PotentiostatConfig, address: str, simulation: Simulation) -> None:
        """`address`: the simulator's socket. There is no hardware to drive (see `factory`)."""
        self._config = config
        self._address = address
        self._simulation = simulation
        self._latch = StopLatch()
        self._link = InstrumentLink(address, self._latch, config.timeout)
        self._potentiostat = Potentiostat(self._link)
        self._columns: dict[int, dict[str, tuple[str, ...]]] = {}
        self._built: dict[int, Built] = {}
        self._started: dict[int, str] = {}
        self._perform: dict[str, Callable[[Any, Interrupt], dict[str, Any]]] = {
            squidstat.CONNECT.key: self._connect,
            squidstat.REGISTER_CALLBACKS.key: self._register_callbacks,
            squidstat.BUILD_EXPERIMENT.key: self._build_experiment,
            squidstat.UPLOAD_EXPERIMENT.key: self._upload_experiment,
            squidstat.START_EXPERIMENT.key: self._start_experiment,
            squidstat.WAIT_UNTIL_IDLE.key: self._wait_until_idle,
            squidstat.DISCONNECT.key: self._disconnect,
            squidstat.GET_STATUS.key: self._get_status,
            squidstat.EMERGENCY_STOP.key: self._emergency_stop,
        }

    @property
    def config(self) -> PotentiostatConfig:
        """The configuration."""
        return self._config

    def open(self, *, energize: bool) -> Identity:  # noqa: ARG002 - connecting closes no cell either way
        """Connect, and see that the instrument can do what the configuration says. Only questions are sent.

        Raises `DeviceUnreachable`, `DeviceError`; a connection that was made for it is ended again then.
        """
        fresh = not self._link.is_open
        self._link.open()
        try:
            found = self._hello()
        except BaseException:
            if fresh:
                self._link.close()
            raise
        return Identity(
            port=self._address,
            model=found.model,
            firmware=found.firmware,
            serial=found.serial,
            simulated=True,
            time_factor=self._simulation.time_factor,
        )

    def close(self) -> None:
        """End the connection; an experiment under way goes on."""
        self._link.close()

    @property
    def is_open(self) -> bool:
        """Whether the connection is open; False as well after it was lost."""
        return self._link.is_open

    def health(self) -> Health:
        """Read the instrument's condition. Raises `DeviceUnreachable`."""
        found = [self._potentiostat.status(channel) for channel in range(self._config.channels)]
        faults = tuple(sorted({status.fault for status in found if status.fault}))
        warnings = ("the emergency stop is latched",) if self._latch.engaged else ()
        return Health({"channels_measuring": sum(one.state == "running" for one in found)}, warnings, faults)

    def check(self, operation: str, parameters: Parameters) -> None:
        """Refuse what could never succeed, before anything is applied to a cell.

        Raises `InvalidInput`, `Interlocked`; `DeviceUnreachable` when the instrument cannot be asked.
        """
        problems = static_problems(self._config, parameters)
        if problems:
            raise InvalidInput(problems)
        # A lost connection is made anew by these: they only ask.
        if operation in (squidstat.EMERGENCY_STOP.key, squidstat.CONNECT.key, squidstat.WAIT_UNTIL_IDLE.key):
            return
        if not self._link.is_open:
            raise Interlocked(f"{self._link.where} is not connected")
        if operation == squidstat.START_EXPERIMENT.key and isinstance(parameters, StartExperiment):
            self._check_start(parameters.channel)

    def perform(self, operation: str, parameters: Parameters, interrupt: Interrupt) -> dict[str, Any]:
        """Carry out one operation and confirm it.

        Raises `DeviceError` when it did not succeed, `Interrupted` when it was ended early (a wait has then stopped the
        experiment), `DeviceUnreachable` when nobody can say how it ended.
        """
        began = time.monotonic()
        if operation != squidstat.EMERGENCY_STOP.key:
            interrupt.check()
        result = self._perform[operation](parameters, interrupt)
        result["took_s"] = round(time.monotonic() - began, 3)
        return marked(result, self._simulation)

    def run_program(self, operation: str, parameters: Parameters, commands: Commands) -> dict[str, Any]:  # noqa: ARG002
        """This driver has no programs."""
        raise InvalidInput([Problem("operation", f"{operation} is no program")])

    def halt(self) -> AtRest:
        """Stop what is measured on all channels, and say whether the cells are confirmed to be open."""
        try:
            self._link.open()
            self._potentiostat.open_cells("halt", self._config.channels)
        except DeviceError as error:
            return AtRest(False, {"reason": str(error)})
        return AtRest(True, {"cells": "open"})

    def emergency_stop(self) -> None:
        """Open all cells, from any thread, without waiting for what is under way; latched.

        Raises `DeviceUnreachable` when the instrument does not confirm it; the stop is latched all the same.
        """
        self._latch.engage()
        try:
            self._stop_now()
        except DeviceError as error:
            raise DeviceUnreachable(
                f"the emergency stop is latched, but {error}. Switch the potentiostat off, or disconnect the cells"
            ) from error
        log.warning("emergency stop: %s confirms that the cells are open", self._link.where)

    def release_stop(self) -> None:
        """A person ended the emergency stop. Nothing is started by it."""
        self._latch.release()

    # The operations.

    def _connect(self, wanted: Connect, _: Interrupt) -> dict[str, Any]:
        identity = self.open(energize=False)
        status = self._potentiostat.status(wanted.channel)
        return {
            "connected": True,
            "com_port": wanted.com_port,
            "channel": wanted.channel,
            "model": identity.model,
            "serial": identity.serial,
            "firmware": identity.firmware,
            "state": status.state,
        }

    def _register_callbacks(self, wanted: RegisterCallbacks, _: Interrupt) -> dict[str, Any]:
        columns: dict[str, tuple[str, ...]] = {"dc": tuple(wanted.dc), "ac": tuple(wanted.ac)}
        self._columns[wanted.channel] = columns
        return {"channel": wanted.channel, "dc": wanted.dc, "ac": wanted.ac}

    def _build_experiment(self, wanted: BuildExperiment, _: Interrupt) -> dict[str, Any]:
        electrode = wanted.reference_electrode
        two = electrode is not None and (electrode.type == "CE" or not electrode.enabled)
        self._built[wanted.channel] = Built(list(wanted.elements), wanted.name, two)
        return {
            "channel": wanted.channel,
            "name": wanted.name,
            "techniques": [element.technique for element in wanted.elements],
            "expected_s": sum(expected_s(element) for element in wanted.elements),
            "reference": "counter electrode" if two else "reference electrode",
        }

    def _upload_experiment(self, wanted: OnChannel, _: Interrupt) -> dict[str, Any]:
        built = self._built.get(wanted.channel)
        if built is None:
            raise DeviceError(
                f"nothing was built for channel {wanted.channel} since this agent started: run build_experiment first"
            )
        self._potentiostat.upload(wanted.channel, built)
        return {"channel": wanted.channel, "elements": len(built.elements), "uploaded": True}

    def _start_experiment(self, wanted: StartExperiment, _: Interrupt) -> dict[str, Any]:
        started = self._potentiostat.start(wanted.channel)
        self._started[wanted.channel] = started.experiment
        return {
            "channel": wanted.channel,
            "experiment_id": started.experiment,
            "expected_s": wanted.expected_s,
            "estimated_s": started.estimated_s,
        }

    def _wait_until_idle(self, wanted: WaitUntilIdle, interrupt: Interrupt) -> dict[str, Any]:
        channel = wanted.channel

        def check() -> None:
            if self._latch.engaged:
                raise Interrupted("emergency-stop")
            interrupt.check()

        watch = Watch(self._potentiostat, self._config, self._simulation.time_factor, check, interrupt)
        report = watch.until_idle(channel, self._started.get(channel), wanted.poll_s)
        elements = watch.data(channel, report, self._columns.get(channel, ALL_COLUMNS))
        return {
            "channel": channel,
            "experiment_id": report.experiment,
            "name": report.name,
            "elements": elements,
            "ended_early": any(element["ended_early"] for element in elements),
            "expected_s": wanted.expected_s,
            "estimated_s": report.estimated_s,
            "duration_s": sum(element["duration_s"] for element in elements),
        }

    def _disconnect(self, wanted: Connect, _: Interrupt) -> dict[str, Any]:
        status = self._potentiostat.status(wanted.channel)
        if status.state == "running":
            raise DeviceError(
                f"experiment {status.experiment} is still running on channel {wanted.channel}: wait for it or cancel it"
            )
        self._built.pop(wanted.channel, None)
        self._columns.pop(wanted.channel, None)
        return {"connected": False, "com_port": wanted.com_port, "channel": wanted.channel, "cell": "open"}

    def _get_status(self, wanted: GetStatus, _: Interrupt) -> dict[str, Any]:
        status = self._potentiostat.status(wanted.channel)
        return {
            "com_port": wanted.com_port,
            "channel": wanted.channel,
            "state": status.state,
            "experiment_id": status.experiment,
            "cell": "closed" if status.state == "running" else "open",
            "stopped": self._latch.engaged,
            "faults": [status.fault] if status.fault else [],
        }

    def _emergency_stop(self, _: Parameters, __: Interrupt) -> dict[str, Any]:
        began = time.monotonic()
        self.emergency_stop()
        return {
            "stopped": True,
            "cells": "open",
            "confirmed_after_ms": round((time.monotonic() - began) * 1000, 2),
        }

    def _check_start(self, channel: int) -> None:
        if self._latch.engaged:
            raise Interlocked("the emergency stop is latched: a person must release it first")
        status = self._potentiostat.status(channel)
        if status.fault:
            raise Interlocked(f"{self._link.where} reports a fault: {status.fault}")
        if status.state == "running":
            raise Interlocked(f"experiment {status.experiment} is still running on channel {channel}")

    def _stop_now(self) -> None:
        try:
            self._potentiostat.open_cells("emergency-stop", self._config.channels)
        except LinkLost as error:
            log.warning("%s; connecting for the emergency stop", error)
        else:
            return
        # The connection was closed or lost, and a cell may be closed all the same.
        self._link.open()
        try:
            self._potentiostat.open_cells("emergency-stop", self._config.channels)
        finally:
            self._link.close()

    def _hello(self) -> Hello:
        """Who answers; it must be able to do what the configuration says."""
        found = self._potentiostat.hello()
        has = {name: getattr(found, name) for name in ("channels", "voltage_limit_v", "current_limit_a")}
        short = shortfalls(self._config, has)
        if short:
            raise DeviceError(f"the configuration asks for more than {self._link.where} has: {', '.join(short)}")
        return found
