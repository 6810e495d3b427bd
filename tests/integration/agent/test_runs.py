"""Runs from Prefect to the motor and back: results, refusals, order, one at a time, and never the same twice."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.integration.agent.bench import GOAL_POSITION, PING, begin_move, message
from tests.support.hotel import Hotel
from tests.support.waiting import eventually


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_run_moves_the_servo_and_says_what_it_verified(hotel: Hotel) -> None:
    hotel.run("go_home")
    run = hotel.run("activate_hotel", hotel="C")
    with hotel.control() as servo:
        state = servo.state()
    assert run["state_name"] == "Completed", run["state"]
    result = run["state"]["data"]
    assert result["hotel"] == "C"
    assert result["verified"] is True
    assert abs(result["angle_deg"] - 199.0) <= result["tolerance_deg"]
    assert abs(result["angle_deg"] - state["position_deg"]) < 0.1
    assert (result["simulated"], result["time_factor"]) == (True, 20.0)
    assert message(run).endswith("[simulated, time factor 20]")


def test_the_result_is_read_with_prefects_own_client(hotel: Hotel) -> None:
    run = hotel.run("get_current_position")

    async def read() -> Any:
        async with get_client() as client:
            found = await client.read_flow_run(UUID(run["id"]))
            assert found.state is not None
            return await found.state.aresult()

    with temporary_settings({PREFECT_API_URL: hotel.prefect.api_url}):
        result = asyncio.run(read())
    assert result["simulated"] is True
    assert result == run["state"]["data"]


def test_the_log_of_the_run_tells_the_story(hotel: Hotel) -> None:
    run_id = hotel.run("go_home")["id"]
    wanted = {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_ASC"}
    lines = eventually(lambda: hotel.prefect.ask("POST", "/logs/filter", wanted), what="the lines of the run's log")
    said = [line["message"] for line in lines]
    assert said[0].startswith("begin plate-resort.go_home")
    assert said[-1].startswith("end plate-resort.go_home")
    assert all(line.endswith("[simulated, time factor 20]") for line in said)


def test_the_connection_is_kept(hotel: Hotel) -> None:
    with hotel.control() as servo:
        servo.reset_log()
        for letter in "ABCABC":
            assert hotel.run("activate_hotel", hotel=letter)["state_name"] == "Completed"
        hotel.run("get_motor_health")
        # Opening begins with a ping, and nothing else pings.
        assert [entry for entry in servo.log() if entry["instruction"] == PING] == []


def test_one_at_a_time_and_strictly_by_the_priority_of_queues(slow_hotel: Hotel) -> None:
    prefect, pool = slow_hotel.prefect, slow_hotel.pool
    names = ["high-priority", "standard", "low-priority", "maintenance", "monitoring"]
    for priority, name in enumerate(names, start=1):
        prefect.ask("POST", f"/work_pools/{pool}/queues", {"name": name, "priority": priority})
    deployed = {name: prefect.deploy(pool, "set_speed", f"set-speed-{name}", queue=name, retries=0) for name in names}
    with slow_hotel.control() as servo:
        first = begin_move(slow_hotel, servo)
        runs = [(name, prefect.create_run(deployed[name], speed=40)["id"]) for name in reversed(names) for _ in "ab"]
    ended = [(name, prefect.wait(run_id)) for name, run_id in runs]
    assert {run["state_name"] for _, run in ended} == {"Completed"}
    in_order = sorted(ended, key=lambda pair: moment(pair[1]["start_time"]))
    assert [name for name, _ in in_order] == [name for name in names for _ in "ab"]
    times = [prefect.run(first), *(run for _, run in in_order)]
    for before, after in pairwise(times):
        assert moment(before["end_time"]) <= moment(after["start_time"])


def test_what_is_wrong_with_a_run_is_said_and_nothing_moves(hotel: Hotel) -> None:
    prefect, pool = hotel.prefect, hotel.pool
    broken = prefect.deploy(pool, "go_home", "unknown-operation", operation="plate-resort.dance")
    cases = [
        (hotel.submit("move_to_angle", angle="far"), "parameters refused before anything moved: angle"),
        (hotel.submit("move_to_angle"), "angle: Field required"),
        (hotel.submit("go_home", speed=3), "speed: Extra inputs are not permitted"),
        (hotel.submit("activate_hotel", hotel="Z"), "there is no hotel 'Z' (the hotels are A, B, C, D)"),
        (hotel.submit("connect", device="/dev/ttyUSB7"), "this unit drives device '/dev/ttyUSB0', not '/dev/ttyUSB7'"),
        (prefect.create_run(broken)["id"], "this unit's driver has no operation 'plate-resort.dance'; it has plate"),
    ]
    with hotel.control() as servo:
        before = len(servo.motions())
        for run_id, said in cases:
            run = prefect.wait(run_id)
            assert run["state_name"] == "Failed", (said, run["state"])
            assert said in message(run)
            assert message(run).endswith("[simulated, time factor 20]")
        assert len(servo.motions()) == before
        assert servo.writes(GOAL_POSITION) == []
    assert hotel.run("go_home")["state_name"] == "Completed", "the agent goes on"


def test_the_concurrency_slot_of_a_deployment_is_held_and_given_back(slow_hotel: Hotel) -> None:
    prefect = slow_hotel.prefect
    one = prefect.deploy(slow_hotel.pool, "go_home", "one-at-a-time")
    prefect.ask("PATCH", f"/deployments/{one}", {"concurrency_limit": 1})
    slow_hotel.run("move_to_angle", angle=150)

    def active() -> int:
        limit = prefect.ask("GET", f"/deployments/{one}")["global_concurrency_limit"]
        return int(limit["active_slots"])

    with slow_hotel.control() as servo:
        count = len(servo.motions())
        run_id = prefect.create_run(one)["id"]
        while len(servo.motions()) == count:
            pass
        assert active() == 1
    assert prefect.wait(run_id)["state_name"] == "Completed"
    assert active() == 0
    assert prefect.wait(prefect.create_run(one)["id"])["state_name"] == "Completed", "the next one gets it"


@pytest.mark.parametrize("operation", ["move_to_angle", "disconnect"])
def test_a_run_that_is_set_back_by_hand_does_not_happen_twice(hotel: Hotel, operation: str) -> None:
    prefect = hotel.prefect
    hotel.run("go_home")
    first = hotel.run(operation, **({"angle": 77} if operation == "move_to_angle" else {}))
    if operation == "disconnect":
        hotel.run("connect")
    with hotel.control() as servo:
        before = len(servo.motions())
        servo.reset_log()
        prefect.set_state(first["id"], "SCHEDULED", force=True, name="AwaitingRetry")
        again = prefect.wait(first["id"])
        assert again["state_name"] == "Completed"
        assert again["state"]["data"] == first["state"]["data"], "the stored result"
        assert len(servo.motions()) == before
        assert servo.writes() == []
        assert servo.state()["torque"]


def test_a_move_that_failed_is_not_repeated_in_the_same_run(hotel: Hotel) -> None:
    hotel.run("go_home")
    with hotel.control() as servo:
        servo.stall()
        run = hotel.run("move_to_angle", angle=90, precise=True, overrides={"stage1_timeout": 0.5})
        assert run["state_name"] == "Failed"
        assert "did not arrive" in message(run)
        servo.clear()
        before = len(servo.motions())
        hotel.prefect.set_state(run["id"], "SCHEDULED", name="AwaitingRetry")
        again = hotel.prefect.wait(run["id"])
        assert again["state_name"] == "Failed"
        assert "is not carried out twice: start a new run" in message(again)
        assert len(servo.motions()) == before


@pytest.mark.parametrize("what", ["queue paused", "queue limited", "pool paused"])
def test_an_idle_agent_heeds_a_pause_that_came_just_before_the_run(hotel: Hotel, what: str) -> None:
    """It takes a run on the news alone when nothing is due; the news of the pause came first."""
    prefect, pool = hotel.prefect, hotel.pool
    hotel.run("get_current_position")
    path = f"/work_pools/{pool}" if what == "pool paused" else f"/work_pools/{pool}/queues/default"
    change: dict[str, Any] = {"is_paused": True}
    back: dict[str, Any] = {"is_paused": False}
    if what == "queue limited":
        change, back = {"concurrency_limit": 0}, {"concurrency_limit": None}
    prefect.ask("PATCH", path, change)
    try:
        waiting = hotel.submit("get_current_position")
        time.sleep(1.5)
        assert prefect.run(waiting)["state_type"] == "SCHEDULED"
    finally:
        prefect.ask("PATCH", path, back)
    assert prefect.wait(waiting)["state_name"] == "Completed"
