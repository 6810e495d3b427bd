"""The names of a simulator's files, known to both of its sides. Not for making or reading them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DESCRIPTION: Final = "servo.json"
PORT: Final = "port"
CONTROL: Final = "control.sock"
LOCK: Final = "lock"
ERRORS: Final = "servo.log"


@contextlib.contextmanager
def short_address(folder: Path, name: str) -> Iterator[str]:
    """An address for a Unix socket in `folder` that fits into the 107 bytes which the kernel allows, however deep."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
