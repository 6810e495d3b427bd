"""The names of a simulator's files, known to both of its sides. Not for making or reading them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PORT: Final = "port"
CONTROL: Final = "control.sock"
LOCK: Final = "lock"


@dataclass(frozen=True)
class Kind:
    """A kind of simulator: what it is called, and the module that runs it."""

    name: str
    module: str

    @property
    def description(self) -> str:
        """File in which it says how it is reached."""
        return f"{self.name}.json"

    @property
    def errors(self) -> str:
        """File that gets what it prints on standard error."""
        return f"{self.name}.log"


@contextlib.contextmanager
def short_address(folder: Path, name: str) -> Iterator[str]:
    """An address for a Unix socket in `folder` that fits into the 107 bytes which the kernel allows, however deep."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
