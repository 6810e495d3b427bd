"""From "flow run created" to the first byte on the servo's bus, and to Completed; idle cost; a thousand back to back.

Ours is the agent. Peers, on the same Prefect server in the same run, each with a servo of its own: a process worker
as it comes (the one that the ratio is taken against), the same polling every second, and `flow.serve()`. All do the
same: write the profile velocity. Ours counts from the first WRITE, with what it read before left out; peers from
whatever byte comes first.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import textwrap
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import Progress

from labkeeper_devices.simulators.servo import ServoControl, ServoProcess, start_servo
from tests.bench.harness import Row, alone, compared, percentile
from tests.support.hotel import TERMINAL, Hotel
from tests.support.prefect_server import PrefectServer
from tests.support.processes import ManagedProcess
from tests.support.waiting import eventually

DEPLOYMENT = "set-speed/plate-resort-set-speed"
ROUNDS = 12
OURS_PER_ROUND = 10
BACK_TO_BACK = 1000
BULK = 50
"""Runs waiting at once: what waits longer than 15 seconds Prefect marks as late, all of them at the same time."""
IDLE_SECONDS = 30.0
LOOK_SECONDS = 0.25
"""Between looks at a run: the server has one core, and every look delays what is measured."""
PROFILE_VELOCITY = 112
WRITE = 3

FLOWS = """
from prefect import flow


@flow(name="peer-set-speed")
def set_speed(speed: int, port: str) -> int:
    from dynamixel_sdk import COMM_SUCCESS, PacketHandler, PortHandler

    line = PortHandler(port)
    if not line.openPort() or not line.setBaudRate(57600):
        raise RuntimeError(f"cannot open {port}")
    try:
        result, error = PacketHandler(2.0).write4ByteTxRx(line, 1, 112, speed)
    finally:
        line.closePort()
    if result != COMM_SUCCESS or error:
        raise RuntimeError(f"write failed: {result} {error}")
    return speed


if __name__ == "__main__":
    set_speed.serve(name="served")
"""


@dataclass
class Figures:
    """Milliseconds of one system."""

    first_byte: list[float] = field(default_factory=list)
    completed: list[float] = field(default_factory=list)


@dataclass
class Peer:
    """One way to run the flow that is not ours."""

    name: str
    deployment_id: str
    worker: ManagedProcess
    servo: ServoProcess
    figures: Figures = field(default_factory=Figures)


def run(*, quick: bool = False) -> list[Row]:
    """Measure."""
    rounds, ours_per_round, many = (2, 3, 50) if quick else (ROUNDS, OURS_PER_ROUND, BACK_TO_BACK)
    with tempfile.TemporaryDirectory(prefix="labkeeper-bench-") as folder:
        directory = Path(folder)
        with PrefectServer(directory / "prefect") as server, Hotel(directory, server) as hotel:
            hotel.start_agent()
            peers = _start_peers(directory, hotel)
            try:
                rows = _measure(hotel, peers, rounds, ours_per_round)
            finally:
                for peer in peers:
                    peer.worker.stop()
                    peer.servo.stop()
            return [*rows, *_back_to_back(hotel, many)]


def _measure(hotel: Hotel, peers: list[Peer], rounds: int, ours_per_round: int) -> list[Row]:
    figures = Figures()
    deployment = hotel.prefect.deployment_id(DEPLOYMENT)
    choice = random.Random(7)  # noqa: S311 - only spreads the runs over the workers' polls
    with Progress() as progress:
        task = progress.add_task("dispatch", total=rounds * (len(peers) + 1))
        for number in range(rounds):
            for index in range(ours_per_round):
                time.sleep(choice.uniform(0.0, 0.5))
                _one_of_ours(hotel, deployment, figures, 20 + (number * ours_per_round + index) % 400)
            progress.advance(task)
            for peer in peers:
                time.sleep(choice.uniform(0.0, 2.0))
                _one_of_a_peer(hotel, peer, 20 + number)
                progress.advance(task)
    stock = peers[0]
    idle = _idle([hotel.agent.handle, stock.worker.handle])
    _print_others(peers[1:])
    return [
        compared(
            "first_byte_ms",
            "ms",
            figures.first_byte,
            stock.figures.first_byte,
            stock.name,
            at_most=100.0,
            min_ratio=75.0,
        ),
        compared("completed_ms", "ms", figures.completed, stock.figures.completed, stock.name),
        compared("idle_cpu_percent", "%", [idle[0][0]], [idle[1][0]], stock.name, at_most=1.0),
        compared("idle_memory_mib", "MiB", [idle[0][1]], [idle[1][1]], stock.name, at_most=200.0),
    ]


def _one_of_ours(hotel: Hotel, deployment: str, figures: Figures, speed: int) -> None:
    with hotel.control() as servo:
        servo.reset_log()
        run = hotel.prefect.create_run(deployment, speed=speed)
        ended = hotel.prefect.wait(run["id"], interval=LOOK_SECONDS)
        writes = [e["at"] for e in servo.log() if e["instruction"] == WRITE and e["address"] == PROFILE_VELOCITY]
    _note(figures, run, ended, min(writes))


def _one_of_a_peer(hotel: Hotel, peer: Peer, speed: int) -> None:
    with ServoControl(peer.servo.state_dir) as servo:
        servo.reset_log()
        run = hotel.prefect.create_run(peer.deployment_id, speed=speed, port=str(peer.servo.port))
        ended = hotel.prefect.wait(run["id"], timeout=120.0, interval=LOOK_SECONDS)
        first = min(entry["at"] for entry in servo.log())
    _note(peer.figures, run, ended, first)


def _note(figures: Figures, run: dict[str, Any], ended: dict[str, Any], first_byte: float) -> None:
    if ended["state_type"] != "COMPLETED":
        raise RuntimeError(f"run {ended['name']} ended {ended['state_name']}: {(ended['state'] or {}).get('message')}")
    created = datetime.fromisoformat(run["created"]).timestamp()
    figures.first_byte.append((first_byte - created) * 1000)
    figures.completed.append((datetime.fromisoformat(ended["end_time"]).timestamp() - created) * 1000)


def _start_peers(directory: Path, hotel: Hotel) -> list[Peer]:
    code = directory / "peer"
    code.mkdir()
    (code / "servo_flow.py").write_text(textwrap.dedent(FLOWS), encoding="utf-8")
    prefect = hotel.prefect
    flow_id = prefect.ask("POST", "/flows/", {"name": "peer-set-speed"})["id"]
    environment = hotel.environment()
    peers = []
    for number, (name, query) in enumerate((("process worker", None), ("process worker polling every 1 s", "1"))):
        pool = f"peer-{number}"
        prefect.ask("POST", "/work_pools/", {"name": pool, "type": "process"})
        body = {
            "name": pool,
            "flow_id": flow_id,
            "work_pool_name": pool,
            "entrypoint": "servo_flow.py:set_speed",
            "path": ".",
            "enforce_parameter_schema": False,
            "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(code)}}],
        }
        deployment = prefect.ask("POST", "/deployments/", body)["id"]
        argv = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
        polling = {"PREFECT_WORKER_QUERY_SECONDS": query} if query else {}
        worker = ManagedProcess(name, argv, log=directory / f"{pool}.log", env={**environment, **polling})
        worker.start()
        servo = start_servo(directory / f"{pool}-servo")
        peers.append(Peer(name, deployment, worker, servo))
    served = ManagedProcess(
        "flow.serve()", [sys.executable, "servo_flow.py"], log=directory / "serve.log", env=environment, cwd=code
    )
    served.start()
    found = eventually(lambda: prefect.deployment_id("peer-set-speed/served"), 60.0, what="the served deployment")
    peers.append(Peer("flow.serve()", found, served, start_servo(directory / "serve-servo")))
    return peers


def _idle(processes: list[psutil.Process]) -> list[tuple[float, float]]:
    """Percent of a core and resident MiB of each process with all its children, over the same idle stretch."""
    time.sleep(5.0)
    trees = [[process, *process.children(recursive=True)] for process in processes]
    before = [sum(sum(p.cpu_times()[:2]) for p in tree) for tree in trees]
    began = time.monotonic()
    time.sleep(IDLE_SECONDS)
    seconds = time.monotonic() - began
    return [
        (
            (sum(sum(p.cpu_times()[:2]) for p in tree) - cpu) / seconds * 100,
            sum(p.memory_info().rss for p in tree) / 2**20,
        )
        for tree, cpu in zip(trees, before, strict=True)
    ]


def _print_others(peers: list[Peer]) -> None:
    for peer in peers:
        byte, done = peer.figures.first_byte, peer.figures.completed
        Console().print(
            f"also measured, {peer.name}: n={len(byte)} first byte median {statistics.median(byte):.0f} ms "
            f"p95 {percentile(byte, 95):.0f} ms, completed median {statistics.median(done):.0f} ms",
            highlight=False,
        )


def _back_to_back(hotel: Hotel, many: int) -> list[Row]:
    """Runs as fast as they come; each must have written its own value exactly once."""
    deployment = hotel.prefect.deployment_id(DEPLOYMENT)
    began = time.monotonic()
    with hotel.control() as servo:
        servo.reset_log()
        ids: list[str] = []
        written: Counter[int] = Counter()
        for first in range(0, many, BULK):
            speeds = range(1000 + first, 1000 + min(first + BULK, many))
            created = [hotel.prefect.create_run(deployment, speed=speed)["id"] for speed in speeds]
            ids += created
            for run_id in created:
                hotel.prefect.wait(run_id, timeout=300.0, interval=LOOK_SECONDS)
            entries = [e for e in servo.log() if e["instruction"] == WRITE and e["address"] == PROFILE_VELOCITY]
            written.update(int.from_bytes(bytes.fromhex(e["data"]), "little") for e in entries)
            servo.reset_log()
    seconds = time.monotonic() - began
    states = Counter(hotel.prefect.run(run_id)["state_type"] for run_id in ids)
    lost = many - states["COMPLETED"] + sum(1 for s in range(1000, 1000 + many) if written[s] == 0)
    doubled = sum(n - 1 for n in written.values() if n > 1)
    Console().print(f"{many} runs back to back in {seconds:.0f} s: {dict(states)}", highlight=False)
    assert set(states) <= TERMINAL
    return [
        alone("back_to_back_lost", "runs", [float(lost)], at_most=0.0),
        alone("back_to_back_doubled", "runs", [float(doubled)], at_most=0.0),
        alone("back_to_back_ms_per_run", "ms", [seconds / many * 1000]),
    ]
