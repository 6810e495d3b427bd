"""The Prefect manager: a canvas run as a flow run with a task run per node and cycle. The same engine does the work.

Prefect only shows and names: attempts, order and recovery are the engine's, so tasks are never retried by Prefect, and
a flow run that Prefect starts again goes on where the run's record ends. Not for submitting runs to a pool.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from prefect import flow, get_client, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed, Failed

from labkeeper_flows.canvas.accounting import NodeResult, NodeState, Work
from labkeeper_flows.canvas.planned import CanvasPlan, PlannedNode
from labkeeper_flows.canvas_run import summary
from labkeeper_flows.canvas_run.engine import CanvasRun
from labkeeper_flows.canvas_run.events import Tell, silent
from labkeeper_flows.canvas_run.node_run import NodeEnd
from labkeeper_flows.canvas_run.outcome import RunOutcome, RunStatus
from labkeeper_flows.canvas_run.ports import Devices
from labkeeper_flows.canvas_run.settings import RunSettings

log = logging.getLogger(__name__)

FLOW = "canvas"
"""Name of the flow that a direct call makes."""
SIMULATED = "simulated"
"""Tag of flow runs whose devices are simulated."""


def carry_out_in_prefect(
    plan: CanvasPlan,
    devices: Devices,
    settings: RunSettings,
    *,
    tell: Tell = silent,
    started: Callable[[CanvasRun], None] | None = None,
) -> RunOutcome:
    """Carry a plan out with its nodes as task runs of Prefect.

    Within a flow run (of a worker, say) the nodes are its tasks, and the flow should return `flow_state(outcome)`;
    called directly it makes a flow run of its own, which ends in that state. `started` is handed the run, to cancel it.
    Raises as `CanvasRun.carry_out`.
    """
    if FlowRunContext.get() is not None:
        return _within(plan, devices, settings, tell, started)
    found: list[RunOutcome] = []
    troubles: list[Exception] = []

    def body() -> State[Any]:
        try:
            found.append(_within(plan, devices, settings, tell, started))
        except Exception as error:
            troubles.append(error)
            raise
        return flow_state(found[-1])

    name = _one_line(f"{plan.name} {settings.run_id}")
    # No Prefect-side retries, and no result on one machine's disk: the outcome is handed back here.
    try:
        flow(name=FLOW, flow_run_name=name, persist_result=False, retries=0)(body)(return_state=True)
    except Exception as error:
        if not found and not troubles:
            raise
        # The run is over, and how it ended stands in its record.
        log.warning("Prefect was not told how the run %s ended: %s: %s", settings.run_id, type(error).__name__, error)
    if troubles:
        raise troubles[0]
    return found[0]


def flow_state(outcome: RunOutcome) -> State[Any]:
    """The state in which a flow run of this outcome truly ends."""
    message = f"{_simulated(outcome)}{summary.one_line(outcome)}"
    match outcome.status:
        case RunStatus.COMPLETED:
            return Completed(message=message)
        case RunStatus.COMPLETED_WITH_ERRORS:
            return Completed(name="CompletedWithErrors", message=message)
        case RunStatus.CANCELLED:
            return Cancelled(message=message)
    return Failed(message=message)


def _within(
    plan: CanvasPlan,
    devices: Devices,
    settings: RunSettings,
    tell: Tell,
    started: Callable[[CanvasRun], None] | None,
) -> RunOutcome:
    tasks = _Tasks(plan)
    run = CanvasRun(plan, devices, settings, tell=tell, around=tasks.around, opened=_tag)
    if started is not None:
        started(run)
    outcome = run.carry_out()
    try:
        tasks.show_the_rest(outcome)
        _artifacts(outcome)
    except Exception as error:  # noqa: BLE001 - the run is over; that Prefect does not show all of it changes nothing
        log.warning("Prefect does not show all of the run %s: %s: %s", settings.run_id, type(error).__name__, error)
    return outcome


@dataclass
class _Tasks:
    """The task runs of one canvas run."""

    plan: CanvasPlan
    shown: dict[str, NodeState | None] = field(default_factory=dict)
    """Node -> the end that its last task run said."""

    def around(self, node: PlannedNode, work: Work, carry_out: Callable[[], NodeEnd]) -> None:
        """Carry a node out in a task run. Where Prefect cannot make one, the node is carried out all the same.

        An experiment under way must not end because nobody can be told about it.
        """
        cycle = f", cycle {work.cycle}" if node.loop is not None else ""
        begun: list[bool] = []
        troubles: list[BaseException] = []

        def body() -> State[Any]:
            begun.append(True)
            try:
                end = carry_out()
            except BaseException as error:
                troubles.append(error)
                raise
            self.shown[node.id] = end.state
            if end.state is None:
                return Failed(name="Suspended", message=end.reason or "the run stopped; it can be resumed")
            return _task_state(end.state, end.reason)

        try:
            _run_task(f"{node.label}{cycle}", node.type, body)
        except Exception as error:  # noqa: BLE001 - Prefect's; the node's own are below
            if not troubles:
                log.warning("Prefect does not show %s: %s: %s", node.id, type(error).__name__, error)
        if troubles:
            raise troubles[0]
        if not begun:
            carry_out()

    def show_the_rest(self, outcome: RunOutcome) -> None:
        """Task runs for what no task run has said: nodes that never ran, and ends that a loop decided."""
        for result in outcome.nodes:
            node = self.plan.by_id[result.node]
            said = self.shown.get(result.node)
            if said is not result.state and not self._said_failed(result.node, result.state):
                _run_task(node.label, node.type, self._rest(result))

    def _rest(self, result: NodeResult) -> Callable[[], State[Any]]:
        # Made when the task runs: a state older than the task's Running is passed over by the server.
        def body() -> State[Any]:
            if result.node not in self.shown and result.state is NodeState.COMPLETED:
                return Completed(name="DoneBefore", message="done before the run was resumed")
            return _task_state(result.state, result.reason)

        return body

    def _said_failed(self, node: str, state: NodeState) -> bool:
        return state is NodeState.FAILED and node in self.shown and self.shown[node] is None


def _run_task(name: str, kind: str, body: Callable[[], State[Any]]) -> None:
    task(
        None,
        name=kind,
        task_run_name=_one_line(name).replace("{", "(").replace("}", ")"),
        retries=0,
        persist_result=False,
        cache_policy=NO_CACHE,
        log_prints=False,
    )(body)(return_state=True)


def _task_state(state: NodeState, reason: str) -> State[Any]:
    match state:
        case NodeState.COMPLETED:
            return Completed(message=reason or None)
        case NodeState.SKIPPED:
            # Of the type Cancelled: Prefect counts Completed as success, and this node has not run.
            return Cancelled(name="Skipped", message=reason)
        case NodeState.CANCELLED:
            return Cancelled(message=reason)
    return Failed(message=reason)


def _tag(simulated: bool) -> None:
    context = FlowRunContext.get()
    if not simulated or context is None or context.flow_run is None:
        return
    tags = {*context.flow_run.tags, SIMULATED}
    with get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, tags=sorted(tags)).raise_for_status()


def _artifacts(outcome: RunOutcome) -> None:
    create_markdown_artifact(
        markdown=summary.markdown(outcome), key="canvas-nodes", description=f"Nodes of {outcome.plan.name}"
    )
    for number, path in enumerate(outcome.files, start=1):
        create_link_artifact(link=path.absolute().as_uri(), link_text=path.name, key=f"canvas-file-{number}")


def _simulated(outcome: RunOutcome) -> str:
    return "simulated: " if outcome.simulated else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200] or "canvas"
