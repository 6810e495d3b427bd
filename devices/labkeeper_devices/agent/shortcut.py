"""Which run may be claimed on the news that it was scheduled, without asking Prefect what is due.

Asking costs the server more than claiming does, and it answers the claim only after that (docs/decisions/0010). So a
run that was noticed is taken by its id while nothing can come before it: nothing was due when last asked, nothing that
was planned then has come due since, and its queue and pool neither are paused nor have a limit, which only the long
way heeds. Claims nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from labkeeper_devices.agent.prefect_answers import DueRun, Noticed, PrefectAway, PrefectRefused
from labkeeper_devices.agent.prefect_link import PrefectLink

log = logging.getLogger(__name__)

SCHEDULED = "prefect.flow-run.Scheduled"
OF_RUNS = "prefect.flow-run."
AHEAD = timedelta(seconds=30)
"""How far ahead it is looked for what is planned; longer than the agent ever goes without asking what is due."""


@dataclass(frozen=True)
class Quiet:
    """What was known when Prefect was asked last and had nothing due."""

    free_queues: frozenset[str]
    until: datetime
    """When something that was planned then comes due, or how far it was looked ahead."""


class Shortcut:
    """What is known of due runs between two answers of Prefect."""

    def __init__(self, link: PrefectLink, clock: Callable[[], datetime]) -> None:
        self._link = link
        self._clock = clock
        self._noticed: list[str] = []
        self._quiet: Quiet | None = None
        self._free: frozenset[str] | None = None
        self._changes = 0

    def notice(self, event: Noticed) -> None:
        """Something happened. Whatever is not about a run may be about its queue: what is known of those is void."""
        if event.event == SCHEDULED:
            self._noticed.append(event.run_id)
        elif event.event.startswith(OF_RUNS):
            # Late, or waiting for a retry: only Prefect says what comes first now.
            self._quiet = None
        else:
            self._quiet = self._free = None
            self._changes += 1

    def asking(self) -> None:
        """Prefect is about to be asked what is due, which covers all that was noticed until now."""
        self._noticed.clear()
        self._quiet = None

    async def nothing_due(self) -> None:
        """It has nothing due, so there is time to learn what else must be known. Without it the long way is taken."""
        asked, changes, noticed = self._clock(), self._changes, len(self._noticed)
        try:
            first = await self._link.first_planned(asked, asked + AHEAD)
            free = self._free if self._free is not None else await self._link.free_queues()
        except (PrefectAway, PrefectRefused) as error:
            log.debug("what is planned could not be read: %s", error)
            return
        if changes == self._changes:
            self._free = free
            # What was noticed meanwhile may have come before what was read, or after it.
            if noticed == len(self._noticed):
                self._quiet = Quiet(free, first)

    async def run(self) -> DueRun | None:
        """The run to claim now; None if Prefect must be asked what is due. Raises `PrefectAway`, `PrefectRefused`."""
        quiet, self._quiet = self._quiet, None
        if quiet is None or len(self._noticed) != 1 or self._clock() >= quiet.until:
            return None
        run = await self._link.due_run(self._noticed.pop())
        sole = not self._noticed and self._clock() < quiet.until
        return run if run is not None and sole and run.queue in quiet.free_queues else None
