"""Carries one node out in one cycle: waits, steps in order, attempts, and what follows a failure. Blocking.

What may be tried again is decided in `retrying`, what follows then in `recovery`; whether a command moves anything is
for the device's agent and its journal to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkeeper_api.errors import LabkeeperError
from labkeeper_api.unit_calls import Performed
from labkeeper_flows.canvas.accounting import NodeState, Work
from labkeeper_flows.canvas.steps import Role, Step
from labkeeper_flows.canvas_run.checkpoints import after_node
from labkeeper_flows.canvas_run.context import Halted, RunContext
from labkeeper_flows.canvas_run.data_steps import DataSteps
from labkeeper_flows.canvas_run.deck_steps import deck_steps
from labkeeper_flows.canvas_run.picking import Tips
from labkeeper_flows.canvas_run.ports import StepKey
from labkeeper_flows.canvas_run.record import RecordLost
from labkeeper_flows.canvas_run.recovery import Strategy, severity_of
from labkeeper_flows.canvas_run.retrying import DECK, Failure, attempt_node, first_again, is_physical, why_not_again


@dataclass(frozen=True)
class NodeEnd:
    """How a node ended in a cycle. `state` None: it has not, and waits for the run to be resumed."""

    state: NodeState | None
    reason: str = ""
    halts: bool = False


class _Suspended(Exception):
    """Nobody can say how a step ended, or a person has to do something: the run stops here."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = reason
        super().__init__(reason)


class NodeCarrier:
    """Carries nodes of one run out, each in a thread of its own."""

    def __init__(self, context: RunContext, data: DataSteps) -> None:
        self._context = context
        self._data = data
        self._tips = Tips(context)
        self._deck = deck_steps(context.plan)
        self._deck_done = False

    def carry_out(self, work: Work) -> NodeEnd:
        """Carry a node out that was begun, and write down how it ended. Raises `RecordLost`."""
        context = self._context
        try:
            end = self._carry_out(work)
        except Halted:
            end = NodeEnd(NodeState.CANCELLED, context.cancelling) if context.cancelling else NodeEnd(None)
        except _Suspended as stop:
            context.note("suspend", node=work.node, cycle=work.cycle, kind=stop.kind, reason=stop.reason)
            context.halt()
            context.tell("node", work, NodeState.FAILED, message=stop.reason)
            return NodeEnd(None, stop.reason)
        if end.state is not None:
            self._end(work, end)
        return end

    def _end(self, work: Work, end: NodeEnd) -> None:
        context = self._context
        assert end.state is not None  # noqa: S101 - the caller looked
        with context.changed:
            if end.state is NodeState.FAILED:
                context.say("ERROR", f"{work.node} failed: {end.reason}", work)
            more = {"halts": True} if end.halts else {}
            context.note("end", node=work.node, cycle=work.cycle, state=end.state.value, reason=end.reason, **more)
            if end.halts:
                # Branches on other devices begin no further step either.
                context.halt()
            context.tell("node", work, end.state, message=end.reason)
        if end.state is NodeState.COMPLETED:
            after_node(context, work)

    def _carry_out(self, work: Work) -> NodeEnd:
        context, node = self._context, self._context.plan.by_id[work.node]
        progress = context.state.under_way[work]
        resumed = progress.resumed
        if not resumed and progress.attempt == 1:
            self._wait(work, node.wait_before, "before")
        failure = self._attempt(work, resumed=resumed)
        while failure is not None:
            end = self._after(work, failure)
            if end is not None:
                return end
            failure = self._attempt(work, resumed=False)
        self._wait(work, node.wait_after, "after")
        return NodeEnd(NodeState.COMPLETED)

    def _wait(self, work: Work, seconds: float, when: str) -> None:
        if seconds > 0:
            slept = self._context.sleep(seconds)
            scaled = f" (simulated, {slept:.3f} s of real time)" if slept != seconds else ""
            self._context.say("DEBUG", f"{work.node}: waited {seconds:g} s {when} it{scaled}", work)

    def _attempt(self, work: Work, *, resumed: bool) -> Failure | None:
        """One attempt; None when all steps are done.

        A run that was cut off goes on at the first step whose end was not written down. Should its device no longer be
        prepared for it (connected, an experiment uploaded), what prepares it is done again, once.
        """
        node, progress = self._context.plan.by_id[work.node], self._context.state.under_way[work]
        steps = node.steps(work.cycle)
        if Role.OT2 in node.roles and not self._deck_done:
            failure = self._lay_out(work)
            if failure is not None:
                return failure
        at = progress.start
        while resumed and at in progress.done:
            at += 1
        while at < len(steps):
            failure = self._step(work, at, steps[at])
            if failure is None:
                at += 1
                continue
            again = first_again(steps, at, progress.done)
            if not resumed or again == at or why_not_again(failure):
                return failure
            resumed, at = False, again
        return None

    def _lay_out(self, work: Work) -> Failure | None:
        for ordinal, step in enumerate(self._deck):
            # One key however often it is asked: the robot's driver finds its run and its deck again.
            failure = self._perform(work, StepKey(DECK, 1, ordinal), step, -1)
            if failure is not None:
                return failure
        self._deck_done = True
        return None

    def _step(self, work: Work, ordinal: int, step: Step) -> Failure | None:
        context = self._context
        context.check()
        context.tell("step", work, NodeState.RUNNING, step=described(step))
        if step.role is Role.CLOCK:
            seconds = float(step.parameters["seconds"])
            slept = context.sleep(seconds)
            result = {"seconds": seconds, "slept_s": slept, "time_factor": context.time_factor}
            self._succeeded(work, ordinal, step, result)
            return None
        if step.role is Role.DATA:
            return self._write_down(work, ordinal, step)
        attempt = context.state.under_way[work].attempt
        return self._perform(work, StepKey(attempt_node(work.node, attempt), work.cycle, ordinal), step, ordinal)

    def _write_down(self, work: Work, ordinal: int, step: Step) -> Failure | None:
        try:
            with self._context.changed:
                self._succeeded(work, ordinal, step, self._data.carry_out(work, step))
        except RecordLost:
            raise
        except LabkeeperError as error:
            self._note(work, ordinal, step, "failed", message=str(error))
            return Failure(ordinal, step, "failed", str(error))
        return None

    def _perform(self, work: Work, key: StepKey, step: Step, ordinal: int) -> Failure | None:
        context = self._context
        context.check()
        taker = f"{context.settings.run_id}/{work.node}/{key.cycle}/{key.ordinal}"
        gone = self._tips.take(step, taker)
        if gone:
            return self._failed(work, ordinal, step, Failure(ordinal, step, "interlocked", gone))
        try:
            performed = context.devices.perform(step.role, key, step.operation, dict(step.parameters))
        except LabkeeperError as error:
            return self._unreachable(work, ordinal, step, error)
        if performed.outcome == "interlocked":
            self._tips.give_back(step, taker)
        if performed.outcome == "succeeded":
            self._succeeded(work, ordinal, step, performed.result or {}, replayed=performed.replayed)
            return None
        return self._unsuccessful(work, ordinal, step, performed)

    def _unsuccessful(self, work: Work, ordinal: int, step: Step, performed: Performed) -> Failure | None:
        context = self._context
        message = performed.message or f"{described(step)} ended {performed.outcome}"
        if performed.outcome == "unknown":
            hint = f"look, say what happened (labkeeper device acknowledge), then {context.settings.how_to_resume}"
            raise _Suspended("unknown", f"nobody knows how {described(step)} ended: {message}; {hint}")
        if performed.outcome == "interrupted" and context.cancelling:
            self._note(work, ordinal, step, "interrupted", message=message)
            raise Halted
        stopped = performed.outcome == "interrupted" and performed.cause != "timeout"
        return self._failed(work, ordinal, step, Failure(ordinal, step, performed.outcome, message, halts=stopped))

    def _unreachable(self, work: Work, ordinal: int, step: Step, error: LabkeeperError) -> Failure:
        if is_physical(step):
            hint = (
                f"when its agent answers again, {self._context.settings.how_to_resume}: its journal knows what was done"
            )
            raise _Suspended("unreachable", f"{described(step)}: {error}; {hint}") from error
        return self._failed(work, ordinal, step, Failure(ordinal, step, "failed", str(error), reachable=False))

    def _succeeded(
        self, work: Work, ordinal: int, step: Step, result: Mapping[str, Any], *, replayed: bool = False
    ) -> None:
        more: dict[str, Any] = {"replayed": True} if replayed else {}
        self._note(work, ordinal, step, "succeeded", result=dict(result), **more)

    def _failed(self, work: Work, ordinal: int, step: Step, failure: Failure) -> Failure:
        context = self._context
        self._note(work, ordinal, step, failure.outcome, message=failure.message)
        if context.state.failures == context.settings.recovery.alert_after_failures:
            last = f"{described(step)}: {failure.message}"
            message = f"{context.state.failures} steps have failed in this run; the last is {last}"
            context.note("alert", message=message)
            context.tell("alert", work, NodeState.RUNNING, message=message)
        return failure

    def _note(self, work: Work, ordinal: int, step: Step, outcome: str, **more: Any) -> None:
        attempt = self._context.state.under_way[work].attempt
        self._context.note(
            "step",
            node=work.node,
            cycle=work.cycle,
            attempt=attempt,
            ordinal=ordinal,
            role=step.role.value,
            operation=step.operation,
            physical=is_physical(step),
            outcome=outcome,
            **more,
        )

    def _after(self, work: Work, failure: Failure) -> NodeEnd | None:
        """What follows a failure: the node's end, or None when it is to be tried again (that is written down)."""
        context, node = self._context, self._context.plan.by_id[work.node]
        progress = context.state.under_way[work]
        if failure.halts or node.error_handling != "retry":
            return NodeEnd(NodeState.FAILED, failure.message, halts=failure.halts)
        why_not = why_not_again(failure)
        if not why_not and progress.attempt - progress.restarts >= node.attempts:
            why_not = f"it was tried {progress.attempt} times"
        if not why_not and self._too_late(work):
            why_not = f"it failed first more than {context.settings.recovery.recovery_timeout_s:g} s ago"
        if not why_not:
            start = first_again(node.steps(work.cycle), failure.ordinal, progress.done)
            delay = node.retry.delay_before(progress.attempt + 1)
            self._again(work, failure, start, delay)
            return None
        return self._recover(work, failure, why_not)

    def _too_late(self, work: Work) -> bool:
        failed = self._context.state.under_way[work].failed_at
        limit = self._context.settings.recovery.recovery_timeout_s
        return failed is not None and (self._context.now() - failed).total_seconds() > limit

    def _again(self, work: Work, failure: Failure, start: int, delay: float, *, restart: bool = False) -> None:
        context = self._context
        attempt = context.state.under_way[work].attempt + 1
        context.say("WARNING", f"{work.node}: attempt {attempt} in {delay:g} s, after: {failure.message}", work)
        context.note("attempt", node=work.node, cycle=work.cycle, attempt=attempt, start=start, restart=restart)
        context.tell("node", work, NodeState.RUNNING, message=f"attempt {attempt}, after: {failure.message}")
        context.sleep(delay)

    def _recover(self, work: Work, failure: Failure, why_not: str) -> NodeEnd | None:
        context, node = self._context, self._context.plan.by_id[work.node]
        progress = context.state.under_way[work]
        untouched = not progress.moved and not context.state.moved_since_checkpoint
        restartable = untouched and not why_not_again(failure)
        severity = severity_of(node.category, reachable=failure.reachable)
        strategy = context.settings.recovery.strategy(severity, progress.restarts, restartable=restartable)
        reason = f"{failure.message} (not tried again: {why_not})"
        if strategy is Strategy.RESTART:
            self._again(work, failure, 0, node.retry.delay_s, restart=True)
            return None
        if strategy is Strategy.MANUAL:
            start = first_again(node.steps(work.cycle), failure.ordinal, progress.done)
            self._note_attempt(work, start)
            hint = f"put it right, then {context.settings.how_to_resume}"
            raise _Suspended("manual", f"{described(failure.step)} failed: {reason}; {hint}")
        if strategy is Strategy.EMERGENCY_STOP:
            context.devices.interrupt()
        return NodeEnd(NodeState.FAILED, reason, halts=strategy is Strategy.EMERGENCY_STOP)

    def _note_attempt(self, work: Work, start: int) -> None:
        attempt = self._context.state.under_way[work].attempt + 1
        self._context.note("attempt", node=work.node, cycle=work.cycle, attempt=attempt, start=start)


def described(step: Step) -> str:
    """A step in a few words, for people."""
    shown = ("labware", "well", "volume", "pump", "volume_ml", "duration_ms", "celsius", "seconds", "expected_s")
    details = [f"{step.parameters[name]}" for name in shown if name in step.parameters]
    return " ".join([f"{step.role.value}.{step.operation}", *details])
