"""Carries out the `data` steps of a run: what is noted, reported, exported and handed to the optimiser. No devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from labkeeper_flows.canvas.accounting import Work
from labkeeper_flows.canvas.steps import Step
from labkeeper_flows.canvas_run import experiment, optimiser, tables
from labkeeper_flows.canvas_run.context import RunContext
from labkeeper_flows.canvas_run.experiment import DataError
from labkeeper_flows.canvas_run.exports import Export, kept_values
from labkeeper_flows.canvas_run.values import curves_of
from labkeeper_flows.canvas_run.verifying import Written, verify


class DataSteps:
    """The data steps of one run; called under the context's lock."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def carry_out(self, work: Work, step: Step) -> dict[str, Any]:
        """Do one step; what it returns is kept in the record. Raises `LabkeeperError`."""
        match step.operation:
            case "begin_experiment":
                return experiment.begin(self._context, step.parameters)
            case "begin_loop":
                return dict(step.parameters)
            case "collect":
                return self._collect(work, step)
            case "report_cycle":
                return experiment.report_cycle(self._context, work, step.parameters)
            case "export":
                return Export(self._context, work, step.parameters).write()
            case "verify_export":
                return self._verify(work)
            case "update_objective":
                return self._update(step)
        raise DataError(f"nothing is known of the data step {step.operation!r}")

    def _collect(self, work: Work, step: Step) -> dict[str, Any]:
        done = self._context.state.under_way[work].done
        curves = [it for at in sorted(done) for it in curves_of(done[at], step.parameters["techniques"])]
        if not curves:
            raise DataError("the potentiostat returned no data: there is nothing to collect")
        early = [text for at in sorted(done) for text in _ended_early(done[at])]
        for text in early:
            self._context.say("WARNING", f"{work.node}: {text}", work)
        return {
            "tag": step.parameters["tag"],
            "cycle": step.parameters["cycle"],
            "kept": step.parameters["kept"],
            "curves": [
                {"technique": it.technique, "element": it.element, "kind": it.kind, "points": len(it.rows)}
                for it in curves
            ],
            "ended_early": early,
            "last_values": dict(self._context.state.values),
        }

    def _verify(self, work: Work) -> dict[str, Any]:
        done = self._context.state.under_way[work].done
        files = [Written(**it) for result in done.values() for it in result.get("written", ())]
        if not files:
            raise DataError("nothing was exported that could be looked at")
        verify(files)
        return {"verified": [it.path for it in files], "bytes": sum(it.size for it in files)}

    def _update(self, step: Step) -> dict[str, Any]:
        context = self._context
        known = experiment.of(context.state).get("optimiser", {})
        names = [known.get("nimo_input_file"), known.get("nimo_output_file")]
        if not all(names):
            raise DataError(
                "nimo_update_enabled asks to write the objective, and ExperimentSetup names no nimo_input_file and "
                "nimo_output_file to write it to"
            )
        candidates, proposals = (experiment.below(context, str(name)) for name in names)
        why_not = self._not_for_the_optimiser(candidates, proposals)
        if why_not:
            context.say("WARNING", why_not)
            return {"skipped": why_not}
        kept = [it for it in tables.collected(context.plan, context.state) if it.kept]
        value = optimiser.extract(kept_values(kept, step.parameters["column"]), step.parameters["extraction"])
        return optimiser.update(candidates, proposals, int(known["nimo_num_objectives"]), value)

    def _not_for_the_optimiser(self, *files: Path) -> str:
        """Why the objective is not written; empty if it is."""
        context = self._context
        if context.settings.dry_run:
            return "a dry run: what simulators have measured is not given to the optimiser"
        missing = [str(file) for file in files if not file.is_file()]
        if missing and context.all_simulated:
            return f"every device is simulated, and the optimiser's files are not there: {', '.join(missing)}"
        return ""


def _ended_early(result: Mapping[str, Any]) -> Iterator[str]:
    """Elements of an experiment that ended before their time, such as at a limit of the voltage."""
    elements = result.get("elements")
    for number, element in enumerate(elements if isinstance(elements, list) else [], start=1):
        if isinstance(element, Mapping) and element.get("ended_early"):
            reason = element.get("reason") or element.get("ended")
            yield f"element {number} ({element.get('technique')}) ended early: {reason}"
