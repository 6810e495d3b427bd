"""Kill parts of the battery lab with -9 at random moments of canvases, and resume: no physical step twice, none lost.

Canvases are run by `labkeeper run` under alternating managers. What is killed: the manager's process, one agent, all
agents, the Prefect server, or all of these at once; never the simulators, which are the lab. What an interrupted
command really did is looked up in the device's own log, as a person would look, and said with `labkeeper device
acknowledge`. In the end each device must have been told exactly what a run tells it that nobody disturbs, once each and
in that order.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import random
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from rich.progress import Progress

from tests.support.battery import BatteryLab
from tests.support.waiting import eventually
from tests.torture.counts import Counts

DEFAULT_KILLS = 60
FACTOR = 60.0
MOST_PER_CANVAS = 6
MOST_COMMANDS = 9
"""How many commands may pass between two kills."""
LONGEST_PAUSE = 0.3
END_SECONDS = 600.0
FAULTS = ("manager", "agent", "agents", "server", "everything")
MOVES = frozenset(
    {
        *("moveToWell", "pickUpTip", "aspirate", "dispense", "blowout", "dropTip", "home"),
        *("moveToAddressableAreaForDropTip", "dropTipInPlace"),
    }
)
PHYSICAL = {"arduino.pump", "arduino.ultrasonic", "squidstat.start_experiment"} | {
    f"ot2.{name}" for name in ("move_to_well", "pickup_tip", "aspirate", "dispense", "drop_tip")
}
CANVAS = {
    "metadata": {"id": "torture", "name": "torture"},
    "workflow": {
        "nodes": [
            {"id": "setup", "type": "sdl1ExperimentSetup", "params": {"experiment_id": "torture"}},
            {
                "id": "loop",
                "type": "sdl1SequenceControl",
                "params": {"loop_count": 2, "data_collection_start": 1, "stabilization_cycles": 0},
            },
            {"id": "fill", "type": "sdl1SolutionPreparation", "params": {"volume": 1500}},
            {"id": "electrode", "type": "sdl1ElectrodeSetup", "params": {}},
            {"id": "plate", "type": "sdl1ElectrochemicalMeasurement", "params": {"cp_duration": 60}},
            {
                "id": "wash",
                "type": "sdl1WashCleaning",
                "params": {"pump1_volume": 2, "pump2_volume": 2, "final_wash_volume": 3, "cleaning_cycles": 1},
            },
            {"id": "count", "type": "sdl1CycleCounter", "params": {"total_cycles": 2}},
            {"id": "export", "type": "sdl1DataExport", "params": {"data_path": "data"}},
        ],
        "edges": [],
    },
}


def run(*, seed: int, count: int | None = None) -> Counts:
    """Kill so many times; what became of it."""
    kills = count or DEFAULT_KILLS
    print(f"canvas-kill: {kills} kills, seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="labkeeper-torture-") as folder,
        Progress() as progress,
        BatteryLab(Path(folder) / "lab", time_factor=FACTOR) as lab,
    ):
        task = progress.add_task("killing the lab", total=kills)
        return torture(lab, seed, kills, lambda: progress.advance(task))


def torture(lab: BatteryLab, seed: int, kills: int, tick: Callable[[], Any] = lambda: None) -> Counts:
    """The same in a lab that is there."""
    choice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    counts = Counts()
    canvas = lab.directory / "torture.json"
    canvas.write_text(json.dumps(CANVAS), encoding="utf-8")
    undisturbed = Canvas(lab, canvas, "native", choice, counts, 0, tick)
    undisturbed.carry_out()
    wanted = undisturbed.heard()
    done, number = 0, 0
    while done < kills and counts.good:
        manager = ("prefect", "native")[number % 2]
        disturbed = Canvas(lab, canvas, manager, choice, counts, min(MOST_PER_CANVAS, kills - done), tick)
        disturbed.carry_out()
        disturbed.judge(wanted)
        done += max(disturbed.killed, 1)
        number += 1
    return counts


@dataclass
class Canvas:
    """One run of the canvas, killed up to `kills` times and resumed until it ends."""

    lab: BatteryLab
    file: Path
    manager: str
    choice: random.Random
    counts: Counts
    kills: int
    tick: Callable[[], Any]
    killed: int = 0
    story: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lab.fresh()
        self._process: subprocess.Popen[bytes] | None = None
        self._logs = {name: len(log) for name, log in self.lab.logs().items()}
        self._journals = {name: _last(self.lab, name) for name in self.lab.units}
        self._runs = set(self.lab.home.glob("runs/*"))
        self._log = self.lab.directory / f"run-{time.monotonic_ns()}.log"

    def carry_out(self) -> None:
        """Start, kill, look, resume, until the run has completed."""
        try:
            self._to_its_end()
        finally:
            self._end_process()

    def _to_its_end(self) -> None:
        end = time.monotonic() + END_SECONDS
        process = self._start()
        while time.monotonic() < end:
            if self.killed < self.kills and self._progressed(process):
                self._strike(process)
            elif self.killed >= self.kills:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=max(1.0, end - time.monotonic()))
            self.lab.start_agents()
            if process.poll() is None:
                continue
            if process.returncode == 0:
                return
            self._look()
            if process.returncode != -signal.SIGKILL:
                self.story.append(f"ended by itself with {process.returncode}")
            self._check_resumable()
            process = self._start()
        self._fail(f"a run did not end within {END_SECONDS:g} s")

    def _end_process(self) -> None:
        """Whatever went wrong here, nothing may go on moving things."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def heard(self) -> dict[str, list[str]]:
        """What each device was told to do in this run, a line for each physical step."""
        logs = self.lab.logs()
        return {
            name: [_line(name, e) for e in log[self._logs[name] :] if _moves(name, e)] for name, log in logs.items()
        }

    def judge(self, wanted: dict[str, list[str]]) -> None:
        """Compare what devices were told with what they should have been told."""
        for name, heard in self.heard().items():
            self.counts.tried += len(wanted[name])
            matcher = difflib.SequenceMatcher(None, wanted[name], heard, autojunk=False)
            for tag, i, j, k, m in matcher.get_opcodes():
                if tag == "equal":
                    continue
                self.counts.lost += j - i
                self.counts.doubled += m - k
                self._note(f"{name}: {tag} step {i} to {j}: wanted {wanted[name][i:j]}, was told {heard[k:m]}")

    # Killing.

    def _start(self) -> subprocess.Popen[bytes]:
        record = self._record()
        options = ["--manager", self.manager, "--output", "json"]
        if record is not None:
            command = self.lab.command("run", "--resume", record.name, *options)
        else:
            command = self.lab.command("run", self.file, "--lab", self.lab.manifest, *options)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.lab.environment(), cwd=self.lab.work, start_new_session=True
            )
        return self._process

    def _record(self) -> Path | None:
        """The folder of this run, once its record has a first word."""
        for folder in set(self.lab.home.glob("runs/*")) - self._runs:
            record = folder / "run.jsonl"
            if record.exists() and b"\n" in record.read_bytes():
                return folder
        return None

    def _progressed(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until some more commands were begun; False when the run ended before."""
        wanted = self._begun() + self.choice.randint(0, MOST_COMMANDS)
        while self._begun() < wanted:
            if process.poll() is not None:
                return False
            time.sleep(0.02)
        time.sleep(self.choice.uniform(0.0, LONGEST_PAUSE))
        return process.poll() is None

    def _begun(self) -> int:
        return sum(_last(self.lab, name) for name in self.lab.units)

    def _strike(self, process: subprocess.Popen[bytes]) -> None:
        fault = self.choice.choice(FAULTS if self.manager == "prefect" else [f for f in FAULTS if f != "server"])
        agents = list(self.lab.agents.values())
        victims = {"agent": [self.choice.choice(agents)], "agents": agents, "everything": agents}.get(fault, [])
        manager = psutil.Process(process.pid)
        servers = [child for child in manager.children(recursive=True) if _is_server(child)]
        if fault in ("manager", "everything"):
            process.kill()
        for server in servers if fault in ("server", "everything") else []:
            with contextlib.suppress(psutil.NoSuchProcess):
                server.kill()
        for agent in victims:
            agent.kill()
        if fault in ("manager", "everything"):
            process.wait()
        self.killed += 1
        self.tick()
        self.story.append(f"{fault} killed" + (f" ({victims[0].name})" if fault == "agent" else ""))

    # Looking.

    def _look(self) -> None:
        """For each Held unit: see what the interrupted command did, and say it."""
        for name, state in self.lab.start_agents().items():
            if state != "Held":
                continue
            self.counts.held += 1
            eventually(partial(_at_rest, self.lab, name), 120.0, 0.05, what=f"{name} at rest")
            open_, done = self._open(name)
            steps = len(self.heard()[name]) - done
            outcome = "completed" if steps >= _steps(*open_) else "not-completed"
            if 0 < steps < _steps(*open_):
                self._note(f"{name}: only {steps} of {_steps(*open_)} parts of {open_[0]} took place")
            self.story.append(f"{name} Held in {open_[0]}, which was {outcome}")
            unit = self.lab.units[name].unit
            said = self.lab.labkeeper("device", "acknowledge", unit, "--outcome", outcome, "-m", "torture looked")
            if said.returncode:
                self._fail(f"{name} could not be acknowledged: {said.stderr}")
            self.lab.wait_state(name, "Idle", "Busy")

    def _open(self, name: str) -> tuple[tuple[str, dict[str, Any]], int]:
        """The command that nobody knows the end of, and how many steps were heard for those before it."""
        found, done = None, 0
        for _, operation, arguments, outcome, message in _commands(self.lab, name, self._journals[name]):
            if outcome is None:
                found = (operation, arguments)
            elif outcome == "succeeded" or (outcome == "acknowledged" and message.startswith("completed")):
                done += _steps(operation, arguments)
        if found is None:
            raise AssertionError(f"{name} is Held without an open command: {self.story}")
        return found, done

    def _check_resumable(self) -> None:
        record = self._record()
        if record is None:
            # Devices are held by a run that never said a word, until its reservation ends.
            time.sleep(1.0)
            return
        last = json.loads(record.joinpath("run.jsonl").read_bytes().splitlines()[-1])
        if last["what"] == "close" and last["status"] != "suspended":
            self._fail(f"the run ended as {last['status']}")

    def _fail(self, why: str) -> None:
        self.counts.lost += 1
        self._note(why)
        raise Lost(f"{why}; {self.story}; {self._log.read_text(errors='replace')[-4000:]}")

    def _note(self, what: str) -> None:
        self.counts.notes.append(f"{self.manager}: {what} [{'; '.join(self.story)}]")


class Lost(AssertionError):
    """A run cannot be brought to its end."""


def _is_server(process: psutil.Process) -> bool:
    try:
        return "labkeeper.embedded.prefect_server" in process.cmdline()
    except psutil.Error:
        return False


def _moves(name: str, entry: dict[str, Any]) -> bool:
    if name == "ot2":
        return entry["commandType"] in MOVES and entry["intent"] != "setup"
    return bool(entry["verb"] in ("PUMP", "SONIC") if name == "pumps" else entry["do"] == "start")


def _line(name: str, entry: dict[str, Any]) -> str:
    if name == "ot2":
        params = entry["params"]
        place = params.get("wellLocation", {}).get("offset", {})
        return (
            f"{entry['commandType']} {params.get('wellName', '')} {params.get('volume', '')} {place} {entry['status']}"
        )
    return f"{entry['verb']} {entry['arguments']}" if name == "pumps" else f"start {entry['channel']}"


def _steps(operation: str, arguments: dict[str, Any]) -> int:
    """How many steps a command is in the device's log."""
    if operation not in PHYSICAL:
        return 0
    return 2 if operation == "ot2.drop_tip" and arguments.get("trash") else 1


def _at_rest(lab: BatteryLab, name: str) -> bool:
    if name == "pumps":
        with lab.board() as board:
            assert board.state()["motion"] is None
    elif name == "potentiostat":
        with lab.instrument() as instrument:
            assert instrument.channel()["cell"] == "open"
    else:
        running = [entry for entry in lab.logs()["ot2"] if entry["status"] == "running"]
        assert not running, running
        current = lab.deck()["currentRun"]
        if current is not None:
            status = lab.robot.get(f"/runs/{current}").json()["data"]["status"]
            assert status != "running"
    return True


def _commands(lab: BatteryLab, name: str, after: int) -> list[tuple[int, str, dict[str, Any], str | None, str]]:
    """The journal of a unit: number, operation, arguments, outcome, message."""
    query = "SELECT seq, operation, arguments, outcome, message FROM commands WHERE seq > ? ORDER BY seq"
    with contextlib.closing(sqlite3.connect(lab.units[name].journal, timeout=30.0)) as db:
        rows = db.execute(query, (after,)).fetchall()
    return [(row[0], row[1], json.loads(row[2]), row[3], row[4] or "") for row in rows]


def _last(lab: BatteryLab, name: str) -> int:
    with contextlib.closing(sqlite3.connect(lab.units[name].journal, timeout=30.0)) as db:
        return int(db.execute("SELECT COALESCE(MAX(seq), 0) FROM commands").fetchone()[0])
