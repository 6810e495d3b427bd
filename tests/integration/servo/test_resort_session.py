"""Connecting, holding, losing and finding the servo again: the real SDK on the simulated line."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, InvalidInput
from labkeeper_devices.drivers.plate_resort import PlateResort, registers

if TYPE_CHECKING:
    from tests.integration.servo.conftest import InThread, Servo

REAL = Path("/work/shared/data/plate_resort")


@pytest.mark.skipif(not REAL.exists(), reason="the real files are not here")
@pytest.mark.parametrize("files", [["defaults.yaml"], ["resort_config.yaml"], ["resort_config.yaml", "defaults.yaml"]])
def test_real_configurations_drive_the_hotel(servo: Servo, files: list[str]) -> None:
    with PlateResort([REAL / name for name in files], servo.port, time_factor=servo.process.time_factor) as resort:
        for hotel, angle in {"A": 19, "B": 109, "C": 199, "D": 289}.items():
            assert resort.activate_hotel_precise(hotel)["success"]
            assert servo.angle == pytest.approx(angle, abs=0.5)
            assert resort.get_active_hotel() == hotel
    assert not servo.control.state()["torque"]


def test_connect_does_not_jump_to_a_stale_goal(servo: Servo) -> None:
    servo.control.write("goal_position", 3000)
    resort = servo.resort()
    assert resort.connect()
    assert servo.holding()
    assert servo.angle == pytest.approx(90.0, abs=0.1)
    assert servo.control.motions() == []
    resort.disconnect()


def test_connect_twice_and_elsewhere(resort: PlateResort, servo: Servo) -> None:
    assert resort.connect()
    assert resort.connect(device=servo.port, baudrate=57600, motor_id=1)
    with pytest.raises(DeviceError, match="already connected"):
        resort.connect(motor_id=2)
    with pytest.raises(InvalidInput, match="baudrate"):
        resort.connect(baudrate=1)
    assert servo.control.motions() == []


def test_zero_is_an_id(servos: Callable[..., Servo]) -> None:
    servo = servos(servo_id=0)
    resort = servo.resort(motor_id=1)
    assert resort.connect(motor_id=0)
    resort.disconnect()
    assert resort.connect()
    assert resort.go_home()
    resort.disconnect()


def test_disconnect_takes_the_torque_and_the_lock(resort: PlateResort, servo: Servo) -> None:
    resort.disconnect()
    assert not servo.control.state()["torque"]
    assert not resort.is_connected()
    with pytest.raises(DeviceUnreachable, match="connect first"):
        resort.go_home()
    with pytest.raises(DeviceUnreachable, match="connect first"):
        resort.get_current_position()
    other = servo.resort()
    assert other.connect()
    other.disconnect()
    resort.disconnect()


def test_only_one_at_a_time(resort: PlateResort, servo: Servo) -> None:
    other = servo.resort()
    with pytest.raises(DeviceUnreachable, match=f"in use by process {os.getpid()} \\(.+\\): one process at a time"):
        other.connect()
    assert resort.go_home(), "the first one is not disturbed"


def test_the_lock_of_another_process_is_named(servo: Servo) -> None:
    code = (
        "import sys, time\n"
        "from labkeeper_devices.drivers.plate_resort import PlateResort\n"
        f"resort = PlateResort(None, {servo.port!r})\n"
        "resort.session.open(energise=False)\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(DeviceUnreachable, match=f"in use by process {holder.pid} \\(python"):
            servo.resort().connect()
        holder.kill()
        holder.wait()
    resort = servo.resort()
    assert resort.connect(), "the lock of a killed process is gone"
    resort.disconnect()


def test_no_port(tmp_path: Path) -> None:
    with pytest.raises(DeviceUnreachable, match=r"there is no port .*serial ports here"):
        PlateResort(None, str(tmp_path / "none")).connect()


@pytest.mark.parametrize(("settings", "options"), [({"motor_id": 2}, {}), ({}, {"baudrate": 115200})])
def test_wrong_id_or_speed(servos: Callable[..., Servo], settings: dict[str, int], options: dict[str, int]) -> None:
    resort = servos(**options).resort(**settings)
    with pytest.raises(DeviceUnreachable, match=r"does not answer to ping: check its power.*3 attempts"):
        resort.connect()
    assert not resort.is_connected(), "the lock is given up"


def test_health(resort: PlateResort, servo: Servo) -> None:
    assert resort.get_motor_health() == {
        "temperature": 32.0,
        "current": 0.0,
        "voltage": 12.0,
        "hardware_error": 0,
        "position": 90.0,
        "warnings": [],
    }
    servo.control.heat(71)
    servo.control.supply(9.7)
    warnings = resort.get_motor_health()["warnings"]
    assert [warning.split(" is ")[0] for warning in warnings] == ["temperature 71 °C", "supply voltage 9.7 V"]


def test_faults_forbid_moving_before_anything_moves(resort: PlateResort, servo: Servo) -> None:
    for set_value, bad, good in (("heat", 75, 30), ("supply", 14.5, 12)):
        getattr(servo.control, set_value)(bad)
        with pytest.raises(Interlocked):
            resort.activate_hotel("A")
        getattr(servo.control, set_value)(good)
        assert resort.get_motor_health()["warnings"] == []
    assert servo.control.motions() == []
    assert servo.holding()


def test_overload_shutdown_and_reboot(resort: PlateResort, servo: Servo) -> None:
    servo.control.stall(overload_after=4.0)
    with pytest.raises(DeviceError, match="overload"):
        resort.activate_hotel("C")
    servo.control.clear()
    with pytest.raises(Interlocked, match="overload"):
        resort.activate_hotel("C")
    assert resort.connect() is False
    assert not servo.control.state()["torque"]
    done = resort.reboot(wait=0.8)
    assert (done["status"], done["reapply"], done["wait"], done["health"]["warnings"]) == ("rebooted", True, 0.8, [])
    assert servo.holding()
    assert resort.activate_hotel("C")


def test_reboot_without_reapplying(resort: PlateResort, servo: Servo) -> None:
    servo.control.reset_log()
    resort.reboot(wait=0.1, reapply=False)
    assert not servo.control.state()["torque"]
    with pytest.raises(Interlocked, match="without torque"):
        resort.go_home()
    assert resort.connect()
    assert servo.control.motions() == []


def test_reboot_of_a_servo_that_comes_up_with_torque(servo: Servo) -> None:
    servo.control.write("startup_configuration", 1)
    resort = servo.resort()
    resort.connect()
    resort.reboot(wait=0.1, reapply=False)
    assert not servo.control.state()["torque"]
    resort.disconnect()


def test_reboot_that_does_not_help(resort: PlateResort, servo: Servo) -> None:
    servo.control.heat(85)
    with pytest.raises(DeviceError, match="was rebooted and stays without torque: hardware error: overheating"):
        resort.reboot(wait=0.1)


def test_reboot_whose_answer_is_lost(resort: PlateResort, servo: Servo) -> None:
    servo.control.silence(1)
    with pytest.raises(DeviceUnreachable, match="does not answer to reboot"):
        resort.reboot(wait=0.1)
    reboots = [entry for entry in servo.control.log() if entry["instruction"] == 8]
    assert len(reboots) == 1, "it is not repeated"


def test_a_power_cut_is_noticed(resort: PlateResort, servo: Servo) -> None:
    servo.control.write("torque_enable", 0)
    with pytest.raises(Interlocked, match="torque is off although this driver turned it on"):
        resort.activate_hotel("A")
    assert resort.connect()
    assert resort.activate_hotel("A")


def test_speed_of_the_following_moves(servos: Callable[..., Servo]) -> None:
    servo = servos(time_factor=10.0)
    with servo.resort() as resort:
        durations = []
        for speed, angle in ((50, 180), (200, 90)):
            resort.set_speed(speed)
            began = time.monotonic()
            assert resort.move_to_angle(angle)
            durations.append(time.monotonic() - began)
        # A quarter turn at 11.45 rpm takes 1.31 s, and a tenth of it at this time factor.
        assert durations[0] == pytest.approx(0.131, abs=0.05)
        assert durations[1] < 0.75 * durations[0]
        resort.reboot(wait=0.1)
        assert servo.control.state()["registers"]["profile_velocity"] == 200, "a reboot does not forget it"
        for wrong in (0, -1, 32768, True):
            with pytest.raises(InvalidInput):
                resort.set_speed(wrong)


def test_limits_are_written_in_their_own_units(servo: Servo) -> None:
    with servo.resort(goal_torque=512, torque_limit=700, current_limit=1500.0):
        found = servo.control.state()["registers"]
    assert (found["pwm_limit"], found["goal_pwm"]) == (606, 443)
    assert (found["current_limit"], found["goal_current"]) == (1193, 1193), "a threshold is not written"
    assert (found["max_voltage_limit"], found["min_voltage_limit"]) == (160, 95)


def test_eeprom_is_spared(resort: PlateResort, servo: Servo) -> None:
    for _ in range(3):
        resort.disconnect()
        resort.connect()
    assert all(entry["address"] >= 64 for entry in servo.control.writes())


def test_unplugged_and_plugged_in_again(resort: PlateResort, servo: Servo) -> None:
    servo.control.unplug()
    with pytest.raises(DeviceUnreachable, match=r"the port failed during .*; check that the adapter is plugged in"):
        resort.go_home()
    assert not resort.is_connected()
    with pytest.raises(DeviceUnreachable, match="there is no port"):
        resort.connect()
    servo.control.replug()
    assert resort.connect()
    assert resort.go_home()


def test_unplugged_while_it_moves(servos: Callable[..., Servo], in_thread: type[InThread]) -> None:
    servo = servos(time_factor=1.0)
    resort = servo.resort()
    resort.connect()
    moving = in_thread(lambda: resort.move_to_angle(270))
    time.sleep(0.3)
    servo.control.unplug()
    moving.join()
    assert isinstance(moving.error, DeviceUnreachable)
    assert "the port failed" in str(moving.error)
    servo.control.replug()
    assert resort.connect(), "connecting stops what was left under way"
    assert servo.holding()
    resort.disconnect()


def test_the_wait_for_an_answer_does_not_spin(resort: PlateResort, servo: Servo) -> None:
    servo.control.delay(0.04)
    before = time.thread_time()
    began = time.monotonic()
    for _ in range(10):
        resort.get_current_position()
    elapsed = time.monotonic() - began
    assert elapsed > 0.4
    assert time.thread_time() - before < 0.2 * elapsed


def test_no_threads_of_its_own(resort: PlateResort) -> None:
    before = threading.enumerate()
    resort.activate_hotel("A")
    assert threading.enumerate() == before
    resort.disconnect()
    assert resort.connect()
    assert threading.enumerate() == before


class TestNoise:
    """A line that loses, garbles and delays."""

    def test_reads_and_writes_come_through(self, resort: PlateResort, servo: Servo) -> None:
        for name, value in (
            *(("corrupt", 2), ("wrong_id", 2), ("silence", 2), ("deaf", 2), ("noise", 2)),
            ("noise_bytes", 200),
        ):
            spoil = {"noise": 2, name: value} if name == "noise_bytes" else {name: value}
            servo.control.ask("line", **spoil)
            assert resort.get_current_position() == pytest.approx(servo.angle, abs=0.1)
            servo.control.ask("line", **spoil)
            resort.set_speed(60)
            assert servo.control.state()["registers"]["profile_velocity"] == 60
            resort.set_speed(50)

    def test_constant_noise(self, resort: PlateResort, servo: Servo) -> None:
        servo.control.noise(size=9)
        assert resort.activate_hotel("A")

    def test_a_write_that_was_done_is_not_repeated(self, resort: PlateResort, servo: Servo) -> None:
        servo.control.reset_log()
        servo.control.silence(1)
        resort.session.bus.write(registers.GOAL_POSITION, 2000)
        assert len(servo.control.writes(116)) == 1
        assert len(servo.control.motions()) == 1
        servo.control.deaf(1)
        resort.session.bus.write(registers.GOAL_POSITION, 1000)
        assert len(servo.control.writes(116)) == 3, "one that was not heard is"

    def test_a_late_answer_is_not_taken_for_the_next(self, resort: PlateResort, servo: Servo) -> None:
        bus = resort.session.bus
        servo.control.delay(0.075)  # later than the driver waits
        with contextlib.suppress(DeviceUnreachable):
            bus.read(registers.GOAL_POSITION)
        servo.control.clear()
        assert bus.read(registers.PROFILE_VELOCITY) == 50
        assert bus.read(registers.MODEL_NUMBER) == 1020
        assert bus.read(registers.TORQUE_ENABLE) == 1

    @pytest.mark.parametrize("double", ["silence", "corrupt", "wrong_id", "deaf"])
    def test_for_ever(self, resort: PlateResort, servo: Servo, double: str) -> None:
        getattr(servo.control, double)()
        with pytest.raises(DeviceUnreachable, match="3 attempts"):
            resort.get_current_position()
        assert resort.is_connected(), "a servo that does not answer is no lost port"
        servo.control.clear()
        assert resort.get_current_position() == 90.0

    def test_a_line_that_never_falls_silent(self, in_thread: type[InThread]) -> None:
        ends = pty.openpty()
        tty.setraw(ends[1])
        ended = threading.Event()

        def babble() -> None:
            while not ended.is_set():
                os.write(ends[0], bytes(range(256)))
                time.sleep(0.0005)

        resort = PlateResort(None, os.ttyname(ends[1]))
        babbling = in_thread(babble)
        try:
            with pytest.raises(DeviceUnreachable, match="garble each other's packets"):
                resort.connect()
        finally:
            ended.set()
            os.set_blocking(ends[0], False)
            babbling.join()
            for end in ends:
                os.close(end)
