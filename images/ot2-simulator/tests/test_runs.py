"""Runs as resources: one current run, the robot's refusals, lists, lights, door and homing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lab import Bench, Run, Simulator, wait_until


def test_health_says_that_it_is_a_simulator(robot: Simulator) -> None:
    health = robot.client.get("/health").json()
    assert (health["name"], health["simulated"], health["robot_model"]) == ("simulated-ot2", True, "OT-2 Standard")
    assert robot.state()["simulated"] is True
    assert robot.state()["timeFactor"] == 1000


def test_an_idle_run_gives_way_and_an_active_one_does_not(robot: Simulator) -> None:
    first = Run(robot)
    other = Run(robot)
    assert robot.get(f"/runs/{first.id}")["current"] is False
    assert robot.get(f"/runs/{other.id}")["current"] is True
    second = Run(robot, play=True)
    response = robot.client.post("/runs", json={"data": {}})
    assert response.status_code == 409
    assert response.json()["errors"][0]["id"] == "RunAlreadyActive"
    for response in (
        robot.client.patch(f"/runs/{second.id}", json={"data": {"current": False}}),
        robot.client.delete(f"/runs/{second.id}"),
    ):
        assert (response.status_code, response.json()["errors"][0]["id"]) == (409, "RunNotIdle")


def test_a_past_run_keeps_its_commands_and_takes_no_more(robot: Simulator) -> None:
    run = Bench(robot)
    run.pick_up()
    before = robot.get(f"/runs/{run.id}/commands", cursor=0, pageLength=100)
    response = robot.client.patch(f"/runs/{run.id}", json={"data": {"current": False}})
    assert response.json()["data"]["status"] == "stopped"
    assert robot.get(f"/runs/{run.id}/commands", cursor=0, pageLength=100) == before
    body = {"data": {"commandType": "home", "params": {}}}
    for path in ("commands", "actions", "labware_definitions"):
        refused = robot.client.post(f"/runs/{run.id}/{path}", json=body)
        assert (refused.status_code, refused.json()["errors"][0]["id"]) == (409, "RunStopped")
    assert robot.client.delete(f"/runs/{run.id}").status_code == 200
    assert robot.client.get(f"/runs/{run.id}").status_code == 404


def test_lists_have_meta_and_links(robot: Simulator) -> None:
    run = Bench(robot)
    commands = robot.client.get(f"/runs/{run.id}/commands", params={"cursor": 1, "pageLength": 2}).json()
    assert commands["meta"] == {"cursor": 1, "totalLength": 3}
    assert [command["commandType"] for command in commands["data"]] == ["loadLabware", "loadPipette"]
    assert "result" not in commands["data"][0]
    runs = robot.client.get("/runs", params={"pageLength": 1}).json()
    assert [item["id"] for item in runs["data"]] == [run.id]
    assert runs["links"]["current"]["href"] == f"/runs/{run.id}"


def test_without_waiting_the_command_comes_back_queued(robot: Simulator) -> None:
    run = Run(robot)
    command = run.command("home", wait=False)
    assert command["status"] in ("queued", "running")
    done = wait_until(
        lambda: (found := robot.get(f"/runs/{run.id}/commands/{command['id']}"))["status"] == "succeeded" and found
    )
    assert done["completedAt"]


def test_equipment_is_told(robot: Simulator) -> None:
    run = Bench(robot)
    told = robot.get(f"/runs/{run.id}")
    assert [pipette["pipetteName"] for pipette in told["pipettes"]] == ["p1000_single_gen2"]
    assert [labware["location"] for labware in told["labware"]] == [{"slotName": "1"}, {"slotName": "2"}]
    mounted = robot.client.get("/pipettes").json()
    assert mounted["right"]["name"] == "p1000_single_gen2"
    assert [item["mount"] for item in robot.get("/instruments") if item["instrumentName"] == "p1000_single_gen2"] == [
        "right"
    ]
    assert robot.get("/modules") == []


def test_lights_and_home(robot: Simulator) -> None:
    assert robot.client.post("/robot/lights", json={"on": True}).json() == {"on": True}
    assert robot.client.get("/robot/lights").json() == {"on": True}
    assert robot.client.post("/robot/lights", json={"on": "perhaps"}).status_code == 422
    robot.client.post("/robot/lights", json={"on": False})
    answer = robot.client.post("/robot/home", json={"target": "robot"})
    assert (answer.status_code, answer.json()) == (200, {"message": "Homing robot."})
    assert robot.client.post("/robot/home", json={"target": "pipette", "mount": "left"}).status_code == 200
    assert robot.client.post("/robot/home", json={"target": "moon"}).status_code == 422
    axes = robot.state()["gantry"]["axes"]
    assert (axes["X"], axes["Y"], axes["Z"], axes["A"]) == (418, 353, 218, 218)


def test_an_open_door_pauses_a_run_and_keeps_it_from_playing(robot: Simulator) -> None:
    run = Bench(robot, play=True)
    robot.client.put("/simulator/door", json={"data": {"open": True}})
    assert robot.get("/robot/door/status") == {"status": "open", "doorRequiredClosedForProtocol": True}
    assert run.status == "blocked-by-open-door"
    refused = run.act("play", 409)
    assert refused["errors"][0]["id"] == "RunActionNotAllowed"
    assert refused["errors"][0]["detail"] == "Front door or top window is currently open."
    robot.client.put("/simulator/door", json={"data": {"open": False}})
    assert run.status == "paused"
    run.pick_up()


def test_a_run_does_not_start_behind_an_open_door(robot: Simulator) -> None:
    run = Run(robot)
    body = {"data": {"commandType": "home", "params": {}, "intent": "protocol"}}
    command = robot.client.post(f"/runs/{run.id}/commands", json=body).json()["data"]
    robot.client.put("/simulator/door", json={"data": {"open": True}})
    run.act("play")
    wait_until(lambda: run.status == "blocked-by-open-door")
    assert run.find(command["id"])["status"] == "queued"


def test_a_played_run_without_a_protocol_is_over_when_it_has_nothing_to_do(robot: Simulator) -> None:
    run = Run(robot)
    run.act("play")
    wait_until(lambda: run.status == "succeeded")


def test_a_failed_protocol_command_ends_a_run_that_plays(robot: Simulator) -> None:
    run = Bench(robot, play=True)
    assert (
        run.failed("aspirate", **run.at(run.rack, "A1", volume=10, flowRate=100))["errorType"] == "TipNotAttachedError"
    )
    wait_until(lambda: run.status == "failed")
    told = robot.get(f"/runs/{run.id}")
    assert "TipNotAttachedError" in [error["errorType"] for error in told["fullErrorList"]]
    body = {"data": {"commandType": "home", "params": {}, "intent": "protocol"}}
    refused = robot.client.post(f"/runs/{run.id}/commands", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["id"]) == (409, "RunStopped")


def test_actions_are_told(robot: Simulator) -> None:
    run = Run(robot, play=True)
    run.act("stop")
    wait_until(lambda: run.status == "stopped")
    assert [action["actionType"] for action in robot.get(f"/runs/{run.id}/actions")] == ["play", "stop"]
    assert run.act("dance", 422)["errors"][0]["source"] == {"pointer": "/data/actionType"}
    assert run.act("pause", 409)["errors"][0]["id"] == "RunActionNotAllowed"


def test_a_run_that_was_never_played_cannot_be_paused(robot: Simulator) -> None:
    refused = Run(robot).act("pause", 409)
    assert refused["errors"][0]["detail"] == "Cannot pause a run that is not running."


def test_the_tip_that_a_stop_throws_away_is_gone(robot: Simulator) -> None:
    run = Bench(robot, play=True)
    run.pick_up("A1")
    run.act("stop")
    wait_until(lambda: run.status == "stopped")
    state = wait_until(lambda: (found := robot.state())["pipettes"]["right"]["tip"] is None and found)
    assert state["deck"]["1"]["tips"]["taken"] == ["A1"]


def test_the_log_tells_all_commands_in_order(robot: Simulator) -> None:
    last = max((entry["n"] for entry in robot.get("/simulator/log")), default=0)
    run = Bench(robot)
    run.pick_up()
    run.failed("pickUpTip", **run.at(run.tips, "A2"))
    log = robot.get("/simulator/log", since=last)
    assert [(entry["commandType"], entry["status"]) for entry in log] == [
        ("loadLabware", "succeeded"),
        ("loadLabware", "succeeded"),
        ("loadPipette", "succeeded"),
        ("pickUpTip", "succeeded"),
        ("pickUpTip", "failed"),
    ]
    assert {entry["runId"] for entry in log} == {run.id}


def test_of_runs_asked_for_at_the_same_time_one_is_current(robot: Simulator) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: robot.client.post("/runs", json={"data": {}}), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    ids = [answer.json()["data"]["id"] for answer in answers]
    assert len(set(ids)) == 8
    current = [run["id"] for run in robot.client.get("/runs").json()["data"] if run["current"]]
    assert len(current) == 1
    assert current[0] in ids
