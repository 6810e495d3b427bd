"""The emergency stop: torque off comes next on the wire, whatever the line is doing, and it stays stopped.

How many ms that takes depends on the machine; it is printed and not judged here.
"""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, Interrupted
from labkeeper_devices.drivers.base import Interrupt
from labkeeper_devices.drivers.plate_resort import PlateResort, registers

if TYPE_CHECKING:
    from tests.integration.servo.conftest import InThread, Servo


def torque_off_arrived(servo: Servo, called: float) -> float:
    """Wall time of the first byte of torque off; nothing that was begun after the stop was called came before it."""
    arrived = min(float(entry["at"]) for entry in servo.control.writes(64) if entry["data"] == "00")
    before = [entry for entry in servo.control.log() if called < float(entry["at"]) < arrived]
    assert len(before) <= 1, "at most the transaction that was under way"
    return arrived


def stop_while_moving(servo: Servo, resort: PlateResort, in_thread: type[InThread], after: float) -> float:
    """Begin a long move, stop it on its way, and return the seconds until torque off was on the wire."""
    resort.release_stop()
    assert resort.connect()
    target = 10.0 if servo.angle > 180 else 350.0
    moving = in_thread(lambda: resort.move_to_angle(target))
    time.sleep(after)
    assert servo.control.state()["moving"]
    servo.control.reset_log()
    called = time.time()
    report = resort.emergency_stop()
    assert report.confirmed
    moving.join()
    assert isinstance(moving.error, Interrupted)
    assert moving.error.cause == "emergency-stop"
    assert abs(servo.angle - target) > 5, "it was stopped on its way"
    return torque_off_arrived(servo, called) - called


def test_next_on_the_wire_during_a_move(servos: Callable[..., Servo], in_thread: type[InThread]) -> None:
    servo = servos(time_factor=1.0)
    resort = servo.resort(default_speed=30)
    seconds = [stop_while_moving(servo, resort, in_thread, 0.1 + 0.003 * index) for index in range(15)]
    print(
        f"\ntorque off on the wire: median {statistics.median(seconds) * 1e3:.2f} ms, max {max(seconds) * 1e3:.2f} ms"
    )
    assert not servo.control.state()["torque"]
    resort.session.close()


def test_next_on_a_line_that_is_never_free(servos: Callable[..., Servo], in_thread: type[InThread]) -> None:
    servo = servos(time_factor=1.0)
    resort = servo.resort()
    resort.connect()
    servo.control.delay(0.05)
    ended = threading.Event()

    def poll() -> None:
        while not ended.is_set():
            resort.get_current_position()

    polling = in_thread(poll)
    time.sleep(0.2)
    for _ in range(5):
        servo.control.reset_log()
        called = time.time()
        resort.emergency_stop()
        torque_off_arrived(servo, called)
        time.sleep(0.017)
    ended.set()
    polling.join()
    assert polling.error is None, "reads go on behind a stop"
    resort.session.close()


def test_a_late_reply_does_not_put_the_line_out_of_step(servos: Callable[..., Servo]) -> None:
    """One reply taken for the answer to the next question, and every answer after it is one question late."""
    servo = servos(time_factor=1.0)
    resort = servo.resort()
    resort.connect()
    servo.control.delay(0.05)
    for _ in range(3):
        servo.control.reset_log()
        assert resort.emergency_stop().confirmed
        assert resort.get_current_position() == 90.0
        assert len(servo.control.writes(64)) == 1, "confirmed at the first attempt"


def test_nothing_moves_after_it(servos: Callable[..., Servo], in_thread: type[InThread]) -> None:
    servo = servos(time_factor=1.0)
    resort = servo.resort()
    resort.connect()
    stop_while_moving(servo, resort, in_thread, 0.2)
    stood, motions = servo.angle, len(servo.control.motions())
    for forbidden in (
        resort.go_home,
        lambda: resort.activate_hotel("A"),
        lambda: resort.activate_hotel_precise("A"),
        lambda: resort.set_speed(50),
        lambda: resort.reboot(0.1),
    ):
        with pytest.raises(Interlocked, match="emergency stop is latched"):
            forbidden()
    for value in (0, 1):
        with pytest.raises(Interrupted):
            resort.session.bus.write(registers.GOAL_POSITION, value)
    with pytest.raises(Interrupted):
        resort.session.bus.write(registers.TORQUE_ENABLE, 1)
    with pytest.raises(Interrupted):
        resort.session.bus.reboot()
    assert resort.connect() is False, "connecting again turns nothing on"
    resort.disconnect()
    assert resort.connect() is False
    rest = resort.halt()
    assert rest.confirmed
    assert rest.detail["torque"] is False
    state = servo.control.state()
    assert (state["torque"], state["position_deg"]) == (False, stood)
    assert len(servo.control.motions()) == motions
    resort.release_stop()
    assert not servo.control.state()["torque"], "the release turns nothing on"
    with pytest.raises(Interlocked, match="without torque"):
        resort.go_home()
    assert resort.connect()
    assert servo.holding()
    assert resort.go_home()
    resort.disconnect()


@pytest.mark.parametrize("after", [0.02, 0.15, 0.4, 0.6, 0.75, 0.9])
def test_in_every_part_of_a_precise_move(servos: Callable[..., Servo], in_thread: type[InThread], after: float) -> None:
    servo = servos(time_factor=4.0)
    servo.control.retune(deadband_deg=2.9, friction=230)
    resort = servo.resort()
    resort.connect()
    moving = in_thread(lambda: resort.activate_hotel_precise("B"))
    time.sleep(after)
    assert resort.emergency_stop().confirmed
    moving.join()
    assert moving.error is None or isinstance(moving.error, Interrupted)
    assert not servo.control.state()["torque"]
    stood = servo.angle
    time.sleep(0.1)
    assert servo.angle == stood
    resort.release_stop()
    assert resort.connect()
    assert servo.holding()
    assert servo.angle == pytest.approx(stood, abs=0.1)
    resort.disconnect()


def test_a_stop_while_connecting_wins(servos: Callable[..., Servo], in_thread: type[InThread]) -> None:
    servo = servos(time_factor=1.0)
    for delay in (0.0, 0.001, 0.002, 0.004):
        resort = servo.resort()
        connecting = in_thread(resort.connect)
        time.sleep(delay)
        try:
            resort.emergency_stop()
        except DeviceUnreachable as error:
            assert "in use" in str(error) or "not connected" in str(error)  # noqa: PT017 - either may be first
        connecting.join()
        assert not servo.control.state()["torque"]
        assert not resort.session.energised
        resort.session.close()


@pytest.mark.parametrize("double", ["corrupt", "silence", "deaf", "noise", "wrong_id"])
def test_on_a_bad_line(resort: PlateResort, servo: Servo, double: str) -> None:
    getattr(servo.control, double)(3)
    report = resort.emergency_stop()
    assert report.confirmed
    assert not servo.control.state()["torque"]


def test_unconfirmed(resort: PlateResort, servo: Servo) -> None:
    servo.control.silence()
    with pytest.raises(DeviceUnreachable, match=r"not confirmed.*Cut the power"):
        resort.emergency_stop()
    assert resort.stopped
    assert not servo.control.state()["torque"], "the servo heard it all the same"


def test_while_the_port_is_closed(resort: PlateResort, servo: Servo) -> None:
    resort.session.close()
    assert servo.control.state()["torque"]
    assert resort.emergency_stop().confirmed
    assert not servo.control.state()["torque"]
    assert not resort.is_connected()


def test_after_the_port_came_back(resort: PlateResort, servo: Servo) -> None:
    servo.control.unplug()
    servo.control.replug()
    assert resort.emergency_stop().confirmed
    assert not servo.control.state()["torque"]


def test_without_any_port(resort: PlateResort, servo: Servo) -> None:
    servo.control.unplug()
    with pytest.raises(DeviceUnreachable, match=r"latched, but .*there is no port.*Cut the power"):
        resort.emergency_stop()
    assert resort.stopped
    servo.control.replug()
    assert resort.connect() is False


def test_a_dead_agent_leaves_no_turning_shaft(servos: Callable[..., Servo]) -> None:
    servo = servos(time_factor=1.0)
    resort = servo.resort()
    resort.connect()
    resort.session.axis.enter_pwm()
    resort.session.axis.write_pwm(300)
    # What follows is silence, as after SIGKILL: the servo's own watchdog ends the pulse.
    time.sleep(0.8)
    stopped = servo.angle
    assert not servo.control.state()["moving"]
    time.sleep(0.2)
    assert servo.angle == stopped
    resort.session.close()
    other = servo.resort()
    assert other.connect()
    assert servo.holding()
    other.disconnect()


class TestHalt:
    """Cancel means stopped."""

    def test_in_a_move(self, servos: Callable[..., Servo], in_thread: type[InThread]) -> None:
        servo = servos(time_factor=1.0)
        resort = servo.resort()
        resort.connect()
        interrupt = Interrupt()
        moving = in_thread(lambda: resort.move(270, interrupt=interrupt))
        time.sleep(0.4)
        interrupt.set("cancel")
        moving.join()
        assert isinstance(moving.error, Interrupted)
        rest = resort.halt()
        assert rest.confirmed
        assert rest.detail["angle_deg"] == pytest.approx(servo.angle, abs=0.2)
        assert rest.detail["torque"] is True
        assert servo.holding()
        assert 95 < servo.angle < 200
        resort.disconnect()

    def test_at_rest_it_moves_nothing(self, resort: PlateResort, servo: Servo) -> None:
        assert resort.halt().confirmed
        assert servo.control.motions() == []

    def test_unconfirmed_without_answers(self, resort: PlateResort, servo: Servo) -> None:
        servo.control.silence()
        rest = resort.halt()
        assert not rest.confirmed
        assert "does not answer" in rest.detail["reason"]

    def test_deadline(self, servos: Callable[..., Servo]) -> None:
        servo = servos(time_factor=1.0)
        with servo.resort() as resort:
            interrupt = Interrupt()
            interrupt.set_deadline(0.3)
            with pytest.raises(Interrupted, match="timeout"):
                resort.move(270, interrupt=interrupt)
            assert resort.halt().confirmed
            assert servo.holding()


def test_a_stopped_simulator_is_no_answer(resort: PlateResort, servo: Servo) -> None:
    os.kill(servo.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(DeviceError, match="does not answer"):
            resort.get_current_position()
    finally:
        os.kill(servo.process.pid, signal.SIGCONT)
    assert resort.get_current_position() == 90.0
