"""What an agent knows of its past: a move that was under way when it died, a journal that is gone or damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.integration.agent.bench import begin_move, is_waiting, message, no_motion, wait_rest
from tests.support.hotel import Hotel
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from labkeeper_devices.simulators.servo import ServoControl


def kill_in_a_move(hotel: Hotel, servo: ServoControl) -> str:
    """Kill the agent while the shaft turns, and submit another run; the id of the run that moved."""
    run_id = begin_move(hotel, servo)
    hotel.agent.kill()
    servo.reset_log()
    return run_id


def told(hotel: Hotel) -> dict[str, Any]:
    """What `labkeeper device history` says."""
    return dict(json.loads(hotel.labkeeper("device", "history", "--output", "json").stdout))


def lose_journal(hotel: Hotel) -> None:
    for path in hotel.unit.path.glob("journal.db*"):
        path.unlink()


def test_a_killed_agents_move_holds_the_unit_until_a_person_says_how_it_ended(slow_hotel: Hotel) -> None:
    prefect = slow_hotel.prefect
    with slow_hotel.control() as servo:
        run_id = kill_in_a_move(slow_hotel, servo)
        waiting = slow_hotel.submit("go_home")
        count = len(servo.motions())
        status = slow_hotel.start_agent()
        assert status["state"] == "Held"
        assert "look at the hardware, then `labkeeper device acknowledge`" in status["reason"]
        run = prefect.wait(run_id)
        assert run["state_name"] == "Crashed"
        assert "the agent died while it carried out plate-resort.move_to_angle(angle=" in message(run)
        assert "says so: labkeeper device acknowledge [simulated, time factor 1]" in message(run)
        wait_rest(servo)
        no_motion(servo, count)
        assert servo.writes() == [], "looking is all that is done to it"
        assert is_waiting(slow_hotel, waiting)

        said = slow_hotel.labkeeper("device", "acknowledge", "--outcome", "completed", "--reason", "it stands at C")
        assert "acknowledged plate-resort.move_to_angle(" in said.stdout
        assert prefect.wait(waiting)["state_name"] == "Completed"
    assert prefect.run(run_id)["state_name"] == "Crashed", "what a person saw does not change what the agent saw"
    history = told(slow_hotel)
    move = history["commands"][1]
    assert (move["key"].split("/")[0], move["outcome"]) == (run_id, "acknowledged")
    assert move["message"].startswith("completed, says ")
    assert move["message"].endswith(": it stands at C")
    assert (history["actions"][0]["action"], history["actions"][0]["reason"]) == ("Acknowledge", "it stands at C")


def test_a_person_can_say_so_before_the_agent_is_back(slow_hotel: Hotel) -> None:
    with slow_hotel.control() as servo:
        run_id = kill_in_a_move(slow_hotel, servo)
        assert [command.key.run_id for command in slow_hotel.open_commands()] == [run_id]
        slow_hotel.labkeeper("device", "acknowledge", "--outcome", "not-completed", "--reason", "a plate was in it")
        assert slow_hotel.start_agent()["state"] == "Idle"
        run = slow_hotel.prefect.wait(run_id)
        assert run["state_name"] == "Crashed"
        assert "the agent died during the run; not completed, says " in message(run)
        wait_rest(servo)
    assert slow_hotel.run("go_home")["state_name"] == "Completed"


def test_a_lost_journal_holds_the_unit_until_a_person_looked(slow_hotel: Hotel) -> None:
    with slow_hotel.control() as servo:
        run_id = kill_in_a_move(slow_hotel, servo)
        lose_journal(slow_hotel)
        waiting = slow_hotel.submit("go_home")
        count = len(servo.motions())
        status = slow_hotel.start_agent()
        assert status["state"] == "Held"
        assert "the journal that Prefect knows of is gone" in status["reason"]
        run = slow_hotel.prefect.wait(run_id)
        assert run["state_name"] == "Crashed"
        assert "nobody knows what this run did" in message(run)
        assert "says so: labkeeper device acknowledge [simulated, time factor 1]" in message(run)
        assert slow_hotel.agent.stop() == 0
        assert slow_hotel.start_agent()["state"] == "Held", "a restart heals nothing"
        wait_rest(servo)
        no_motion(servo, count)
        assert servo.writes() == []
        assert is_waiting(slow_hotel, waiting)

    said = slow_hotel.labkeeper("device", "acknowledge", "--outcome", "completed", "--reason", "looked at it")
    assert "acknowledged the lost journal" in said.stdout
    assert slow_hotel.prefect.wait(waiting)["state_name"] == "Completed"


def test_a_journal_that_vanishes_under_the_agent_forbids_moving(hotel: Hotel) -> None:
    with hotel.control() as servo:
        hotel.run("move_to_angle", angle=40)
        count = len(servo.motions())
        lose_journal(hotel)
        run = hotel.run("go_home")
        assert run["state_name"] == "Failed"
        assert "refused before anything moved: the journal " in message(run)
        assert "is gone from the disk: restart the agent" in message(run)
        assert len(servo.motions()) == count
    assert hotel.agent.stop() == 0
    assert hotel.start_agent()["state"] == "Held", "nobody can say that nothing was under way"


def test_a_damaged_journal_is_named_and_not_overwritten(hotel: Hotel) -> None:
    """More kinds of damage are in `tests/unit/devices/agent`."""
    assert hotel.agent.stop() == 0
    journal = hotel.unit.journal
    sound = journal.read_bytes()
    damaged = sound[:4096] + b"\xa5" * (len(sound) - 4096)
    journal.write_bytes(damaged)
    try:
        with hotel.control() as servo:
            servo.reset_log()
            hotel.agent.start()
            eventually(lambda: not hotel.agent.running, 30.0, what="the agent gives up")
            assert hotel.agent.stop() == 1
            said = " ".join(hotel.agent.log_tail().split())
            assert f"the journal {journal} cannot be read: " in said
            assert "Move it away" in said
            assert "Traceback" not in said
            assert servo.log() == [], "the hardware was not even looked at"
        history = hotel.labkeeper("device", "history", check=False)
        assert history.returncode == 1
        assert "cannot be read: " in history.stderr
        assert journal.read_bytes() == damaged
    finally:
        journal.write_bytes(sound)
    assert hotel.start_agent()["state"] == "Idle"
