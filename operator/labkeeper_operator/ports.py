"""What the controller needs of the place that keeps the objects: Kubernetes, or the embedded lab's own store."""

from __future__ import annotations

from typing import Any, Protocol

from labkeeper_api.kinds import LabObject


class Cluster(Protocol):
    """Writes to objects. Every method returns the object as it is kept afterwards, or None when it is gone.

    Raises `Waiting` when the cluster is away.
    """

    async def add_finalizer(self, obj: LabObject) -> dict[str, Any] | None:
        """Make the object stay until what it stands for in Prefect is gone."""

    async def remove_finalizer(self, obj: LabObject) -> dict[str, Any] | None:
        """Let a deleted object go."""

    async def write_status(self, obj: LabObject, status: dict[str, Any]) -> dict[str, Any] | None:
        """Replace the status subresource."""

    async def delete(self, obj: LabObject) -> None:
        """Ask for the object's deletion."""
