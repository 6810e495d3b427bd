"""What tests of the agent do with a hotel: bring it into a known state, begin a move, watch the servo. No tests."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.support.hotel import TERMINAL, Hotel
from tests.support.waiting import eventually, patient

if TYPE_CHECKING:
    from labkeeper_devices.simulators.servo import ServoControl

GOAL_POSITION = 116
TORQUE_ENABLE = 64
PING, WRITE = 1, 3


def ready(hotel: Hotel) -> None:
    """A running agent that is Idle, nothing waiting, a sound servo at rest with torque on."""
    _end_runs(hotel)
    with hotel.control() as servo:
        _mend(servo)
        if not hotel.agent.running:
            hotel.start_agent()
        eventually(lambda: _idle(hotel, servo), 30.0, 0.05, what="the unit is Idle again")
        eventually(lambda: not servo.state()["moving"] and servo.state()["torque"], 10.0, 0.02, what="holding at rest")
        servo.reset_log()
    hotel.prefect.wait(hotel.submit("set_speed", speed=50))


def _end_runs(hotel: Hotel) -> None:
    """End what other tests left in the pool; what an agent works on ends by itself."""
    wanted = {"work_pools": {"name": {"any_": [hotel.pool]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    for run in hotel.prefect.ask("POST", "/flow_runs/filter", wanted):
        hotel.prefect.set_state(run["id"], "CANCELLED", force=True)


def _mend(servo: ServoControl) -> None:
    servo.clear()
    servo.replug()
    state = servo.state()
    servo.heat(32)
    servo.supply(12.0)
    if state["registers"]["hardware_error"]:
        servo.reset(state["position_deg"])


def _idle(hotel: Hotel, servo: ServoControl) -> bool:
    status = hotel.ask_agent("status")
    if status["state"] == "Stopped":
        hotel.act("Release")
    if status["held_by"] and status["run"] is None:
        hotel.act("Acknowledge", outcome="NotCompleted")
    assert status["state"] == "Idle", status
    return True


def begin_move(hotel: Hotel, servo: ServoControl, degrees: float = 170.0) -> str:
    """Submit a move over that many degrees and wait until the shaft turns; the run's id."""
    start = servo.state()["position_deg"]
    count = len(servo.motions())
    # A servo in position mode does not turn through 0.
    run_id = hotel.submit("move_to_angle", angle=start + degrees if start < 180 else start - degrees)
    eventually(lambda: len(servo.motions()) > count and servo.state()["moving"], 20.0, 0.01, what="the shaft turns")
    return run_id


def wait_rest(servo: ServoControl, timeout: float = 10.0) -> float:
    """Wait until the shaft stands; the angle."""
    eventually(lambda: not servo.state()["moving"], timeout, 0.02, what="the shaft at rest")
    return float(servo.state()["position_deg"])


def wait_watching(
    hotel: Hotel, servo: ServoControl, run_id: str, timeout: float = 20.0
) -> tuple[dict[str, Any], float]:
    """Wait for the end of a run; the run, and the wall time at which the shaft was last seen turning."""
    turned = 0.0
    deadline = time.monotonic() + patient(timeout)
    while True:
        if servo.state()["moving"]:
            turned = time.time()
        run = hotel.prefect.run(run_id)
        if run["state_type"] in TERMINAL:
            return run, turned
        assert time.monotonic() < deadline, run["state"]


def timestamp(run: dict[str, Any]) -> float:
    """When the run's present state was entered, as wall time."""
    return datetime.fromisoformat(run["state"]["timestamp"]).timestamp()


def message(run: dict[str, Any]) -> str:
    """What the run's state says."""
    return str(run["state"]["message"] or "")


def no_motion(servo: ServoControl, count: int, seconds: float = 0.7) -> None:
    """Look for that long that no motion begins beyond `count`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert len(servo.motions()) == count
        time.sleep(0.02)


def history(hotel: Hotel) -> dict[str, Any]:
    """What the journal says, asked of the running agent."""
    return hotel.ask_agent("history", limit=20)


def is_waiting(hotel: Hotel, run_id: str) -> bool:
    """Whether a run was neither claimed nor ended."""
    return str(hotel.prefect.run(run_id)["state_type"]) == "SCHEDULED"
