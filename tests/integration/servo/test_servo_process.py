"""The simulator as a process: starting, finding, refusing, ending, idling; and the real SDK on its port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from dynamixel_sdk import COMM_RX_TIMEOUT, COMM_SUCCESS, PacketHandler, PortHandler  # type: ignore[import-untyped]

from labkeeper_devices.simulators.servo import ServoControl, SimulatorError, find_servo, start_servo
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.servo.conftest import Servo

SDK = PacketHandler(2.0)


def test_its_files_and_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / ("x" * 90)
    process = start_servo(folder, position=45.0, servo_id=7)
    try:
        description = json.loads((folder / "servo.json").read_text())
        assert description["pid"] == process.pid
        assert (description["id"], description["model"], description["time_factor"]) == (7, "XM430-W350", 1.0)
        assert process.port.is_symlink()
        assert process.port.is_char_device()
        assert process.alive
        assert find_servo(folder) == process
        with ServoControl(folder) as control:
            assert control.describe() == description
            assert control.state()["position_deg"] == 45.0
    finally:
        process.stop()
    assert find_servo(folder) is None
    assert [path.name for path in folder.iterdir()] == ["servo.log"]
    assert (folder / "servo.log").read_text() == ""
    process.stop()


def test_a_second_one_in_the_folder_is_refused(servo: Servo) -> None:
    with pytest.raises(SimulatorError, match=f"another servo simulator \\(pid {servo.process.pid}\\) runs in"):
        start_servo(servo.process.state_dir)
    assert servo.process.alive


def test_wrong_options_are_said(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="--time-factor must be above 0"):
        start_servo(tmp_path, time_factor=0)


def test_outlives_who_started_it(tmp_path: Path) -> None:
    code = f"from labkeeper_devices.simulators.servo import start_servo; print(start_servo({str(tmp_path)!r}).pid)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    found = find_servo(tmp_path)
    assert found is not None
    try:
        assert found.pid == int(done.stdout)
        assert os.getsid(found.pid) == found.pid
    finally:
        found.stop()
    assert not found.alive
    assert find_servo(tmp_path) is None


def test_a_killed_one_leaves_nothing_that_counts(tmp_path: Path) -> None:
    first = start_servo(tmp_path)
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    assert (tmp_path / "servo.json").exists()
    assert find_servo(tmp_path) is None
    with pytest.raises(SimulatorError, match="no servo simulator answers"), ServoControl(tmp_path):
        pass
    second = start_servo(tmp_path)
    assert second.alive
    second.stop()


def test_idles(servo: Servo) -> None:
    process = psutil.Process(servo.process.pid)
    before = process.cpu_times()
    switches = process.num_ctx_switches().voluntary
    time.sleep(1.0)
    after = process.cpu_times()
    assert (after.user + after.system) - (before.user + before.system) <= 0.01
    assert process.num_ctx_switches().voluntary - switches <= 1


class Raw:
    """The SDK on the port, with nothing of ours between."""

    def __init__(self, servo: Servo, baudrate: int = 57600) -> None:
        self.port = PortHandler(servo.port)
        assert self.port.setBaudRate(baudrate)

    def read(self, address: int, length: int, servo_id: int = 1) -> tuple[int, int, int]:
        data, result, error = SDK.readTxRx(self.port, servo_id, address, length)
        return int.from_bytes(bytes(data), "little", signed=True), result, error

    def write(self, address: int, length: int, value: int) -> tuple[int, int]:
        data = list(value.to_bytes(length, "little", signed=value < 0))
        result: tuple[int, int] = SDK.writeTxRx(self.port, 1, address, length, data)
        return result


@pytest.fixture
def raw(servo: Servo) -> Any:
    made = Raw(servo)
    yield made
    made.port.closePort()


def test_the_sdk_talks_to_it(servo: Servo, raw: Raw) -> None:
    assert SDK.ping(raw.port, 1) == (1020, COMM_SUCCESS, 0)
    assert SDK.ping(raw.port, 2)[1] == COMM_RX_TIMEOUT
    assert raw.read(132, 4) == (1024, COMM_SUCCESS, 0)
    assert raw.write(64, 1, 1) == (COMM_SUCCESS, 0)
    assert raw.write(11, 1, 4) == (COMM_SUCCESS, 7)
    assert raw.write(116, 4, 5000) == (COMM_SUCCESS, 4)
    assert SDK.write2ByteTxRx(raw.port, 1, 100, -300 & 0xFFFF) == (COMM_SUCCESS, 0)
    assert raw.read(100, 2) == (-300, COMM_SUCCESS, 0)
    assert raw.write(116, 4, 2048) == (COMM_SUCCESS, 0)
    (motion,) = servo.control.motions()
    assert (motion["cause"], motion["goal_deg"]) == ("goal", 180.0)
    assert abs(motion["at"] - time.time()) < 5
    assert SDK.broadcastPing(raw.port)[0] == {1: [1020, 45]}


def test_values_that_look_like_a_header(raw: Raw) -> None:
    # 0xFDFFFF as a homing offset is out of range, but it must come through stuffing to be refused.
    assert raw.write(20, 4, 0x00FDFFFF) == (COMM_SUCCESS, 4)


def test_another_speed_is_not_understood(servo: Servo) -> None:
    other = Raw(servo, 115200)
    try:
        assert SDK.ping(other.port, 1)[1] == COMM_RX_TIMEOUT
        assert servo.control.state()["counters"]["packets"] == 0
        assert servo.control.state()["counters"]["bytes"] > 0
    finally:
        other.port.closePort()


def test_log_and_counters(servo: Servo, raw: Raw) -> None:
    began = time.time()
    raw.write(65, 1, 1)
    raw.read(132, 4)
    first, second = servo.control.log()
    assert (first["instruction"], first["address"], first["data"]) == (3, 65, "01")
    assert (second["instruction"], second["address"], second["data"]) == (2, 132, "0400")
    assert began <= first["at"] <= second["at"] <= time.time()
    servo.control.reset_log()
    assert servo.control.log() == []
    assert servo.control.state()["counters"] == {"packets": 2, "bytes": 13 + 14}


def test_control_refuses_what_it_does_not_know(servo: Servo) -> None:
    for do, parameters in (
        ("dance", {}),
        ("line", {"nothing": 1}),
        ("line", {}),
        ("heat", {}),
        ("supply", {"volts": "x"}),
    ):
        with pytest.raises(SimulatorError, match=do):
            servo.control.ask(do, **parameters)
    with pytest.raises(SimulatorError, match="refuses goal_position=9999: DATA_RANGE"):
        servo.control.write("goal_position", 9999)
    with pytest.raises(SimulatorError, match="context manager"):
        ServoControl(servo.process.state_dir).state()


def test_a_client_that_goes_away_in_the_middle(servo: Servo) -> None:
    for _ in range(20):
        with ServoControl(servo.process.state_dir) as control:
            assert control._connection is not None
            control._connection.sendall(b'{"do": "log"')
    assert servo.control.state()["plugged"]


def test_a_client_that_never_reads_does_not_block_it(servo: Servo, raw: Raw) -> None:
    ping = bytes.fromhex("fffffd000103000119 4e")
    for burst in range(30):
        os.write(raw.port.ser.fd, ping * 100)
        eventually(lambda: servo.control.state()["counters"]["packets"] >= (burst + 1) * 100, 5.0, 0.002)  # noqa: B023


@pytest.mark.parametrize("model", ["xl430-w250", "xm430-w350"])
def test_models(servos: Callable[..., Servo], model: str) -> None:
    servo = servos(model=model)
    sdk = Raw(servo)
    try:
        assert SDK.ping(sdk.port, 1)[0] == {"xl430-w250": 1060, "xm430-w350": 1020}[model]
    finally:
        sdk.port.closePort()
