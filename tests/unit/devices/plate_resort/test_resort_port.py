"""The gate of the emergency stop and the words for what goes wrong. The port itself is tested against the simulator."""

from __future__ import annotations

import errno
import os
import pty
import termios

import pytest

from labkeeper_devices.drivers.common.latch import StopLatch
from labkeeper_devices.drivers.common.pyserial import SerialException
from labkeeper_devices.drivers.common.trouble import cannot_open, lock_holder, reason
from labkeeper_devices.drivers.plate_resort import registers
from labkeeper_devices.drivers.plate_resort.bus import recorded_write
from labkeeper_devices.drivers.plate_resort.port import harmless
from labkeeper_devices.drivers.plate_resort.registers import Register
from labkeeper_devices.simulators.servo.packets import Instruction, encode


@pytest.mark.parametrize(
    ("packet", "passes"),
    [
        (encode(1, Instruction.PING, b""), True),
        (encode(1, Instruction.READ, b"\x84\x00\x04\x00"), True),
        (recorded_write(1, registers.TORQUE_ENABLE, 0), True),
        (recorded_write(1, registers.TORQUE_ENABLE, 1), False),
        (recorded_write(1, registers.GOAL_POSITION, 0), False),
        (recorded_write(1, registers.GOAL_PWM, 0), False),
        (recorded_write(1, Register(65, 1, "LED"), 0), False),
        (encode(1, Instruction.WRITE, b"\x40\x00\x00\x01"), False),
        (encode(1, Instruction.REBOOT, b""), False),
        (encode(1, Instruction.ACTION, b""), False),
        (encode(1, Instruction.REG_WRITE, b"\x40\x00\x00"), False),
        (encode(0xFE, 0x83, b"\x40\x00\x01\x00\x01\x01"), False),
    ],
)
def test_only_reads_and_torque_off_pass_a_latched_stop(packet: bytes, passes: bool) -> None:
    assert harmless(packet) is passes


@pytest.mark.parametrize("servo_id", [0, 1, 252])
def test_torque_off_is_a_packet_that_a_servo_understands(servo_id: int) -> None:
    packet = recorded_write(servo_id, registers.TORQUE_ENABLE, 0)
    assert packet == encode(servo_id, Instruction.WRITE, b"\x40\x00\x00")


def test_latch_counts_stops() -> None:
    latch = StopLatch()
    assert (latch.engaged, latch.count) == (False, 0)
    latch.engage()
    latch.release()
    assert (latch.engaged, latch.count) == (False, 1)


def test_words() -> None:
    assert "there is no port /dev/x" in cannot_open("/dev/x", OSError(errno.ENOENT, "No such file"))
    assert "dialout" in cannot_open("/dev/x", SerialException(errno.EACCES, "denied"))
    assert "in use by another process" in cannot_open("/dev/x", SerialException(errno.EAGAIN, "locked"))
    assert cannot_open("/dev/x", OSError(5, "Input/output error")) == (
        "/dev/x cannot be opened: [Errno 5] Input/output error"
    )
    assert reason(termios.error(5, "Input/output error")) == "Input/output error"
    assert reason(termios.error("odd")) == "odd"


def test_nobody_holds_a_lock() -> None:
    ends = pty.openpty()
    try:
        assert lock_holder(os.ttyname(ends[1])) == "another process"
    finally:
        for end in ends:
            os.close(end)
