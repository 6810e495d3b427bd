"""A thousand LabWorkflows applied at once, against the bare Prefect REST client creating as many deployments in a loop.

Same Prefect server, same run, interleaved. Then what a steady state costs: writes to Prefect and to the API server,
memory, and how long one change takes among a thousand.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config
from rich.progress import Progress

from tests.bench.harness import Row, alone, compared
from tests.cluster.controlplane import ControlPlane
from tests.support.prefect_server import PrefectServer
from tests.support.processes import ManagedProcess
from tests.support.waiting import eventually

OBJECTS = 1000
ROUNDS = 3
STEADY_SECONDS = 300.0
NAMESPACE = "bench"
POOL = "bench-pool"
MUTATING = ("create", "update", "patch", "delete", "deletecollection")
CRDS = Path(__file__).parents[2] / "charts" / "labkeeper" / "crds"


@dataclass
class Bed:
    """What is measured on."""

    plane: ControlPlane
    prefect: PrefectServer
    operator: ManagedProcess
    audit: Path
    api: client.CustomObjectsApi


def run(*, quick: bool = False) -> list[Row]:
    """Measure."""
    objects, rounds, steady = (50, 1, 10.0) if quick else (OBJECTS, ROUNDS, STEADY_SECONDS)
    with tempfile.TemporaryDirectory(prefix="labkeeper-bench-") as folder, _bed(Path(folder)) as bed:
        ours: list[float] = []
        theirs: list[float] = []
        changes: list[float] = []
        steady_writes = memory = 0.0
        with Progress() as progress:
            task = progress.add_task("reconcile", total=rounds * 2 + 1)
            for number in range(rounds):
                theirs.append(asyncio.run(_bare_loop(bed, objects, number)))
                progress.advance(task)
                ours.append(_apply_at_once(bed, objects))
                if number == rounds - 1:
                    changes = [_one_change(bed, index, objects) for index in range(5 if quick else 20)]
                    steady_writes = _writes_in(bed, steady)
                    memory = bed.operator.handle.memory_info().rss / 2**20
                    progress.advance(task)
                _delete_all(bed)
                progress.advance(task)
        name = "PrefectClient.create_deployment in a loop"
        return [
            compared("all_ready", "s", ours, theirs, name, min_ratio=1.0),
            alone("steady_writes", "writes", [steady_writes], at_most=0.0),
            alone("operator_memory_mib", "MiB", [memory], at_most=300.0),
            alone("one_change_s", "s", changes),
        ]


@contextmanager
def _bed(directory: Path) -> Iterator[Bed]:
    audit = directory / "audit.log"
    with PrefectServer(directory / "prefect") as prefect, ControlPlane(directory / "plane", audit_log=audit) as plane:
        plane.install_crds(*(yaml.safe_load(path.read_text("utf-8")) for path in sorted(CRDS.iterdir())))
        plane.create_namespace(NAMESPACE)
        config.load_kube_config(str(plane.kubeconfig))  # type: ignore[no-untyped-call]
        environment = {
            **prefect.client_environment(directory / "operator-home"),
            "KUBECONFIG": str(plane.kubeconfig),
            "LABKEEPER_NAMESPACES": NAMESPACE,
        }
        operator = ManagedProcess(
            "the operator",
            [sys.executable, "-m", "labkeeper", "operator", "run"],
            log=directory / "operator.log",
            env=environment,
        )
        operator.start()
        try:
            bed = Bed(plane, prefect, operator, audit, client.CustomObjectsApi())
            _create(bed, "labpools", "LabPool", "pool", {"type": "device", "prefect": {"poolName": POOL}})
            eventually(lambda: _ready(bed, "labpools", 1), 60.0, what="the pool")
            yield bed
        finally:
            operator.stop()


def _apply_at_once(bed: Bed, objects: int) -> float:
    """Seconds from the first request until every LabWorkflow is Ready."""
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda index: _create_workflow(bed, index), range(objects)))
    eventually(lambda: _ready(bed, "labworkflows", objects), 600.0, 0.5, what="all LabWorkflows Ready")
    return time.monotonic() - began


def _create_workflow(bed: Bed, index: int) -> None:
    spec = {
        "flow": {"name": "plate-resort.move-to-angle"},
        "placement": {"pool": "pool"},
        "parameters": {"angle": index % 360},
    }
    _create(bed, "labworkflows", "LabWorkflow", f"w-{index}", spec)


async def _bare_loop(bed: Bed, objects: int, number: int) -> float:
    """Seconds that Prefect's own client takes to create as many deployments, one after another."""
    os.environ["PREFECT_API_URL"] = bed.prefect.api_url
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from labkeeper_api.catalog import builtin_catalog

    entry = builtin_catalog().get("plate-resort.move-to-angle")
    assert entry is not None
    with temporary_settings({PREFECT_API_URL: bed.prefect.api_url}):
        async with get_client() as prefect:
            began = time.monotonic()
            flow_id = await prefect.create_flow_from_name("bare")
            made = [
                await prefect.create_deployment(
                    flow_id=flow_id,
                    name=f"bare-{number}-{index}",
                    work_pool_name=POOL,
                    work_queue_name="default",
                    description=entry.description,
                    tags=["bare"],
                    parameters={"angle": index % 360},
                    parameter_openapi_schema=entry.parameter_schema,
                    enforce_parameter_schema=True,
                    job_variables={"operation": entry.operation},
                    entrypoint=entry.operation,
                )
                for index in range(objects)
            ]
            seconds = time.monotonic() - began
            for deployment_id in made:
                await prefect.delete_deployment(deployment_id)
    return seconds


def _one_change(bed: Bed, index: int, objects: int) -> float:
    """Seconds from changing one LabWorkflow among all until its status speaks of the change."""
    name = f"w-{index * 37 % objects}"
    began = time.monotonic()
    patched: Any = bed.api.patch_namespaced_custom_object(
        "labkeeper.dev", "v1alpha1", NAMESPACE, "labworkflows", name, {"spec": {"parameters": {"angle": 360 + index}}}
    )
    wanted = patched["metadata"]["generation"]

    def done() -> bool:
        item: Any = bed.api.get_namespaced_custom_object("labkeeper.dev", "v1alpha1", NAMESPACE, "labworkflows", name)
        assert item["status"]["observedGeneration"] == wanted
        return True

    eventually(done, 60.0, 0.02, what=f"the change of {name}")
    return time.monotonic() - began


def _writes_in(bed: Bed, seconds: float) -> float:
    """Mutating requests of the operator to the API server, and changed deployments in Prefect, in a steady state."""
    time.sleep(5.0)
    before_audit, before_prefect = _audited(bed.audit), asyncio.run(_updated(bed))
    time.sleep(seconds)
    after_prefect = asyncio.run(_updated(bed))
    changed = sum(1 for key, value in after_prefect.items() if before_prefect.get(key) != value)
    return float(_audited(bed.audit) - before_audit + changed)


def _audited(path: Path) -> int:
    """How many mutating requests for our kinds stand in the audit log."""
    count = 0
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            ours = (event.get("objectRef") or {}).get("apiGroup") == "labkeeper.dev"
            count += ours and event["stage"] == "ResponseComplete" and event["verb"] in MUTATING
    return count


async def _updated(bed: Bed) -> dict[str, Any]:
    """When each deployment and queue was last changed."""
    import httpx

    found: dict[str, Any] = {}
    async with httpx.AsyncClient(base_url=bed.prefect.api_url, timeout=60.0, trust_env=False) as http:
        offset = 0
        while True:
            page = (await http.post("/deployments/filter", json={"limit": 200, "offset": offset})).json()
            found |= {item["id"]: item["updated"] for item in page}
            offset += len(page)
            if len(page) < 200:
                return found


def _delete_all(bed: Bed) -> None:
    with ThreadPoolExecutor(4) as threads:
        names = [item["metadata"]["name"] for item in _list(bed, "labworkflows")]
        list(threads.map(lambda name: _delete(bed, name), names))
    eventually(lambda: _gone(bed), 600.0, 1.0, what="all LabWorkflows gone")


def _delete(bed: Bed, name: str) -> None:
    bed.api.delete_namespaced_custom_object("labkeeper.dev", "v1alpha1", NAMESPACE, "labworkflows", name)


def _gone(bed: Bed) -> bool:
    left = len(_list(bed, "labworkflows"))
    assert left == 0, f"{left} left"
    return True


def _create(bed: Bed, plural: str, kind: str, name: str, spec: dict[str, Any]) -> None:
    body = {
        "apiVersion": "labkeeper.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
    bed.api.create_namespaced_custom_object("labkeeper.dev", "v1alpha1", NAMESPACE, plural, body)


def _list(bed: Bed, plural: str) -> list[dict[str, Any]]:
    listed: Any = bed.api.list_namespaced_custom_object("labkeeper.dev", "v1alpha1", NAMESPACE, plural)
    return list(listed["items"])


def _ready(bed: Bed, plural: str, count: int) -> bool:
    bed.operator.check_running()
    ready = sum(_is_ready(item) for item in _list(bed, plural))
    assert ready == count, f"{ready} of {count} ready"
    return True


def _is_ready(item: dict[str, Any]) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
