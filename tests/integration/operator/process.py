"""The operator as a process, as its image starts it: settings by environment variables, ended by a signal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Self

from tests.support.processes import ManagedProcess, ProcessFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

USER = "labkeeper-operator"
"""Whom the API server's audit log names."""


class OperatorProcess:
    """One operator. It can be stopped or killed and started again, with the same settings."""

    def __init__(
        self,
        directory: Path,
        *,
        kubeconfig: Path,
        prefect_api_url: str,
        namespaces: Iterable[str] = (),
        poll: float = 2.0,
        resync: float = 2.0,
        settings: dict[str, str] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LABKEEPER_"))
        }
        environment = {
            **inherited,
            "KUBECONFIG": str(kubeconfig),
            "PREFECT_HOME": str(directory / "home"),
            "PREFECT_API_URL": prefect_api_url,
            "LABKEEPER_NAMESPACES": ",".join(namespaces),
            "LABKEEPER_POLL_SECONDS": str(poll),
            "LABKEEPER_RESYNC_SECONDS": str(resync),
            "DO_NOT_TRACK": "1",
            **(settings or {}),
        }
        argv = [sys.executable, "-m", "labkeeper_operator"]
        self.process = ManagedProcess("operator", argv, log=directory / "operator.log", env=environment)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pids(self) -> list[int]:
        """The process, while it runs."""
        return [self.process.pid] if self.process.running else []

    def start(self) -> None:
        """Start it. Returns at once: tests wait for what it does."""
        self.process.start()

    def stop(self) -> None:
        """End it as Kubernetes does, with SIGTERM; it must end by itself and in peace."""
        if not self.process.running:
            return
        code = self.process.stop(grace=20.0)
        if code != 0:
            raise ProcessFailedError(f"the operator ended with {code}:\n{self.process.log_tail(60)}")

    def kill(self) -> None:
        """End it with -9."""
        self.process.kill()

    def check_running(self) -> None:
        """Raise with the end of its log if it is gone."""
        self.process.check_running()
