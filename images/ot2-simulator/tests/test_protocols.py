"""Protocols: analysed first, run to the end, refused in the robot's words."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import FOLDER, Simulator, wait_until

SHARED = FOLDER.parents[2] / "shared" / "data" / "opentrons_json"
NAMES = (
    "OT2_S_v3_P300SGen1_None_Gen1PipetteSimple.json",
    "OT2_S_v6_P1000S_None_SimpleTransfer.json",
    "OT2_S_v6_P300M_P20S_MixTransferManyLiquids.json",
)
REFUSED = "OT2_X_v6_P20S_None_SimpleTransfer.json"
OVER = ("succeeded", "failed", "stopped")

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")

PYTHON = """
metadata = {"apiLevel": "2.14"}

def run(protocol):
    tips = protocol.load_labware("opentrons_96_tiprack_300ul", 1)
    plate = protocol.load_labware("corning_96_wellplate_360ul_flat", 2)
    p300 = protocol.load_instrument("p300_single_gen2", "left", tip_racks=[tips])
    water = protocol.define_liquid("water", "", "#0000ff")
    plate["A1"].load_liquid(water, 200)
    p300.transfer(VOLUME, plate["A1"], plate["B1"])
    protocol.delay(seconds=30)
"""


def _play(robot: Simulator, protocol_id: str) -> str:
    run_id = robot.post("/runs", {"protocolId": protocol_id})["id"]
    robot.post(f"/runs/{run_id}/actions", {"actionType": "play"})
    wait_until(lambda: robot.run_status(run_id) in OVER, 60, "the end of the run")
    return str(run_id)


@needs_shared
@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_runs_to_the_end(robot: Simulator, name: str) -> None:
    protocol, analysis = robot.upload(SHARED / name)
    assert (analysis["result"], analysis["errors"]) == ("ok", [])
    run_id = _play(robot, protocol["id"])
    assert robot.run_status(run_id) == "succeeded"
    page = robot.client.get(f"/runs/{run_id}/commands", params={"cursor": 0, "pageLength": 1000}).json()
    assert {command["status"] for command in page["data"]} == {"succeeded"}
    assert page["meta"]["totalLength"] == len(analysis["commands"])


@needs_shared
def test_true_volumes_of_a_protocol(robot: Simulator) -> None:
    protocol, _ = robot.upload(SHARED / NAMES[1])
    _play(robot, protocol["id"])
    state = robot.state()
    assert state["deck"]["7"]["wells"]["A1"] == {"volume": 4200, "liquids": {"GOLD": 4200}}
    assert {well: mix["volume"] for well, mix in state["deck"]["3"]["wells"].items()} == {"A3": 400, "B2": 400}
    assert state["anomalies"] == []


@needs_shared
def test_a_protocol_that_cannot_run_is_refused_at_analysis(robot: Simulator) -> None:
    protocol, analysis = robot.upload(SHARED / REFUSED)
    assert analysis["result"] == "not-ok"
    assert [(error["errorType"], error["detail"]) for error in analysis["errors"]] == [
        ("InvalidAspirateVolumeError", "Cannot aspirate 21.0 µL when only 20 is available in the tip.")
    ]
    # The robot itself does not look at analyses: whoever plays it all the same gets the same error from the run.
    run_id = _play(robot, protocol["id"])
    told = robot.get(f"/runs/{run_id}")
    assert (told["status"], [error["detail"] for error in told["errors"]]) == (
        "failed",
        ["Cannot aspirate 21.0 µL when only 20 is available in the tip."],
    )


def test_a_python_protocol(robot: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "transfer.py"
    path.write_text(PYTHON.replace("VOLUME", "120"))
    protocol, analysis = robot.upload(path)
    assert analysis["result"] == "ok"
    assert (protocol["protocolType"], protocol["robotType"]) == ("python", "OT-2 Standard")
    again = robot.client.post("/protocols", files={"files": (path.name, path.read_bytes())})
    assert (again.status_code, again.json()["data"]["id"]) == (200, protocol["id"])
    run_id = _play(robot, protocol["id"])
    assert robot.run_status(run_id) == "succeeded"
    wells = robot.state()["deck"]["2"]["wells"]
    assert {well: mix["liquids"] for well, mix in wells.items()} == {"A1": {"water": 80}, "B1": {"water": 120}}
    links = robot.client.get(f"/protocols/{protocol['id']}").json()["links"]
    assert links["referencingRuns"] == [{"id": run_id, "href": f"/runs/{run_id}"}]
    used = robot.client.delete(f"/protocols/{protocol['id']}")
    assert (used.status_code, used.json()["errors"][0]["id"]) == (409, "ProtocolUsedByRun")


def test_more_is_filled_in_than_fits(robot: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "too_much.py"
    path.write_text(PYTHON.replace("VOLUME", "100").replace("load_liquid(water, 200)", "load_liquid(water, 500)"))
    protocol, _ = robot.upload(path)
    run_id = _play(robot, protocol["id"])
    assert robot.run_status(run_id) == "succeeded"  # the engine does not ask whether 500 µL fit into 360
    state = robot.state()
    assert state["deck"]["2"]["wells"]["A1"]["volume"] == 260
    assert [(item["kind"], item["volume"]) for item in state["anomalies"]] == [("overflow", 140)]


def test_a_python_protocol_that_breaks(robot: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(PYTHON.replace("VOLUME", "1 / 0"))
    _, analysis = robot.upload(path)
    assert analysis["result"] == "not-ok"
    assert "division by zero" in analysis["errors"][0]["detail"]


@pytest.mark.parametrize("level", ["2.13", "2.14"])
def test_a_python_protocol_is_paused_and_stopped(robot: Simulator, tmp_path: Path, level: str) -> None:
    """Level 2.13 goes past the engine and 2.14 through it; both must hold and stop at once."""
    path = tmp_path / f"long_{level}.py"
    text = PYTHON.replace("VOLUME", "100").replace("2.14", level)
    if level == "2.13":
        text = "\n".join(line for line in text.splitlines() if "liquid" not in line)
    path.write_text(text.replace("seconds=30", "seconds=30_000"))  # 30 s here
    protocol, analysis = robot.upload(path)
    assert analysis["errors"] == []
    run_id = robot.post("/runs", {"protocolId": protocol["id"]})["id"]
    robot.post(f"/runs/{run_id}/actions", {"actionType": "play"})
    url = f"/runs/{run_id}/commands"
    wait_until(
        lambda: any(word in robot.client.get(url).text for word in ("waitForDuration", "DELAY")), 20, "the delay"
    )
    robot.post(f"/runs/{run_id}/actions", {"actionType": "pause"})
    assert robot.run_status(run_id) == "paused"
    robot.post(f"/runs/{run_id}/actions", {"actionType": "stop"})
    wait_until(lambda: robot.run_status(run_id) == "stopped", 3, "the stop")


@pytest.mark.parametrize(
    ("name", "text"),
    [("no.json", "{}"), ("no.json", "{"), ("no.py", "x = ("), ("no.txt", "hello"), ("no.py", "print('no protocol')")],
)
def test_what_is_no_protocol_is_refused(robot: Simulator, tmp_path: Path, name: str, text: str) -> None:
    response = robot.client.post("/protocols", files={"files": (name, text.encode())})
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["id"] == "ProtocolFilesInvalid"


def test_a_protocol_for_a_flex_is_refused(robot: Simulator) -> None:
    text = 'requirements = {"robotType": "Flex", "apiLevel": "2.16"}\ndef run(protocol):\n    pass\n'
    response = robot.client.post("/protocols", files={"files": ("flex.py", text.encode())})
    assert response.json()["errors"][0]["id"] == "ProtocolRobotTypeMismatch"


def test_protocols_are_listed_and_deleted(robot: Simulator) -> None:
    text = 'metadata = {"apiLevel": "2.13"}\ndef run(protocol):\n    protocol.comment("unique to this test")\n'
    response = robot.client.post("/protocols", files={"files": ("short.py", text.encode())}, data={"key": "mine"})
    protocol = response.json()["data"]
    assert protocol["key"] == "mine"
    assert protocol["id"] in [item["id"] for item in robot.get("/protocols")]
    url = f"/protocols/{protocol['id']}/analyses"
    wait_until(lambda: robot.get(url)[0]["status"] == "completed")
    assert robot.client.get(f"{url}/none").json()["errors"][0]["id"] == "AnalysisNotFound"
    assert robot.client.delete(f"/protocols/{protocol['id']}").status_code == 200
    assert robot.client.get(f"/protocols/{protocol['id']}").status_code == 404
