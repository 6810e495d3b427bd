"""The controller inside the test process, for moments that no signal hits: around one of its own writes.

It writes to the real API server and the real Prefect server. Events come only when the test hands them over.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubernetes import config

from labkeeper_api.catalog import builtin_catalog
from labkeeper_operator.controller import Controller
from labkeeper_operator.kube.cluster import KubernetesCluster
from labkeeper_operator.prefect_api.session import open_session
from labkeeper_operator.reconcilers import Surroundings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from labkeeper_api.kinds import LabObject

NEVER = 3600.0


class Died(BaseException):
    """The process ends here. Not an Exception: nothing in the controller may catch it and go on."""


class WatchedCluster:
    """The real cluster; `before` and `after` are called around each write and may change the world or raise `Died`."""

    def __init__(self, cluster: KubernetesCluster) -> None:
        self._cluster = cluster
        self.before: Callable[[str, LabObject], None] = lambda _call, _obj: None
        self.after: Callable[[str, LabObject], None] = lambda _call, _obj: None

    async def list_all(self) -> list[dict[str, Any]]:
        """Every object of the namespace."""
        return await self._cluster.list_all()

    async def add_finalizer(self, obj: LabObject) -> dict[str, Any] | None:
        self.before("add_finalizer", obj)
        answer = await self._cluster.add_finalizer(obj)
        self.after("add_finalizer", obj)
        return answer

    async def remove_finalizer(self, obj: LabObject) -> dict[str, Any] | None:
        self.before("remove_finalizer", obj)
        answer = await self._cluster.remove_finalizer(obj)
        self.after("remove_finalizer", obj)
        return answer

    async def write_status(self, obj: LabObject, status: dict[str, Any]) -> dict[str, Any] | None:
        self.before("write_status", obj)
        answer = await self._cluster.write_status(obj, status)
        self.after("write_status", obj)
        return answer

    async def delete(self, obj: LabObject) -> None:
        self.before("delete", obj)
        await self._cluster.delete(obj)


class Bench:
    """A running controller and its cluster."""

    def __init__(self, controller: Controller, cluster: WatchedCluster) -> None:
        self.controller = controller
        self.cluster = cluster

    async def feed(self) -> None:
        """Hand over all objects as they are now, as a watch does on its start."""
        for raw in await self.cluster.list_all():
            self.controller.seen(raw)


@asynccontextmanager
async def running(kubeconfig: Path, namespace: str, prefect_api_url: str) -> AsyncIterator[Bench]:
    """A controller that runs, until the end of the block or until it died."""
    config.load_kube_config(str(kubeconfig))  # type: ignore[no-untyped-call]
    real = KubernetesCluster((namespace,))
    cluster = WatchedCluster(real)
    try:
        async with open_session(api_url=prefect_api_url) as session:
            controller = Controller(
                cluster,
                session,
                builtin_catalog(),
                Surroundings(),
                clock=lambda: datetime.now(UTC),
                poll=NEVER,
                resync=NEVER,
            )
            work = asyncio.create_task(controller.run(), name="controller")
            try:
                yield Bench(controller, cluster)
            finally:
                work.cancel()
                await _ended(work)
    finally:
        real.close()


async def _ended(work: asyncio.Task[None]) -> None:
    try:
        await work
    except (asyncio.CancelledError, Died):
        return
    except BaseExceptionGroup as errors:
        if errors.split((asyncio.CancelledError, Died))[1] is not None:
            raise
