"""Which devices of a lab a canvas means, and what is said when that is none or several."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper.canvas.resolution import answers_to, names_of, resolve
from labkeeper_api.errors import InvalidInput
from labkeeper_api.kinds import LabDevice
from labkeeper_flows.canvas.steps import Role


def device(name: str, driver: str, **connection: Any) -> LabDevice:
    spec = {"driver": driver, "pool": "lab", "connection": connection}
    return LabDevice.model_validate({"metadata": {"name": name, "namespace": "lab"}, "spec": spec})


ROBOT = device("robot", "ot2", address="169.254.69.185:31950", aliases=["ot2-a"])
OTHER = device("other", "ot2", address="10.0.0.7")
PUMPS = device("pumps", "arduino", port="/dev/ttyACM0", aliases=["COM3"])


@pytest.mark.parametrize(
    ("named", "devices", "found"),
    [
        ({"robot_ip": "169.254.69.185", "robot_port": 80}, [ROBOT, OTHER], ROBOT),
        ({"robot_ip": "169.254.69.185:31950"}, [ROBOT, OTHER], ROBOT),
        ({"robot_ip": "OT2-A"}, [ROBOT, OTHER], ROBOT),
        ({"robot_ip": "10.0.0.7:31950"}, [ROBOT, OTHER], OTHER),
        ({}, [ROBOT, PUMPS], ROBOT),
        ({"robot_ip": ""}, [ROBOT], ROBOT),
    ],
)
def test_a_canvas_finds_its_robot(named: dict[str, Any], devices: list[LabDevice], found: LabDevice) -> None:
    assert resolve({Role.OT2: named}, {Role.OT2, Role.CLOCK, Role.DATA}, devices) == {Role.OT2: found}


def test_each_role_finds_its_own() -> None:
    connections = {Role.OT2: {"robot_ip": "169.254.69.185"}, Role.ARDUINO: {"com_port": "com3"}}
    found = resolve(connections, [Role.ARDUINO, Role.OT2], [PUMPS, OTHER, ROBOT])
    assert found == {Role.ARDUINO: PUMPS, Role.OT2: ROBOT}
    assert resolve({Role.ARDUINO: {"com_port": "/dev/ttyACM0"}}, [Role.ARDUINO], [PUMPS]) == {Role.ARDUINO: PUMPS}
    assert resolve(connections, [], []) == {}


@pytest.mark.parametrize(
    ("connections", "devices", "said"),
    [
        (
            {Role.OT2: {"robot_ip": "169.254.1.1"}},
            [ROBOT, OTHER],
            (
                "ot2.robot_ip: no device of driver ot2 answers to robot_ip '169.254.1.1' (robot answers to "
                "169.254.69.185:31950, 169.254.69.185, ot2-a; other answers to 10.0.0.7: add 169.254.1.1 to "
                "spec.connection.aliases of the one that is meant)"
            ),
        ),
        (
            {},
            [ROBOT, OTHER],
            (
                "ot2: the lab has several devices of driver ot2 (robot, other), and the canvas does not say which it "
                "means (give each an alias of its own in spec.connection.aliases, and name that in the canvas)"
            ),
        ),
        (
            {Role.OT2: {"robot_ip": "10.0.0.7"}},
            [OTHER, device("twin", "ot2", aliases=["10.0.0.7"])],
            (
                "ot2.robot_ip: the lab has several devices of driver ot2 (other, twin), all answer to robot_ip "
                "'10.0.0.7' (give each an alias of its own in spec.connection.aliases, and name that in the canvas)"
            ),
        ),
        (
            {Role.OT2: {"robot_ip": "10.0.0.7"}},
            [PUMPS],
            (
                "ot2.robot_ip: no device of driver ot2 answers to robot_ip '10.0.0.7' (apply a LabDevice with driver: "
                "ot2 and connection.aliases: [10.0.0.7]; a simulated one has simulate: {timeFactor: 100})"
            ),
        ),
        (
            {},
            [],
            (
                "ot2: the lab has no device of driver ot2 (apply a LabDevice with driver: ot2; a simulated one has "
                "simulate: {timeFactor: 100})"
            ),
        ),
    ],
)
def test_what_nobody_can_tell_is_refused_with_what_to_write(
    connections: dict[Role, dict[str, Any]], devices: list[LabDevice], said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        resolve(connections, [Role.OT2], devices)
    assert str(refused.value) == said


def test_all_roles_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        resolve({}, [Role.OT2, Role.ARDUINO, Role.SQUIDSTAT], [ROBOT])
    assert [problem.path for problem in refused.value.problems] == ["arduino", "squidstat"]


def test_names() -> None:
    assert names_of(ROBOT) == ("169.254.69.185:31950", "169.254.69.185", "ot2-a")
    assert names_of(device("bare", "ot2").model_copy()) == ()
    assert answers_to(PUMPS, "Com3")
    assert not answers_to(PUMPS, "COM30")
