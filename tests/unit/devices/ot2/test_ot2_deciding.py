"""What a run's state means, and what comes next for the commands that were queued."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_devices.drivers.ot2.answers import CommandState, RunState
from labkeeper_devices.drivers.ot2.deciding import (
    GUARD,
    LABEL,
    Next,
    Verdict,
    is_asked_for,
    judge,
    next_step,
    stands_still,
)


def run(status: str, *, current: bool = True, plays: int = 1) -> RunState:
    actions = [{"actionType": "play"}] * plays
    return RunState.of({"id": "r1", "status": status, "current": current, "actions": actions})


def command(status: str, *, key: str = "labkeeper-1", kind: str = "aspirate", **more: Any) -> CommandState:
    return CommandState.of({"id": "c", "key": key, "commandType": kind, "status": status, **more})


LABELLED = command("succeeded", key=LABEL, kind="comment")
WAITING = command("running", key=GUARD, kind="waitForResume")
BEHIND = command("queued", key=GUARD, kind="waitForResume")


@pytest.mark.parametrize(
    ("found", "commands", "verdict"),
    [
        (None, [], Verdict.NONE),
        (run("stopped"), [LABELLED], Verdict.OVER),
        (run("idle", current=False), [LABELLED], Verdict.OVER),
        (run("idle", plays=0), [], Verdict.FOREIGN_IDLE),
        (run("running"), [command("running", key="")], Verdict.FOREIGN),
        (run("idle", plays=0), [LABELLED], Verdict.FRESH),
        (run("idle", plays=0), [LABELLED, BEHIND], Verdict.FRESH),
        (run("idle", plays=0), [LABELLED, command("queued")], Verdict.UNSETTLED),
        (run("paused"), [LABELLED, WAITING], Verdict.READY),
        (run("paused"), [LABELLED, WAITING, BEHIND], Verdict.READY),
        (run("blocked-by-open-door"), [LABELLED, WAITING], Verdict.READY),
        (run("paused"), [LABELLED, WAITING, command("queued"), BEHIND], Verdict.PREPARED),
        (run("running"), [LABELLED, command("running"), BEHIND], Verdict.MOVING),
        (run("running"), [LABELLED, BEHIND], Verdict.MOVING),
        (run("stop-requested"), [LABELLED, command("failed")], Verdict.MOVING),
        (run("paused"), [LABELLED, command("running"), BEHIND], Verdict.UNSETTLED),
    ],
)
def test_what_a_run_is_to_us(found: RunState | None, commands: list[CommandState], verdict: Verdict) -> None:
    assert judge(found, commands).verdict is verdict


def test_a_finding_names_the_run_and_what_it_holds() -> None:
    finding = judge(run("paused"), [LABELLED, WAITING, command("queued"), BEHIND])
    assert str(finding) == (
        "our run waits at its guard, with commands of before behind it that have not begun (run r1, paused; "
        "aspirate queued)"
    )
    assert [item.status for item in finding.pending] == ["queued"]
    assert str(judge(None, [])) == "the robot has no run"


@pytest.mark.parametrize(
    ("statuses", "found", "step"),
    [
        (["succeeded"], run("paused"), Next.DONE),
        (["succeeded"], run("stopped"), Next.DONE),
        (["running"], run("running"), Next.WAIT),
        (["queued"], run("running"), Next.WAIT),
        (["queued"], run("paused"), Next.PLAY),
        (["succeeded", "queued"], run("paused"), Next.PLAY),
        (["running"], run("paused"), Next.WAIT),
        (["queued"], run("blocked-by-open-door"), Next.WAIT),
        (["failed", "queued"], run("finishing"), Next.FAILED),
        (["succeeded", "failed"], run("failed"), Next.FAILED),
        (["queued"], run("stopped"), Next.NEVER_BEGAN),
        (["succeeded", "queued"], run("stopped"), Next.UNTOLD),
        (["running"], run("stopped"), Next.UNTOLD),
    ],
)
def test_what_comes_next(statuses: list[str], found: RunState, step: Next) -> None:
    assert next_step([command(status) for status in statuses], found, paused_by_person=False) is step


def test_what_a_person_paused_is_not_played() -> None:
    assert next_step([command("queued")], run("paused"), paused_by_person=True) is Next.WAIT


@pytest.mark.parametrize(
    ("found", "still"),
    [
        (run("stopped"), True),
        (run("idle", plays=0), True),
        (run("idle", plays=1), False),  # it homes
        (run("paused"), False),
        (run("running"), False),
    ],
)
def test_when_a_robot_stands_still(found: RunState, still: bool) -> None:
    assert stands_still(found) is still


PLACE = {
    "labwareId": "l",
    "wellName": "A1",
    "wellLocation": {"origin": "top", "offset": {"x": 0.0, "y": 0.5, "z": 1.0}},
}
TOLD = {**PLACE, "volume": 100, "wellLocation": {**PLACE["wellLocation"], "volumeOffset": 0.0}}  # type: ignore[dict-item]


def test_what_waits_in_the_queue_is_what_is_asked_for() -> None:
    waiting = [command("queued", params=TOLD)]
    assert is_asked_for(waiting, ["aspirate"], [{**PLACE, "volume": 100.0}])
    assert is_asked_for(waiting, ["aspirate", "dispense"], [PLACE, PLACE])
    assert is_asked_for([], ["aspirate"], [PLACE])
    assert not is_asked_for(waiting, ["dispense"], [PLACE])
    assert not is_asked_for(waiting, ["aspirate"], [{**PLACE, "volume": 99.0}])
    assert not is_asked_for(waiting, ["aspirate"], [{**PLACE, "speed": 5}])
    assert not is_asked_for(waiting * 2, ["aspirate"], [PLACE])
