"""Units of this host for one run without a lab around it: agents that run are used, those that are missing are started.

What is started here is ended here. Should this process be killed, the agents drain and end by themselves, and their
simulators go on for a while, as hardware would, for whoever resumes. Needs no Prefect server: an agent that is started
here serves only this host. Not for keeping a lab going: that is `lab`.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkeeper.embedded.devices import Units
from labkeeper_api.errors import LabkeeperError
from labkeeper_api.kinds import LabDevice
from labkeeper_api.kinds.labdevice import UnitState
from labkeeper_api.wire import unit_name
from labkeeper_devices.agent.control import NoAgent
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.unit_client import UnitClient

log = logging.getLogger(__name__)

Tell = Callable[[str], None]

READY_SECONDS = 30.0
"""How long a device may take to answer once its agent has been started."""
SIMULATOR_SECONDS = 120.0
"""The same for a simulator, which may have to load a robot's whole software first."""
LOOK_SECONDS = 0.05
KEEP_SECONDS = 0.2
WILL_NOT_PASS = frozenset({UnitState.HELD.value, UnitState.STOPPED.value})
"""States that only a person ends."""


class UnitNotReady(LabkeeperError):
    """A unit that a run needs cannot be used; the message is the unit's own reason."""


def running_devices(home: Path) -> dict[str, LabDevice]:
    """The LabDevices whose agents run on this host, by their units: of `labkeeper up`, services and other runs."""
    found = {}
    for directory in UnitDirectory.all(home):
        if directory.owner() is None:
            continue
        try:
            found[directory.unit] = UnitClient(directory).device()
        except NoAgent as error:
            log.info("an agent that is only just coming or going is passed over: %s", error)
    return found


@contextmanager
def running_units(
    home: Path,
    devices: Sequence[LabDevice],
    *,
    folder: Path,
    tell: Tell = log.info,
    ready_seconds: float | None = None,
) -> Iterator[Mapping[str, UnitClient]]:
    """Have an agent for each device, ready to be reserved; by the devices' keys, `namespace/name`.

    Paths in the devices are relative to `folder`; `ready_seconds` is how long each may take. Agents that
    run in this home are used as they are and left alone.
    From any thread, without an event loop. Raises `UnitNotReady` or `ChildFailed`.
    """
    places = [_place(home, device) for device in devices]
    missing = {place.device.metadata.key: place for place in places if not place.runs}
    keeper = _Keeper(home, {key: (place.device, None, folder) for key, place in missing.items()}, tell)
    if missing:
        keeper.start()
    try:
        _wait_ready(places, keeper, ready_seconds)
        yield {place.device.metadata.key: place.client for place in places}
    finally:
        keeper.stop()


@dataclass(frozen=True)
class _Place:
    """A device and the unit of it that is used."""

    device: LabDevice
    directory: UnitDirectory
    runs: bool
    """Whether its agent ran before."""

    @property
    def client(self) -> UnitClient:
        return UnitClient(self.directory)


def _place(home: Path, device: LabDevice) -> _Place:
    """The unit that runs already, under whatever node name it was started with, else that of this host."""
    begin = f"{device.metadata.namespace}.{device.metadata.name}."
    running = [u for u in UnitDirectory.all(home) if u.unit.startswith(begin) and u.owner() is not None]
    if len(running) > 1:
        names = ", ".join(unit.unit for unit in running)
        raise UnitNotReady(f"device {device.metadata.key} has several units on this host ({names}): stop all but one")
    own = UnitDirectory.of(home, unit_name(device.metadata.namespace, device.metadata.name, platform.node()))
    return _Place(device, running[0] if running else own, runs=bool(running))


def _wait_ready(places: Sequence[_Place], keeper: _Keeper, given: float | None) -> None:
    began = time.monotonic()
    for place in places:
        usual = READY_SECONDS if place.device.spec.simulate is None else SIMULATOR_SECONDS
        seconds = usual if given is None else given
        while (why := _not_ready(place)) is not None:
            keeper.check()
            if time.monotonic() >= began + seconds:
                raise UnitNotReady(f"unit {place.directory.unit} was not ready within {seconds:g} s: {why}")
            time.sleep(LOOK_SECONDS)


def _not_ready(place: _Place) -> str | None:
    """Why the unit cannot be used yet; None if it can. Raises `UnitNotReady` when it will not be without a person."""
    try:
        status = place.client.status()
    except NoAgent as error:
        return str(error)
    _check_same(place, status)
    state, reason = status["state"], str(status["reason"])
    if state in WILL_NOT_PASS:
        raise UnitNotReady(f"unit {place.directory.unit} is {state}: {reason}")
    return None if state in (UnitState.IDLE.value, UnitState.BUSY.value) else reason


def _check_same(place: _Place, status: dict[str, Any]) -> None:
    """An agent that runs already must be of the same driver, and must simulate if, and only if, that is asked for."""
    wanted = place.device.spec.simulate is not None
    if status["driver"] != place.device.spec.driver:
        raise UnitNotReady(
            f"unit {place.directory.unit} runs already with driver {status['driver']}, not {place.device.spec.driver}"
        )
    if status["simulated"] != wanted:
        runs, asked = ("a simulator", "hardware") if status["simulated"] else ("hardware", "a simulator")
        raise UnitNotReady(
            f"unit {place.directory.unit} runs already and drives {runs}, but {asked} is asked for: end its agent, or "
            "give the device that is meant another name"
        )


class _Keeper:
    """Keeps agents and simulators going, in a thread with an event loop of its own, until it is stopped.

    A thread that lives as long as they do: for the kernel it is their parent, whose death they do not survive.
    """

    def __init__(self, home: Path, wanted: Mapping[str, tuple[LabDevice, str | None, Path]], tell: Tell) -> None:
        self._home = home
        self._wanted = wanted
        self._tell = tell
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._keep()), name="units", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Raise what went wrong with keeping them."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End them all: agents first, so that they can drain."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    async def _keep(self) -> None:
        units = Units(self._home, None)
        try:
            while not self._stop.is_set():
                for line in await units.keep(self._wanted):
                    self._tell(line)
                await asyncio.sleep(KEEP_SECONDS)
        except Exception as error:  # noqa: BLE001 - raised by `check` in the thread that waits, and told to who does not
            self._failure = error
            self._tell(f"the units of this run cannot be kept going: {error}")
        finally:
            await units.stop()
