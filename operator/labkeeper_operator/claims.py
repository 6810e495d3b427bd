"""Which LabWorkflow holds which Prefect name: the oldest claim wins, the others are told whose it is. No I/O."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

from labkeeper_api.catalog import Catalog
from labkeeper_api.errors import Stalled
from labkeeper_api.kinds import LabWorkflow
from labkeeper_operator.objects import Key
from labkeeper_operator.reconcile import workflows

Name = tuple[str, str]
"""Flow name and deployment name."""


class Claims:
    """Claims of Prefect names by LabWorkflows."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._by_key: dict[Key, Name] = {}
        self._by_name: dict[Name, dict[Key, tuple[datetime, str]]] = defaultdict(dict)

    def put(self, key: Key, workflow: LabWorkflow) -> set[Key]:
        """Note what a workflow claims; the other workflows that this concerns."""
        concerned = self.remove(key)
        try:
            name = workflows.names(workflow, self._catalog)
        except Stalled:
            return concerned
        born = workflow.metadata.creation_timestamp or datetime.max.replace(tzinfo=UTC)
        self._by_key[key] = name
        self._by_name[name][key] = (born, workflow.metadata.uid)
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
        first = min(claims, key=lambda claimant: (claims[claimant], str(claimant)))
        return first if first != key else None
