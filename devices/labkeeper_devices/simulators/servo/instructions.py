"""What a servo answers to a packet: addresses, instructions and status. Not for the line that carries the answer."""

from __future__ import annotations

from dataclasses import dataclass

from labkeeper_devices.simulators.servo.motor import Motor
from labkeeper_devices.simulators.servo.packets import (
    ALERT,
    BROADCAST,
    ErrorNumber,
    Instruction,
    Packet,
    encode_status,
)


@dataclass(frozen=True)
class Answer:
    """A status packet before it is put on the line."""

    servo_id: int
    error: int
    parameters: bytes = b""

    def encode(self) -> bytes:
        """The bytes on the line."""
        return encode_status(self.servo_id, self.error, self.parameters)


class Instructions:
    """Carries out packets on a motor."""

    def __init__(self, motor: Motor) -> None:
        self._motor = motor
        self._registered: tuple[int, bytes] | None = None

    def answer(self, packet: Packet, now: float) -> Answer | None:
        """Carry out a packet at `now` (simulated seconds); None when the servo stays silent, as for others' packets."""
        self._motor.heard(now)
        table = self._motor.table
        own = packet.servo_id in (table["id"], table["secondary_id"])
        if not own and packet.servo_id != BROADCAST:
            return None
        error, parameters = self._perform(packet, now) if packet.intact else (ErrorNumber.CRC, b"")
        if not self._speaks(packet, own=own):
            return None
        alert = ALERT if table["hardware_error"] else 0
        return Answer(table["id"], error | alert, parameters)

    def _speaks(self, packet: Packet, *, own: bool) -> bool:
        if not own:
            return packet.instruction == Instruction.PING
        needed = {Instruction.PING.value: 0, Instruction.READ.value: 1}.get(packet.instruction, 2)
        return self._motor.table["status_return_level"] >= needed

    def _perform(self, packet: Packet, now: float) -> tuple[ErrorNumber, bytes]:
        if packet.instruction == Instruction.PING:
            return ErrorNumber.NONE, self._identity()
        if packet.instruction == Instruction.READ:
            return self._read(packet.parameters, now)
        if packet.instruction == Instruction.WRITE:
            return self._write(packet.parameters, now), b""
        if packet.instruction == Instruction.REG_WRITE:
            return self._register(packet.parameters, now), b""
        if packet.instruction == Instruction.ACTION:
            return self._act(now), b""
        if packet.instruction == Instruction.REBOOT:
            self._registered = None
            self._motor.reboot(now)
            return ErrorNumber.NONE, b""
        return ErrorNumber.INSTRUCTION, b""

    def _identity(self) -> bytes:
        table = self._motor.table
        return table["model_number"].to_bytes(2, "little") + bytes([table["firmware_version"]])

    def _read(self, parameters: bytes, now: float) -> tuple[ErrorNumber, bytes]:
        if len(parameters) != 4:
            return ErrorNumber.DATA_LENGTH, b""
        address, length = int.from_bytes(parameters[:2], "little"), int.from_bytes(parameters[2:], "little")
        data = self._motor.read(address, length, now)
        return (ErrorNumber.DATA_RANGE, b"") if data is None else (ErrorNumber.NONE, data)

    def _write(self, parameters: bytes, now: float) -> ErrorNumber:
        if len(parameters) < 3:
            return ErrorNumber.DATA_LENGTH
        return self._motor.write(int.from_bytes(parameters[:2], "little"), parameters[2:], now)

    def _register(self, parameters: bytes, now: float) -> ErrorNumber:
        if len(parameters) < 3:
            return ErrorNumber.DATA_LENGTH
        address, data = int.from_bytes(parameters[:2], "little"), parameters[2:]
        error = self._motor.check(address, data, now)
        if not error:
            self._registered = (address, data)
            self._motor.table["registered_instruction"] = 1
        return error

    def _act(self, now: float) -> ErrorNumber:
        if self._registered is None:
            return ErrorNumber.RESULT_FAIL
        address, data = self._registered
        self._registered = None
        self._motor.table["registered_instruction"] = 0
        return self._motor.write(address, data, now)
