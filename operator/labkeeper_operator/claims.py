"""Which object holds which Prefect name; the others that claim it are told whose it is. No I/O.

Whoever already stands for that name in Prefect keeps it, so that a slip in one manifest takes nothing from another
object; while nobody does, the oldest object has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from labkeeper_api.catalog import Catalog
from labkeeper_api.errors import Stalled
from labkeeper_api.kinds import LabPool, LabWorkflow
from labkeeper_api.meta import ObjectMeta
from labkeeper_operator.objects import Key
from labkeeper_operator.reconcile import workflows

Name = tuple[str, str]
"""Flow name and deployment name."""
Rank = tuple[bool, datetime, str, str]
"""The order among those who claim one name, the holder first."""


class Claims:
    """Claims of Prefect names by LabWorkflows."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._by_key: dict[Key, Name] = {}
        self._by_name: dict[Name, dict[Key, Rank]] = defaultdict(dict)

    def put(self, key: Key, workflow: LabWorkflow) -> set[Key]:
        """Note what a workflow claims; the other workflows that this concerns."""
        concerned = self.remove(key)
        try:
            name = workflows.names(workflow, self._catalog)
        except Stalled:
            return concerned
        status = workflow.status
        stands = status is not None and status.deployment_id is not None and status.deployment_name == "/".join(name)
        self._by_key[key] = name
        self._by_name[name][key] = _rank(workflow.metadata, stands=stands)
        return (concerned | set(self._by_name[name])) - {key}

    def remove(self, key: Key) -> set[Key]:
        """Forget what a workflow claimed; the other workflows that this concerns."""
        name = self._by_key.pop(key, None)
        if name is None:
            return set()
        claims = self._by_name[name]
        claims.pop(key, None)
        if not claims:
            del self._by_name[name]
        return set(claims)

    def name_of(self, key: Key) -> Name | None:
        """What that workflow claims."""
        return self._by_key.get(key)

    def holder(self, key: Key) -> Key | None:
        """Who holds the name that this workflow claims, if it is another one."""
        name = self._by_key.get(key)
        if name is None:
            return None
        claims = self._by_name[name]
        first = min(claims, key=lambda claimant: claims[claimant])
        return first if first != key else None


def pool_holder(pool: LabPool, all_pools: Iterable[LabPool]) -> LabPool | None:
    """Which other LabPool holds the work pool that this one claims, if one does."""
    rivals = [other for other in all_pools if other.prefect_name == pool.prefect_name]
    first = min(rivals, key=_pool_rank, default=pool)
    return first if first.metadata.uid != pool.metadata.uid else None


def _pool_rank(pool: LabPool) -> Rank:
    status = pool.status
    stands = status is not None and status.pool_id is not None and status.pool_name == pool.prefect_name
    return _rank(pool.metadata, stands=stands)


def _rank(metadata: ObjectMeta, *, stands: bool) -> Rank:
    born = metadata.creation_timestamp or datetime.max.replace(tzinfo=UTC)
    return not stands, born, metadata.uid, metadata.key
