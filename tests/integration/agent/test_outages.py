"""Prefect that goes away in the middle, and an agent that is asked to end: what happened is told, once, and truly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.integration.agent.bench import begin_move, is_waiting, message, ready, wait_rest
from tests.support.hotel import Hotel
from tests.support.prefect_link import Link
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.conftest import OutlivesTest
    from tests.support.prefect_server import PrefectServer


@dataclass
class Far:
    """A hotel whose agent reaches Prefect over a link that can be cut."""

    hotel: Hotel
    link: Link

    def pids(self) -> list[int]:
        servo, agent = self.hotel.servo, self.hotel.agent
        return [
            *self.link.pids,
            *([servo.pid] if servo is not None else []),
            *([agent.pid] if agent.running else []),
        ]

    @contextmanager
    def away(self) -> Iterator[None]:
        """While Prefect cannot be reached."""
        self.link.process.kill()
        try:
            yield
        finally:
            self.link.__enter__()

    def state(self) -> dict[str, Any]:
        return self.hotel.ask_agent("status")

    def become(self, state: str) -> None:
        """Wait until the unit is in a state."""
        eventually(lambda: self.state()["state"] == state, 15.0, 0.02, what=state)


@pytest.fixture(scope="module")
def far_away(
    prefect_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory, outlives_test: OutlivesTest
) -> Iterator[Far]:
    directory = tmp_path_factory.mktemp("far")
    with Link(prefect_server.url, directory / "link.log") as link:
        name = "hotel-far"
        hotel = Hotel(directory, prefect_server, pool=name, node=name, prefix=name, api_url=link.api_url)
        far = Far(hotel, link)
        outlives_test(far.pids)
        with hotel:
            yield far


@pytest.fixture
def far(far_away: Far) -> Far:
    """Idle, and Prefect is there."""
    ready(far_away.hotel)
    return far_away


def test_a_move_ends_without_prefect_and_its_end_is_told_when_it_is_back(far: Far) -> None:
    hotel, agent = far.hotel, far.hotel.agent.pid
    with hotel.control() as servo:
        run_id = begin_move(hotel, servo)
        count = len(servo.motions())
        with far.away():
            wait_rest(servo)
            far.become("Idle")
            assert hotel.prefect.run(run_id)["state_name"] == "Running", "nobody could be told"
            waiting = hotel.submit("set_speed", speed=45)
        run = hotel.prefect.wait(run_id)
        assert run["state_name"] == "Completed"
        assert run["state"]["data"]["verified"] is True
        assert hotel.prefect.wait(waiting)["state_name"] == "Completed"
        assert len(servo.motions()) == count, "it was told again, not done again"
    assert hotel.agent.pid == agent
    assert hotel.agent.running


def test_an_idle_agent_outlives_an_outage_and_takes_what_came_meanwhile(far: Far) -> None:
    hotel, agent = far.hotel, far.hotel.agent.pid
    with far.away():
        waiting = hotel.submit("get_current_position")
        eventually(lambda: "Prefect does not answer" in hotel.agent.log_tail(), 15.0, what="the agent misses Prefect")
        assert far.state()["state"] == "Idle"
        assert is_waiting(hotel, waiting)
    assert hotel.prefect.wait(waiting)["state_name"] == "Completed"
    assert hotel.agent.pid == agent


def test_the_emergency_stop_needs_no_prefect(far: Far) -> None:
    hotel = far.hotel
    with hotel.control() as servo:
        run_id = begin_move(hotel, servo)
        with far.away():
            os.kill(hotel.agent.pid, signal.SIGUSR1)
            eventually(lambda: not servo.state()["torque"], 20.0, 0.005, what="torque off")
            far.become("Stopped")
        assert hotel.prefect.wait(run_id)["state_name"] == "EmergencyStopped"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_move_happens_once_whichever_message_is_lost(far: Far, when: str) -> None:
    """The first three proposals do not arrive, or their answers do not."""
    hotel = far.hotel
    with hotel.control() as servo:
        count = len(servo.motions())
        angle = (servo.state()["position_deg"] + 40) % 360
        with far.link.fault("POST", r"/set_state$", when=when, action="cut", times=3) as fault:
            run = hotel.run("move_to_angle", angle=angle)
            fault.wait_met(3)
        assert run["state_name"] == "Completed"
        assert len(servo.motions()) == count + 1
    names = [state["name"] for state in hotel.prefect.states(run["id"])]
    assert names == ["Scheduled", "Pending", "Running", "Completed"]


@pytest.mark.parametrize("crash", [True, False])
def test_an_end_that_was_not_told_is_told_by_the_next_agent(far: Far, crash: bool) -> None:
    hotel = far.hotel
    with hotel.control() as servo:
        run_id = begin_move(hotel, servo)
        count = len(servo.motions())
        with far.away():
            if crash:
                wait_rest(servo)
                far.become("Idle")
                hotel.agent.kill()
            else:
                assert hotel.agent.stop() == 0
            assert not servo.state()["moving"], "an agent that is asked to end sees its move through"
            assert hotel.start_agent()["state"] == "Idle", "what is known needs no Prefect"
        run = hotel.prefect.wait(run_id)
        assert run["state_name"] == "Completed"
        assert run["state"]["data"]["verified"] is True
        assert len(servo.motions()) == count


def test_an_agent_that_is_asked_to_end_sees_its_move_through_and_takes_no_other(slow_hotel: Hotel) -> None:
    prefect = slow_hotel.prefect
    with slow_hotel.control() as servo:
        run_id = begin_move(slow_hotel, servo)
        waiting = slow_hotel.submit("set_speed", speed=45)
        assert slow_hotel.agent.stop() == 0
        assert not servo.state()["moving"]
        assert servo.state()["torque"], "it holds what hangs on it"
    run = prefect.run(run_id)
    assert run["state_name"] == "Completed", run["state"]
    assert is_waiting(slow_hotel, waiting)
    assert slow_hotel.open_commands() == []
    slow_hotel.start_agent()
    assert prefect.wait(waiting)["state_name"] == "Completed"


def test_a_move_that_takes_too_long_to_wait_for_is_stopped(slow_hotel: Hotel) -> None:
    agent = slow_hotel.agent
    assert agent.stop() == 0
    agent.argv += ["--drain-seconds", "0.3"]
    try:
        slow_hotel.start_agent()
        with slow_hotel.control() as servo:
            run_id = begin_move(slow_hotel, servo)
            goal = servo.motions()[-1]["goal_deg"]
            assert agent.stop() == 0
            state = servo.state()
        assert not state["moving"]
        assert abs(state["position_deg"] - goal) > 5, "it was stopped on the way"
    finally:
        del agent.argv[-2:]
    run = slow_hotel.prefect.run(run_id)
    assert run["state_name"] == "Crashed"
    assert "stopped because the agent was shut down; at rest, angle_deg " in message(run)
    assert slow_hotel.open_commands() == [], "where it stands is known"


def test_an_idle_agent_ends_at_once_and_leaves_nothing_running(hotel: Hotel) -> None:
    agent, home = hotel.agent, str(hotel.home)
    assert [process.pid for process in processes_of(home)] == [agent.pid]
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 30.0, "it does not wait for the 60 s that a command under way would have"
    assert processes_of(home) == []
    assert not hotel.unit.socket.exists()
    assert "Offline" in hotel.labkeeper("device", "list").stdout


def processes_of(home: str) -> list[psutil.Process]:
    """What runs with this Labkeeper home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("LABKEEPER_HOME") == home:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
