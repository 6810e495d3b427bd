"""Prefect's own way with the queues of a work pool, as far as it is needed to carry plans out. No tests in here.

Written after prefect.server.models.workers (create_work_queue, bulk_update_work_queue_priorities).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labkeeper_api.kinds import LabPool
from labkeeper_operator.reconcile import plan as p
from labkeeper_operator.reconcile.observed import ObservedPool, ObservedQueue
from tests.unit import builders as b


class PrefectPool:
    """One work pool with its queues."""

    def __init__(self, seen: ObservedPool) -> None:
        self.seen = seen

    @property
    def priorities(self) -> dict[str, int]:
        """The queues' priorities by name."""
        return {queue.name: queue.priority for queue in self.seen.queues}

    def apply(self, plan: p.Plan) -> None:
        """Carry a plan out."""
        for action in plan.actions:
            match action:
                case p.UpdatePool(_, changes):
                    self.seen = replace(self.seen, **changes)
                case p.CreateQueue(_, body):
                    self._create(body)
                case p.UpdateQueue(_, name, changes):
                    self._update(name, dict(changes))
                case p.DeleteQueue(_, name):
                    self._keep([queue for queue in self.seen.queues if queue.name != name])
                case _:
                    raise AssertionError(f"not for a pool that is there: {action}")

    def _keep(self, queues: list[ObservedQueue]) -> None:
        self.seen = replace(self.seen, queues=tuple(sorted(queues, key=lambda queue: queue.priority)))

    def _create(self, body: dict[str, Any]) -> None:
        taken = set(self.priorities.values())
        free = next(number for number in range(1, len(taken) + 2) if number not in taken)
        fields = {key: value for key, value in body.items() if key not in ("name", "priority")}
        self._keep([*self.seen.queues, b.observed_queue(body["name"], free, **fields)])
        if "priority" in body:
            self._set_priority(body["name"], body["priority"])

    def _update(self, name: str, changes: dict[str, Any]) -> None:
        priority = changes.pop("priority", None)
        self._keep([replace(q, **changes) if q.name == name else q for q in self.seen.queues])
        if priority is not None:
            self._set_priority(name, priority)

    def _set_priority(self, name: str, priority: int) -> None:
        others = sorted((q for q in self.seen.queues if q.name != name), key=lambda queue: queue.priority)
        (moved,) = (replace(q, priority=priority) for q in self.seen.queues if q.name == name)
        behind = next((index for index, queue in enumerate(others) if queue.priority >= priority), None)
        walk = others if behind is None else [*others[:behind], moved, *others[behind:]]
        last, settled = 0, []
        for queue in walk:
            last = max(queue.priority, last + 1)
            settled.append(replace(queue, priority=last))
        self._keep(settled if behind is not None else [*settled, moved])


def fresh(pool: LabPool) -> PrefectPool:
    """The work pool just after its creation: with a default queue only."""
    return PrefectPool(b.observed_pool(pool, queues={"default": 1}))
