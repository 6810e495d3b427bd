"""How a run that does nothing any more has ended: every node in exactly one end, and the run's status. No devices."""

from __future__ import annotations

from labkeeper_flows.canvas.accounting import NodeState
from labkeeper_flows.canvas_run.context import RunContext
from labkeeper_flows.canvas_run.outcome import RunOutcome, RunStatus


def outcome_of(context: RunContext) -> RunOutcome:
    """The outcome. Nodes that wait for the run to be resumed count as failed, those behind them as skipped."""
    state = context.state
    reason = _settle(context)
    counts = state.accounting.counts()
    nodes = state.accounting.results()
    status = _status(context)
    if not reason:
        reason = next((it.reason for it in nodes if it.state is NodeState.FAILED), "")
    if status is RunStatus.CANCELLED:
        reason = next((it.reason for it in nodes if it.state is NodeState.CANCELLED), reason)
    now = context.now()
    return RunOutcome(
        run_id=context.settings.run_id,
        plan=context.plan,
        status=status,
        nodes=nodes,
        counts=counts,
        runs=tuple(state.runs),
        devices=context.reserved,
        simulated=any(it.simulated for it in context.reserved),
        dry_run=context.settings.dry_run,
        time_factor=context.time_factor,
        files=state.files(),
        operations=tuple(state.operations),
        log=tuple(f"{it['at']} {it['level']} {it['message']}" for it in state.log),
        alerts=tuple(state.alerts),
        message=reason,
        resumed=state.openings > 1,
        began=state.began or now,
        ended=now,
    )


def _settle(context: RunContext) -> str:
    """Give an end to what waits for the run to be resumed. Not written down: in the record it still waits."""
    state = context.state
    if not state.suspended and not state.under_way:
        return ""
    reasons = [str(event["reason"]) for event in state.suspended.values()]
    reason = "; ".join(reasons) or state.stopped or "the run was stopped"
    state.accounting.stop(f"the run stopped: {reason}")
    for work in list(state.under_way):
        if work in state.suspended:
            state.accounting.fail(work, str(state.suspended[work]["reason"]))
        else:
            state.accounting.cancelled(work, "the run stopped while it was under way")
    return reason


def _status(context: RunContext) -> RunStatus:
    state = context.state
    if state.suspended:
        return RunStatus.SUSPENDED
    results = state.accounting.results()
    failed = [it.node for it in results if it.state is NodeState.FAILED]
    if state.stopped or any(context.plan.by_id[name].error_handling != "continue" for name in failed):
        return RunStatus.FAILED
    if any(it.state is NodeState.CANCELLED for it in results):
        return RunStatus.CANCELLED
    if failed or any(it.state is NodeState.SKIPPED for it in results):
        return RunStatus.COMPLETED_WITH_ERRORS
    return RunStatus.COMPLETED
