"""Looking into a running board simulator and setting things wrong in it: for tests, benchmarks and torture runs.

Not for driving the board, and not for starting it: that is `launch`.
"""

from __future__ import annotations

from typing import Any, Final

from labkeeper_devices.simulators.arduino.paths import KIND
from labkeeper_devices.simulators.common.client import ControlClient

FOR_EVER: Final = -1


class BoardControl(ControlClient):
    """Looks into a running simulator and sets things wrong in it. A context manager.

    Raises `SimulatorError` when there is no simulator in the folder or it refuses.
    """

    kind = KIND

    # Looking.

    def state(self) -> dict[str, Any]:
        """The truth: `pumped_ml` and `ultrasound_ms` by number, `celsius`, `setpoints`, `motion`, faults."""
        return self.ask("state")

    def temperatures(self, base: int = 0, *, interval: float = 1.0) -> list[tuple[float, float]]:
        """(simulated s, degrees Celsius) of a base since the beginning, every `interval` s."""
        return [tuple(pair) for pair in self.ask("temperatures", base=base, interval=interval)["temperatures"]]

    def log(self) -> list[dict[str, Any]]:
        """The requests that the board heard: `at` (wall time), `id`, `verb`, `arguments`."""
        return list(self.ask("log")["log"])

    def reset_log(self) -> None:
        """Forget the requests logged so far."""
        self.ask("reset-log")

    # Setting the line wrong. A count is in lines; None means until `clear`.

    def silence(self, lines: int | None = None) -> None:
        """Lose replies; the board still does what it is told."""
        self.ask("line", silence=_count(lines))

    def deaf(self, lines: int | None = None) -> None:
        """Lose requests: the board neither does nor answers them."""
        self.ask("line", deaf=_count(lines))

    def corrupt(self, lines: int | None = None) -> None:
        """Spoil a byte of replies."""
        self.ask("line", corrupt=_count(lines))

    def noise(self, lines: int | None = None) -> None:
        """Put garbage before replies."""
        self.ask("line", noise=_count(lines))

    def unplug(self) -> None:
        """Take the port away; who has it open gets an input/output error."""
        self.ask("unplug")

    def replug(self) -> None:
        """Bring a port back under the same path."""
        self.ask("replug")

    # Setting the board wrong.

    def stall(self, pump: int, *, on: bool = True) -> None:
        """Block a pump."""
        self.ask("stall", pump=pump, on=on)

    def flow(self, pump: int, ml_per_s: float) -> None:
        """Let a pump move more or less than it was calibrated for."""
        self.ask("flow", pump=pump, ml_per_s=ml_per_s)

    def runaway(self, base: int = 0, *, on: bool = True) -> None:
        """Weld the heater's relay: it heats whatever it is told."""
        self.ask("runaway", base=base, on=on)

    def warm(self, celsius: float, base: int = 0) -> None:
        """Bring a base to a temperature at once."""
        self.ask("warm", base=base, celsius=celsius)

    def break_thermometer(self, base: int = 0, *, broken: bool = True) -> None:
        """Break a base's thermometer, or mend it."""
        self.ask("thermometer", base=base, broken=broken)

    def reset(self) -> None:
        """Begin anew with a board fresh from the box: no faults, nothing pumped, nothing logged."""
        self.ask("reset")

    def clear(self) -> None:
        """Take all faults of the line and all stalls back."""
        self.ask("clear")


def _count(lines: int | None) -> int:
    return FOR_EVER if lines is None else lines
