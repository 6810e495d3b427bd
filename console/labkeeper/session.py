"""One `labkeeper run`: in which lab a plan is carried out, and what came of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rich.live import Live

from labkeeper.access import JoinedLab, LabAccess, OwnLab
from labkeeper.embedded.lab import running_info, running_lab
from labkeeper.render import err, runs_table
from labkeeper.runs import Runner, RunRecord, journals
from labkeeper.session_plan import Plan
from labkeeper_api.manifests import Manifest


class Session:
    """Carries a plan out in the lab that runs already, or in one of its own."""

    def __init__(self, plan: Plan, home: Path, port: int | None, tell: Callable[[str], None], *, live: bool) -> None:
        self._plan = plan
        self._home = home
        self._port = port
        self._tell = tell
        self._live: Live | None = Live(console=err, transient=True, refresh_per_second=8) if live else None
        self._runner: Runner | None = None
        self._lab: dict[str, str] = {}
        self._last_lines: dict[str, str] = {}
        self._joined = False

    @property
    def records(self) -> list[RunRecord]:
        """All runs as they are."""
        return self._runner.records if self._runner else []

    async def carry_out(self, give_up_after: float | None) -> bool:
        """Apply, run, follow; whether all runs completed."""
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with self._access() as access:
            self._lab = {"home": str(self._home), "uiUrl": access.ui_url, "apiUrl": access.api_url}
            for manifest in self._plan.manifests:
                access.apply([manifest.object], manifest.folder, self._plan.config_maps)
            self._tell(f"applied {_counted(self._plan.manifests)}")
            self._runner = Runner(access, self._show)
            if self._live is not None:
                self._live.start()
            try:
                async with asyncio.timeout(give_up_after):
                    return await self._runner.carry_out(
                        list(self._plan.runs), self._plan.workflows, list(self._plan.devices)
                    )
            except TimeoutError:
                self._tell(f"given up after {give_up_after:g} s")
                return False
            finally:
                if self._live is not None:
                    self._live.stop()

    @asynccontextmanager
    async def _access(self) -> AsyncIterator[LabAccess]:
        info = running_info(self._home)
        if info is not None:
            self._joined = True
            self._tell(f"joining the lab that runs in {self._home} (process {info['pid']})")
            yield JoinedLab(self._home, info["ui_url"], info["api_url"])
            return
        self._tell("starting the Prefect server")
        async with running_lab(self._home, self._tell, port=self._port) as lab:
            yield OwnLab(lab)

    def summary(self) -> dict[str, Any]:
        """For `--output json`."""
        return {
            "lab": {**self._lab, "journals": journals(self._home, self._plan.devices)},
            "runs": [record.as_dict() for record in self.records],
        }

    def footer(self) -> list[str]:
        """What a person may want to know next."""
        lines = [f"Journal: {path}" for path in journals(self._home, self._plan.devices)]
        if self._lab:
            when = "" if self._joined else "  (while a lab runs: labkeeper up)"
            lines.append(f"Prefect UI: {self._lab['uiUrl']}{when}")
        return lines

    def _show(self) -> None:
        if self._live is not None:
            self._live.update(runs_table(self.records))
            return
        for record in self.records:
            said = record.message if record.done else record.progress
            line = f"{record.name}: {record.state}" + (f" ({said})" if said else "")
            if record.state != "Waiting" and self._last_lines.get(record.name) != line:
                self._last_lines[record.name] = line
                self._tell(line)


def _counted(manifests: Iterable[Manifest]) -> str:
    counts: dict[str, int] = {}
    for manifest in manifests:
        counts[manifest.object.kind] = counts.get(manifest.object.kind, 0) + 1
    return ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in sorted(counts.items()))
