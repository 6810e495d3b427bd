"""Hardware that goes away, comes back or is not well: the unit says so, moves nothing, and goes on by itself."""

from __future__ import annotations

from tests.integration.agent.bench import begin_move, is_waiting, message, no_motion, wait_rest
from tests.support.hotel import Hotel
from tests.support.waiting import eventually

OVERLOAD = 0x20
"""A bit of the servo's hardware error status."""


def test_an_unplugged_servo_is_told_and_used_again_when_it_is_back(hotel: Hotel) -> None:
    with hotel.control() as servo:
        hotel.run("move_to_angle", angle=40)
        count = len(servo.motions())
        servo.unplug()
        reason = hotel.wait_state("Faulted")["reason"]
        assert "/port" in reason, "it names the port"
        waiting = hotel.submit("go_home")
        no_motion(servo, count)
        assert is_waiting(hotel, waiting)
        servo.replug()
        assert hotel.prefect.wait(waiting)["state_name"] == "Completed"
        assert len(servo.motions()) == count + 1
    assert hotel.wait_state("Idle")["reason"] == "waits for runs"


def test_a_servo_that_goes_away_in_a_move_holds_the_unit(slow_hotel: Hotel) -> None:
    with slow_hotel.control() as servo:
        run_id = begin_move(slow_hotel, servo)
        count = len(servo.motions())
        servo.unplug()
        run = slow_hotel.prefect.wait(run_id)
        assert run["state_name"] == "Crashed"
        assert "nobody knows how plate-resort.move_to_angle ended: " in message(run)
        assert "labkeeper device acknowledge" in message(run)
        assert slow_hotel.wait_state("Held")
        wait_rest(servo)
        servo.reset_log()
        servo.replug()
        eventually(servo.log, 10.0, 0.02, what="the agent speaks to the servo again")
        no_motion(servo, count)
        assert servo.writes() == [], "held, it is only looked at"
        assert slow_hotel.ask_agent("status")["state"] == "Held"
        slow_hotel.act("Acknowledge", outcome="Completed")
        slow_hotel.wait_state("Idle")
        assert slow_hotel.run("go_home")["state_name"] == "Completed"


def test_a_hot_servo_is_told_and_rests_until_it_has_cooled(hotel: Hotel) -> None:
    with hotel.control() as servo:
        hotel.run("move_to_angle", angle=40)
        count = len(servo.motions())
        servo.heat(75)
        reason = hotel.wait_state("Faulted")["reason"]
        assert reason == "temperature 75 °C is above its limit, 70 °C; let it cool"
        waiting = hotel.submit("go_home")
        no_motion(servo, count)
        assert is_waiting(hotel, waiting)
        assert servo.state()["torque"], "what hangs on the shaft is not dropped"
        servo.heat(40)
        assert hotel.prefect.wait(waiting)["state_name"] == "Completed"
    assert hotel.wait_state("Idle")


def test_a_hardware_error_is_cleared_by_a_reboot_and_nothing_else(hotel: Hotel) -> None:
    with hotel.control() as servo:
        hotel.run("move_to_angle", angle=40)
        count = len(servo.motions())
        servo.fail(OVERLOAD)
        reason = hotel.wait_state("Faulted")["reason"]
        assert "hardware error: overload; mend the cause, then reboot the servo" in reason
        waiting = hotel.submit("go_home")
        no_motion(servo, count)
        assert is_waiting(hotel, waiting)
        assert hotel.run("reboot")["state_name"] == "Completed", "it passes what cannot be done before it"
        assert hotel.prefect.wait(waiting)["state_name"] == "Completed"
        assert len(servo.motions()) == count + 1
    assert hotel.wait_state("Idle")
