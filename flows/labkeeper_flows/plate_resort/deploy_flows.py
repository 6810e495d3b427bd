"""Deploy the ten flows of the plate-resort guide straight to a Prefect server, for a lab without the operator.

`python -m labkeeper_flows.plate_resort.deploy_flows [POOL]`; the pool is else that of $PLATE_RESORT_POOL, else
`plate-resort-pool`. With the operator, `examples/plate-resort/workflows.yaml` does this, and keeps doing it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound

from labkeeper_api import wire
from labkeeper_api.catalog import CatalogEntry
from labkeeper_api.operations import OPERATIONS
from labkeeper_api.operations.plate_resort import DEFAULT_POOL, DRIVER, GUIDE_DEPLOYMENTS, POOL_VARIABLE


async def deploy(pool: str) -> list[str]:
    """Create the work pool if it is not there, and the ten deployments; their full names."""
    async with get_client() as client:
        await _ensure_pool(client, pool)
        return [await _deploy_one(client, pool, operation) for operation in GUIDE_DEPLOYMENTS]


async def _ensure_pool(client: PrefectClient, pool: str) -> None:
    try:
        await client.read_work_pool(pool)
    except ObjectNotFound:
        template = wire.device_job_template()
        await client.create_work_pool(WorkPoolCreate(name=pool, type=wire.WORKER_TYPE, base_job_template=template))


async def _deploy_one(client: PrefectClient, pool: str, operation: str) -> str:
    entry = CatalogEntry.of_operation(OPERATIONS[f"{DRIVER}.{operation}"])
    flow_id = await client.create_flow_from_name(entry.flow_name)
    await client.create_deployment(
        flow_id=flow_id,
        name=GUIDE_DEPLOYMENTS[operation],
        work_pool_name=pool,
        description=entry.description,
        entrypoint=entry.operation,
        parameter_openapi_schema=entry.parameter_schema,
        enforce_parameter_schema=True,
        job_variables={wire.OPERATION_VARIABLE: entry.operation},
        version=hashlib.sha256(entry.model_dump_json().encode()).hexdigest()[:12],
    )
    return f"{entry.flow_name}/{GUIDE_DEPLOYMENTS[operation]}"


def main() -> None:
    """Deploy and say what was deployed."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get(POOL_VARIABLE, DEFAULT_POOL)
    parser.add_argument("pool", nargs="?", default=default, help=f"work pool (default: {default})")
    pool = parser.parse_args().pool
    for name in asyncio.run(deploy(pool)):
        print(f"deployed {name}")
    print(f"start an agent on the device: labkeeper agent run LABDEVICE.yaml --pool {pool}")


if __name__ == "__main__":
    main()
