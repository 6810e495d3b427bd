"""A run that is cut off anywhere is continued: no physical step twice, none lost, and the same end."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from labkeeper_api.errors import Stalled
from labkeeper_api.unit_calls import Performed
from labkeeper_flows.canvas_run import durable
from labkeeper_flows.canvas_run.engine import CanvasRun
from labkeeper_flows.canvas_run.outcome import RunOutcome, RunStatus
from labkeeper_flows.canvas_run.record import NAME, RecordLost, RunRecord
from labkeeper_flows.canvas_run.recovery import recovery_of
from labkeeper_flows.canvas_run.tips import TipStore
from tests.unit.flows.canvas.canvases import edge, nested, node
from tests.unit.flows.canvas_run.lab import Lab, run, settings

LOOPED = nested(
    node("head", "sdl1SequenceControl", loop_count=2, stabilization_cycles=0, data_collection_start=1),
    node("pour", "sdl1SolutionPreparation", volume=500, wait_before=1),
    node("dip", "sdl1ElectrodeSetup"),
    node("measure", "sdl1ElectrochemicalMeasurement"),
    node("wash", "sdl1WashCleaning", cleaning_cycles=1),
    node("count", "sdl1CycleCounter"),
)
BRANCHED = nested(
    node("start", "delay", seconds=0),
    node("pour", "sdl1SolutionPreparation", volume=500),
    node("measure", "sdl1ElectrochemicalMeasurement"),
    node("end", "home_robot"),
    edges=[edge("start", "pour"), edge("start", "measure"), edge("pour", "end"), edge("measure", "end")],
)


class Cut(BaseException):
    """The process ends here, as with kill -9."""


class Cutter:
    """Ends the process at a word in its record: before it is written, when half of it is, or after."""

    def __init__(self, at: int, how: str) -> None:
        self.left = at
        self.how = how
        self.dead = False

    def append(self, path: Path, line: str, *, sync: bool = True) -> None:
        if self.dead:
            raise Cut
        self.left -= 1
        if self.left >= 0:
            _plain(path, line)
            return
        self.dead = True
        if self.how == "after":
            _plain(path, line)
        elif self.how == "half":
            with path.open("ab") as file:
                file.write(line.encode()[: len(line) // 2])
        raise Cut


def _plain(path: Path, line: str) -> None:
    with path.open("ab") as file:
        file.write(line.encode() + b"\n")


def cut_and_resumed(
    canvas: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, at: int, how: str
) -> tuple[Lab, RunOutcome | None]:
    """A run that is cut off at a word, and resumed; no outcome: it had ended before."""
    lab = Lab()
    cutter = Cutter(at, how)
    # A dead process asks for nothing more.
    lab.script = lambda *_: _die() if cutter.dead else None
    monkeypatch.setattr(durable, "append", cutter.append)
    text = json.dumps(canvas)
    try:
        return lab, run(text, lab, folder)
    except Cut:
        lab.held = 0
    lab.script = lambda *_: None
    monkeypatch.setattr(durable, "append", lambda path, line, *, sync=True: _plain(path, line))
    with contextlib.suppress(Stalled):
        return lab, run(text, lab, folder)
    with pytest.raises(Stalled, match="has ended as completed"):
        run(text, lab, folder)
    return lab, None


def _die() -> None:
    raise Cut


@pytest.mark.parametrize("how", ["before", "half", "after"])
@pytest.mark.parametrize("canvas", [LOOPED, BRANCHED], ids=["loop", "branches"])
def test_cut_off_at_each_word_of_its_record_it_does_each_physical_step_once(
    canvas: dict[str, Any], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, uncut = cut_and_resumed(canvas, tmp_path / "whole", monkeypatch, 100_000, how)
    assert uncut is not None
    words = len((tmp_path / "whole" / "runs" / "r1" / NAME).read_text().splitlines())
    assert words > 20
    for at in range(words):
        lab, outcome = cut_and_resumed(canvas, tmp_path / str(at), monkeypatch, at, how)
        assert sorted(map(str, lab.physical_keys())) == sorted(map(str, whole.physical_keys())), f"cut at {at}"
        for role in ("ot2", "arduino", "squidstat"):
            order = [key for by, key in lab.physical_keys() if by == role]
            assert order == [key for by, key in whole.physical_keys() if by == role], f"cut at {at}"
        if outcome is not None:
            assert outcome.status is RunStatus.COMPLETED
            assert outcome.counts == uncut.counts
            assert outcome.resumed is (at > 1 or (at == 1 and how == "after"))


def test_a_command_that_was_done_and_not_written_down_is_asked_again_and_answered_by_the_journal(
    tmp_path: Path,
) -> None:
    lab = Lab()
    asked: list[str] = []

    def die_after_pump(role: Any, key: Any, operation: str, parameters: Any) -> Performed | None:
        asked.append(operation)
        return None

    lab.script = die_after_pump
    real = lab._perform

    def perform(role: Any, key: Any, operation: str, parameters: Any) -> Performed:
        performed = real(role, key, operation, parameters)
        if operation == "home_robot" and not performed.replayed:
            raise Cut
        return performed

    lab._perform = perform  # type: ignore[method-assign]
    canvas = nested(node("one", "home_robot"), node("two", "set_lights"))
    with pytest.raises(Cut):
        run(canvas, lab, tmp_path)
    lab.held = 0
    outcome = run(canvas, lab, tmp_path)
    assert outcome.status is RunStatus.COMPLETED
    assert asked.count("home_robot") == 1
    assert [it["replayed"] for it in outcome.operations if it["operation"] == "home_robot"] == [True]


def test_after_an_unknown_outcome_the_same_key_is_asked_again(tmp_path: Path) -> None:
    lab = Lab(lambda role, key, name, parameters: Performed(outcome="unknown") if name == "home_robot" else None)
    canvas = nested(node("one", "home_robot"), node("two", "set_lights"))
    assert run(canvas, lab, tmp_path).status is RunStatus.SUSPENDED
    keys: list[Any] = []
    lab.script = lambda role, key, name, parameters: keys.append(key) if name == "home_robot" else None
    outcome = run(canvas, lab, tmp_path)
    assert outcome.status is RunStatus.COMPLETED
    assert [(key.node, key.cycle, key.ordinal) for key in keys] == [("one", 1, 0)]


def test_a_run_that_waits_for_a_person_goes_on_with_a_new_attempt_and_not_for_ever(tmp_path: Path) -> None:
    file = "strategies: {minor: {primary: manual_intervention, fallback: safe_stop, attempts: 0}}"
    lab = Lab(lambda role, key, name, parameters: Performed(outcome="interlocked") if name == "aspirate" else None)
    canvas = nested(node("one", "sdl1SolutionPreparation", volume=500, error_handling="retry"))
    more: dict[str, Any] = {"recovery": recovery_of(file)}
    outcome = run(canvas, lab, tmp_path, **more)
    assert outcome.status is RunStatus.SUSPENDED
    assert "put it right, then" in outcome.message
    done = len(lab.log)
    lab.script = lambda *_: None
    late: Callable[[], datetime] = lambda: datetime(2027, 1, 1, tzinfo=UTC)  # noqa: E731
    with pytest.raises(Stalled, match="resumed within 1800 s only"):
        run(canvas, lab, tmp_path, **more, clock=late)
    assert run(canvas, lab, tmp_path, **more).status is RunStatus.COMPLETED
    again = [(operation, key.node) for _, key, operation, _ in lab.log[done:] if key.node != "@deck"]
    assert again == [("aspirate", "one#3"), ("dispense", "one#3"), ("drop_tip", "one#3")]


def test_another_plan_is_refused(tmp_path: Path) -> None:
    lab = Lab(lambda role, key, name, parameters: Performed(outcome="unknown") if name == "home_robot" else None)
    run(nested(node("one", "home_robot")), lab, tmp_path)
    with pytest.raises(Stalled, match="begun with another plan"):
        run(nested(node("one", "set_lights")), lab, tmp_path)


def test_the_record_makes_the_same_plan_again(tmp_path: Path) -> None:
    lab = Lab(lambda role, key, name, parameters: Performed(outcome="unknown") if name == "aspirate" else None)
    canvas = json.dumps(nested(node("one", "sdl1SolutionPreparation", volume=500)))
    gone = {"tip_rack_1": ("A1", "A2")}
    run(canvas, lab, tmp_path, gone=gone)
    record = RunRecord.load(tmp_path / "runs" / "r1")
    lab.script = lambda *_: None
    chosen = settings(tmp_path, canvas, inputs=record.inputs)
    outcome = CanvasRun(record.plan(), lab, chosen).carry_out()
    assert outcome.status is RunStatus.COMPLETED
    assert '"A3"' in next(command for command in lab.commands() if command.startswith("pickup_tip"))


def test_a_damaged_record_is_refused_and_a_lost_one_said(tmp_path: Path) -> None:
    with pytest.raises(Stalled, match="no run to resume"):
        RunRecord.load(tmp_path / "nothing")
    run(nested(node("one", "home_robot")), Lab(), tmp_path)
    file = tmp_path / "runs" / "r1" / NAME
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "{not json", *lines[1:]]) + "\n")
    with pytest.raises(Stalled, match="is damaged"):
        RunRecord.load(file.parent)
    file.write_text("[1, 2]\n")
    with pytest.raises(Stalled, match="does not begin"):
        RunRecord.load(file.parent)


def test_without_its_record_a_run_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = durable.append

    def full(path: Path, line: str, *, sync: bool = True) -> None:
        if '"operation": "home_robot"' in line:
            raise OSError(28, os.strerror(28))
        real(path, line, sync=sync)

    monkeypatch.setattr(durable, "append", full)
    lab = Lab()
    with pytest.raises(RecordLost, match="No space left"):
        run(nested(node("one", "home_robot"), node("two", "home_robot")), lab, tmp_path)
    assert lab.interrupts >= 1
    assert [key.node for _, key, operation, _ in lab.log if operation == "home_robot"] == ["one"]


def test_tips_are_kept_from_run_to_run_and_are_one_runs_only(tmp_path: Path) -> None:
    store = TipStore(tmp_path / "tips.json")
    canvas = nested(node("one", "sdl1SolutionPreparation", volume=500), node("two", "sdl1ElectrodeSetup"))
    run(canvas, Lab(), tmp_path / "a", tips=store)
    # The electrode is picked up too, and is no tip.
    assert store.used("ot2-1") == {"tip_rack_1": ("A1",)}
    outcome = run(canvas, Lab(), tmp_path / "b", tips=store, run_id="r2", directory=tmp_path / "b" / "r2")
    assert outcome.status is RunStatus.FAILED
    assert "another run took it since this one was planned" in outcome.message
    again = run(canvas, Lab(), tmp_path / "c", tips=store, gone=store.used("ot2-1"), run_id="r3")
    assert again.status is RunStatus.COMPLETED
    assert store.used("ot2-1") == {"tip_rack_1": ("A1", "A2")}
    assert store.reset("ot2-1", "tip_rack_1") == 2
    assert store.used("ot2-1") == {}


def test_a_tip_that_was_not_picked_up_is_still_there(tmp_path: Path) -> None:
    store = TipStore(tmp_path / "tips.json")
    refused = Lab(
        lambda role, key, name, parameters: Performed(outcome="interlocked") if name == "pickup_tip" else None
    )
    run(nested(node("one", "sdl1SolutionPreparation")), refused, tmp_path, tips=store)
    assert store.used("ot2-1") == {}
    (tmp_path / "tips.json").write_text("{")
    with pytest.raises(Stalled, match="cannot be read"):
        store.used("ot2-1")
