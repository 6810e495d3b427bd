"""The Prefect manager: a canvas run as a flow run with a task run per node and cycle. The same engine does the work."""

from __future__ import annotations

from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas_run.engine import CanvasRun
from labkeeper_flows.canvas_run.events import Tell, silent
from labkeeper_flows.canvas_run.outcome import RunOutcome
from labkeeper_flows.canvas_run.ports import Devices
from labkeeper_flows.canvas_run.settings import RunSettings


def carry_out_in_prefect(
    plan: CanvasPlan, devices: Devices, settings: RunSettings, *, tell: Tell = silent
) -> RunOutcome:
    """Carry a plan out with its nodes as task runs of Prefect.

    Within a flow run (of a worker, say) the nodes are its tasks; called directly it makes a flow run of its own. Raises
    as `CanvasRun.carry_out`.
    """
    return CanvasRun(plan, devices, settings, tell=tell).carry_out()
