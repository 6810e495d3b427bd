"""Looking into a running servo simulator and setting things wrong in it: for tests, benchmarks and torture runs.

Not for driving the servo, and not for starting it: that is `launch`.
"""

from __future__ import annotations

from typing import Any, Final

from labkeeper_devices.simulators.common.client import ControlClient, SimulatorError
from labkeeper_devices.simulators.servo.paths import KIND

__all__ = ["ServoControl", "SimulatorError"]

FOR_EVER: Final = -1


class ServoControl(ControlClient):
    """Looks into a running simulator and sets things wrong in it. A context manager.

    Raises `SimulatorError` when there is no simulator in the folder or it refuses.
    """

    kind = KIND

    # Looking.

    def state(self) -> dict[str, Any]:
        """Position (degrees), torque, mode, goal, moving, registers by name, counters and faults."""
        return self.ask("state")

    def motions(self) -> list[dict[str, Any]]:
        """Motions that really began: `cause`, `at` (wall time), `from_deg`, `goal_deg`."""
        return list(self.ask("motions")["motions"])

    def log(self) -> list[dict[str, Any]]:
        """The last packets: `at` (wall time of the first byte), `id`, `instruction`, `address`, `data` (hex)."""
        return list(self.ask("log")["log"])

    def reset_log(self) -> None:
        """Forget the packets logged so far."""
        self.ask("reset-log")

    def writes(self, address: int | None = None) -> list[dict[str, Any]]:
        """The WRITE packets in the log, to one register if its address is given."""
        return [
            entry
            for entry in self.log()
            if entry["instruction"] == 3 and (address is None or entry["address"] == address)
        ]

    # Setting the line wrong. A count is in packets; None means until `clear`.

    def silence(self, packets: int | None = None) -> None:
        """Lose answers; the servo still does what it is told."""
        self.ask("line", silence=_count(packets))

    def deaf(self, packets: int | None = None) -> None:
        """Lose requests: the servo neither does nor answers them."""
        self.ask("line", deaf=_count(packets))

    def corrupt(self, packets: int | None = None) -> None:
        """Spoil the checksum of answers."""
        self.ask("line", corrupt=_count(packets))

    def wrong_id(self, packets: int | None = None) -> None:
        """Let answers carry the id of another servo."""
        self.ask("line", wrong_id=_count(packets))

    def noise(self, packets: int | None = None, *, size: int = 8) -> None:
        """Put `size` bytes of garbage before answers."""
        self.ask("line", noise=_count(packets), noise_bytes=size)

    def delay(self, seconds: float) -> None:
        """Hold every answer back for that long (real time)."""
        self.ask("line", delay=seconds)

    def unplug(self) -> None:
        """Take the port away; who has it open gets an input/output error."""
        self.ask("unplug")

    def replug(self) -> None:
        """Bring a port back under the same path."""
        self.ask("replug")

    # Setting the servo wrong.

    def stall(self, *, on: bool = True, overload_after: float | None = None) -> None:
        """Block the shaft. `overload_after`: simulated seconds of straining until the overload shutdown."""
        self.ask("stall", on=on, overload_after=overload_after)

    def heat(self, celsius: int) -> None:
        """Set the temperature; at the servo's limit (80) and above it shuts down."""
        self.ask("heat", celsius=celsius)

    def supply(self, volts: float) -> None:
        """Set the supply voltage."""
        self.ask("supply", volts=volts)

    def fail(self, bits: int) -> None:
        """Set bits of the hardware error status."""
        self.ask("fail", bits=bits)

    def retune(self, *, friction: int | None = None, deadband_deg: float | None = None) -> None:
        """Static friction in units of goal PWM; how far position control stops short of its goal."""
        self.ask("retune", friction=friction, deadband_deg=deadband_deg)

    def turn_by_hand(self, degrees: float) -> None:
        """Turn the shaft while the torque is off."""
        self.ask("turn-by-hand", degrees=degrees)

    def write(self, register: str, value: int) -> None:
        """Write a register as another host would, under the servo's own rules."""
        self.ask("write", register=register, value=value)

    def reset(self, position: float = 0.0) -> None:
        """Begin anew with a servo fresh from the box, at a position in degrees: no faults, nothing counted."""
        self.ask("reset", position=position)

    def clear(self) -> None:
        """Take all faults of the line and the stall back."""
        self.ask("clear")


def _count(packets: int | None) -> int:
    return FOR_EVER if packets is None else packets
