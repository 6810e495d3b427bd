"""Ending a motion early: cancel, timeout and the three ways to the emergency stop. The servo says what counts."""

from __future__ import annotations

import os
import signal

import pytest

from tests.integration.agent.bench import (
    TORQUE_ENABLE,
    WRITE,
    begin_move,
    history,
    message,
    no_motion,
    timestamp,
    wait_rest,
    wait_watching,
)
from tests.support.hotel import Hotel
from tests.support.waiting import eventually


def test_cancelled_means_at_rest(slow_hotel: Hotel) -> None:
    prefect = slow_hotel.prefect
    with slow_hotel.control() as servo:
        run_id = begin_move(slow_hotel, servo)
        goal = servo.motions()[-1]["goal_deg"]
        assert prefect.set_state(run_id, "CANCELLING") == "ACCEPT"
        run, turned = wait_watching(slow_hotel, servo, run_id)
        assert run["state_name"] == "Cancelled", run["state"]
        assert turned < timestamp(run), "the shaft still turned when the run said Cancelled"
        state = servo.state()
        assert not state["moving"]
        assert state["torque"], "it holds where it stands"
        assert abs(state["position_deg"] - goal) > 5, "it was stopped on the way"
        assert f"angle_deg {state['position_deg']:.0f}"[:-1] in message(run)
    assert slow_hotel.wait_state("Idle")["reason"] == "waits for runs"
    assert slow_hotel.run("move_to_angle", angle=state["position_deg"] + 5)["state_name"] == "Completed"


def test_a_waiting_run_that_is_cancelled_never_moves(slow_hotel: Hotel) -> None:
    with slow_hotel.control() as servo:
        first = begin_move(slow_hotel, servo, 90)
        waiting = slow_hotel.submit("go_home")
        slow_hotel.prefect.set_state(waiting, "CANCELLING")
        assert slow_hotel.prefect.run(waiting)["state_name"] == "Cancelled"
        assert slow_hotel.prefect.wait(first)["state_name"] == "Completed"
        no_motion(servo, len(servo.motions()))


def test_timeout_stops_the_motion(slow_hotel: Hotel) -> None:
    prefect = slow_hotel.prefect
    brief = prefect.deploy(slow_hotel.pool, "move_to_angle", "brief", timeout_seconds=1)
    with slow_hotel.control() as servo:
        run_id = prefect.create_run(brief, angle=(servo.state()["position_deg"] + 180) % 360)["id"]
        run, turned = wait_watching(slow_hotel, servo, run_id)
        assert run["state_name"] == "TimedOut", run["state"]
        assert run["state_type"] == "FAILED"
        assert "stopped after the timeout of 1.0 s; at rest" in message(run)
        assert 0 < turned < timestamp(run)
        assert servo.state()["torque"]
    slow_hotel.wait_state("Idle")


def stop_by_command(hotel: Hotel) -> None:
    hotel.labkeeper("estop", "--reason", "a hand is in it")


def stop_by_signal(hotel: Hotel) -> None:
    os.kill(hotel.agent.pid, signal.SIGUSR1)


def stop_by_run(hotel: Hotel) -> None:
    hotel.submit("emergency_stop")


@pytest.mark.parametrize("stop", [stop_by_command, stop_by_signal, stop_by_run])
def test_emergency_stop_during_a_move(slow_hotel: Hotel, stop: object) -> None:
    """Torque off and latched whatever waits; only a release ends it, and neither a run nor a restart does."""
    assert callable(stop)
    slow_hotel.run("set_speed", speed=5)
    with slow_hotel.control() as servo:
        run_id = begin_move(slow_hotel, servo)
        goal = servo.motions()[-1]["goal_deg"]
        slow_hotel.submit("set_speed", speed=45)
        waiting = slow_hotel.submit("go_home")
        stop(slow_hotel)
        eventually(lambda: not servo.state()["torque"], 20.0, 0.005, what="torque off")
        assert servo.state()["moving"] is False
        assert abs(servo.state()["position_deg"] - goal) > 2, "it waited for the end of the move"
        run = slow_hotel.prefect.wait(run_id)
        assert (run["state_name"], run["state_type"]) == ("EmergencyStopped", "FAILED")
        assert "stopped by the emergency stop; at rest" in message(run)
        status = slow_hotel.wait_state("Stopped")
        assert "release it with `labkeeper device release`" in status["reason"]

        count = len(servo.motions())
        servo.reset_log()
        assert not slow_hotel.agent.stop()
        assert slow_hotel.start_agent()["state"] == "Stopped"
        no_motion(servo, count)
        written = [(e["address"], e["data"]) for e in servo.log() if e["instruction"] == WRITE]
        assert set(written) <= {(TORQUE_ENABLE, "00")}, "nothing that energizes"
        assert slow_hotel.prefect.run(waiting)["state_type"] == "SCHEDULED"
        assert not servo.state()["torque"]

        said = slow_hotel.labkeeper("device", "release", "--reason", "the hand is out").stdout
        assert "released" in said
        assert slow_hotel.prefect.wait(waiting)["state_name"] == "Completed"
        assert servo.state()["torque"]
    actions = [(action["action"], action["reason"]) for action in history(slow_hotel)["actions"]]
    assert actions[0] == ("Release", "the hand is out")
    assert actions[1][0] == "EmergencyStop"


def test_the_stop_as_a_run_passes_queue_pause_and_priority(slow_hotel: Hotel) -> None:
    """In the last queue of a pool that is paused, behind runs that wait."""
    prefect, pool = slow_hotel.prefect, slow_hotel.pool
    prefect.ask("POST", f"/work_pools/{pool}/queues", {"name": "very-last", "priority": 1000})
    stop = prefect.deploy(pool, "emergency_stop", "stop-in-the-last-queue", queue="very-last")
    with slow_hotel.control() as servo:
        begin_move(slow_hotel, servo)
        waiting = [slow_hotel.submit("go_home") for _ in range(3)]
        prefect.ask("PATCH", f"/work_pools/{pool}", {"is_paused": True})
        try:
            run_id = prefect.create_run(stop)["id"]
            eventually(lambda: not servo.state()["torque"], 20.0, 0.005, what="torque off")
            run = prefect.wait(run_id)
        finally:
            prefect.ask("PATCH", f"/work_pools/{pool}", {"is_paused": False})
        assert run["state_name"] == "Completed"
        assert run["state"]["data"] == {"stopped": True, "simulated": True, "time_factor": 1.0}
        assert message(run) == "energy off, stop latched [simulated, time factor 1]"
    assert {prefect.run(run_id)["state_type"] for run_id in waiting} == {"SCHEDULED"}


def test_a_stop_for_later_does_not_stop_now(slow_hotel: Hotel) -> None:
    prefect = slow_hotel.prefect
    stop = prefect.deploy(slow_hotel.pool, "emergency_stop", "stop-later")
    with slow_hotel.control() as servo:
        run_id = begin_move(slow_hotel, servo, 90)
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2100-01-01T00:00:00Z"}}
        later = prefect.ask("POST", f"/deployments/{stop}/create_flow_run", {"state": state})["id"]
        assert prefect.wait(run_id)["state_name"] == "Completed"
    prefect.set_state(later, "CANCELLED", force=True)
    assert slow_hotel.ask_agent("status")["state"] == "Idle"


def test_a_stop_when_the_hardware_is_away_is_latched_and_done_when_it_is_back(slow_hotel: Hotel) -> None:
    with slow_hotel.control() as servo:
        servo.unplug()
        stop = slow_hotel.run("emergency_stop")
        assert stop["state_name"] == "Failed", "nobody may believe that the energy is off"
        assert "the stop is latched, but:" in message(stop)
        said = slow_hotel.labkeeper("estop", check=False)
        assert said.returncode == 1
        assert "could not be reached, cut its power" in said.stderr
        assert servo.state()["torque"], "it really is on, as the unit could not be reached"
        servo.replug()
        eventually(lambda: not servo.state()["torque"], 8.0, 0.05, what="torque off after all")
    assert slow_hotel.wait_state("Stopped")
    slow_hotel.act("Release")
    slow_hotel.wait_state("Idle")
    assert slow_hotel.run("go_home")["state_name"] == "Completed"


def test_a_stop_without_an_agent_waits_for_it(slow_hotel: Hotel) -> None:
    with slow_hotel.control() as servo:
        begin_move(slow_hotel, servo)
        slow_hotel.agent.kill()
        said = slow_hotel.labkeeper("estop", "--all", check=False)
        assert said.returncode == 1
        assert "nothing could be sent to the hardware: cut its power" in said.stderr
        assert "emergency stop latched" in slow_hotel.labkeeper("device", "list").stdout.replace("\n", " ")
        assert slow_hotel.start_agent()["state"] == "Stopped"
        eventually(lambda: not servo.state()["torque"], 5.0, 0.02, what="torque off with the agent")
        wait_rest(servo)
    (held_by,) = slow_hotel.ask_agent("status")["held_by"]
    assert held_by.startswith("plate-resort.move_to_angle(")
    slow_hotel.act("Release")
    # Who releases the stop says nothing about what the move did before it.
    assert f"nobody knows how {held_by} ended" in slow_hotel.wait_state("Held")["reason"]
