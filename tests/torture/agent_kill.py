"""Kill the agent with -9 at random moments of a stream of moves: nothing is doubled, nothing silently lost.

The servo counts its motions and outlives the agent. Every move has a target of its own, so each motion can be laid at
the door of one run. An interrupted command must hold the unit until a person, here this program, says how it ended.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import Progress

from tests.support.hotel import TERMINAL, Hotel
from tests.support.prefect_server import PrefectServer
from tests.support.waiting import eventually
from tests.torture.counts import Counts

DEFAULT_KILLS = 200
FACTOR = 3.0
TICKS = 4096
LONGEST_MOVE_DEGREES = 75.0
BACKLOG = 3
HELD_WATCH_SECONDS = 0.5


@dataclass
class Move:
    """One run and the tick that only it goes to."""

    run_id: str
    tick: int


class Stream:
    """A stream of moves, each to a tick where no other goes."""

    def __init__(self, hotel: Hotel, choice: random.Random) -> None:
        self._hotel = hotel
        self._choice = choice
        self._deployment = hotel.prefect.deployment_id("move-to-angle/plate-resort-move-to-angle")
        self._free = list(range(0, TICKS, 2))
        choice.shuffle(self._free)
        self._last = 0
        self.moves: list[Move] = []

    def feed(self) -> None:
        """Create runs until a few are waiting."""
        waiting = sum(1 for move in self.moves[-BACKLOG * 2 :] if self._waits(move))
        for _ in range(max(1, BACKLOG - waiting)):
            tick = self._next_tick()
            run = self._hotel.prefect.create_run(self._deployment, angle=tick * 360 / TICKS)
            self.moves.append(Move(run["id"], tick))

    def _waits(self, move: Move) -> bool:
        return str(self._hotel.prefect.run(move.run_id)["state_type"]) == "SCHEDULED"

    def _next_tick(self) -> int:
        """The nearest of some free ticks, so that moves stay short; more than the tolerance away from the last."""
        for index in range(len(self._free) - 1, -1, -1):
            away = abs((self._free[index] - self._last + TICKS // 2) % TICKS - TICKS // 2) * 360 / TICKS
            if 5.0 < away < LONGEST_MOVE_DEGREES:
                self._last = self._free.pop(index)
                return self._last
        raise RuntimeError("no free target is left: fewer kills")


def run(*, seed: int, count: int | None = None) -> Counts:
    """Kill so many times; what became of it."""
    kills = count or DEFAULT_KILLS
    print(f"agent-kill: {kills} kills, seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="labkeeper-torture-") as folder,
        Progress() as progress,
        PrefectServer(Path(folder) / "prefect") as server,
        Hotel(Path(folder), server, time_factor=FACTOR) as hotel,
    ):
        task = progress.add_task("killing the agent", total=kills)
        return torture(hotel, seed, kills, lambda: progress.advance(task))


def torture(hotel: Hotel, seed: int, kills: int, tick: Any = lambda: None) -> Counts:
    """The same on a hotel that is there."""
    choice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    counts = Counts()
    stream = Stream(hotel, choice)
    hotel.start_agent()
    for _ in range(kills):
        stream.feed()
        time.sleep(choice.uniform(0.0, 1.0))
        hotel.agent.kill()
        _come_back(hotel, counts)
        tick()
    _settle(hotel, stream)
    _judge(hotel, stream, counts)
    return counts


def _come_back(hotel: Hotel, counts: Counts) -> None:
    """Restart the agent. If a command was interrupted, it must be Held, move nothing, and go on when acknowledged."""
    interrupted = hotel.open_commands()
    state = hotel.start_agent()
    if not interrupted:
        return
    counts.held += 1
    if state["state"] != "Held":
        counts.lost += 1
        counts.notes.append(f"{interrupted[0].described()} was interrupted, and the unit is {state['state']}")
        return
    with hotel.control() as servo:
        eventually(lambda: _at_rest(servo.state()), 30.0, 0.02, what="the servo at rest")
        before = len(servo.motions())
        time.sleep(HELD_WATCH_SECONDS)
        if len(servo.motions()) != before:
            counts.doubled += 1
            counts.notes.append("something moved while the unit was Held")
        wanted = float(interrupted[0].arguments["angle"])
        arrived = abs((servo.state()["position_deg"] - wanted + 180) % 360 - 180) < 1.0
    outcome = "completed" if arrived else "not-completed"
    hotel.labkeeper("device", "acknowledge", "--outcome", outcome, "--reason", "torture looked at the servo")
    hotel.wait_state("Idle", "Busy")


def _at_rest(state: dict[str, Any]) -> bool:
    assert not state["moving"], state["position_deg"]
    return True


def _settle(hotel: Hotel, stream: Stream) -> None:
    """Let the last agent work off what is waiting."""
    for move in stream.moves:
        eventually(partial(_ended, hotel, move), 120.0, 0.1, what=f"the end of run {move.run_id}")


def _ended(hotel: Hotel, move: Move) -> bool:
    state = hotel.prefect.run(move.run_id)["state_type"]
    assert state in TERMINAL, state
    return True


def _judge(hotel: Hotel, stream: Stream, counts: Counts) -> None:
    """Lay every motion at the door of a run, and compare with what Prefect says of it."""
    with hotel.control() as servo:
        motions = Counter(round(m["goal_deg"] * TICKS / 360) % TICKS for m in servo.motions())
    known = {move.tick for move in stream.moves}
    strangers = {tick: n for tick, n in motions.items() if tick not in known}
    if strangers:
        counts.doubled += sum(strangers.values())
        counts.notes.append(f"motions that no run asked for: {strangers}")
    for move in stream.moves:
        counts.tried += 1
        moved = motions.get(move.tick, 0)
        run = hotel.prefect.run(move.run_id)
        message = (run["state"] or {}).get("message") or ""
        if moved > 1:
            counts.doubled += moved - 1
            counts.notes.append(f"run {run['name']} moved {moved} times; it is {run['state_name']}: {message}")
        if _is_lost(run["state_type"], message, moved):
            counts.lost += 1
            counts.notes.append(f"run {run['name']} moved {moved} times; it is {run['state_name']}: {message}")


def _is_lost(state_type: str, message: str, moved: int) -> bool:
    """Whether what Prefect says of a run is not what happened."""
    if state_type == "COMPLETED":
        return moved == 0
    if "nothing moved" in message:
        return moved > 0
    return state_type not in TERMINAL
