"""What runs on the host ask of an agent: who has the unit, one command at a time, at most once, stopped when asked."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from labkeeper_api.errors import LabkeeperError
from labkeeper_api.kinds import LabDevice
from labkeeper_api.unit_calls import LEASE_SECONDS, Perform, Performed
from labkeeper_devices.agent import calls, control
from labkeeper_devices.agent.calls import Calls
from labkeeper_devices.agent.control import ControlServer, NoAgent
from labkeeper_devices.agent.desk import Desk
from labkeeper_devices.agent.host import UnitDirectory
from labkeeper_devices.agent.records import Begun, CommandKey
from labkeeper_devices.agent.unit_client import UnitClient
from labkeeper_devices.agent.workplace import AgentSettings, Workplace
from tests.support.bench_driver import BenchDriver
from tests.support.waiting import eventually_async

UNIT = "lab.bench.host-1"


def device(*, simulate: bool = False) -> LabDevice:
    spec: dict[str, Any] = {"driver": "bench", "pool": "bench"}
    if simulate:
        spec["simulate"] = {"timeFactor": 7}
    return LabDevice.model_validate({"metadata": {"name": "bench", "namespace": "lab"}, "spec": spec})


class Unit:
    """A unit with all of its agent that concerns its host, in this process; the driver does as it is told."""

    def __init__(self, folder: Path, *, simulate: bool = False) -> None:
        self.directory = UnitDirectory.of(folder, UNIT)
        self.directory.prepare()
        self.driver = BenchDriver()
        settings = AgentSettings(UNIT, None)
        self.passed = 0.0
        self.work = Workplace(
            device(simulate=simulate),
            settings,
            self.driver,
            self.directory,
            lambda: datetime.now(UTC),
            lambda: self.passed,
        )
        self.calls = Calls(self.work)
        self.client = UnitClient(self.directory)
        self._loops: list[asyncio.Task[None]] = []
        self._threads = ThreadPoolExecutor(64)

    def held(self) -> bool:
        return self.work.reserved is not None

    async def start(self) -> None:
        self.work.attach(asyncio.get_running_loop())
        self.work.journal_known = True
        desk = Desk(self.work, self.calls, self.work.changed_elsewhere)
        self.control = ControlServer(self.directory.socket, desk.handle)
        self._loops = [asyncio.create_task(self.work.connection.keep()), asyncio.create_task(self.calls.watch())]
        await eventually_async(self._is_idle, what="the unit is Idle")

    async def _is_idle(self) -> bool:
        return self.work.situation.may_claim

    async def stop(self) -> None:
        self.driver.go_on.set()
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await asyncio.to_thread(self.control.close)
        await self.work.connection.close()
        self.work.close()
        self._threads.shutdown()

    async def ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    async def perform(self, operation: str, ordinal: int = 0, holder: str = "run-1", **parameters: Any) -> Performed:
        call = Perform(
            holder=holder, run=holder, node="n", ordinal=ordinal, operation=f"bench.{operation}", parameters=parameters
        )
        return Performed.model_validate(await self.ask(self.client.perform, call))

    async def begin(self, ordinal: int = 0, holder: str = "run-1") -> asyncio.Task[Performed]:
        """A move that goes on until it is stopped or let go on."""
        self.driver.free = False
        self.driver.begun.clear()
        task = asyncio.create_task(self.perform("move", ordinal, holder, to="far"))
        assert await asyncio.to_thread(self.driver.begun.wait, 20)
        return task


@pytest.fixture
async def unit(tmp_path: Path) -> AsyncIterator[Unit]:
    made = Unit(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_the_same_key_moves_once_and_is_answered_from_the_journal(unit: Unit) -> None:
    await unit.ask(unit.client.reserve, "run-1", "canvas Zinc")
    first = await unit.perform("move", to="A")
    asked = list(unit.driver.checked)
    again = await unit.perform("move", to="A")
    assert (first.outcome, first.result, first.replayed) == ("succeeded", {"at": "A"}, False)
    assert (again.outcome, again.result, again.replayed) == ("succeeded", {"at": "A"}, True)
    assert unit.driver.moved == ["A"]
    assert unit.driver.checked == asked, "a replay asks nothing of the device, which may not allow it any more"
    other = await unit.perform("move", to="B")
    assert (other.outcome, unit.driver.moved) == ("failed", ["A"])
    assert "a key stands for one command" in other.message


async def test_a_failed_command_is_not_repeated_and_an_idempotent_one_may_be(unit: Unit) -> None:
    assert (await unit.perform("fail")).message == "it jams"
    again = await unit.perform("fail")
    assert (again.outcome, again.replayed) == ("failed", True)
    assert "already ended failed in this run (it jams)" in again.message
    assert (await unit.perform("touch", 1)).outcome == "failed"
    assert (await unit.perform("touch", 1)).result == {"touched": 2}
    assert (await unit.perform("touch", 1)).replayed


async def test_a_reserved_unit_is_its_holders_alone(unit: Unit) -> None:
    said = await unit.ask(unit.client.reserve, "run-1", "canvas Zinc")
    assert (said.unit, said.driver, said.simulated) == (UNIT, "bench", False)
    assert not unit.work.situation.may_claim, "nothing is claimed from Prefect meanwhile"
    status = await unit.ask(unit.client.status)
    assert (status["state"], status["reason"]) == ("Busy", "held for canvas Zinc (run run-1)")
    with pytest.raises(LabkeeperError, match=r"cannot be reserved: it is held for canvas Zinc \(run run-1\)"):
        await unit.ask(unit.client.reserve, "run-2", "canvas Copper")
    with pytest.raises(LabkeeperError, match="not held by run-2"):
        await unit.ask(unit.client.renew, "run-2")
    refused = await unit.perform("move", 0, "run-2", to="A")
    assert (refused.outcome, unit.driver.moved) == ("interlocked", [])
    assert "held for canvas Zinc" in refused.message
    await unit.ask(unit.client.unreserve, "run-2")
    await unit.ask(unit.client.reserve, "run-1", "canvas Zinc")
    await unit.ask(unit.client.unreserve, "run-1")
    assert (await unit.ask(unit.client.status))["state"] == "Idle"
    assert (await unit.perform("move", 0, "run-2", to="A")).outcome == "succeeded"


async def test_a_unit_with_a_run_of_prefects_is_not_reserved(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "CLAIM_SECONDS", 0.05)
    unit.work.busy_with = "lucky-owl"
    with pytest.raises(LabkeeperError, match="cannot be reserved: it carries out run lucky-owl"):
        await unit.ask(unit.client.reserve, "run-1", "canvas")
    assert (await unit.perform("move", to="A")).outcome == "interlocked"
    unit.work.journal.end(begun(unit), "succeeded", result={"at": "B"})
    assert (await unit.perform("move", 7, to="B")).replayed, "what is only looked up disturbs nobody"
    unit.work.busy_with = None
    unit.work.claiming = True
    with pytest.raises(LabkeeperError, match="just taking a run from Prefect"):
        await unit.ask(unit.client.reserve, "run-1", "canvas")
    unit.work.claiming = False
    assert unit.driver.moved == []


async def test_a_silent_holder_loses_the_unit_but_not_while_it_moves(unit: Unit) -> None:
    await unit.ask(unit.client.reserve, "run-1", "canvas")
    moving = await unit.begin()
    unit.passed += 10 * LEASE_SECONDS
    assert unit.held()
    unit.driver.go_on.set()
    assert (await moving).outcome == "succeeded"
    unit.passed += LEASE_SECONDS - 1
    await unit.ask(unit.client.renew, "run-1")
    unit.passed += LEASE_SECONDS - 1
    assert unit.held()
    unit.passed += 2
    assert not unit.held()
    await unit.ask(unit.client.reserve, "run-2", "another")


async def test_a_holder_that_lets_go_too_early_keeps_nobody_from_waiting_for_its_command(unit: Unit) -> None:
    await unit.ask(unit.client.reserve, "run-1", "canvas")
    moving = await unit.begin()
    await unit.ask(unit.client.unreserve, "run-1")
    with pytest.raises(LabkeeperError, match=r"cannot be reserved: it carries out bench\.move"):
        await unit.ask(unit.client.reserve, "run-2", "another")
    unit.driver.go_on.set()
    assert (await moving).outcome == "succeeded"
    await unit.ask(unit.client.reserve, "run-2", "another")


async def test_an_interrupt_stops_the_command_and_it_is_at_rest(unit: Unit) -> None:
    await unit.ask(unit.client.reserve, "run-1", "canvas")
    await unit.ask(unit.client.interrupt, "run-1")
    moving = await unit.begin()
    await unit.ask(unit.client.interrupt, "run-1")
    ended = await moving
    assert (ended.outcome, ended.cause) == ("interrupted", "cancel")
    assert "at rest, at somewhere" in ended.message
    again = await unit.perform("move", to="far")
    assert (again.outcome, again.cause, again.replayed) == ("interrupted", "cancel", True)
    assert unit.driver.moved == ["far"]


@pytest.mark.parametrize(("confirms", "outcome"), [(True, "interrupted"), (False, "failed")])
async def test_what_only_watches_is_stopped_with_what_it_watches(unit: Unit, confirms: bool, outcome: str) -> None:
    unit.driver.free, unit.driver.confirms_rest = False, confirms
    watching = asyncio.create_task(unit.perform("watch", to="the end"))
    assert await unit.ask(unit.driver.begun.wait, 20)
    await unit.ask(unit.client.interrupt, "run-1")
    ended = await watching
    assert (ended.outcome, unit.driver.halts) == (outcome, 1), ended
    assert ("does not confirm that it rests" in ended.message) is not confirms
    assert unit.work.journal.last_commands(9) == []


async def test_a_timeout_is_one_of_the_command(unit: Unit) -> None:
    unit.driver.free = False
    call = Perform(holder="r", run="r", operation="bench.move", parameters={"to": "far"}, timeout_seconds=0.05)
    ended = await unit.ask(unit.client.perform, call)
    assert (ended.outcome, ended.cause) == ("interrupted", "timeout")


async def test_an_unconfirmed_rest_is_unknown_and_holds_the_unit(unit: Unit) -> None:
    unit.driver.confirms_rest = False
    moving = await unit.begin()
    await unit.ask(unit.client.interrupt, "run-1")
    ended = await moving
    assert ended.outcome == "unknown"
    assert (await unit.ask(unit.client.status))["state"] == "Held"
    assert (await unit.perform("move", to="far")).outcome == "unknown", "the same key is what nobody knows"
    other = await unit.perform("move", 1, to="A")
    assert (other.outcome, unit.driver.moved) == ("interlocked", ["far"])
    assert "labkeeper device acknowledge" in other.message


@pytest.mark.parametrize(
    ("completed", "moved", "result"),
    [
        (True, ["far"], {"acknowledged": True, "message": "completed, says ann: seen"}),
        (False, ["far", "far"], {"at": "far"}),
    ],
)
async def test_what_a_person_saw_decides_about_the_same_key(
    unit: Unit, completed: bool, moved: list[str], result: dict[str, Any]
) -> None:
    unit.driver.confirms_rest = False
    moving = await unit.begin()
    await unit.ask(unit.client.interrupt, "run-1")
    await moving
    unit.driver.free = True
    unit.work.journal.acknowledge("ann", "seen", completed=completed)
    ended = await eventually_async(lambda: succeeded(unit), what="the unit works again")
    assert (ended.result, ended.replayed, unit.driver.moved) == (result, completed, moved)


async def succeeded(unit: Unit) -> Performed:
    ended = await unit.perform("move", to="far")
    assert ended.outcome == "succeeded", ended
    return ended


async def test_a_lost_device_holds_the_unit(unit: Unit) -> None:
    ended = await unit.perform("vanish")
    assert ended.outcome == "unknown"
    assert "the cable is out" in ended.message
    assert (await unit.ask(unit.client.status))["state"] == "Held"


async def test_an_emergency_stop_ends_the_command_and_locks_the_rest(unit: Unit) -> None:
    moving = await unit.begin()
    assert await unit.ask(unit.client.estop, "ann", "a hand") is None
    assert unit.driver.stopped.is_set()
    ended = await moving
    assert (ended.outcome, ended.cause) == ("interrupted", "emergency-stop")
    locked = await unit.perform("move", 1, to="A")
    assert (locked.outcome, unit.driver.moved) == ("interlocked", ["far"])
    assert "emergency stop: ann: a hand" in locked.message


async def test_an_emergency_operation_waits_for_nothing(unit: Unit) -> None:
    moving = await unit.begin()
    stop = await unit.perform("stop", 1, "somebody else")
    assert (stop.outcome, unit.driver.stopped.is_set()) == ("succeeded", True)
    assert (await moving).cause == "emergency-stop"


async def test_a_stop_gets_through_while_many_wait_for_answers(unit: Unit) -> None:
    moving = await unit.begin()
    waiting = [asyncio.create_task(unit.perform("move", 0, to="far")) for _ in range(20)]
    await asyncio.sleep(0.1)
    await unit.ask(unit.client.estop, "ann", "a hand")
    ends = await asyncio.gather(moving, *waiting)
    assert {end.cause for end in ends} == {"emergency-stop"}
    assert unit.driver.moved == ["far"], "whoever asks for what is under way waits for it"


async def test_one_command_at_a_time(unit: Unit) -> None:
    moving = await unit.begin()
    other = await unit.perform("move", 1, to="A")
    assert other.outcome == "interlocked"
    assert "bench.move is under way" in other.message
    unit.driver.go_on.set()
    assert (await moving).outcome == "succeeded"
    assert unit.driver.moved == ["far"]


async def test_a_client_that_goes_away_does_not_stop_its_command(unit: Unit) -> None:
    unit.driver.free = False
    call = Perform(holder="run-1", run="run-1", node="n", operation="bench.move", parameters={"to": "far"})
    gone = socket.socket(socket.AF_UNIX)
    folder = os.open(unit.directory.path, os.O_PATH)
    gone.connect(f"/proc/self/fd/{folder}/agent.sock")
    os.close(folder)
    gone.sendall(call.model_dump_json().encode() + b"\n")
    assert await asyncio.to_thread(unit.driver.begun.wait, 20)
    gone.close()
    joined = asyncio.create_task(unit.perform("move", to="far"))
    unit.driver.go_on.set()
    assert (await joined).result == {"at": "far"}
    assert (await unit.perform("move", to="far")).replayed
    assert unit.driver.moved == ["far"]


async def test_requests_and_answers_of_megabytes(unit: Unit) -> None:
    asked = await unit.perform("move", to="A", text="ä" * 1024 * 1024)
    assert asked.outcome == "succeeded"
    answered = await unit.perform("big", 1, megabytes=6)
    assert answered.result is not None
    assert len(answered.result["text"]) == 6 * 1024 * 1024
    with pytest.raises(LabkeeperError, match=r"one line of less than \d+ bytes"):
        await unit.perform("move", 2, to="A", text="x" * control.MAX_LINE)
    assert unit.driver.moved == ["A"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"interlock": "the door is open"}, "the door is open"),
        ({"faults": ("it is too hot",)}, "it is too hot"),
    ],
)
async def test_what_the_device_says_against_it(unit: Unit, change: dict[str, Any], why: str) -> None:
    for name, value in change.items():
        setattr(unit.driver, name, value)
    unit.work.connection.look()
    if "faults" in change:
        await eventually_async(lambda: faulted(unit), what="the fault is seen")
    refused = await unit.perform("move", to="A")
    assert (refused.outcome, unit.driver.moved) == ("interlocked", [])
    assert why in refused.message


def begun(unit: Unit) -> int:
    key = CommandKey("run-1", "n", 0, 7)
    found = unit.work.journal.begin(key, "bench.move", {"to": "B", "text": ""}, idempotent=False)
    assert isinstance(found, Begun)
    return found.seq


async def faulted(unit: Unit) -> bool:
    return unit.work.situation.fault is not None


async def test_a_vanished_journal_forbids_moving(unit: Unit) -> None:
    unit.directory.journal.unlink()
    refused = await unit.perform("move", to="A")
    assert (refused.outcome, unit.driver.moved) == ("interlocked", [])
    assert "is gone from the disk" in refused.message


async def test_an_agent_that_ends_begins_nothing_and_counts_as_away(unit: Unit) -> None:
    unit.work.draining = True
    with pytest.raises(NoAgent, match="is being shut down"):
        await unit.perform("move", to="A")
    with pytest.raises(NoAgent, match="is being shut down"):
        await unit.ask(unit.client.reserve, "run-1", "canvas")
    assert unit.driver.moved == []


async def test_pause_and_progress(unit: Unit) -> None:
    with pytest.raises(LabkeeperError, match="not held by run-1"):
        await unit.ask(unit.client.pause, "run-1")
    moving = await unit.begin()
    await unit.ask(unit.client.pause, "run-1")
    status = await unit.ask(unit.client.status)
    assert status["progress"] == {"done": 1, "total": 3, "doing": "moves", "paused": True}
    assert status["reservation"]["command"] == "bench.move"
    await unit.ask(unit.client.resume, "run-1")
    assert not unit.driver.paused
    unit.driver.go_on.set()
    await moving
    with pytest.raises(LabkeeperError, match="nothing under way"):
        await unit.ask(unit.client.pause, "run-1")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"do": "perform", "holder": "r"}, "run: Field required; operation: Field required"),
        ({"do": "reserve", "holder": "", "name": "x"}, "holder: String should have at least 1 character"),
        ({"do": "perform", "holder": "r", "run": "r", "operation": "bench.move", "ordinal": -1}, "ordinal: "),
        ({"do": "dance"}, "it is one of status, device, history, estop, act, reserve"),
    ],
)
async def test_what_is_no_call_is_refused_in_words(unit: Unit, request_: dict[str, Any], said: str) -> None:
    with pytest.raises(LabkeeperError, match=said):
        await unit.ask(control.call, unit.directory.socket, request_)


async def test_a_simulated_unit_says_so_whatever_it_answers(tmp_path: Path) -> None:
    unit = Unit(tmp_path, simulate=True)
    await unit.start()
    try:
        said = await unit.ask(unit.client.reserve, "run-1", "canvas")
        assert (said.simulated, said.time_factor) == (True, 7)
        ended = await unit.perform("move", to="A")
        assert ended.result == {"at": "A", "simulated": True, "time_factor": 7.0}
        for answer in (ended, await unit.perform("fail", 1), await unit.perform("move", 2, "other", to="A")):
            assert answer.message.endswith("[simulated, time factor 7]")
    finally:
        await unit.stop()


async def test_the_unit_tells_which_device_it_is(unit: Unit) -> None:
    assert (await unit.ask(unit.client.device)).metadata.key == "lab/bench"
