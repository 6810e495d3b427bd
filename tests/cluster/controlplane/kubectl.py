"""Run the kubectl that was built for the server, away from the configuration of whoever runs the tests."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class KubectlError(RuntimeError):
    """kubectl refused, or did not end in time; the message is what it said."""


@dataclass(frozen=True)
class Kubectl:
    """One kubectl for one server; `cache` holds what it discovered there."""

    program: Path
    cache: Path

    def run(
        self, kubeconfig: Path, args: tuple[str, ...], *, given: str | None, check: bool, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run it with `given` on its standard input."""
        shown = f"kubectl {' '.join(args)}"
        try:
            done = subprocess.run(
                [str(self.program), f"--cache-dir={self.cache}", f"--kubeconfig={kubeconfig}", *args],
                input=given or "",
                capture_output=True,
                text=True,
                env={**os.environ, "KUBERC": "off"},
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"{shown} did not end within {timeout:g} s") from error
        if check and done.returncode != 0:
            raise KubectlError(f"{shown} ended with exit code {done.returncode}:\n{done.stderr}{done.stdout}")
        return done
