"""Carries a canvas plan out: begins what may begin, independent branches beside each other, and turns loops.

Both managers use it. What may begin is for `canvas.accounting` to say, how a node goes for `node_run`; everything that
happens is an event in the run's record first, so a run that was cut off is continued by running it again.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable

from labkeeper_api.errors import LabkeeperError, Stalled
from labkeeper_flows.canvas.accounting import NodeState, Work
from labkeeper_flows.canvas.expressions import ValueMissing
from labkeeper_flows.canvas.loops import Turn
from labkeeper_flows.canvas.planned import CanvasPlan, PlannedLoop, PlannedNode
from labkeeper_flows.canvas_run.context import RunContext
from labkeeper_flows.canvas_run.data_steps import DataSteps
from labkeeper_flows.canvas_run.ending import outcome_of
from labkeeper_flows.canvas_run.events import Tell, silent
from labkeeper_flows.canvas_run.exports import keep_measured
from labkeeper_flows.canvas_run.node_run import NodeCarrier, NodeEnd
from labkeeper_flows.canvas_run.outcome import RunOutcome, RunStatus
from labkeeper_flows.canvas_run.ports import DeviceInfo, Devices
from labkeeper_flows.canvas_run.record import RunRecord, plan_hash
from labkeeper_flows.canvas_run.recovery import refuse_unsafe
from labkeeper_flows.canvas_run.settings import RunSettings
from labkeeper_flows.canvas_run.state import RunState

log = logging.getLogger(__name__)

Around = Callable[[PlannedNode, Work, Callable[[], NodeEnd]], None]
"""Wraps the carrying out of a node in a cycle: it must call what it is given exactly once."""

NUDGE_S = 0.5
"""How often devices are told to stop while a run is being cancelled: a command may begin between two words."""


def plainly(node: PlannedNode, work: Work, carry_out: Callable[[], NodeEnd]) -> None:
    """Nothing around it."""
    del node, work
    carry_out()


class CanvasRun:
    """One run of a plan, or the continuation of one. `carry_out` is called once; `cancel` from any thread, any time."""

    def __init__(
        self,
        plan: CanvasPlan,
        devices: Devices,
        settings: RunSettings,
        *,
        tell: Tell = silent,
        around: Around = plainly,
        opened: Callable[[bool], None] | None = None,
    ) -> None:
        """`tell` is called at each change; `around` wraps each node (the Prefect manager's tasks).

        `opened` is told whether devices are simulated, as soon as they are reserved and before anything begins.
        """
        self._plan = plan
        self._devices = devices
        self._settings = settings
        self._tell = tell
        self._around = around
        self._when_opened = opened
        self._halted = threading.Event()
        self._guard = threading.RLock()
        self._wish = ""
        """Why the run is to be cancelled."""
        self._context: RunContext | None = None
        self._threads: dict[Work, threading.Thread] = {}
        self._trouble: list[BaseException] = []

    def carry_out(self) -> RunOutcome:
        """Carry the plan out, or go on where the record ends. Blocking.

        Raises `LabkeeperError` when nothing could begin: the run has ended already, the plan is another one than the
        record's, a device cannot be had; and `RecordLost` when its record cannot be written any more.
        """
        record, state = self._recalled()
        reserved = self._devices.reserve()
        try:
            record = record if record is not None else self._created(state)
            self._context = self._opened(record, state, reserved)
            if self._when_opened is not None:
                self._when_opened(any(it.simulated for it in reserved))
            self._go(self._context)
            return self._closed(self._context)
        finally:
            self._context = None
            self._devices.release()

    def cancel(self, reason: str = "cancelled") -> None:
        """End the run: what is under way is stopped, and it ends as cancelled when the hardware is at rest."""
        with self._guard:
            if self._wish:
                return
            self._wish = reason
        context = self._context
        self._halted.set()
        if context is not None:
            with context.changed:
                context.changed.notify_all()
            self._interrupt()

    def _interrupt(self) -> None:
        try:
            self._devices.interrupt()
        except LabkeeperError as error:
            # Said again while anything is under way; and an agent stops by itself when it hears nothing of its holder.
            log.warning("a device could not be told to stop: %s", error)

    # Beginning.

    def _recalled(self) -> tuple[RunRecord | None, RunState]:
        state = RunState(self._plan)
        if not RunRecord.exists(self._settings.directory):
            refuse_unsafe(self._settings.recovery.safety, self._plan)
            return None, state
        record = RunRecord.load(self._settings.directory)
        if record.header["plan"] != plan_hash(self._plan):
            raise Stalled(
                "OtherPlan",
                f"the run {self._settings.run_id} was begun with another plan than this one: resume it with the "
                "canvas, tips and contents that it began with, which its record holds",
            )
        for event in record.events:
            state.apply(event, record.result(event))
        self._refuse_ended(state)
        return record, state

    def _refuse_ended(self, state: RunState) -> None:
        run = self._settings.run_id
        if state.closed not in (None, RunStatus.SUSPENDED.value):
            raise Stalled(
                "RunEnded", f"the run {run} has ended as {state.closed}: there is nothing to resume, start a new one"
            )
        limit = self._settings.recovery.manual_timeout_s
        for event in state.suspended.values():
            waited = (self._settings.clock() - state.moment(event)).total_seconds()
            if event["kind"] == "manual" and waited > limit:
                raise Stalled(
                    "WaitedTooLong",
                    f"the run {run} waited {waited:.0f} s for a person and is resumed within {limit:g} s only, since "
                    "samples do not keep: start a new one",
                )

    def _created(self, state: RunState) -> RunRecord:
        record = RunRecord.create(self._settings, self._plan)
        state.apply(record.events[0])
        return record

    def _opened(self, record: RunRecord, state: RunState, reserved: tuple[DeviceInfo, ...]) -> RunContext:
        context = RunContext(
            self._plan,
            self._devices,
            self._settings,
            self._tell,
            record,
            state,
            reserved,
            self._halted,
            lambda: self._wish,
        )
        if state.cancelled:
            # It was cut off while it was being cancelled: nothing is begun any more.
            self._wish = self._wish or state.cancelled
            self._halted.set()
        context.note(
            "open",
            devices=[
                {
                    "role": it.role.value,
                    "unit": it.unit,
                    "driver": it.driver,
                    "simulated": it.simulated,
                    "time_factor": it.time_factor,
                }
                for it in reserved
            ],
            time_factor=context.time_factor,
        )
        return context

    # Going on.

    def _go(self, context: RunContext) -> None:
        context.tell("run", None, "running")
        carrier = NodeCarrier(context, DataSteps(context))
        try:
            with context.changed:
                for work in list(context.state.under_way):
                    self._spawn(context, carrier, work)
                while self._next(context, carrier):
                    context.changed.wait(NUDGE_S if self._wish else 5.0)
                    if self._wish and self._threads:
                        self._interrupt()
        except BaseException as error:
            # Whatever went wrong here, or Ctrl-C: no thread may go on moving things behind the caller's back.
            # Ctrl-C and the end of a process are a person's wish; after a program's mistake the run can be resumed.
            if not isinstance(error, Exception):
                self._wish = self._wish or f"the run was ended by {type(error).__name__}"
            self._halted.set()
            self._interrupt()
            raise
        finally:
            self._join()
        if self._trouble:
            raise self._trouble[0]

    def _next(self, context: RunContext, carrier: NodeCarrier) -> bool:
        """Begin what may begin; False when nothing runs any more and nothing will."""
        if self._wish and not context.state.cancelled:
            context.note("cancel", reason=self._wish)
        accounting = context.state.accounting
        if not self._halted.is_set():
            self._turn_loops(context)
            for work in accounting.startable():
                context.note("begin", sync=False, node=work.node, cycle=work.cycle)
                self._spawn(context, carrier, work)
        if self._threads or self._halted.is_set() or accounting.finished:
            return bool(self._threads)
        raise RuntimeError("nothing runs, nothing may begin, and the run has not ended: a mistake in Labkeeper")

    def _spawn(self, context: RunContext, carrier: NodeCarrier, work: Work) -> None:
        context.tell("node", work, NodeState.RUNNING)
        # With the caller's context variables: Prefect finds its flow run by them.
        inherited = contextvars.copy_context()
        thread = threading.Thread(
            target=inherited.run, args=(self._carry, context, carrier, work), name=f"canvas {work.node}"
        )
        self._threads[work] = thread
        thread.start()

    def _carry(self, context: RunContext, carrier: NodeCarrier, work: Work) -> None:
        try:
            self._around(self._plan.by_id[work.node], work, lambda: carrier.carry_out(work))
        except BaseException as error:  # noqa: BLE001 - told in the caller's thread
            self._trouble.append(error)
            self._halted.set()
            self._interrupt()
        finally:
            with context.changed:
                del self._threads[work]
                context.changed.notify_all()

    def _turn_loops(self, context: RunContext) -> None:
        for loop, cycle in context.state.accounting.turns():
            turn, reason = self._turn(context, loop, cycle)
            context.note("turn", head=loop.head, turn=turn.value, reason=reason)
            if turn is Turn.EXHAUSTED or context.state.accounting.state(loop.head) is NodeState.FAILED:
                context.tell("node", Work(loop.head), NodeState.FAILED, message=reason or loop.limit)
            elif turn is Turn.DONE:
                context.tell("node", Work(loop.head), NodeState.COMPLETED, message=f"{cycle} cycles")

    def _turn(self, context: RunContext, loop: PlannedLoop, cycle: int) -> tuple[Turn, str]:
        elapsed = (context.now() - context.state.loop_began[loop.head]).total_seconds() * (context.time_factor or 1.0)
        try:
            return loop.rule.after(cycle, context.state.values, elapsed, loop.most), ""
        except ValueMissing as error:
            return Turn.EXHAUSTED, f"after cycle {cycle}: {error}"

    def _join(self) -> None:
        for thread in list(self._threads.values()):
            while thread.is_alive():
                thread.join(NUDGE_S)

    # Ending.

    def _keep_measured(self, context: RunContext) -> None:
        state = context.state
        if state.suspended or any(event["operation"] == "export" for _, _, event, _ in state.steps):
            return
        try:
            files = keep_measured(context)
        except OSError as error:
            context.say("ERROR", f"what was measured could not be written to files, the record has it: {error}")
            return
        if files:
            context.note("measured", files=files)

    def _closed(self, context: RunContext) -> RunOutcome:
        with context.changed:
            self._keep_measured(context)
            outcome = outcome_of(context)
            context.note("close", status=outcome.status.value)
        for result in outcome.nodes:
            if result.state in (NodeState.SKIPPED, NodeState.CANCELLED):
                context.tell("node", Work(result.node), result.state, message=result.reason)
        context.tell("run", None, outcome.status.value, message=outcome.message)
        return outcome
