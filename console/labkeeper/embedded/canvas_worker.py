"""The worker that carries deployed canvases out on one computer: Prefect's own, for the pool `sdl1-pool`.

Started once somebody has deployed a canvas, and started again when it ends by itself. Not for LabPools: `lab` keeps
their workers.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx

from labkeeper.embedded.children import Child
from labkeeper_devices.agent.host import HOME_VARIABLE

POOL = "sdl1-pool"
LOOK_SECONDS = 2.0


def process_worker(pool: str, home: Path, api_url: str) -> Child:
    """A Prefect worker of type process, not started yet, whose runs find the home of the lab."""
    return Child(
        f"the worker of pool {pool}",
        [sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--pool", pool],
        log=home / "logs" / f"worker-{pool}.log",
        env={
            "PREFECT_API_URL": api_url,
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            # Canvases and protocols reach the devices by the sockets below it.
            HOME_VARIABLE: str(home),
        },
    )


class CanvasWorker:
    """The worker of deployed canvases."""

    def __init__(self, home: Path, api_url: str) -> None:
        self._worker = process_worker(POOL, home, api_url)
        self._api_url = api_url
        self._looked = 0.0
        self._wanted = False

    async def keep(self) -> list[str]:
        """Start it when its pool is there, and again when it has ended; what happened, in words."""
        if not self._wanted:
            if time.monotonic() - self._looked < LOOK_SECONDS:
                return []
            self._looked = time.monotonic()
            self._wanted = await self._pool_exists()
        if not self._wanted or self._worker.running:
            return []
        again = self._worker.pid is not None
        await self._worker.start()
        return [f"worker of pool {POOL} started{' again: ' + self._worker.tail(1) if again else ''}"]

    async def stop(self) -> None:
        """End it."""
        await self._worker.stop()

    async def _pool_exists(self) -> bool:
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            try:
                return (await client.get(f"{self._api_url}/work_pools/{POOL}")).status_code == 200
            except httpx.HTTPError:
                return False  # asked again; whoever keeps the server says when it is gone
