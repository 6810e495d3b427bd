"""What a node of a canvas costs beyond what its device takes: native, and with a Prefect task for each node.

The devices are in memory and answer at once, so what is measured is ours alone: decisions, threads, the run's record
on disk, and with the Prefect manager a task run. Peer, on the same Prefect server in the same run: a flow with as many
tasks that do nothing, as anyone would write it, without any record. Starting and ending a run counts for all alike.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from labkeeper.cli.prefect_environment import prepare as prepare_prefect
from labkeeper_api.unit_calls import Performed
from labkeeper_flows.canvas.plan import plan_text
from labkeeper_flows.canvas.steps import Role
from labkeeper_flows.canvas_run.engine import CanvasRun
from labkeeper_flows.canvas_run.outcome import RunOutcome, RunStatus
from labkeeper_flows.canvas_run.ports import DeviceInfo, StepKey
from labkeeper_flows.canvas_run.settings import RunSettings
from tests.bench.harness import Row, alone, compared
from tests.support.prefect_server import PrefectServer

NODES = (20, 100, 200)
ROUNDS = 4
PLANNED = 2000
PLANNINGS = 7
PEER = "bare Prefect task"


class InstantDevices:
    """Devices that have done everything at once."""

    def reserve(self) -> tuple[DeviceInfo, ...]:
        return (DeviceInfo(Role.OT2, "bench.ot2.here", "ot2", simulated=True, time_factor=1.0),)

    def perform(self, role: Role, key: StepKey, operation: str, parameters: dict[str, Any]) -> Performed:
        del role, key, operation, parameters
        return Performed(outcome="succeeded", result={})

    def interrupt(self) -> None:
        """Nothing is ever under way."""

    def release(self) -> None:
        """Nothing is held."""


def run(*, quick: bool = False) -> list[Row]:
    """Measure."""
    nodes, rounds = (NODES[:1], 2) if quick else (NODES, ROUNDS)
    rows = [alone("plan_2000_nodes_s", "s", _plannings(3 if quick else PLANNINGS), at_most=1.0)]
    with (
        tempfile.TemporaryDirectory(prefix="labkeeper-bench-") as folder,
        PrefectServer(Path(folder) / "prefect") as server,
    ):
        # Before Prefect is imported, which reads them once.
        os.environ["PREFECT_API_URL"] = server.api_url
        os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"
        prepare_prefect(Path(folder) / "client")
        return [*rows, *_runs(Path(folder), nodes, rounds)]


def _plannings(times: int) -> list[float]:
    """s for planning a canvas of 2,000 nodes from its text, checks of every parameter included."""
    text = json.dumps(large_canvas(PLANNED))
    found = []
    for _ in range(times):
        began = time.perf_counter()
        plan = plan_text(text)
        found.append(time.perf_counter() - began)
        assert plan.total == PLANNED
    return found


def _runs(folder: Path, sizes: tuple[int, ...], rounds: int) -> list[Row]:
    figures: dict[str, dict[int, list[float]]] = {name: {n: [] for n in sizes} for name in ("native", "prefect", PEER)}
    makers = {"native": _native, "prefect": _prefect, PEER: _bare}
    for make in makers.values():
        make(folder / "warm" / make.__name__, sizes[0])  # imports, the first connection to the server
    with Progress() as progress:
        task = progress.add_task("canvas", total=rounds * len(sizes) * len(makers))
        for number in range(rounds):
            for size in sizes:
                for name, make in makers.items():
                    figures[name][size].append(make(folder / f"{name}-{size}-{number}", size) / size * 1000)
                    progress.advance(task)
    for size in sizes:
        told = ", ".join(f"{name} {min(of[size]):.1f} to {max(of[size]):.1f}" for name, of in figures.items())
        Console().print(f"{size} nodes, ms per node: {told}", highlight=False)
    every = {name: [value for size in sizes for value in of[size]] for name, of in figures.items()}
    return [
        compared("native_ms_per_node", "ms", every["native"], every[PEER], PEER),
        compared("prefect_ms_per_node", "ms", every["prefect"], every[PEER], PEER),
    ]


def _native(folder: Path, size: int) -> float:
    plan, settings = plan_text(_chain(size)), RunSettings("bench", folder, data_root=folder)
    began = time.perf_counter()
    outcome = CanvasRun(plan, InstantDevices(), settings).carry_out()
    return _completed(outcome, began)


def _prefect(folder: Path, size: int) -> float:
    from labkeeper_flows.canvas_run.prefect_run import carry_out_in_prefect

    plan, settings = plan_text(_chain(size)), RunSettings("bench", folder, data_root=folder)
    began = time.perf_counter()
    outcome = carry_out_in_prefect(plan, InstantDevices(), settings)
    return _completed(outcome, began)


def _bare(folder: Path, size: int) -> float:
    from prefect import flow, task

    del folder

    @task
    def node(number: int) -> int:
        return number

    @flow
    def bare() -> int:
        return sum(node(number) for number in range(size))

    began = time.perf_counter()
    assert bare() == sum(range(size))
    return time.perf_counter() - began


def _completed(outcome: RunOutcome, began: float) -> float:
    took = time.perf_counter() - began
    if outcome.status is not RunStatus.COMPLETED:
        raise RuntimeError(f"the canvas ended {outcome.status}: {outcome.message}")
    return took


def _chain(size: int) -> str:
    """A canvas of so many nodes, each one command to the robot, one after the other."""
    nodes = [{"id": f"n{at}", "type": "set_lights", "label": f"n{at}", "params": {"on": True}} for at in range(size)]
    return json.dumps({"metadata": {"id": "bench", "name": "bench"}, "workflow": {"nodes": nodes, "edges": []}})


def large_canvas(size: int) -> dict[str, Any]:
    """A canvas of so many nodes of several types, in ten branches that meet at the end."""
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("move_to_well", {"labware_name": "nis_reactor", "well_name": "A1", "pipette_name": "p1000_single_gen2"}),
        ("sdl1ElectrochemicalMeasurement", {"measurement_type": "CP", "cp_duration": 30}),
        ("set_lights", {"on": True}),
        ("sdl1ElectrochemicalMeasurement", {"measurement_type": "PEIS"}),
        ("delay", {"seconds": 1}),
    ]
    nodes = [{"id": "setup", "type": "sdl1ExperimentSetup", "label": "setup", "params": {"experiment_id": "bench"}}]
    for at in range(size - 2):
        kind, params = kinds[at % len(kinds)]
        nodes.append({"id": f"n{at}", "type": kind, "label": f"{kind} {at}", "params": params})
    nodes.append({"id": "end", "type": "set_lights", "label": "end", "params": {"on": False}})
    edges = [{"source": f"n{at - 10}" if at >= 10 else "setup", "target": f"n{at}"} for at in range(size - 2)]
    edges += [{"source": f"n{at}", "target": "end"} for at in range(size - 12, size - 2)]
    return {"metadata": {"id": "large", "name": "large"}, "workflow": {"nodes": nodes, "edges": edges}}
