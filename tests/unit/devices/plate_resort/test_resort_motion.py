"""Moves on a servo in memory: every reason, every end in holding, nothing that jumps. No real time passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interrupted
from labkeeper_devices.drivers.plate_resort import registers
from labkeeper_devices.drivers.plate_resort.motion import Outcome, coarse_move, precise_move
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig

if TYPE_CHECKING:
    from tests.unit.devices.plate_resort.conftest import Bench

CONFIG = ResortConfig()


def coarse(bench: Bench, target: float, config: ResortConfig = CONFIG) -> Outcome:
    return coarse_move(bench.axis, target, config, bench.time)


def precise(bench: Bench, target: float, config: ResortConfig = CONFIG) -> Outcome:
    return precise_move(bench.axis, target, config, bench.time)


class TestEnergise:
    """The guide's connect sequence."""

    def test_nothing_jumps_although_the_goal_is_stale(self, cold_bench: Bench) -> None:
        cold_bench.bus.write(registers.GOAL_POSITION, 3000)
        cold_bench.axis.energise()
        assert cold_bench.holding()
        assert cold_bench.angle == pytest.approx(90.0, abs=0.1)
        assert cold_bench.motor.shaft.motion_count == 0

    def test_order_of_writes(self, cold_bench: Bench) -> None:
        cold_bench.bus.write(registers.OPERATING_MODE, 4)
        cold_bench.bus.writes.clear()
        cold_bench.axis.energise()
        assert cold_bench.bus.writes == [
            ("torque enable", 0),
            ("bus watchdog", 0),
            ("operating mode", 3),
            ("goal PWM", 885),
            ("goal position", 1024),
            ("torque enable", 1),
            ("goal PWM", 885),
            ("profile acceleration", 0),
            ("profile velocity", 50),
        ]

    def test_again_leaves_the_torque_alone(self, bench: Bench) -> None:
        bench.axis.energise()
        assert [name for name, _ in bench.bus.writes] == ["goal PWM", "profile acceleration", "profile velocity"]

    def test_stops_a_motion_that_was_left_under_way(self, bench: Bench) -> None:
        bench.bus.write(registers.GOAL_POSITION, 3000)
        bench.time.wait(0.5)
        bench.axis.energise()
        assert bench.holding()
        assert 90 < bench.angle < 180

    def test_dangerous_drive_modes_are_taken_back(self, cold_bench: Bench) -> None:
        cold_bench.bus.write(registers.DRIVE_MODE, 0b1100)
        cold_bench.axis.energise()
        assert cold_bench.motor.table["drive_mode"] == 0

    def test_a_shaft_beyond_the_turn_is_held_where_it_is(self, cold_bench: Bench) -> None:
        for degrees in (-10.0, 370.0):
            cold_bench.axis.torque_off()
            cold_bench.motor.turn_by_hand(degrees, cold_bench.time.seconds)
            cold_bench.axis.energise()
            assert cold_bench.holding()
            assert cold_bench.angle == pytest.approx(degrees % 360, abs=0.1)
        assert cold_bench.motor.shaft.motion_count == 0

    def test_outside_the_servos_limits(self, cold_bench: Bench) -> None:
        cold_bench.bus.write(registers.MIN_POSITION, 2000)
        with pytest.raises(DeviceError, match="cannot be held where it stands"):
            cold_bench.axis.energise()
        assert not cold_bench.motor.torque

    def test_a_hardware_error_is_named(self, cold_bench: Bench) -> None:
        cold_bench.motor.fail(0b100000, 0.0)
        with pytest.raises(DeviceError, match="hardware error \\(overload\\) and its torque is off"):
            cold_bench.axis.energise()

    def test_torque_that_stays_off(self, cold_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        def ignore(register: registers.Register, value: int) -> None:
            if register is not registers.TORQUE_ENABLE or value == 0:
                write(register, value)

        write = cold_bench.bus.write
        monkeypatch.setattr(cold_bench.bus, "write", ignore)
        with pytest.raises(DeviceError, match="none that it names"):
            cold_bench.axis.energise()

    def test_a_shaft_that_does_not_come_to_rest(self, cold_bench: Bench) -> None:
        cold_bench.bus.write(registers.TORQUE_ENABLE, 1)
        cold_bench.bus.write(registers.PROFILE_VELOCITY, 1)
        cold_bench.bus.write(registers.GOAL_POSITION, 4000)
        with pytest.raises(DeviceError, match="does not come to rest"):
            cold_bench.axis.wait_for_rest()


class TestCoarse:
    """Position mode only."""

    @pytest.mark.parametrize("target", [0.0, 19.0, 109.0, 289.0, 359.9, -30.0, 360.0, 750.0])
    def test_arrives_and_is_verified(self, bench: Bench, target: float) -> None:
        outcome = coarse(bench, target)
        assert (outcome.success, outcome.reason, outcome.pulses) == (True, "coarse_success", 0)
        assert abs(outcome.error) <= 0.5
        assert outcome.target == pytest.approx(target % 360)
        assert bench.holding()
        assert bench.motor.shaft.motion_count == 1

    def test_nothing_is_written_when_it_is_there(self, bench: Bench) -> None:
        assert coarse(bench, 90.3).success
        assert bench.bus.writes == []

    def test_waits_until_it_is_at_rest(self, bench: Bench) -> None:
        coarse(bench, 180.0)
        assert bench.time.seconds > 1.3
        assert not bench.motor.state(bench.time.seconds)["moving"]

    def test_a_stall_ends_in_holding(self, bench: Bench) -> None:
        bench.time.at(0.5, lambda: bench.motor.stall(bench.time.seconds, on=True))
        outcome = coarse(bench, 180.0, ResortConfig(movement_timeout=3))
        assert (outcome.success, outcome.reason) == (False, "timeout")
        assert outcome.error == pytest.approx(180 - outcome.angle)
        bench.motor.stall(bench.time.seconds, on=False)
        bench.time.wait(60)
        assert bench.angle == pytest.approx(outcome.angle, abs=0.1), "a failed move does not go on later"
        assert bench.holding()

    def test_an_overload_names_itself(self, bench: Bench) -> None:
        bench.motor.stall(0.0, on=True, overload_after=1.0)
        with pytest.raises(DeviceError, match=r"overload.*could not be made to hold"):
            coarse(bench, 180.0)
        assert bench.time.seconds < 2

    def test_cancelled(self, bench: Bench) -> None:
        bench.time.at(0.5, lambda: bench.time.interrupt("cancel"))
        with pytest.raises(Interrupted, match="cancel"):
            coarse(bench, 180.0)
        bench.time.cause = None
        bench.time.wait(60)
        assert bench.holding()
        assert bench.angle < 150

    def test_cancelled_before_it_began(self, bench: Bench) -> None:
        bench.time.interrupt("cancel")
        with pytest.raises(Interrupted):
            coarse(bench, 180.0)
        assert bench.motor.shaft.motion_count == 0

    def test_the_emergency_stop_is_not_fought(self, bench: Bench) -> None:
        def stop() -> None:
            bench.axis.torque_off()
            bench.bus.writes.clear()
            bench.time.interrupt("emergency-stop")

        bench.time.at(0.5, stop)
        with pytest.raises(Interrupted, match="emergency-stop"):
            coarse(bench, 180.0)
        assert bench.bus.writes == []
        assert not bench.motor.torque

    def test_a_dead_line(self, bench: Bench) -> None:
        bench.time.at(0.5, bench.bus.cut)
        with pytest.raises(DeviceUnreachable, match="could not be made to hold"):
            coarse(bench, 180.0)

    def test_another_program(self, bench: Bench) -> None:
        def meddle() -> None:
            bench.motor.table["goal_position"] = 2049

        bench.time.at(1.0, meddle)
        with pytest.raises(DeviceError, match="has the goal 2049 although 2048 was written"):
            coarse(bench, 180.0)

    def test_a_goal_outside_the_servos_limits(self, bench: Bench) -> None:
        bench.axis.torque_off()
        bench.bus.write(registers.MAX_POSITION, 2000)
        bench.axis.energise()
        with pytest.raises(DeviceError, match="nothing was moved"):
            coarse(bench, 289.0)
        assert bench.motor.shaft.motion_count == 0


class TestPrecise:
    """Two stages (facts 3.2)."""

    def test_first_stage_is_enough(self, bench: Bench) -> None:
        outcome = precise(bench, 180.0)
        assert (outcome.success, outcome.reason, outcome.pulses) == (True, "coarse_success", 0)
        assert [name for name, _ in bench.bus.writes] == ["goal position"]
        assert bench.holding()

    @pytest.mark.parametrize("target", [180.0, 0.0, 359.0, 45.0])
    @pytest.mark.parametrize("deadband", [0.6, 1.2, 2.9])
    def test_pulses_do_the_rest(self, bench: Bench, deadband: float, target: float) -> None:
        bench.motor.retune(0.0, deadband=deadband)
        outcome = precise(bench, target)
        assert (outcome.success, outcome.reason) == (True, "pulses_success")
        assert outcome.pulses > 0
        assert abs(outcome.error) <= 0.5
        assert bench.holding()

    def test_pulses_grow_against_friction(self, bench: Bench) -> None:
        bench.motor.retune(0.0, deadband=1.5, friction=240)
        outcome = precise(bench, 180.0)
        assert outcome.reason == "pulses_success"
        given = [value for name, value in bench.bus.writes if name == "goal PWM" and value not in (0, 885)]
        assert given[:3] == [180, 205, 230]

    def test_pulses_after_the_time_of_the_first_stage(self, bench: Bench) -> None:
        bench.motor.retune(0.0, deadband=5.0)
        outcome = precise(bench, 180.0, ResortConfig(stage1_timeout=2.0))
        assert outcome.reason == "pulses_success"

    def test_without_a_limit_for_the_first_stage(self, bench: Bench) -> None:
        bench.motor.retune(0.0, deadband=5.0)
        precise(bench, 180.0, ResortConfig(stage1_timeout=None, movement_timeout=12))
        entered = next(index for index, write in enumerate(bench.bus.writes) if write == ("operating mode", 16))
        assert entered > 0
        assert bench.time.seconds > 12

    def test_stall(self, bench: Bench) -> None:
        bench.motor.retune(0.0, deadband=2.0, friction=700)
        outcome = precise(bench, 180.0)
        assert (outcome.success, outcome.reason, outcome.pulses) == (False, "stall", 6)
        assert outcome.error == pytest.approx(2.0, abs=0.1)
        assert bench.holding()

    def test_max_pulses(self, bench: Bench) -> None:
        bench.motor.retune(0.0, deadband=2.9)
        outcome = precise(bench, 180.0, ResortConfig(pulse_max=2))
        assert (outcome.success, outcome.reason, outcome.pulses) == (False, "max_pulses", 2)
        assert bench.holding()

    def test_no_pulse_is_stronger_than_allowed(self, bench: Bench) -> None:
        bench.motor.retune(0.0, deadband=2.0, friction=700)
        precise(bench, 180.0, ResortConfig(pwm_max=200, stall_pulses=20))
        assert max(v for n, v in bench.bus.writes if n == "goal PWM" and v != 885) == 200

    def test_read_fail_stage1(self, bench: Bench) -> None:
        bench.time.at(0.5, lambda: setattr(bench.bus, "lost", 1))
        outcome = precise(bench, 180.0)
        assert (outcome.success, outcome.reason) == (False, "read_fail_stage1")
        assert bench.holding()
        assert outcome.angle < 150

    def test_read_fail_pulse(self, bench: Bench) -> None:
        bench.motor.retune(0.0, deadband=2.9)
        bench.time.at(2.2, lambda: setattr(bench.bus, "lost", 1))
        outcome = precise(bench, 180.0)
        assert (outcome.success, outcome.reason) == (False, "read_fail_pulse")
        assert bench.holding()

    def test_a_dead_line_in_a_pulse_is_ended_by_the_watchdog(self, bench: Bench) -> None:
        bench.motor.retune(0.0, deadband=2.9)
        bench.time.at(2.2, bench.bus.cut)
        with pytest.raises(DeviceUnreachable, match="could not be made to hold"):
            precise(bench, 180.0, ResortConfig(pulse_pwm_start=400))
        bench.time.wait(1.0)
        stopped = bench.angle
        bench.time.wait(60.0)
        assert bench.angle == stopped
        bench.bus.lost = 0
        bench.axis.hold()
        assert bench.holding()

    @pytest.mark.parametrize("moment", [0.5, 2.0, 2.25, 2.45])
    def test_cancelled_at_any_moment(self, bench: Bench, moment: float) -> None:
        bench.motor.retune(0.0, deadband=2.9)
        bench.time.at(moment, lambda: bench.time.interrupt("cancel"))
        with pytest.raises(Interrupted):
            precise(bench, 180.0)
        bench.time.cause = None
        bench.time.wait(10)
        assert bench.holding()

    def test_a_long_pulse_keeps_the_watchdog_quiet(self, bench: Bench) -> None:
        bench.motor.retune(0.0, deadband=2.9, friction=178)
        outcome = precise(bench, 180.0, ResortConfig(pulse_duration=1.5, pulse_rest=1.0))
        assert outcome.reason == "pulses_success"

    def test_shaft_is_never_driven_while_the_mode_changes(self, bench: Bench) -> None:
        bench.motor.retune(0.0, deadband=2.0)
        precise(bench, 180.0)
        assert {entry["cause"] for entry in bench.motor.shaft.motion_log()} == {"goal", "pwm"}

    def test_a_shaft_that_leaves_the_target_again(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        def sag() -> None:
            hold()
            bench.motor.shaft.place(bench.motor.shaft.position(bench.time.seconds) - 30)

        hold = bench.axis.hold
        monkeypatch.setattr(bench.axis, "hold", sag)
        bench.motor.retune(0.0, deadband=2.0)
        outcome = precise(bench, 180.0)
        assert (outcome.success, outcome.reason) == (False, "drifted")


class TestHold:
    """Ends in holding, from wherever."""

    def test_while_it_moves(self, bench: Bench) -> None:
        bench.bus.write(registers.GOAL_POSITION, 4000)
        bench.time.wait(0.5)
        bench.axis.hold()
        bench.time.wait(5)
        assert bench.holding()
        assert bench.angle < 180

    def test_from_pwm_mode(self, bench: Bench) -> None:
        bench.axis.enter_pwm()
        bench.axis.write_pwm(300)
        bench.time.wait(0.1)
        bench.axis.hold()
        assert bench.holding()

    def test_after_the_watchdog(self, bench: Bench) -> None:
        bench.axis.enter_pwm()
        bench.axis.write_pwm(300)
        bench.time.wait(5)
        bench.axis.hold()
        assert bench.holding()

    def test_without_torque(self, bench: Bench) -> None:
        bench.axis.torque_off()
        bench.axis.hold()
        assert bench.holding()

    def test_not_after_a_shutdown(self, bench: Bench) -> None:
        bench.motor.heat(90, 0.0)
        with pytest.raises(DeviceError, match="overheating"):
            bench.axis.hold()
