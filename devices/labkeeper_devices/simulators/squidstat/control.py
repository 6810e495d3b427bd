"""What tests may ask of a running potentiostat, and set wrong in it: the commands of its control socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from labkeeper_devices.simulators.common.control import Answer
from labkeeper_devices.simulators.squidstat.instrument import Channel, Instrument
from labkeeper_devices.simulators.squidstat.server import PlugFaults, Server


class Control:
    """Carries out control requests on the instrument and its plug."""

    def __init__(
        self, server: Server, new_instrument: Callable[[], Instrument], simulated: Callable[[], float]
    ) -> None:
        self._server = server
        self._new_instrument = new_instrument
        self._simulated = simulated
        self.instrument = new_instrument()
        self.commands: dict[str, Callable[[Answer], Answer]] = {
            "state": lambda _: self._state(),
            "log": lambda _: {"log": list(self.instrument.log)},
            "plug": self._plug,
            "clear": lambda _: self._clear(),
            "fail": self._fail,
            "behave": self._behave,
            "lose-power": lambda _: self._lose_power(),
            "drop": lambda _: self._drop(),
            "unplug": lambda _: self._set_plugged(plugged=False),
            "replug": lambda _: self._set_plugged(plugged=True),
            "reset": lambda _: self._reset(),
        }

    def _state(self) -> Answer:
        self.instrument.advance(self._simulated())
        return {
            "channels": [_truth(channel) for channel in self.instrument.channels],
            "boots": self.instrument.boots,
            "faults": asdict(self._server.faults),
        }

    def _plug(self, request: Answer) -> Answer:
        known = {field.name for field in fields(PlugFaults)}
        wanted = {name: int(value) for name, value in request.items() if name != "do"}
        if not wanted or set(wanted) - known:
            raise ValueError(f"faults of the plug are {', '.join(sorted(known))}")
        for name, value in wanted.items():
            setattr(self._server.faults, name, value)
        return {}

    def _clear(self) -> Answer:
        self._server.faults = PlugFaults()
        self._server.plugged = True
        return self._behave({"heeds_limits": True, "hangs": False}) | self._fail({"message": ""})

    def _fail(self, request: Answer) -> Answer:
        self.instrument.fault = str(request["message"])
        return {}

    def _behave(self, request: Answer) -> Answer:
        """For experiments that are started from now on."""
        self.instrument.heeds_limits = bool(request["heeds_limits"])
        self.instrument.hangs = bool(request["hangs"])
        return {}

    def _lose_power(self) -> Answer:
        self.instrument.lose_power(self._simulated())
        return self._drop()

    def _drop(self) -> Answer:
        self._server.drop()
        return {}

    def _set_plugged(self, *, plugged: bool) -> Answer:
        self._server.plugged = plugged
        return {} if plugged else self._drop()

    def _reset(self) -> Answer:
        self.instrument = self._new_instrument()
        self._server.faults = PlugFaults()
        self._server.plugged = True
        return {}


def _truth(channel: Channel) -> dict[str, Any]:
    experiment = channel.experiment
    running = experiment is not None and experiment.state == "running"
    return {
        "deposited_c": channel.cell.zinc.deposited,
        "charge_c": channel.cell.charge,
        "interface_v": channel.cell.interface,
        "started": list(channel.started),
        "cell": "closed" if running else "open",
        "state": experiment.state if experiment is not None else "idle",
    }
