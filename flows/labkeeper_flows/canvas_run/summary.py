"""A run's outcome for people: one line, and a table of its nodes. Pure."""

from __future__ import annotations

from labkeeper_flows.canvas.accounting import NodeResult
from labkeeper_flows.canvas_run.outcome import RunOutcome


def one_line(outcome: RunOutcome) -> str:
    """Status and counts, and why it is not completed."""
    counts = outcome.counts
    parts = [f"{counts.completed} of {counts.total} nodes completed"]
    rest = (("failed", counts.failed), ("skipped", counts.skipped), ("cancelled", counts.cancelled))
    parts += [f"{number} {name}" for name, number in rest if number]
    text = f"{outcome.status.value.replace('_', ' ')}, {', '.join(parts)}"
    return f"{text}: {outcome.message}" if outcome.message else text


def markdown(outcome: RunOutcome) -> str:
    """The table of nodes in Markdown."""
    simulated = " — **simulated**" if outcome.simulated else ""
    head = [f"# {_cell(outcome.plan.name)}{simulated}", "", one_line(outcome), ""]
    lines = ["| Node | Type | State | Cycles | Why |", "|---|---|---|---|---|"]
    lines += [_row(outcome, it) for it in outcome.nodes]
    files = [f"- `{path}`" for path in outcome.files]
    return "\n".join([*head, *lines, *(["", "## Files", "", *files] if files else [])]) + "\n"


def _row(outcome: RunOutcome, result: NodeResult) -> str:
    node = outcome.plan.by_id[result.node]
    cells = (node.label, node.type, result.state.value, str(result.cycles), result.reason)
    return f"| {' | '.join(_cell(it) for it in cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
