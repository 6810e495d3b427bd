"""The OT-2 driver as tests use it: checked and performed as the agent does, on a deck of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from labkeeper_api.errors import Interrupted
from labkeeper_api.operations import OPERATIONS
from labkeeper_devices.drivers.base import AtRest, Interrupt, Simulation
from labkeeper_devices.drivers.ot2 import OT2Driver, Patience
from tests.support.ot2 import SimulatedRobot, definition

P1000 = "p1000_single_gen2"
SHORT = Patience(connect=2.0, answer=2.0, load=60.0, absence=3.0)
"""Patience of tests in which the robot goes away."""


class Bench:
    """A driver on a simulated robot."""

    def __init__(self, robot: SimulatedRobot, patience: Patience | None = None) -> None:
        self.robot = robot
        self.driver = OT2Driver(robot.address, simulation=Simulation(robot.time_factor), patience=patience)
        self.interrupt = Interrupt()

    def open(self) -> Bench:
        """Connect."""
        self.driver.open(energize=True)
        return self

    def close(self) -> None:
        """Let the robot go."""
        self.driver.close()

    def check(self, operation: str, **parameters: Any) -> None:
        """Only the check."""
        spec = OPERATIONS[f"ot2.{operation}"]
        self.driver.check(spec.key, spec.parameters.model_validate(parameters))

    def perform(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Only the operation."""
        spec = OPERATIONS[f"ot2.{operation}"]
        return self.driver.perform(spec.key, spec.parameters.model_validate(parameters), self.interrupt)

    def do(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Check and perform, as the agent does."""
        self.check(operation, **parameters)
        return self.perform(operation, **parameters)

    def at(self, labware: str, well: str, **more: Any) -> dict[str, Any]:
        """Parameters of anything at a well."""
        return {"pipette": P1000, "labware": labware, "well": well, **more}

    def set_up(self, *, tools: bool = False) -> Bench:
        """A fresh run: tips in slot 1, vials in 2 (A1 full), tools in 10 where asked for, a p1000 on the right."""
        self.do("initialize_robot")
        self.do("load_labware", labware="tips", load_name="opentrons_96_tiprack_1000ul", slot=1)
        self.custom("vials", "test_vials", 2)
        if tools:
            self.custom("tools", "test_tools", 10, tools=True)
        self.do("load_pipette", pipette=P1000, mount="right")
        self.robot.fill(2, A1=5000)
        return self

    def custom(self, labware: str, name: str, slot: int, *, tools: bool = False) -> dict[str, Any]:
        """Labware of our own."""
        known = definition(name, tools=tools)
        return self.do("load_custom_labware", labware=labware, load_name=name, slot=slot, definition=known)

    def with_tip(self, well: str = "A1") -> Bench:
        """A tip is on."""
        self.do("pickup_tip", **self.at("tips", well))
        return self


class Under:
    """Carries something out in another thread, as the agent's device thread does, and keeps how it ended."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, name="device")
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the test, which looks at it
            self.error = error

    @property
    def alive(self) -> bool:
        """Whether it is still under way."""
        return self._thread.is_alive()

    def join(self, timeout: float = 120.0) -> Under:
        """Wait for its end."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "it did not end"
        return self


def halted(bench: Bench, under: Under) -> AtRest:
    """What the agent does after an operation was interrupted."""
    assert isinstance(under.join().error, Interrupted), under.error or under.result
    return bench.driver.halt()
