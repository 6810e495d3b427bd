"""The Prefect flows that deployments of canvases and protocols name: started by a worker on the host of the devices.

The worker's environment names the home of the lab (`LABKEEPER_HOME`); devices are reached through the agents that run
in it. A flow run is one canvas run with the same id, so one that is started again goes on where its record ends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from labkeeper.canvas import lab_devices
from labkeeper.canvas.devices import SocketDevices
from labkeeper.canvas.lab_devices import DRY_RUN_FACTOR, Placed
from labkeeper.canvas.preparing import Asked, Prepared, prepare, prepare_again, run_directory
from labkeeper.canvas.protocol_runs import ProtocolEnded, carry_out_protocol
from labkeeper.canvas.runs import Cancelling, signals
from labkeeper.canvas.units import units_of
from labkeeper_api.unit_calls import Progress
from labkeeper_devices.agent.host import home as lab_home
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas.steps import Role
from labkeeper_flows.canvas_run.prefect_run import carry_out_in_prefect, flow_state
from labkeeper_flows.canvas_run.record import RunRecord
from labkeeper_flows.canvas_run.results import prefect_result, save_result

log = logging.getLogger(__name__)


@flow(name="run-canvas", persist_result=False, retries=0, validate_parameters=False)
def run_canvas(canvas: str, name: str = "", namespace: str = "default", dry_run: bool = False) -> State[Any]:
    """Carry out a canvas on the devices of this lab. What it exports is below the run's folder in the lab's home."""
    prepared = _prepared(canvas, name, namespace, dry_run=dry_run)
    cancelling = Cancelling(log.info)
    with _heeding(cancelling), units_of(prepared.asked.home, prepared.devices, log.info) as units:
        devices = SocketDevices(units, run=prepared.settings.run_id, name=prepared.title)
        outcome = carry_out_in_prefect(
            prepared.plan, devices, prepared.settings, started=lambda run: cancelling.begin(run.cancel)
        )
    save_result(prefect_result(outcome), outcome, prepared.settings.results_directory)
    return flow_state(outcome)


@flow(name="run-protocol", persist_result=False, retries=0, validate_parameters=False)
def run_protocol(protocol: str, name: str = "", namespace: str = "default", dry_run: bool = False) -> State[Any]:
    """Analyse an Opentrons protocol and run it on the robot of this lab."""
    home = lab_home()
    robot = _devices({}, [Role.OT2], home, namespace, dry_run=dry_run)
    cancelling = Cancelling(log.info)
    with _heeding(cancelling), units_of(home, robot, log.info) as units:
        ended = carry_out_protocol(name, protocol, units, dry_run=dry_run, show=_log_progress, cancelling=cancelling)
    return _state_of(ended)


def _prepared(canvas: str, name: str, namespace: str, *, dry_run: bool) -> Prepared:
    home, run_id = lab_home(), str(flow_run.id)
    directory = run_directory(home, run_id)
    asked = Asked(home, dry_run=dry_run, export_dir=directory)

    def choose(plan: CanvasPlan) -> dict[Role, Placed]:
        return _devices(plan.connections, plan.roles, home, namespace, dry_run=dry_run)

    if RunRecord.exists(directory):
        return prepare_again(run_id, asked, choose=choose)
    return prepare(canvas, name, asked, run_id=run_id, choose=choose)


def _devices(
    connections: Mapping[Role, Mapping[str, Any]], roles: Iterable[Role], home: Path, namespace: str, *, dry_run: bool
) -> dict[Role, Placed]:
    """Those of the lab. In a dry run they must be simulated, and what the lab has not is simulated for the run."""
    there = lab_devices.running(home, namespace)
    if not dry_run:
        return lab_devices.chosen(connections, roles, there)
    own = lab_devices.as_far_as_there(connections, roles, there)
    lab_devices.refuse_hardware(own)
    return {**lab_devices.simulated(connections, set(roles) - set(own), [], DRY_RUN_FACTOR), **own}


def _heeding(cancelling: Cancelling) -> AbstractContextManager[None]:
    """SIGTERM, by which Prefect cancels a run, ends it at rest. Signals are the main thread's."""
    in_main = threading.current_thread() is threading.main_thread()
    return signals(cancelling) if in_main else nullcontext()


def _log_progress(progress: Progress) -> None:
    log.info("%s of %s: %s", progress.done, progress.total or "?", progress.doing)


def _state_of(ended: ProtocolEnded) -> State[Any]:
    simulated = "simulated: " if ended.device.simulated else ""
    message = f"{simulated}{ended.name}: {ended.status}" + (f", {ended.message}" if ended.message else "")
    if ended.ok:
        return Completed(message=message)
    return Cancelled(message=message) if ended.status == "cancelled" else Failed(message=message)
