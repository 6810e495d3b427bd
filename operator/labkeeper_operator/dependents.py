"""Which objects are to be looked at again when another one changed or went. No I/O."""

from __future__ import annotations

from labkeeper_api.kinds import LabDevice, LabObject, LabPool, LabRun, LabWorkflow
from labkeeper_operator.objects import Entry, Key, Objects
from labkeeper_operator.reconcile import runs


def dependents(objects: Objects, key: Key, *versions: Entry | None) -> list[Key]:
    """Objects whose state depends on that of a pool or a workflow, of which these versions were seen."""
    if key.kind == "LabPool":
        refs: list[LabObject] = [
            *(w for w in objects.all(LabWorkflow) if w.spec.placement.pool == key.name),
            *(d for d in objects.all(LabDevice) if d.spec.pool == key.name),
        ]
    elif key.kind == "LabWorkflow":
        refs = [r for r in objects.all(LabRun) if r.spec.workflow_ref.name == key.name and not runs.finished(r)]
    else:
        refs = []
    near = [_key(ref) for ref in refs if ref.metadata.namespace == key.namespace]
    return [*near, *_rivals(objects, key, *versions)]


def _rivals(objects: Objects, key: Key, *versions: Entry | None) -> list[Key]:
    """LabPools of all namespaces that claim a work pool which this one claims or claimed."""
    pools = [entry.obj for entry in versions if entry is not None and not entry.problems]
    names = {pool.prefect_name for pool in pools if isinstance(pool, LabPool)}
    found = [_key(pool) for pool in objects.all(LabPool) if pool.prefect_name in names] if names else []
    return [rival for rival in found if rival != key]


def _key(obj: LabObject) -> Key:
    return Key(obj.kind, obj.metadata.namespace, obj.metadata.name)
