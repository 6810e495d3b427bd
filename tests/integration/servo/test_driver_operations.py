"""The plate hotel as the agent drives it: every operation, its checks and its results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from labkeeper_api.errors import DeviceError, DeviceUnreachable, Interlocked, Interrupted, InvalidInput
from labkeeper_api.operations import OPERATIONS
from labkeeper_devices.drivers.base import Interrupt
from labkeeper_devices.drivers.plate_resort import PlateResortDriver, ResortConfig

if TYPE_CHECKING:
    from tests.integration.servo.conftest import InThread, Servo

FACTOR = 40.0
MOVES = ("activate_hotel", "go_home", "move_to_angle")
NEEDED: dict[str, dict[str, Any]] = {
    "activate_hotel": {"hotel": "A"},
    "move_to_angle": {"angle": 1},
    "set_speed": {"speed": 5},
}
"""Parameters that an operation cannot do without."""


def do(
    driver: PlateResortDriver, name: str, interrupt: Interrupt | None = None, /, **parameters: Any
) -> dict[str, Any]:
    """Check and carry out an operation, as the agent does; the result must be JSON."""
    key = f"plate-resort.{name}"
    checked = OPERATIONS[key].parameters.model_validate(parameters)
    driver.check(key, checked)
    result = driver.perform(key, checked, interrupt or Interrupt())
    return dict(json.loads(json.dumps(result, allow_nan=False)))


def without_duration(result: dict[str, Any]) -> dict[str, Any]:
    assert result.pop("duration_s") >= 0
    return result


class Commands:
    """The agent's side of a program."""

    def __init__(self, driver: PlateResortDriver) -> None:
        self._driver = driver
        self.ran: list[tuple[str, dict[str, Any], str, int]] = []

    def run(self, operation: str, parameters: dict[str, Any], *, node: str, iteration: int) -> dict[str, Any]:
        self.ran.append((operation, parameters, node, iteration))
        return do(self._driver, operation.removeprefix("plate-resort."), **parameters)


def test_opening_without_energy_writes_nothing(servo: Servo) -> None:
    servo.control.write("goal_position", 3000)
    servo.control.reset_log()
    driver = servo.driver()
    identity = driver.open(energize=False)
    assert (identity.model, identity.firmware, identity.simulated, identity.time_factor) == (
        *("XM430-W350 (1020)", "45"),
        *(True, FACTOR),
    )
    assert identity.port == servo.port
    health = driver.health()
    assert health.faults == ()
    assert health.readings["position_deg"] == 90.0
    for name in MOVES:
        with pytest.raises(Interlocked, match="without torque: run connect first"):
            do(
                driver,
                name,
                **({"hotel": "A"} if name == "activate_hotel" else {"angle": 1} if "angle" in name else {}),
            )
    assert {entry["instruction"] for entry in servo.control.log()} <= {1, 2}
    driver.close()
    assert not driver.is_open
    assert {entry["instruction"] for entry in servo.control.log()} <= {1, 2}


def test_opening_with_energy_holds(driver: PlateResortDriver, servo: Servo) -> None:
    assert driver.is_open
    assert servo.holding()
    driver.close()
    assert servo.holding(), "closing leaves the hardware as it is"
    driver.open(energize=True)
    assert all(entry["address"] != 64 for entry in servo.control.writes()), "it goes on holding meanwhile"


def test_held_then_acknowledged(servo: Servo) -> None:
    driver = servo.driver()
    driver.open(energize=False)
    driver.open(energize=True)
    assert servo.holding()
    driver.close()


def test_opening_a_servo_with_a_hardware_error(servo: Servo) -> None:
    servo.control.fail(0b100000)
    driver = servo.driver()
    driver.open(energize=True)
    assert driver.is_open
    assert driver.health().faults == ("hardware error: overload; mend the cause, then reboot the servo",)
    with pytest.raises(Interlocked, match="overload"):
        do(driver, "go_home")
    result = do(driver, "reboot", wait=0.2)
    assert (result["status"], result["energised"], result["health"]["faults"]) == ("rebooted", True, [])
    assert do(driver, "go_home")["verified"]
    driver.close()


@pytest.mark.parametrize(("precise", "overrides"), [(True, None), (False, None), (True, {"switch_error": 2.0})])
def test_activate_hotel(driver: PlateResortDriver, precise: bool, overrides: dict[str, Any] | None) -> None:
    result = do(driver, "activate_hotel", hotel="C", precise=precise, overrides=overrides)
    health = result.pop("health")
    assert (health["torque"], health["warnings"], health["faults"]) == (1, [], [])
    assert health["position_deg"] == result["angle_deg"]
    assert without_duration(result) == {
        "target_angle_deg": 199.0,
        "angle_deg": 198.984,
        "error_deg": 0.016,
        "tolerance_deg": 0.5,
        "verified": True,
        "hotel": "C",
        "precise": precise,
        "reason": "coarse_success",
        "pulses": 0,
        "simulated": True,
        "time_factor": FACTOR,
    }


def test_pulses_where_the_first_stage_stops_short(driver: PlateResortDriver, servo: Servo) -> None:
    servo.control.retune(deadband_deg=1.5)
    result = do(driver, "activate_hotel", hotel="D")
    assert (result["reason"], result["precise"]) == ("pulses_success", True)
    assert result["pulses"] > 0
    assert abs(result["error_deg"]) <= 0.5
    assert servo.holding()


def test_precise_move_can_be_switched_off(servo: Servo) -> None:
    driver = servo.driver(enable_precise_move=False, movement_timeout=1.0)
    driver.open(energize=True)
    assert do(driver, "activate_hotel", hotel="A")["precise"] is False
    servo.control.retune(deadband_deg=1.5)
    with pytest.raises(DeviceError, match="\\(timeout\\)"):
        do(driver, "activate_hotel", hotel="B")
    driver.close()


def test_a_move_that_does_not_arrive_says_the_numbers(driver: PlateResortDriver, servo: Servo) -> None:
    servo.control.retune(deadband_deg=2.0, friction=800)
    with pytest.raises(DeviceError) as caught:
        do(driver, "activate_hotel", hotel="B", overrides={"stall_pulses": 3})
    assert str(caught.value).startswith("the hotel did not arrive: target 109.00 degrees, it stands and is held at 10")
    assert str(caught.value).endswith("off, with a tolerance of 0.5 degrees (stall after 3 pulses)")
    assert servo.holding()


def test_go_home_and_wrap(driver: PlateResortDriver, servo: Servo) -> None:
    assert do(driver, "go_home")["target_angle_deg"] == 0.0
    assert servo.angle == pytest.approx(0.0, abs=0.1)
    for angle, expected in ((-30, 330.0), (360, 0.0), (725.5, 5.5), (-359.5, 0.5)):
        result = do(driver, "move_to_angle", angle=angle, precise=angle < 0)
        assert result["target_angle_deg"] == expected
        assert abs(result["error_deg"]) <= 0.5
        assert result["hotel"] is None
        assert servo.angle == pytest.approx(expected, abs=0.5)


def test_pulses_across_the_seam(servos: Callable[..., Servo]) -> None:
    # A pulse is as long as the host sleeps: much faster than real time, a busy host gives far too long ones.
    servo = servos(time_factor=8.0)
    driver = servo.driver()
    driver.open(energize=True)
    for approach, target in ((40, 0.0), (300, 359.9)):
        do(driver, "move_to_angle", angle=approach)
        servo.control.retune(deadband_deg=1.5)
        result = do(driver, "move_to_angle", angle=target, precise=True)
        servo.control.retune(deadband_deg=0)
        assert result["reason"] == "pulses_success"
        assert abs(result["error_deg"]) <= 0.5
        assert servo.holding()
    driver.close()


def test_reversed_rotation(servo: Servo) -> None:
    driver = servo.driver(rotation_direction=-1)
    driver.open(energize=True)
    for hotel, angle in {"B": 289, "C": 199, "D": 109, "A": 19}.items():
        assert do(driver, "activate_hotel", hotel=hotel)["hotel"] == hotel
        assert servo.angle == pytest.approx(angle, abs=0.1)
    driver.close()


def test_nothing_moves_when_it_is_there(driver: PlateResortDriver, servo: Servo) -> None:
    do(driver, "activate_hotel", hotel="A")
    before = len(servo.control.motions())
    servo.control.reset_log()
    assert do(driver, "activate_hotel", hotel="A")["verified"]
    assert len(servo.control.motions()) == before
    assert servo.control.writes() == []


def test_reading_operations(driver: PlateResortDriver, servo: Servo) -> None:
    do(driver, "activate_hotel", hotel="B")
    servo.control.reset_log()
    assert without_duration(do(driver, "get_current_position")) == {
        "angle_deg": 108.984,
        "hotel": "B",
        "simulated": True,
        "time_factor": FACTOR,
    }
    assert without_duration(do(driver, "get_motor_health")) == {
        "temperature_c": 32.0,
        "voltage_v": 12.0,
        "current_ma": 0.0,
        "position_deg": 108.984,
        "hardware_error": 0,
        "torque": 1,
        "moving": 0,
        "warnings": [],
        "faults": [],
        "simulated": True,
        "time_factor": FACTOR,
    }
    assert servo.control.writes() == []


def test_hardware_is_not_called_a_simulation(servo: Servo) -> None:
    driver = PlateResortDriver(ResortConfig(device=servo.port))
    identity = driver.open(energize=True)
    assert (identity.simulated, identity.time_factor) == (False, None)
    result = do(driver, "get_current_position")
    assert result["simulated"] is False
    assert "time_factor" not in result
    driver.close()


def test_connect_and_disconnect(driver: PlateResortDriver, servo: Servo) -> None:
    result = do(driver, "connect", device="/dev/ttyUSB0", baudrate=57600, motor_id=1)
    assert (result["connected"], result["energised"], result["angle_deg"]) == (True, True, 90.0)
    assert (result["device"], result["port"]) == ("/dev/ttyUSB0", servo.port)
    for wrong in ({"device": "/dev/ttyUSB1"}, {"baudrate": 9600}, {"motor_id": 2}):
        with pytest.raises(InvalidInput, match="this unit drives"):
            do(driver, "connect", **wrong)
    assert do(driver, "disconnect")["was_connected"] is True
    assert not driver.is_open
    assert not servo.control.state()["torque"]
    for name in (*MOVES, "set_speed", "reboot", "get_motor_health", "get_current_position"):
        with pytest.raises(Interlocked, match="not connected: run connect first"):
            do(driver, name, **NEEDED.get(name, {}))
    with pytest.raises(DeviceUnreachable):
        driver.health()
    assert do(driver, "disconnect")["was_connected"] is False
    other = servo.driver()
    other.open(energize=False)
    with pytest.raises(DeviceUnreachable, match="in use by"):
        do(driver, "connect")
    other.close()
    assert do(driver, "connect")["energised"]
    assert do(driver, "go_home")["verified"]


def test_set_speed(driver: PlateResortDriver, servo: Servo) -> None:
    result = without_duration(do(driver, "set_speed", speed=100))
    assert result == {"speed": 100, "speed_rpm": 22.9, "simulated": True, "time_factor": FACTOR}
    assert servo.control.state()["registers"]["profile_velocity"] == 100


def test_bad_parameters_are_refused_before_anything_moves(driver: PlateResortDriver, servo: Servo) -> None:
    for name, parameters, expected in (
        ("activate_hotel", {"hotel": "Z"}, "there is no hotel 'Z'.*the hotels are A, B, C, D"),
        ("activate_hotel", {"hotel": "A", "overrides": {"pwm_max": 9999}}, "overrides.pwm_max"),
        ("move_to_angle", {"angle": 5, "overrides": {"hotels": []}}, "overrides.hotels: cannot be set here"),
    ):
        with pytest.raises(InvalidInput, match=expected):
            do(driver, name, **parameters)
    assert servo.control.log() == []


def test_faults_forbid_physical_operations(driver: PlateResortDriver, servo: Servo) -> None:
    servo.control.heat(72)
    assert driver.health().faults == ("temperature 72 °C is above its limit, 70 °C; let it cool",)
    for name in (*MOVES, "set_speed"):
        with pytest.raises(Interlocked, match="temperature 72"):
            do(driver, name, **NEEDED.get(name, {}))
    assert do(driver, "get_current_position")["angle_deg"] == 90.0
    assert servo.holding(), "what hangs on the shaft is not dropped because it is warm"


def test_emergency_stop(driver: PlateResortDriver, servo: Servo) -> None:
    result = do(driver, "emergency_stop")
    assert (result["stopped"], result["torque"]) == (True, False)
    assert 0 <= result["sent_after_ms"] <= result["confirmed_after_ms"]
    assert not servo.control.state()["torque"]
    assert "the emergency stop is latched" in driver.health().warnings
    for name in (*MOVES, "set_speed", "reboot"):
        with pytest.raises(Interlocked, match="emergency stop is latched"):
            do(driver, name, **NEEDED.get(name, {}))
    driver.close()
    driver.open(energize=True)
    assert do(driver, "connect")["energised"] is False
    driver.release_stop()
    assert not servo.control.state()["torque"]
    driver.open(energize=True)
    assert servo.holding()
    assert servo.control.motions() == []


def test_interrupted_by_the_agent(servos: Callable[..., Servo], in_thread: type[InThread]) -> None:
    servo = servos(time_factor=1.0)
    driver = servo.driver()
    driver.open(energize=True)
    interrupt = Interrupt()
    moving = in_thread(lambda: do(driver, "move_to_angle", interrupt, angle=300))
    time.sleep(0.3)
    interrupt.set("cancel")
    moving.join()
    assert isinstance(moving.error, Interrupted)
    assert driver.halt().confirmed
    assert servo.holding()
    driver.close()


def test_an_answer_that_never_comes_during_a_move(servos: Callable[..., Servo], in_thread: type[InThread]) -> None:
    servo = servos(time_factor=1.0)
    driver = servo.driver()
    driver.open(energize=True)
    moving = in_thread(lambda: do(driver, "move_to_angle", angle=300))
    time.sleep(0.3)
    servo.control.silence()
    moving.join()
    assert isinstance(moving.error, DeviceUnreachable)
    servo.control.clear()
    driver.open(energize=True)
    assert servo.holding()
    driver.close()


class TestTour:
    """The program."""

    def run(self, driver: PlateResortDriver, commands: Commands, **parameters: Any) -> dict[str, Any]:
        checked = OPERATIONS["plate-resort.tour"].parameters.model_validate(parameters)
        driver.check("plate-resort.tour", checked)
        return driver.run_program("plate-resort.tour", checked, commands)

    def test_visits_all(self, driver: PlateResortDriver) -> None:
        commands = Commands(driver)
        result = self.run(driver, commands)
        assert [visit["hotel"] for visit in result["visits"]] == ["A", "B", "C", "D"]
        assert all(visit["verified"] for visit in result["visits"])
        assert (result["health"]["faults"], result["simulated"], result["time_factor"]) == ([], True, FACTOR)
        visited = [
            ("plate-resort.activate_hotel", {"hotel": hotel, "precise": True}, "hotels", index)
            for index, hotel in enumerate("ABCD")
        ]
        assert commands.ran == [*visited, ("plate-resort.get_motor_health", {}, "health", 0)]

    def test_visits_some_in_their_order(self, driver: PlateResortDriver) -> None:
        result = self.run(driver, Commands(driver), hotels=["C", "A", "C"], precise=False)
        assert [visit["hotel"] for visit in result["visits"]] == ["C", "A", "C"]

    def test_visits_none(self, driver: PlateResortDriver) -> None:
        assert self.run(driver, Commands(driver), hotels=[])["visits"] == []

    def test_an_unknown_hotel_is_refused_first(self, driver: PlateResortDriver, servo: Servo) -> None:
        with pytest.raises(InvalidInput, match="hotels\\[1\\]: there is no hotel 'Q'"):
            self.run(driver, Commands(driver), hotels=["A", "Q"])
        assert servo.control.motions() == []

    def test_is_the_only_program(self, driver: PlateResortDriver) -> None:
        with pytest.raises(InvalidInput, match="is no program"):
            driver.run_program(
                "plate-resort.go_home", OPERATIONS["plate-resort.go_home"].parameters(), Commands(driver)
            )
