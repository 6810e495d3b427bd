"""Where the test bed keeps what is expensive to make. Not for the state of a running server."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """`$LABKEEPER_CACHE`, else `~/.cache/labkeeper`. Safe to delete whenever nothing is being built."""
    configured = os.environ.get("LABKEEPER_CACHE")
    return Path(configured).expanduser().absolute() if configured else Path.home() / ".cache" / "labkeeper"
