"""What the simulated servo answers to packets, and what becomes of answers on a faulty line."""

from __future__ import annotations

import pytest

from labkeeper_devices.simulators.servo.instructions import Answer, Instructions
from labkeeper_devices.simulators.servo.line_faults import LineFaults, garbage
from labkeeper_devices.simulators.servo.motor import Motor
from labkeeper_devices.simulators.servo.packets import BROADCAST, HEADER, ErrorNumber, Instruction, Packet
from labkeeper_devices.simulators.servo.table import MODELS


@pytest.fixture
def servo() -> Instructions:
    """A servo with id 3."""
    return Instructions(Motor(MODELS["xm430-w350"], servo_id=3, position=0.0, now=0.0))


def packet(instruction: int, parameters: bytes = b"", servo_id: int = 3, *, intact: bool = True) -> Packet:
    return Packet(servo_id, instruction, parameters, at=0.0, size=10 + len(parameters), intact=intact)


def word(value: int) -> bytes:
    return value.to_bytes(2, "little")


def test_ping(servo: Instructions) -> None:
    for address in (3, BROADCAST):
        assert servo.answer(packet(Instruction.PING, servo_id=address), 0.0) == Answer(3, 0, word(1020) + b"\x2d")


def test_stays_silent_when_not_meant(servo: Instructions) -> None:
    assert servo.answer(packet(Instruction.PING, servo_id=4), 0.0) is None
    assert servo.answer(packet(Instruction.WRITE, word(65) + b"\x01", servo_id=BROADCAST), 0.0) is None
    assert servo.answer(packet(Instruction.READ, word(65) + word(1)), 0.0) == Answer(3, 0, b"\x01")


def test_secondary_id(servo: Instructions) -> None:
    servo.answer(packet(Instruction.WRITE, word(12) + b"\x09"), 0.0)
    assert servo.answer(packet(Instruction.PING, servo_id=9), 0.0) == Answer(3, 0, word(1020) + b"\x2d")


@pytest.mark.parametrize(
    ("instruction", "parameters", "error"),
    [
        (Instruction.READ, word(132), ErrorNumber.DATA_LENGTH),
        (Instruction.READ, word(255) + word(4), ErrorNumber.DATA_RANGE),
        (Instruction.WRITE, word(64), ErrorNumber.DATA_LENGTH),
        (Instruction.WRITE, word(132) + bytes(4), ErrorNumber.ACCESS),
        (Instruction.REG_WRITE, word(132) + bytes(4), ErrorNumber.ACCESS),
        (Instruction.REG_WRITE, b"", ErrorNumber.DATA_LENGTH),
        (Instruction.ACTION, b"", ErrorNumber.RESULT_FAIL),
        (0x83, b"", ErrorNumber.INSTRUCTION),
    ],
)
def test_errors(servo: Instructions, instruction: int, parameters: bytes, error: ErrorNumber) -> None:
    assert servo.answer(packet(instruction, parameters), 0.0) == Answer(3, error)


def test_garbled_instruction(servo: Instructions) -> None:
    answer = servo.answer(packet(Instruction.WRITE, word(65) + b"\x01", intact=False), 0.0)
    assert answer == Answer(3, ErrorNumber.CRC)
    assert servo.answer(packet(Instruction.READ, word(65) + word(1)), 0.0) == Answer(3, 0, b"\x00")


def test_registered_write_waits_for_action(servo: Instructions) -> None:
    assert servo.answer(packet(Instruction.REG_WRITE, word(65) + b"\x01"), 0.0) == Answer(3, 0)
    assert servo.answer(packet(Instruction.READ, word(65) + word(5)), 0.0) == Answer(3, 0, b"\x00\x00\x00\x02\x01")
    assert servo.answer(packet(Instruction.ACTION), 0.0) == Answer(3, 0)
    assert servo.answer(packet(Instruction.READ, word(65) + word(5)), 0.0) == Answer(3, 0, b"\x01\x00\x00\x02\x00")


def test_alert_bit() -> None:
    motor = Motor(MODELS["xm430-w350"], servo_id=3, position=0.0, now=0.0)
    servo = Instructions(motor)
    motor.fail(0b100000, 0.0)
    assert servo.answer(packet(Instruction.READ, word(70) + word(1)), 0.0) == Answer(3, 0x80, b"\x20")
    assert servo.answer(packet(Instruction.WRITE, word(64) + b"\x01"), 0.0) == Answer(3, 0x81)
    # The answer to a reboot is sent after it in this simulation, with the alert gone.
    assert servo.answer(packet(Instruction.REBOOT), 0.0) == Answer(3, 0)


@pytest.mark.parametrize(("level", "answers"), [(0, (True, False, False)), (1, (True, True, False)), (2, (True,) * 3)])
def test_status_return_level(servo: Instructions, level: int, answers: tuple[bool, bool, bool]) -> None:
    servo.answer(packet(Instruction.WRITE, word(68) + bytes([level])), 0.0)
    questions = (
        packet(Instruction.PING),
        packet(Instruction.READ, word(65) + word(1)),
        packet(Instruction.WRITE, word(65) + b"\x01"),
    )
    assert tuple(servo.answer(question, 0.0) is not None for question in questions) == answers


class TestLineFaults:
    """Fault doubles of the line."""

    answer = Answer(1, 0, b"\x01\x02")

    def test_nothing_set(self) -> None:
        faults = LineFaults()
        outgoing = faults.spoil(self.answer)
        assert outgoing is not None
        assert (outgoing.data, outgoing.delay) == (self.answer.encode(), 0.0)
        assert faults.hears()

    def test_counts_run_out(self) -> None:
        faults = LineFaults(silence=2)
        assert [faults.spoil(self.answer) is None for _ in range(3)] == [True, True, False]

    def test_for_ever_and_cleared(self) -> None:
        faults = LineFaults(deaf=-1)
        assert not any(faults.hears() for _ in range(5))
        faults.clear()
        assert faults.hears()

    def test_corrupt(self) -> None:
        outgoing = LineFaults(corrupt=1).spoil(self.answer)
        assert outgoing is not None
        assert outgoing.data[:-1] == self.answer.encode()[:-1]
        assert outgoing.data != self.answer.encode()

    def test_wrong_id_is_a_whole_packet_of_another(self) -> None:
        outgoing = LineFaults(wrong_id=1).spoil(self.answer)
        assert outgoing is not None
        assert outgoing.data == Answer(2, 0, b"\x01\x02").encode()

    def test_noise_goes_before(self) -> None:
        outgoing = LineFaults(noise=1, noise_bytes=25, delay=0.5).spoil(self.answer)
        assert outgoing is not None
        assert outgoing.data == garbage(25) + self.answer.encode()
        assert outgoing.delay == 0.5
        assert HEADER not in garbage(100)
