"""Starts the operator: finds the cluster and Prefect, reads what is there, then follows both until stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
from datetime import UTC, datetime

import kopf

from labkeeper_api.catalog import Catalog, builtin_catalog
from labkeeper_api.errors import Waiting
from labkeeper_operator.controller import Controller
from labkeeper_operator.kube.cluster import KubernetesCluster, load_configuration
from labkeeper_operator.kube.handlers import register
from labkeeper_operator.prefect_api.session import PrefectSession, open_session
from labkeeper_operator.reconcilers import Surroundings
from labkeeper_operator.settings import OperatorSettings
from labkeeper_operator.sources import CanvasCheck

log = logging.getLogger(__name__)


def run(settings: OperatorSettings, canvas_problems: CanvasCheck | None = None) -> None:
    """Run the operator until SIGTERM or SIGINT. `canvas_problems`: the canvas engine's check, for who has it."""
    load_configuration()
    asyncio.run(serve(settings, canvas_problems=canvas_problems))


async def serve(
    settings: OperatorSettings, stop: asyncio.Event | None = None, *, canvas_problems: CanvasCheck | None = None
) -> None:
    """Run the operator until `stop` is set, or until a signal where it is not given."""
    cluster = KubernetesCluster(settings.namespaces)
    try:
        async with open_session(writers=settings.prefect_writers) as session:
            await _serve(settings, cluster, session, stop, canvas_problems)
    finally:
        cluster.close()


async def _serve(
    settings: OperatorSettings,
    cluster: KubernetesCluster,
    session: PrefectSession,
    stop: asyncio.Event | None,
    canvas_problems: CanvasCheck | None,
) -> None:
    ui_url = settings.prefect_ui_url or session.api_url.rstrip("/").removesuffix("/api")
    controller = Controller(
        cluster,
        session,
        load_catalog(settings),
        Surroundings(ui_url=ui_url, documents=cluster, canvas_problems=canvas_problems),
        clock=lambda: datetime.now(UTC),
        poll=settings.poll_seconds,
        resync=settings.resync_seconds,
    )
    for raw in await _listed(cluster):
        controller.seen(raw)
    registry = kopf.OperatorRegistry()
    register(registry, controller)
    await _until_told(controller, registry, settings.namespaces, stop)


async def _until_told(
    controller: Controller, registry: kopf.OperatorRegistry, namespaces: tuple[str, ...], stop: asyncio.Event | None
) -> None:
    """Run kopf and the controller until told to stop, or until one of them fails.

    The controller ends first. kopf takes every task of the loop for one of its own: it would wait for ours, and fail
    with what one of them met meanwhile, such as Prefect being away.
    """
    told, kopf_stop = stop or asyncio.Event(), asyncio.Event()
    others = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=kopf_stop,
    )
    if stop is None:
        for number in (signal.SIGINT, signal.SIGTERM):  # kopf has just taken them for itself
            asyncio.get_running_loop().add_signal_handler(number, told.set)
    watch = asyncio.create_task(kopf.run_tasks(tasks, ignored=others), name="kopf")
    work = asyncio.create_task(controller.run(), name="controller")
    end = asyncio.create_task(told.wait(), name="told to stop")
    try:
        await asyncio.wait({work, watch, end}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        end.cancel()
        work.cancel()
        await asyncio.wait({work, end})
        kopf_stop.set()
        results = await asyncio.gather(work, watch, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _listed(cluster: KubernetesCluster) -> list[dict[str, object]]:
    """All objects, as soon as the API server answers."""
    while True:
        try:
            return await cluster.list_all()
        except Waiting as error:
            log.warning("%s", error)
            await asyncio.sleep(error.retry_after)


def load_catalog(settings: OperatorSettings) -> Catalog:
    """The flow catalog from its file, or that of this release."""
    if settings.catalog is None:
        return builtin_catalog()
    return Catalog.model_validate_json(settings.catalog.read_text(encoding="utf-8"))
