"""Looking into a running potentiostat simulator and setting things wrong in it: for tests, benchmarks, torture runs.

Not for driving the instrument, and not for starting it: that is `launch`.
"""

from __future__ import annotations

from typing import Any, Final

from labkeeper_devices.simulators.common.client import ControlClient
from labkeeper_devices.simulators.squidstat.paths import KIND

FOR_EVER: Final = -1


class PotentiostatControl(ControlClient):
    """Looks into a running simulator and sets things wrong in it. A context manager.

    Raises `SimulatorError` when there is no simulator in the folder or it refuses.
    """

    kind = KIND

    def state(self) -> dict[str, Any]:
        """The truth: per channel `deposited_c`, `charge_c`, `interface_v`, `started`, `cell`, `state`."""
        return self.ask("state")

    def channel(self, number: int = 0) -> dict[str, Any]:
        """The truth about one channel."""
        found: dict[str, Any] = self.state()["channels"][number]
        return found

    def log(self) -> list[dict[str, Any]]:
        """The requests that the instrument heard, without those that only ask."""
        return list(self.ask("log")["log"])

    def silence(self, frames: int | None = None) -> None:
        """Lose answers; the instrument still does what it is told. None means until `clear`."""
        self.ask("plug", silence=_count(frames))

    def deaf(self, frames: int | None = None) -> None:
        """Lose requests."""
        self.ask("plug", deaf=_count(frames))

    def garbage(self, frames: int | None = None) -> None:
        """Send what is no frame instead of answers."""
        self.ask("plug", garbage=_count(frames))

    def drop(self) -> None:
        """Cut the host off; it may connect again."""
        self.ask("drop")

    def unplug(self) -> None:
        """Cut the host off and let nobody in."""
        self.ask("unplug")

    def replug(self) -> None:
        """Let hosts in again."""
        self.ask("replug")

    def lose_power(self) -> None:
        """Power off and on: everything measured is gone."""
        self.ask("lose-power")

    def fail(self, message: str) -> None:
        """Set a hardware fault; empty for none."""
        self.ask("fail", message=message)

    def behave(self, *, heeds_limits: bool = True, hangs: bool = False) -> None:
        """For experiments from now on: whether the instrument ends them at limits, whether they never end."""
        self.ask("behave", heeds_limits=heeds_limits, hangs=hangs)

    def reset(self) -> None:
        """Begin anew with an instrument fresh from the box and fresh cells."""
        self.ask("reset")

    def clear(self) -> None:
        """Take all faults back."""
        self.ask("clear")


def _count(frames: int | None) -> int:
    return FOR_EVER if frames is None else frames
