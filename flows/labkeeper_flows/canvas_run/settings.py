"""What a run is told beside its plan: where it keeps what, under which name, by which policies. Not for devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from labkeeper_flows.canvas_run.recovery import RecoveryConfig
from labkeeper_flows.canvas_run.tips import TipStore


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class PlanInputs:
    """What the plan was made of beside the canvas, so that a resumed run can make the same plan again.

    `tips`: rack -> tips that were gone at the start. `contents`: labware -> well -> µL. `drivers`: beyond the usual.
    """

    tips: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    contents: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}))
    drivers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RunSettings:
    """Settings of one run.

    A run whose `directory` already holds a record is resumed. Relative paths in the canvas are below `data_root`.
    """

    run_id: str
    """Part of the journal's keys: the same when the run is resumed, never used for another."""
    directory: Path
    """The run's own folder, `<home>/runs/<run_id>`: its record, what was measured, checkpoints."""
    canvas: str = ""
    """Text of the canvas, kept so that the run can be resumed without the file."""
    source: str = ""
    """Where the canvas came from, for people."""
    inputs: PlanInputs = PlanInputs()
    """What the plan was made of beside the canvas."""
    dry_run: bool = False
    """Whether simulators were asked for; the plan is the same."""
    data_root: Path = field(default_factory=Path.cwd)
    """What relative paths of the canvas are relative to."""
    results: Path | None = None
    """Folder of `canvas_{name}_{timestamp}.json`; by default `execution_results` below `data_root`."""
    tips: TipStore | None = None
    """The lab's tip ledger; None keeps none."""
    recovery: RecoveryConfig = field(default_factory=RecoveryConfig)
    """Recovery policies and safety settings."""
    resume_hint: str = ""
    """How a person resumes this run; by default `labkeeper run --resume <run_id>`."""
    clock: Callable[[], datetime] = now
    """The moment; must be aware."""

    @property
    def results_directory(self) -> Path:
        """Folder of the result files."""
        return self.results if self.results is not None else self.data_root / "execution_results"

    @property
    def how_to_resume(self) -> str:
        """What a person types."""
        return self.resume_hint or f"labkeeper run --resume {self.run_id}"
