"""What cannot be done fails as on the robot, in the robot's words."""

from __future__ import annotations

from typing import Any

import pytest
from lab import HEADERS, Bench, Run, Simulator


def _error(response: Any, status: int) -> Any:
    assert response.status_code == status, response.text
    return response.json()["errors"][0]


def test_a_failed_command_is_answered_with_201(robot: Simulator) -> None:
    run = Bench(robot)
    body = {"data": {"commandType": "aspirate", "params": run.at(run.rack, "A1", volume=10, flowRate=100)}}
    response = robot.client.post(f"/runs/{run.id}/commands", json=body, params={"waitUntilComplete": "true"})
    assert response.status_code == 201
    data = response.json()["data"]
    assert data["status"] == "failed"
    assert data["error"]["errorType"] == "TipNotAttachedError"
    assert data["error"]["errorCode"] == "3005"
    assert data["error"]["detail"] == "Pipette should have a tip attached, but does not."
    assert robot.get(f"/runs/{run.id}/commands/{data['id']}") == data


def test_volume_above_the_pipettes_maximum(robot: Simulator) -> None:
    run = Bench(robot)
    run.pick_up()
    error = run.failed("aspirate", **run.at(run.rack, "A1", volume=1001, flowRate=100))
    assert (error["errorType"], error["errorCode"]) == ("InvalidAspirateVolumeError", "4000")
    assert error["detail"] == "Cannot aspirate 1001.0 µL when only 1000 is available in the tip."


def test_dispensing_more_than_was_aspirated(robot: Simulator) -> None:
    run = Bench(robot)
    run.pick_up()
    error = run.failed("dispense", **run.at(run.rack, "A1", volume=100, flowRate=100))
    assert error["detail"] == "Cannot dispense 100.0 µL when only 0.0 µL has been aspirated."


def test_a_well_that_does_not_exist(robot: Simulator) -> None:
    run = Bench(robot)
    error = run.failed("moveToWell", **run.at(run.rack, "Z99"))
    assert (error["errorType"], error["detail"]) == ("WellDoesNotExistError", "Z99 does not exist in Sample vials.")


def test_two_pieces_of_labware_in_one_slot(robot: Simulator) -> None:
    run = Bench(robot)
    error = run.failed(
        "loadLabware",
        location={"slotName": "2"},
        loadName="corning_96_wellplate_360ul_flat",
        namespace="opentrons",
        version=1,
    )
    assert error["errorType"] == "LocationIsOccupiedError"
    assert "Labware sample_vials is already present at" in error["detail"]


def test_labware_that_nobody_knows(robot: Simulator) -> None:
    run = Run(robot)
    error = run.failed(
        "loadLabware", location={"slotName": "2"}, loadName="no_such_thing", namespace="opentrons", version=1
    )
    assert '"no_such_thing" not found with version 1 in namespace "opentrons"' in error["detail"]


def test_a_second_tip(robot: Simulator) -> None:
    run = Bench(robot)
    run.pick_up("A1")
    error = run.failed("pickUpTip", **run.at(run.tips, "A2"))
    assert (error["errorType"], error["errorCode"]) == ("UnexpectedTipAttachError", "3012")


def test_a_pipette_that_does_not_exist(robot: Simulator) -> None:
    run = Run(robot)
    params = {"pipetteName": "p5000_single", "mount": "right"}
    response = robot.client.post(
        f"/runs/{run.id}/commands", json={"data": {"commandType": "loadPipette", "params": params}}
    )
    error = _error(response, 422)
    assert error["id"] == "InvalidRequest"
    assert error["source"]["pointer"].endswith("pipetteName")
    assert "p1000_single_gen2" in error["detail"]


def test_requests_need_a_version(robot: Simulator) -> None:
    robot.client.headers.pop("Opentrons-Version")
    try:
        error = _error(robot.client.get("/runs"), 422)
        assert (error["id"], error["detail"]) == ("InvalidRequest", "Field required")
        assert error["source"] == {"header": "opentrons-version"}
        assert _error(robot.client.get("/runs", headers={"Opentrons-Version": "x"}), 422)["id"] == "InvalidRequest"
        assert _error(robot.client.get("/runs", headers={"Opentrons-Version": "1"}), 400)["id"] == "OutdatedAPIVersion"
        health = robot.client.get("/health")
        assert health.status_code == 422
        assert health.json()["message"] == "Field required"
        answer = robot.client.get("/runs", headers={"Opentrons-Version": "3"})
        assert (answer.status_code, answer.headers["Opentrons-Version"]) == (200, "3")
        assert robot.client.get("/runs", headers={"Opentrons-Version": "99"}).headers["Opentrons-Version"] == "4"
    finally:
        robot.client.headers.update(HEADERS)


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (b"", "/"),
        (b"{", "/"),
        (b"[1, 2]", "/"),
        (b"{}", "/data"),
        (b'{"data": 3}', "/data"),
        (b'{"data": {"commandType": "waitForDuration", "params": {"seconds": NaN}}}', "/"),
        (b'{"data": {"commandType": "fly", "params": {}}}', "/data"),
        (b'{"data": {"commandType": "aspirate", "params": {"volume": -5}}}', "/data/aspirate/params/"),
        (b"[" * 100_000, "/"),
    ],
)
def test_nonsense_is_a_clear_422(robot: Simulator, content: bytes, pointer: str) -> None:
    run = Run(robot)
    error = _error(robot.client.post(f"/runs/{run.id}/commands", content=content), 422)
    assert error["id"] == "InvalidRequest"
    assert error["source"]["pointer"].startswith(pointer)


@pytest.mark.parametrize(
    ("method", "path", "status", "error_id"),
    [
        ("GET", "/nothing", 404, "BadRequest"),
        ("PUT", "/runs", 405, "BadRequest"),
        ("GET", "/runs/none", 404, "RunNotFound"),
        ("GET", "/runs/none/commands", 404, "RunNotFound"),
        ("POST", "/runs/none/actions", 404, "RunNotFound"),
        ("GET", "/protocols/none", 404, "ProtocolNotFound"),
        ("DELETE", "/protocols/none", 404, "ProtocolNotFound"),
        ("GET", "/protocols/none/analyses", 404, "ProtocolNotFound"),
        ("POST", "/protocols", 422, "InvalidRequest"),
    ],
)
def test_what_is_not_there(robot: Simulator, method: str, path: str, status: int, error_id: str) -> None:
    assert _error(robot.client.request(method, path), status)["id"] == error_id


@pytest.mark.parametrize("query", [{"timeout": "0"}, {"timeout": "soon"}, {"waitUntilComplete": "perhaps"}])
def test_bad_queries(robot: Simulator, query: dict[str, str]) -> None:
    run = Run(robot)
    body = {"data": {"commandType": "home", "params": {}}}
    error = _error(robot.client.post(f"/runs/{run.id}/commands", json=body, params=query), 422)
    assert error["source"] == {"parameter": next(iter(query))}


def test_a_bad_labware_definition_is_refused(robot: Simulator) -> None:
    run = Run(robot)
    response = robot.client.post(f"/runs/{run.id}/labware_definitions", json={"data": {"namespace": "tests"}})
    assert _error(response, 422)["id"] == "InvalidRequest"


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"slot": "7", "volumes": {"A1": 1}}, "/data/slot"),
        ({"slot": "2", "volumes": {"Z9": 1}}, "/data/volumes/Z9"),
        ({"slot": "2", "volumes": {"A1": -1}}, "/data/volumes/A1"),
        ({"slot": "2", "volumes": {"A1": 5001}}, "/data/volumes/A1"),
        ({"slot": "2", "volumes": {"A1": "much"}}, "/data/volumes/A1"),
        ({"slot": "2"}, "/data/volumes"),
        ({"slot": "2", "liquid": "air", "volumes": {"A1": 1}}, "/data/liquid"),
    ],
)
def test_wells_cannot_be_filled_with_nonsense(robot: Simulator, data: Any, pointer: str) -> None:
    Bench(robot)
    assert _error(robot.client.post("/simulator/liquids", json={"data": data}), 422)["source"]["pointer"] == pointer
