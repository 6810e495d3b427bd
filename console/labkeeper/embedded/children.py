"""Child processes of the embedded lab: started with a log file, ended by their id, gone when the lab is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from labkeeper_api.errors import LabkeeperError

LAUNCHER = Path(__file__).with_name("launcher.py")
TAIL_BYTES = 16_384


class ChildFailed(LabkeeperError):
    """A part of the lab did not start or ended by itself; the message shows the end of its log."""


class Child:
    """One child process."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path | None = None,
        outlives: bool = False,
    ):
        """`outlives`: the program sees for itself to what becomes of it when this process is gone."""
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._env = {**os.environ, **env}
        self._cwd = cwd
        self._outlives = outlives
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the program. Call it from the main thread: for the kernel, the thread that forks is the parent."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(signal.SIGTERM))]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *([] if self._outlives else launcher),
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Its process id, once started."""
        return self._process.pid if self._process else None

    def check(self) -> None:
        """Raise `ChildFailed` if it has ended."""
        if self._process is not None and self._process.returncode is not None:
            raise ChildFailed(
                f"{self.name} ended by itself with exit code {self._process.returncode}; the end of {self.log}:\n"
                f"{self.tail()}"
            )

    async def wait(self) -> int:
        """Wait until it ends; its exit code."""
        return await self._process.wait() if self._process is not None else 0

    async def stop(self, grace: float = 20.0) -> None:
        """Ask it to end, and make it end after `grace` seconds."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(grace):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return "(no log)"
        with self.log.open("rb") as handle:
            handle.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            text = handle.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:]) or "(it wrote nothing)"
