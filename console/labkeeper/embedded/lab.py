"""The embedded lab: the Prefect server, the controller and the units, started together and ended together.

The controller is the operator's own; only the place that keeps the objects differs. Objects come in by `apply` or, from
another process, through the inbox folder; everyone may read how they are from the objects file.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from labkeeper.canvas.checking import canvas_problems
from labkeeper.embedded.canvas_worker import CanvasWorker, process_worker
from labkeeper.embedded.children import Child, ChildFailed
from labkeeper.embedded.devices import Units
from labkeeper.embedded.documents import Documents
from labkeeper.embedded.server import EmbeddedServer
from labkeeper.embedded.store import ObjectStore
from labkeeper_api.catalog import builtin_catalog
from labkeeper_api.errors import LabkeeperError
from labkeeper_api.kinds import BY_KIND, LabDevice, LabObject, LabPool, LabWorkflow
from labkeeper_api.kinds.labpool import PoolType
from labkeeper_api.manifests import ConfigMap
from labkeeper_operator.controller import Controller
from labkeeper_operator.objects import Key
from labkeeper_operator.prefect_api.session import open_session
from labkeeper_operator.reconcilers import Surroundings

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
POLL_SECONDS = 5.0

Tell = Callable[[str], None]


class LabRunning(LabkeeperError):
    """Another process keeps a lab in this home."""


@dataclass(frozen=True)
class LabPaths:
    """Where the embedded lab of one home keeps its things."""

    home: Path

    @property
    def objects(self) -> Path:
        """All objects with their status."""
        return self.home / "objects.json"

    @property
    def documents(self) -> Path:
        """ConfigMaps, and where the files that workflows name are."""
        return self.home / "documents.json"

    @property
    def inbox(self) -> Path:
        """Where other processes put objects for a running lab."""
        return self.home / "inbox"

    @property
    def info(self) -> Path:
        """How to reach the running lab."""
        return self.home / "lab.json"

    @property
    def lock(self) -> Path:
        """Locked by the process that keeps the lab."""
        return self.home / "lab.lock"


@dataclass
class EmbeddedLab:
    """A running embedded lab."""

    paths: LabPaths
    server: EmbeddedServer
    store: ObjectStore
    controller: Controller
    units: Units
    tell: Tell
    documents: Documents
    canvas_worker: CanvasWorker
    folders: dict[str, Path] = field(default_factory=dict)
    workers: dict[str, Child] = field(default_factory=dict)

    def apply(self, objects: Iterable[LabObject], folder: Path, config_maps: Iterable[ConfigMap] = ()) -> list[Key]:
        """Take in objects; paths in them are relative to `folder`. The keys of those that changed."""
        for found in config_maps:
            self.documents.put(found.namespace, found.name, found.data)
        changed = []
        for obj in objects:
            if isinstance(obj, LabDevice):
                self.folders[obj.metadata.key] = folder
            if isinstance(obj, LabWorkflow):
                self.documents.place(obj, folder)
            if self.store.apply(obj):
                changed.append(Key(obj.kind, obj.metadata.namespace, obj.metadata.name))
        return changed

    def remove(self, key: Key) -> None:
        """Delete an object and what it stands for."""
        self.store.remove(key)

    async def keep(self) -> None:
        """Keep the lab going until cancelled. Raises `ChildFailed` when a part of it ended by itself."""
        while True:
            self._empty_inbox()
            for line in await self.units.keep(self._wanted_units()):
                self.tell(line)
            await self._keep_workers()
            for line in await self.canvas_worker.keep():
                self.tell(line)
            await asyncio.sleep(TICK_SECONDS)

    def _open(self, letter: dict[str, Any]) -> None:
        if "delete" in letter:
            which = letter["delete"]
            self.remove(Key(which["kind"], which["namespace"], which["name"]))
            return
        objects = [BY_KIND[raw["kind"]].model_validate(raw) for raw in letter["objects"]]
        self.apply(objects, Path(letter["folder"]), [ConfigMap.of(raw) for raw in letter.get("configMaps", ())])

    def _wanted_units(self) -> dict[str, tuple[LabDevice, str, Path]]:
        wanted = {}
        for device in self.controller.objects.all(LabDevice):
            pool = self.controller.objects.get(LabPool, device.metadata.namespace, device.spec.pool)
            if pool is not None and not device.metadata.deleting:
                folder = self.folders.get(device.metadata.key, Path.cwd())
                wanted[device.metadata.key] = (device, pool.prefect_name, folder)
        return wanted

    async def _keep_workers(self) -> None:
        """One Prefect worker for each pool that would be of type kubernetes on a cluster."""
        for pool in self.controller.objects.all(LabPool):
            name = pool.prefect_name
            ready = pool.status is not None and pool.status.pool_id is not None
            if pool.spec.type is PoolType.DEVICE or not ready:
                continue
            if name in self.workers:
                self.workers[name].check()
                continue
            worker = process_worker(name, self.paths.home, self.server.api_url)
            await worker.start()
            self.workers[name] = worker
            self.tell(f"worker of pool {name} started")

    def _empty_inbox(self) -> None:
        for path in sorted(self.paths.inbox.glob("*.json")):
            try:
                self._open(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, KeyError, ValidationError) as error:
                self.tell(f"a letter in the inbox could not be read and was put aside: {error}")
                path.rename(path.with_suffix(".refused"))
                continue
            path.unlink()


@asynccontextmanager
async def running_lab(home: Path, tell: Tell, *, port: int | None = None) -> AsyncIterator[EmbeddedLab]:
    """Start an embedded lab and end it with everything it started. Raises `LabRunning` or `ChildFailed`."""
    paths = LabPaths(home)
    async with AsyncExitStack() as stack:
        stack.enter_context(locked(paths))
        server = EmbeddedServer(home, port)
        stack.push_async_callback(server.stop)
        began = asyncio.get_running_loop().time()
        await server.start()
        tell(f"Prefect server at {server.url} ({asyncio.get_running_loop().time() - began:.1f} s)")
        session = await stack.enter_async_context(open_session(api_url=server.api_url))
        store, documents = ObjectStore(paths.objects), Documents(paths.documents)
        controller = Controller(
            store,
            session,
            builtin_catalog(),
            Surroundings(
                kubernetes_pool_type="process",
                job_variables={"working_dir": str(Path.cwd())},
                ui_url=server.url,
                documents=documents,
                canvas_problems=canvas_problems,
            ),
            clock=lambda: datetime.now(UTC),
            poll=POLL_SECONDS,
        )
        store.on_change, store.on_delete = controller.seen, controller.gone
        for raw in store.all():
            controller.seen(raw)
        units = Units(home, server.api_url)
        lab = EmbeddedLab(paths, server, store, controller, units, tell, documents, CanvasWorker(home, server.api_url))
        stack.push_async_callback(_stop_children, lab)
        _write_info(paths, server)
        stack.callback(paths.info.unlink, missing_ok=True)
        async with _tasks(controller.run(), lab.keep(), _server_gone(server)):
            yield lab


@asynccontextmanager
async def _tasks(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these beside the body; when one fails, the body is cancelled and its error raised."""
    body = asyncio.current_task()
    failures: list[BaseException] = []

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            failures.append(error)
            if body is not None:
                body.cancel()

    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    except asyncio.CancelledError:
        if not failures:
            raise
        raise _innermost(failures[0]) from None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _server_gone(server: EmbeddedServer) -> None:
    code = await server.wait()
    raise ChildFailed(f"the Prefect server ended by itself with exit code {code}; see {server.home}/logs")


async def _stop_children(lab: EmbeddedLab) -> None:
    await lab.units.stop()
    for worker in lab.workers.values():
        await worker.stop()
    await lab.canvas_worker.stop()


@contextmanager
def locked(paths: LabPaths) -> Iterator[None]:
    """Own the home's lab. The lock goes with the process, however it ends."""
    paths.inbox.mkdir(parents=True, exist_ok=True)
    handle = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise LabRunning(f"a lab already runs in {paths.home}") from error
    finally:
        os.close(handle)


def _write_info(paths: LabPaths, server: EmbeddedServer) -> None:
    content = {"pid": os.getpid(), "api_url": server.api_url, "ui_url": server.url}
    paths.info.write_text(json.dumps(content), encoding="utf-8")


def running_info(home: Path) -> dict[str, Any] | None:
    """How to reach the lab that another process keeps in that home; None if none does."""
    paths = LabPaths(home)
    if not paths.lock.exists():
        return None
    with paths.lock.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return None
    try:
        found = json.loads(paths.info.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None
