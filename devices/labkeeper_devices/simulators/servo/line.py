"""The servo on its line: bytes in, bytes out, with what is logged and what goes wrong between. Not for processes.

Real time on one side (`time.monotonic` for the line, `time.time` in the log), simulated time on the motor's.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from labkeeper_devices.simulators.common.port import PseudoPort
from labkeeper_devices.simulators.servo.instructions import Instructions
from labkeeper_devices.simulators.servo.line_faults import LineFaults
from labkeeper_devices.simulators.servo.motor import Motor
from labkeeper_devices.simulators.servo.packets import Packet, PacketReader
from labkeeper_devices.simulators.servo.table import BAUDRATES

KEPT_PACKETS: Final = 5000


@dataclass(frozen=True)
class LoggedPacket:
    """A packet that arrived. `at` is the wall time of its first byte; `data` is hexadecimal, without the address."""

    at: float
    id: int
    instruction: int
    address: int | None
    data: str
    size: int
    intact: bool


def logged(packet: Packet) -> LoggedPacket:
    """How a packet stands in the log."""
    addressed = packet.instruction in (2, 3, 4) and len(packet.parameters) >= 2
    address = int.from_bytes(packet.parameters[:2], "little") if addressed else None
    data = packet.parameters[2:] if addressed else packet.parameters
    return LoggedPacket(packet.at, packet.servo_id, packet.instruction, address, data.hex(), packet.size, packet.intact)


class Line:
    """Feeds what arrives at a port to a motor and sends the answers."""

    def __init__(
        self,
        port: PseudoPort,
        motor: Motor,
        simulated: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.port = port
        self._simulated = simulated
        self._wall = wall
        self._reader = PacketReader()
        self._log: deque[LoggedPacket] = deque(maxlen=KEPT_PACKETS)
        self._pending: list[tuple[float, int, bytes]] = []
        self._sequence = 0
        self.install(motor)

    def install(self, motor: Motor) -> None:
        """Put a servo on the line, in place of the one before, with no faults and nothing counted."""
        self.motor = motor
        self.faults = LineFaults()
        self.packets = 0
        self.received_bytes = 0
        self._instructions = Instructions(motor)
        self._log.clear()
        self._pending.clear()

    def receive(self) -> None:
        """Take in what has arrived and carry out what is complete."""
        if not self.port.plugged:
            # It was unplugged between the wake-up and now.
            return
        chunk = self.port.read()
        arrived = self._wall()
        self.received_bytes += len(chunk)
        if self.port.speed != BAUDRATES[self.motor.table["baud_rate"]]:
            # At another speed a servo sees bit salad: it understands nothing and says nothing.
            return
        for packet in self._reader.feed(chunk, arrived):
            self._carry_out(packet)

    def _carry_out(self, packet: Packet) -> None:
        self.packets += 1
        self._log.append(logged(packet))
        if not self.faults.hears():
            return
        answer = self._instructions.answer(packet, self._simulated())
        outgoing = self.faults.spoil(answer) if answer else None
        if outgoing is None:
            return
        if outgoing.delay <= 0 and not self._pending:
            self.port.write(outgoing.data)
            return
        self._sequence += 1
        heapq.heappush(self._pending, (time.monotonic() + outgoing.delay, self._sequence, outgoing.data))

    def send_due(self) -> float | None:
        """Send held-back answers whose time has come; seconds until the next one, None when there is none."""
        now = time.monotonic()
        while self._pending and self._pending[0][0] <= now:
            data = heapq.heappop(self._pending)[2]
            if self.port.plugged:
                self.port.write(data)
        return max(0.0, self._pending[0][0] - now) if self._pending else None

    def log(self) -> list[dict[str, Any]]:
        """The last packets that arrived, oldest first."""
        return [asdict(entry) for entry in self._log]

    def reset_log(self) -> None:
        """Forget the packets; counters go on."""
        self._log.clear()

    def cut(self) -> None:
        """Unplug the port: what was under way on the line is lost."""
        self._pending.clear()
        self._reader = PacketReader()
        self.port.unplug()
