"""What the operator and the agent say to each other through Prefect: names, tags and job variables."""

from __future__ import annotations

from typing import Any

WORKER_TYPE = "lab-device"
"""Type of the work pools that device agents serve."""

TAG = "labkeeper"
"""Tag of every deployment and run that Labkeeper made."""

OWNER_TAG_PREFIX = "labkeeper.dev/uid="
"""Prefix of the tag that names the resource which owns a deployment."""

OPERATION_VARIABLE = "operation"
RETRIES_VARIABLE = "retries"
RETRY_DELAY_VARIABLE = "retry_delay_seconds"
TIMEOUT_VARIABLE = "timeout_seconds"

SIMULATED_TAG = "simulated"
"""Tag of a run that a simulator carried out."""


def owner_tag(uid: str) -> str:
    """The tag that says which resource owns a deployment."""
    return OWNER_TAG_PREFIX + uid


def owner_of(tags: list[str] | tuple[str, ...]) -> str | None:
    """The uid of the resource that owns a deployment, from its tags; None if it is nobody's."""
    return next((tag.removeprefix(OWNER_TAG_PREFIX) for tag in tags if tag.startswith(OWNER_TAG_PREFIX)), None)


def device_job_template() -> dict[str, Any]:
    """Base job template of a `lab-device` work pool, in the form that Prefect's UI shows."""
    variables: dict[str, dict[str, Any]] = {
        OPERATION_VARIABLE: {
            "title": "Operation",
            "type": "string",
            "description": "Driver operation that the device agent carries out, as driver.operation.",
        },
        RETRIES_VARIABLE: {
            "title": "Retries",
            "type": "integer",
            "minimum": 0,
            "default": 0,
            "description": "How often a failed run is tried again. Only idempotent operations are.",
        },
        RETRY_DELAY_VARIABLE: {
            "title": "Retry delay",
            "type": "integer",
            "minimum": 0,
            "default": 0,
            "description": "Seconds to wait before each retry.",
        },
        TIMEOUT_VARIABLE: {
            "title": "Timeout",
            "type": "integer",
            "minimum": 1,
            "description": "Seconds after which the operation is stopped and the run fails.",
        },
    }
    return {
        "job_configuration": {name: "{{ " + name + " }}" for name in variables},
        "variables": {"type": "object", "properties": variables, "required": [OPERATION_VARIABLE]},
    }


def unit_name(namespace: str, device: str, node: str) -> str:
    """Name of one unit of a device; also the name of its worker in Prefect."""
    return f"{namespace}.{device}.{node}"
