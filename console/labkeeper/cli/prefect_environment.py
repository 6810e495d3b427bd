"""Prefect reads its settings when it is first imported: what commands want of them is set before, here."""

from __future__ import annotations

import os
from pathlib import Path


def prepare(home: Path, *, quiet: bool = False) -> None:
    """Keep Prefect's client files below our home, and never let it start a hidden server of its own.

    `quiet` is for commands that show a run themselves: Prefect's own lines would stand between.
    """
    if quiet:
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_HOME", str(home / "prefect"))
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
