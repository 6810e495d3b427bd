"""Reading configurations: everything wrong at once, with file and line."""

from __future__ import annotations

import contextlib
import os
import pty
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_api.errors import InvalidInput
from labkeeper_devices.drivers.common.document import Setting, Source
from labkeeper_devices.drivers.plate_resort.config import (
    LoadedConfig,
    load,
    load_files,
    port_problems,
    with_overrides,
)
from labkeeper_devices.drivers.plate_resort.settings import PRECISE_KEYS, ResortConfig

REAL = Path("/work/shared/data/plate_resort")


def wrong(*texts: str) -> list[str]:
    """The problems of documents named f1.yaml, f2.yaml and so on, as a person reads them."""
    with pytest.raises(InvalidInput) as caught:
        load([Source(text, f"f{index}.yaml") for index, text in enumerate(texts, 1)])
    return [str(problem) for problem in caught.value.problems]


def right(*texts: str) -> LoadedConfig:
    return load([Source(text, f"f{index}.yaml") for index, text in enumerate(texts, 1)])


@pytest.mark.skipif(not REAL.exists(), reason="the real files are not here")
@pytest.mark.parametrize("name", ["defaults.yaml", "resort_config.yaml"])
def test_real_files_are_the_guides_defaults(name: str) -> None:
    loaded = load_files([REAL / name])
    assert loaded.config == ResortConfig()
    assert loaded.settings["position_tolerance"].source == str(REAL / name)


def test_defaults_are_the_guides() -> None:
    config = ResortConfig()
    assert (config.device, config.baudrate, config.motor_id) == ("/dev/ttyUSB0", 57600, 1)
    assert config.angles == {"A": 19.0, "B": 109.0, "C": 199.0, "D": 289.0}
    assert config.precise_parameters() == {
        "enable_precise_move": True,
        "position_tolerance": 0.5,
        "switch_error": 3.0,
        "stage1_timeout": 8.0,
        "poll_interval": 0.3,
        "pulse_pwm_start": 180,
        "pwm_step": 25,
        "pwm_max": 600,
        "pulse_duration": 0.30,
        "pulse_rest": 0.20,
        "pulse_max": 25,
        "motion_threshold": 0.12,
        "stall_pulses": 6,
        "enable_backoff": True,
        "max_step_factor": 1.5,
        "pwm_backoff_step": 60,
        "precise_log": True,
    }


def test_later_files_win_key_by_key() -> None:
    loaded = right("resort:\n  motor_id: 3\n  offset_angle: 5\n", "resort:\n  motor_id: 4\n  stage1_timeout: null\n")
    assert (loaded.config.motor_id, loaded.config.offset_angle, loaded.config.stage1_timeout) == (4, 5.0, None)
    assert (loaded.settings["motor_id"].source, loaded.settings["motor_id"].line) == ("f2.yaml", 2)
    assert loaded.settings["offset_angle"].source == "f1.yaml"


def test_zero_is_a_value() -> None:
    loaded = right("resort:\n  offset_angle: 0\n  pulse_max: 0\n  motion_threshold: 0\n  goal_torque: 0\n")
    config = loaded.config
    assert (config.offset_angle, config.pulse_max, config.motion_threshold, config.goal_pwm) == (0.0, 0, 0.0, 0)


def test_given_settings_win_over_files() -> None:
    given = {"device": Setting("/dev/ttyACM3", "spec.connection.port")}
    assert load([Source("resort:\n  device: /dev/x\n", "f")], given).config.device == "/dev/ttyACM3"
    with pytest.raises(InvalidInput) as caught:
        load([], {"baudrate": Setting(57601, "spec.connection.baudrate")})
    assert caught.value.problems[0].path == "spec.connection.baudrate"


def test_everything_wrong_at_once_with_lines() -> None:
    found = wrong(
        """\
# a comment
resort:
  hotels: ["A", 2, ""]
  baudrat: 57600
  baudrate: 57601

  position_tolerance: 0
  rotation_direction: 2
  movement_timeout: -1
  voltage_min: 15
  motor_id: null
  default_speed: "50"
  enable_backoff: 1
servr:
  port: 1
motor_id: 1
""",
        "resort:\n  pwm_max: .nan\n  offset_angle: .inf\n",
    )
    expected = [
        'f1.yaml:3: resort.hotels[1]: 2: must be a valid string (write it in quotes: "2")',
        "f1.yaml:3: resort.hotels[2]: '': must not be empty (",
        "f1.yaml:4: resort.baudrat: is no setting (did you mean 'baudrate'?)",
        "f1.yaml:5: resort.baudrate: 57601: the serial driver knows 9600, 19200, 38400, 57600, ",
        "f1.yaml:7: resort.position_tolerance: 0: must be at least 0.05 (Largest accepted error ",
        "f1.yaml:8: resort.rotation_direction: 2: must be 1 or -1 (",
        "f1.yaml:9: resort.movement_timeout: -1: must be above 0 (Seconds that a move may take, above 0)",
        "f1.yaml:10: resort.voltage_min: voltage_min 15 V must be below voltage_max 14 V",
        "f1.yaml:11: resort.motor_id: null is not possible (leave the key out for its default, 1)",
        "f1.yaml:12: resort.default_speed: '50': must be a valid integer (Profile velocity in units of 0.229 rpm",
        "f1.yaml:13: resort.enable_backoff: 1: must be a valid boolean (",
        "f1.yaml:14: servr: is no section (did you mean 'server'?)",
        "f1.yaml:16: motor_id: is no section (put it below `resort:`)",
        "f2.yaml:2: resort.pwm_max: nan: must be a valid integer (Largest PWM of a pulse, 0 to 885 (100 %))",
        "f2.yaml:3: resort.offset_angle: inf: must be a finite number (Angle of the first hotel in degrees)",
    ]
    assert len(found) == len(expected)
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "f1.yaml: is empty (write the settings below `resort:`)"),
        ("# only a comment\n", "f1.yaml: is empty (write the settings below `resort:`)"),
        ("- a\n", "f1.yaml:1: must be a mapping (write the settings below `resort:`)"),
        ("text\n", "f1.yaml:1: must be a mapping (write the settings below `resort:`)"),
        ("prefect: {}\n", "f1.yaml:1: resort: the section is missing (write the settings below `resort:`)"),
        ("resort:\n", "f1.yaml:1: resort: must hold settings, each as `key: value`"),
        ("resort: [1]\n", "f1.yaml:1: resort: must hold settings, each as `key: value`"),
        ("resort:\n  motor_id: 1\n  motor_id: 2\n", "f1.yaml:3: resort.motor_id: stands twice, first in line 2"),
        ("resort: {}\nresort: {}\n", "f1.yaml:2: resort: stands twice, first in line 1"),
        (
            "resort:\n  hotels: [A, B\n",
            "f1.yaml:3: is no YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
        ),
        (
            "resort: {}\n---\nresort: {}\n",
            "f1.yaml:2: is no YAML: expected a single document in the stream, but found another document",
        ),
        (
            "resort:\n\tmotor_id: 1\n",
            "f1.yaml:2: is no YAML: while scanning for the next token, found character '\\t' that cannot",
        ),
        (
            "resort:\n  device: !!python/name:os.system x\n",
            "f1.yaml:2: resort.device: cannot be understood: could not determine a constructor for the tag ",
        ),
        (
            "resort:\n  ? [a, b]\n  : 1\n",
            "f1.yaml:2: resort: only plain keys are possible here (write each setting out)",
        ),
        (
            "resort:\n  <<: {motor_id: 1}\n",
            "f1.yaml:2: resort: only plain keys are possible here (write each setting out)",
        ),
        ("resort:\n  hotels: []\n", "f1.yaml:2: resort.hotels: (): must not be empty"),
        ("resort:\n  hotels: [A, B, A]\n", "f1.yaml:2: resort.hotels: ['A', 'B', 'A']: each hotel once"),
        ("resort:\n  rotation_direction: true\n", "f1.yaml:2: resort.rotation_direction: True: must be 1 or -1"),
        ("resort:\n  motor_id: 1.0\n", "f1.yaml:2: resort.motor_id: 1.0: must be a valid integer"),
        ("resort:\n  pwm_max: 900\n", "f1.yaml:2: resort.pwm_max: 900: must be at most 885"),
        (
            "resort:\n  torque_limit: 400\n  pwm_max: 400\n",
            "f1.yaml:3: resort.pwm_max: pwm_max 400 is above 346, which torque_limit 400 of 1023 allows",
        ),
        (
            "resort:\n  pwm_max: 100\n",
            "f1.yaml:2: resort.pwm_max: pulse_pwm_start 180 must not be above pwm_max 100",
        ),
    ],
)
def test_each_kind_of_mistake(text: str, expected: str) -> None:
    (found,) = wrong(text)
    assert found.startswith(expected)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"resort:\n  device: \xff\xfe\n")
    with pytest.raises(InvalidInput) as caught:
        load_files([tmp_path / "none.yaml", tmp_path, tmp_path / "binary.yaml"])
    assert [str(problem) for problem in caught.value.problems] == [
        f"{tmp_path}: cannot be read: Is a directory",
        f"{tmp_path}/binary.yaml: is not UTF-8 text: byte 18 is wrong",
        f"{tmp_path}/none.yaml: cannot be read: No such file or directory",
    ]


@given(st.text(max_size=200) | st.text("resot:\n -[]{}&*!|>'\"%@,#\t0123456789ab", max_size=120))
def test_any_text_loads_or_is_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        load([Source(text, "f")])


def test_a_lower_torque_limit_needs_no_other_key() -> None:
    config = right("resort:\n  torque_limit: 200\n").config
    assert (config.pulse_ceiling, config.goal_pwm) == (173, 173)


class TestOverrides:
    """Settings for one move."""

    def test_they_win(self) -> None:
        config = with_overrides(ResortConfig(motor_id=7), {"pwm_max": 500, "stage1_timeout": None})
        assert (config.pwm_max, config.stage1_timeout, config.motor_id) == (500, None, 7)

    def test_nothing_changes_nothing(self) -> None:
        assert with_overrides(ResortConfig(), {}) == ResortConfig()

    def test_everything_wrong_at_once(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            with_overrides(ResortConfig(), {"pwm_mx": 3, "hotels": ["A"], "pulse_duration": 0, "stall_pulses": None})
        assert [str(problem) for problem in caught.value.problems] == [
            "overrides.pwm_mx: cannot be set here (did you mean 'pwm_max'?)",
            f"overrides.hotels: cannot be set here (known here: {', '.join(PRECISE_KEYS)})",
            "overrides.stall_pulses: null is not possible (leave the key out for its default, 6)",
            "overrides.pulse_duration: 0: must be at least 0.01 (Seconds that a pulse lasts, 0.01 to 5)",
        ]

    def test_contradictions_with_the_configuration(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            with_overrides(ResortConfig(), {"pulse_pwm_start": 700})
        assert str(caught.value) == "overrides.pulse_pwm_start: pulse_pwm_start 700 must not be above pwm_max 600"


class TestSerialPort:
    """Whether the port exists on this machine."""

    def test_a_port_that_is_there(self) -> None:
        ends = pty.openpty()
        try:
            assert port_problems(right(f"resort:\n  device: {os.ttyname(ends[1])}\n")) == []
        finally:
            for end in ends:
                os.close(end)

    def test_one_that_is_not(self) -> None:
        (problem,) = port_problems(right("resort:\n  motor_id: 1\n  device: /dev/ttyNONE7\n"))
        assert str(problem).startswith("f1.yaml:3: resort.device: there is no /dev/ttyNONE7 on this machine (")
        assert "serial port" in problem.hint

    def test_something_else(self, tmp_path: Path) -> None:
        (problem,) = port_problems(right(f"resort:\n  device: {tmp_path}\n"))
        assert problem.message == f"{tmp_path} is no serial port"

    def test_the_default_has_no_line(self) -> None:
        (problem,) = port_problems(LoadedConfig(ResortConfig(device="/dev/ttyNONE7"), section="resort"))
        assert (problem.path, problem.line, problem.source) == ("resort.device", None, "")
